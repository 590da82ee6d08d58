"""What a probe may look at: the watched model as objectives, its optimiser, its path, and what was measured last."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from landscope.live.trajectory import Trajectory
from landscope.measurements import Measurement, Slice, Snapshot
from landscope.objective import Objective
from landscope.optimizers import Optimizers

__all__ = ["OBJECTIVES", "Watched"]

OBJECTIVES = ("train", "test", "focus", "sketch", "held_out", "tight")
"""The names of the objectives that a `Watched` has, or may have."""


@dataclass
class Watched:
    """What a probe may look at.

    Attributes:
        train: The training objective.
        test: The held-out objective, if there is one.
        focus: The training objective on the examples that kernel and embedding use, and curvature by default.
        sketch: The training objective on the fewer examples that slices use, which evaluate it hundreds of times.
        held_out: The held-out objective on as many, if there is one.
        optimizer: The optimiser, or several, if they are known.
        trajectory: The path of the weights.
        step: Optimiser steps taken.
        latest: Each probe's last measurement, for warm starts and for keeping a picture's orientation.
        tight: The training objective on the still fewer examples that curvature uses where the budget is tight.
    """

    train: Objective
    test: Objective | None
    focus: Objective
    sketch: Objective
    held_out: Objective | None
    optimizer: Optimizers | None
    trajectory: Trajectory
    step: int = 0
    latest: dict[str, Measurement] = field(default_factory=dict)
    tight: Objective | None = None

    @property
    def curvature(self) -> Objective:
        """The objective whose curvature is measured."""
        return self.focus if self.tight is None else self.tight

    def snapshot(self) -> Snapshot:
        """The present weights, as a run keeps them."""
        layout = self.train.layout
        with self.train.measuring() as meter:
            theta, provenance = self.train.theta(), meter.provenance("snapshot of the weights")
        found = Snapshot(theta=theta.cpu().numpy(), names=layout.names, sizes=layout.sizes, provenance=provenance)
        return found.at(self.step)

    def bounded(self, result: Measurement) -> Measurement:
        """A result as it is held in memory: a slice without its centre where not even a path of the weights is held."""
        if isinstance(result, Slice) and not self.trajectory.capacity:
            return result.replaced(centre=None)
        return result

    def halves(self) -> dict[str, Any]:
        """The objectives by name, each on half of its examples."""
        found = {name: getattr(self, name) for name in OBJECTIVES}
        return {
            name: objective.sample(max(1, objective.examples // 2))
            for name, objective in found.items()
            if objective is not None
        }

    def rewind(self, step: int) -> None:
        """Goes back to an earlier step, of whose weights the model is again."""
        self.step = step
        self.trajectory.rewind(step)
        self.latest.clear()

    def renew(self) -> tuple[str, ...]:
        """Follows the model to another device or type, and takes in what of it is trainable by now.

        Vectors of another length or type are of no use to each other: then the path begins anew, and nothing measured
        before is a start for what follows.

        Returns:
            The names of the parameters that are new.
        """
        before = self.train.layout
        for name in OBJECTIVES:
            objective = getattr(self, name)
            setattr(self, name, None if objective is None else objective.renewed())
        now = self.train.layout
        if (now.names, now.dtypes) != (before.names, before.dtypes):
            self.trajectory = Trajectory(now.size, now.dtype.itemsize)
            self.latest.clear()
        return tuple(name for name in now.names if name not in before.slices)
