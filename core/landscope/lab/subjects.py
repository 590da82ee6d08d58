"""What is measured on request: an objective, and what is known beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from torch import Tensor
from torch.optim import Optimizer

from landscope.objective import Objective

__all__ = ["Subject"]


@dataclass(frozen=True)
class Subject:
    """What is measured, at the weights that the model has when the measurement begins.

    Attributes:
        objective: Of which loss.
        optimizer: The model's optimiser in its state at these weights, if it is known.
        path: (T, P) earlier weights, for the plane of the trajectory and to be drawn on others.
        path_steps: The step of each.
        also: Further objectives that slices show at the same points, by name.
        store: Folder in which slices keep their finished points, so that they go on there when they are interrupted.
    """

    objective: Objective
    optimizer: Optimizer | None = None
    path: Tensor | None = None
    path_steps: Sequence[int] | None = None
    also: Mapping[str, Objective] = field(default_factory=dict)
    store: Path | None = None

    def pinned(self, pulse: Callable[[], None]) -> Self:
        """The same, with what is not part of theta held; see `Objective.pinned`."""
        also = {name: other.pinned(pulse) for name, other in self.also.items()}
        return replace(self, objective=self.objective.pinned(pulse), also=also)
