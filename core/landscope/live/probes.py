"""What is measured during training: each probe a name, a function of the watched model, and a weight."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from landscope import curvature, embedding, landscape
from landscope.dynamics import norms
from landscope.landscape.cuts import Cut
from landscope.live.dynamics_probes import (
    ExampleFrames,
    LossForecasts,
    OutputFrames,
    class_conflict,
    example_mixture,
    gradients,
    plasticity,
    reliability,
    units,
    weights,
)
from landscope.live.feature_probes import StepSimilarity, layer_similarity, pictured, pictured_by_umap
from landscope.live.kernel_probes import Linearised, TangentKernel
from landscope.live.schedule import Every, next_due
from landscope.live.watched import Watched
from landscope.measurements import Measurement, Sharpness, Slice2D
from landscope.objective import Objective

__all__ = ["Probe", "Watched", "default_probes"]


_SLICE_POINTS = 17
_SLICE_ERROR = 0.05  # stated, which is several times the true one: closer, and the eye sees no difference
_SLOT = 0.1  # seconds of a slice at a time


Result = Measurement | Mapping[str, float] | None


@dataclass(frozen=True)
class Probe:
    """A measurement on a schedule.

    Attributes:
        name: Its name in the run, e.g. "slice/random".
        measure: What to do. A measurement is recorded as a frame, and its scalars as "<name>/<scalar>"; a mapping is
            recorded as scalars under the names in it; None records nothing. A measurement that takes long comes as an
            iterator, which is advanced whenever there is time for it, while training goes on: it measures the weights
            it was begun with, and yields results as they sharpen, and None in between. What remembers earlier weights
            may have a method `rewound(step)`, called when a training goes back to a step.
        weight: Its share of the measuring time, relative to the other probes.
        gradients: About how many gradients of `Watched.focus` its first run takes as long as; later ones are timed.
        curved: Whether they are of `Watched.curvature` instead.
        every: At which steps: a number n, at multiples of n; "log", at steps ever further apart, 24 a decade; "asked",
            only by `Scope.measure`; None, at any. It waits until its share of the time allows it, which with
            `watch(overhead=math.inf)` is at once.
        background: Whether it may run in a thread beside the training, on a copy of the model. It may if it looks at
            nothing but the `Watched` it is given, and draws random numbers from generators of its own alone.
    """

    name: str
    measure: Callable[[Watched], Result | Iterator[Result]]
    weight: float = 1.0
    gradients: float = 1.0
    curved: bool = False
    every: Every = None
    background: bool = False

    def __post_init__(self) -> None:
        next_due(self.every, 0)  # refuses what is no schedule


def default_probes() -> tuple[Probe, ...]:
    """What `watch` measures unless told otherwise."""
    forecasts = LossForecasts()
    return (
        Probe("evaluate", _evaluate, weight=2.0, gradients=3),
        Probe("norms", _norms, weight=0.5, gradients=1),
        Probe("sharpness", _sharpness, weight=1.5, gradients=60, curved=True, background=True),
        Probe("sharpness/measures", _measures, weight=0.5, gradients=80, curved=True, background=True),
        Probe("quadratic", _quadratic, weight=0.5, gradients=80, curved=True, background=True),
        Probe("embedding", pictured, weight=0.5, gradients=2),
        Probe("embedding/umap", pictured_by_umap, weight=0.4, gradients=20),
        Probe("geometry", _geometry, weight=0.4, gradients=10),
        Probe("similarity/layers", layer_similarity, weight=0.1, gradients=3),
        Probe("similarity/steps", StepSimilarity(), weight=0.1, gradients=2),
        Probe("examples", _examples, weight=0.05, gradients=1),
        Probe("examples/history", ExampleFrames(), weight=0.2, gradients=1),
        Probe("examples/mixture", example_mixture, weight=0.05, gradients=1),
        Probe("outputs/calibration", reliability, weight=0.1, gradients=2),
        Probe("outputs/change", OutputFrames(), weight=0.1, gradients=2),
        Probe("forecast", forecasts, weight=0.05, gradients=1, every="log"),
        Probe("forecast/score", forecasts.score, weight=0.05, gradients=1, every="log"),
        Probe("gradients", gradients, weight=0.3, gradients=6),
        Probe("gradients/conflict", class_conflict, weight=0.1, gradients=4),
        Probe("weights", weights, weight=0.1, gradients=2),
        Probe("units", units, weight=0.1, gradients=2),
        Probe("plasticity", plasticity, weight=0.2, gradients=60, every="log"),
        Probe("ntk", TangentKernel(), weight=0.8, gradients=40),
        Probe("linearised", Linearised(), weight=0.3, gradients=8),
        Probe("slice/trajectory", _trajectory_slice, weight=4.0, gradients=30, background=True),
        Probe("slice/random", _random_slice, weight=0.8, gradients=30, background=True),
        Probe("slice/hessian", _hessian_slice, weight=1.0, gradients=120, curved=True, background=True),
        Probe("density", _density, weight=2.0, gradients=180, curved=True, background=True),
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
    optimizer, objective = watched.optimizer, watched.curvature
    if optimizer is not None and curvature.stability_rule(optimizer, objective.layout, objective.model).pending:
        return None  # the plain Hessian's would be another quantity than what follows
    last = watched.latest.get("sharpness")
    start = last.vector if isinstance(last, Sharpness) else None
    return _sampled(watched, objective, curvature.sharpness(objective, optimizer, start=start))


def _sampled(watched: Watched, objective: Objective, found: Measurement) -> Measurement:
    """Says in its provenance how far so few examples may be off, where the budget allows no more."""
    if objective.examples >= watched.focus.examples:
        return found
    try:
        losses = objective.losses().double()
        error = f", whose mean loss is {losses.mean():.3g} ± {losses.std() / len(losses) ** 0.5:.2g}"
    except (TypeError, ValueError):  # losses of single examples need not exist
        error = ""
    method = f"{found.provenance.method}; as few examples as the budget allows{error}"
    return found.replaced(provenance=replace(found.provenance, method=method))


def _smallest(watched: Watched) -> Objective:
    return min(watched.sketch, watched.curvature, key=lambda objective: objective.examples)


def _plain_sharpness(watched: Watched) -> Sharpness | None:
    """The last sharpness, if its vector and threshold are those of the Hessian itself."""
    last = watched.latest.get("sharpness")
    return last if isinstance(last, Sharpness) and not last.preconditioned else None


def _measures(watched: Watched) -> Result:
    last = _plain_sharpness(watched)
    start = None if last is None else last.vector
    objective = _smallest(watched)
    found = curvature.sharpness_measures(objective, watched.optimizer, steps=5, tolerance=1e-2, start=start)
    return found if watched.tight is None else _sampled(watched, objective, found)


def _quadratic(watched: Watched) -> Result:
    last = _plain_sharpness(watched)
    objective = _smallest(watched)
    found = curvature.quadratic_model(objective, start=None if last is None else last.vector)
    return found if watched.tight is None else _sampled(watched, objective, found)


def _density(watched: Watched) -> Result:
    last = _plain_sharpness(watched)
    start, threshold = (None, None) if last is None else (last.vector, last.threshold)
    objective = watched.curvature
    found = curvature.density(objective, probes=3, steps=12, spikes=3, tolerance=1e-2, start=start, threshold=threshold)
    return _sampled(watched, objective, found)


def _geometry(watched: Watched) -> Result:
    return embedding.geometry(watched.focus)


def _examples(watched: Watched) -> Result:
    """Once: what is behind the points of the embedding."""
    return None if "examples" in watched.latest else embedding.shown(watched.focus)


def _slice(watched: Watched, build: Callable[..., Cut], *arguments: Any, **options: Any) -> Iterator[Result]:
    """A slice around the present weights, coarse to fine."""
    trajectory, sketch = watched.trajectory, watched.sketch.pinned()
    held_out = {} if watched.held_out is None else {"test": watched.held_out.pinned()}
    if trajectory.steps:
        options |= {"path_steps": trajectory.steps[:], "path_losses": trajectory.losses[:]}
    slicing = build(sketch, *arguments, also=held_out, points=_SLICE_POINTS, **options)
    for step in slicing.steps(slot=_SLOT, tolerance=_SLICE_ERROR):
        yield step.picture


def _random_slice(watched: Watched) -> Iterator[Result]:
    return _slice(watched, landscape.cut, path=_path(watched))


def _hessian_slice(watched: Watched) -> Iterator[Result]:
    """The plane of the two largest eigenvalues' vectors, each shown as far as the loss changes tenfold."""
    directions = landscape.hessian_directions(watched.curvature, previous=_last_plane(watched, "slice/hessian"))
    axes = ("distance along the sharpest direction", "along the second sharpest")
    return _slice(watched, landscape.cut, directions, radius="auto", plane="hessian", axes=axes, path=_path(watched))


def _trajectory_slice(watched: Watched) -> Result | Iterator[Result]:
    trajectory = watched.trajectory
    if not any(step < watched.step for step in trajectory.steps):
        return None
    previous = _last_plane(watched, "slice/trajectory")
    return _slice(watched, landscape.trajectory_cut, _path(watched), previous=previous)


def _last_plane(watched: Watched, name: str) -> Tensor | None:
    """The directions of a probe's last slice, by which the next one keeps its orientation."""
    last = watched.latest.get(name)
    return torch.from_numpy(last.directions) if isinstance(last, Slice2D) and last.directions is not None else None


def _path(watched: Watched) -> Tensor | None:
    trajectory = watched.trajectory
    return trajectory.path(watched.sketch.layout.device) if trajectory.steps else None
