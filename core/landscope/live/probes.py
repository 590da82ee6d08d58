"""What is measured during training: each probe a name, a function of the watched model, and a weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch.optim import Optimizer

from landscope import curvature, embedding, kernel, landscape
from landscope.dynamics import norms
from landscope.live.trajectory import Trajectory
from landscope.measurements import Measurement, Projection, Sharpness, Slice2D
from landscope.objective import Objective

__all__ = ["Probe", "Watched", "default_probes"]


_SLICE_POINTS = 17
# The trace over outputs costs a backward pass for each of them; beyond this many, their sum stands for them.
_MOST_OUTPUTS = 128


@dataclass
class Watched:
    """What a probe may look at.

    Attributes:
        train: The training objective.
        test: The held-out objective, if there is one.
        focus: The training objective on the examples that curvature, kernel and embedding use.
        sketch: The training objective on the fewer examples that slices use, which evaluate it hundreds of times.
        optimizer: The optimiser, if it is known.
        trajectory: The path of the weights.
        step: Optimiser steps taken.
        latest: Each probe's last measurement, for warm starts and for keeping a picture's orientation.
    """

    train: Objective
    test: Objective | None
    focus: Objective
    sketch: Objective
    optimizer: Optimizer | None
    trajectory: Trajectory
    step: int = 0
    latest: dict[str, Measurement] = field(default_factory=dict)


Result = Measurement | Mapping[str, float] | None


@dataclass(frozen=True)
class Probe:
    """A measurement on a schedule.

    Attributes:
        name: Its name in the run, e.g. "slice/random".
        measure: What to do. A measurement is recorded as a frame, and its scalars as "<name>/<scalar>"; a mapping is
            recorded as scalars under the names in it; None records nothing.
        weight: Its share of the measuring time, relative to the other probes.
        gradients: About how many gradients of `Watched.focus` its first run takes as long as; later ones are timed.
    """

    name: str
    measure: Callable[[Watched], Result]
    weight: float = 1.0
    gradients: float = 1.0


def default_probes() -> tuple[Probe, ...]:
    """What `watch` measures unless told otherwise."""
    return (
        Probe("evaluate", _evaluate, weight=2.0, gradients=3),
        Probe("norms", _norms, weight=0.5, gradients=1),
        Probe("sharpness", _sharpness, weight=1.5, gradients=60),
        Probe("embedding", _embedding, weight=0.5, gradients=2),
        Probe("ntk", _ntk, weight=0.8, gradients=20),
        Probe("slice/trajectory", _trajectory_slice, weight=1.6, gradients=80),
        Probe("slice/random", _random_slice, weight=0.8, gradients=80),
        Probe("density", _density, weight=2.0, gradients=180),
    )


def _evaluate(watched: Watched) -> Result:
    scalars: dict[str, float] = {}
    for objective in (watched.train, watched.test):
        if objective is not None:
            values = objective.metrics(objective.theta().unsqueeze(0))
            scalars |= {f"{objective.split}/{name}": float(value) for name, value in values.items()}
    return scalars


def _norms(watched: Watched) -> Result:
    lengths = norms(watched.focus)
    return {"norm/gradient": lengths.gradient, "norm/weights": lengths.weights}


def _sharpness(watched: Watched) -> Result:
    optimizer, focus = watched.optimizer, watched.focus
    if optimizer is not None and curvature.stability_rule(optimizer, focus.layout, focus.model).pending:
        return None  # the plain Hessian's would be another quantity than what follows
    last = watched.latest.get("sharpness")
    start = last.vector if isinstance(last, Sharpness) else None
    return curvature.sharpness(focus, optimizer, start=start)


def _density(watched: Watched) -> Result:
    start = threshold = None
    last = watched.latest.get("sharpness")
    if isinstance(last, Sharpness) and not last.preconditioned:
        # Only then are vector and threshold those of the plain Hessian, whose density this is.
        start, threshold = last.vector, last.threshold
    return curvature.density(
        watched.focus, probes=3, steps=12, spikes=3, tolerance=1e-2, start=start, threshold=threshold
    )


def _ntk(watched: Watched) -> Result:
    few = watched.focus.sample(2)
    outputs = few.outputs().numel() // few.examples
    return kernel.ntk(watched.focus, kind="trace" if outputs <= _MOST_OUTPUTS else "pseudo")


def _embedding(watched: Watched) -> Result:
    last = watched.latest.get("embedding")
    return embedding.project(watched.focus, previous=last if isinstance(last, Projection) else None)


def _random_slice(watched: Watched) -> Result:
    trajectory = watched.trajectory
    path = trajectory.path(watched.sketch.layout.device) if trajectory.steps else None
    return landscape.slice2d(watched.sketch, points=_SLICE_POINTS, path=path, path_steps=trajectory.steps or None)


def _trajectory_slice(watched: Watched) -> Result:
    trajectory = watched.trajectory
    if not any(step < watched.step for step in trajectory.steps):
        return None
    last = watched.latest.get("slice/trajectory")
    directions = last.directions if isinstance(last, Slice2D) else None
    return landscape.trajectory_slice(
        watched.sketch,
        trajectory.path(watched.sketch.layout.device),
        path_steps=trajectory.steps,
        points=_SLICE_POINTS,
        previous=None if directions is None else torch.from_numpy(directions),
    )
