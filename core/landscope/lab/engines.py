"""The engine of each entry: measurements as they come, coarse to fine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

from landscope import curvature, dynamics, embedding, kernel, landscape
from landscope.curvature.spectrum import eigenvalues_by_steps
from landscope.lab import entries
from landscope.lab.progress import Progress
from landscope.lab.subjects import Subject
from landscope.landscape.cuts import Cut
from landscope.measurements import Measurement

__all__ = ["ENGINES", "Engine", "Found"]

_SLOT = 0.1  # seconds of a slice at a time

Found = Progress | Measurement | None
"""Progress where it is known, or what came out of a step: a measurement, or None."""

Engine = Callable[[Subject, Tensor, Any], Iterator[Found]]
"""Of a subject, theta (P,) and parameters."""


def _slice1d(subject: Subject, theta: Tensor, asked: entries.Slice1D) -> Iterator[Found]:
    if asked.direction == "gradient":
        along = landscape.gradient_direction(subject.objective, theta=theta)
        options = {"plane": "gradient", "axes": ("distance along the gradient",)}
        return _sliced(subject, landscape.cut, along, dimensions=1, theta=theta, **options, **_grid(asked))
    random = _random(asked, asked.direction)
    return _sliced(subject, landscape.cut, asked.direction, dimensions=1, theta=theta, **random, **_grid(asked))


def _slice2d(subject: Subject, theta: Tensor, asked: entries.Slice2D) -> Iterator[Found]:
    path = {"path": subject.path, "path_steps": subject.path_steps}
    if asked.plane == "trajectory":
        if subject.path is None or len(subject.path) < 2:
            raise ValueError("the plane of the trajectory needs at least 2 snapshots of the run; ask for another plane")
        options = {"path_steps": subject.path_steps, "points": asked.points, "reach": asked.radius or 1.0}
        return _sliced(subject, landscape.trajectory_cut, subject.path, theta=theta, **options)
    random = _random(asked, asked.plane)
    if random:
        random["orthogonal"] = asked.orthogonal
    return _sliced(subject, landscape.cut, asked.plane, theta=theta, **random, **path, **_grid(asked))


def _slice3d(subject: Subject, theta: Tensor, asked: entries.Slice3D) -> Iterator[Found]:
    random = _random(asked, asked.box)
    return _sliced(subject, landscape.cut, asked.box, dimensions=3, theta=theta, **random, **_grid(asked))


def _grid(asked: Any) -> dict[str, Any]:
    return {"points": asked.points, "radius": asked.radius or "auto"}


def _random(asked: Any, directions: str) -> dict[str, Any]:
    return {"normalisation": asked.normalisation, "seed": asked.seed} if directions == "random" else {}


def _sliced(subject: Subject, build: Callable[..., Cut], *arguments: Any, **options: Any) -> Iterator[Found]:
    slicing = build(subject.objective, *arguments, also=subject.also, store=subject.store, **options)
    for step in slicing.steps(slot=_SLOT):
        yield Progress(step.done / step.total, step.seconds_left, step.picture)


def _eigenvalues(subject: Subject, theta: Tensor, asked: entries.Eigenvalues) -> Iterator[Found]:
    return eigenvalues_by_steps(subject.objective, theta=theta, **vars(asked))


def _whole(measure: Callable[[Subject, Tensor, Any], Measurement]) -> Engine:
    """An engine that works in one piece."""

    def engine(subject: Subject, theta: Tensor, asked: Any) -> Iterator[Found]:
        yield measure(subject, theta, asked)

    return engine


def _of(measure: Callable[..., Measurement]) -> Engine:
    """An engine that is a function of an objective, theta and the parameters by their names."""
    return _whole(lambda subject, theta, asked: measure(subject.objective, theta=theta, **vars(asked)))


def _features(asked: Any) -> dict[str, Any]:
    return {**vars(asked), "layer": asked.layer or None}


ENGINES: Mapping[str, Engine] = {
    "slice2d": _slice2d,
    "slice1d": _slice1d,
    "slice3d": _slice3d,
    "eigenvalues": _eigenvalues,
    "density": _of(curvature.density),
    "trace": _of(curvature.trace),
    "sharpness": _whole(
        lambda subject, theta, asked: curvature.sharpness(
            subject.objective, subject.optimizer, theta=theta, **vars(asked)
        )
    ),
    "quadratic": _of(curvature.quadratic_model),
    "ntk": _of(kernel.ntk),
    "project": _whole(
        lambda subject, theta, asked: embedding.project(subject.objective, theta=theta, **_features(asked))
    ),
    "collapse": _whole(
        lambda subject, theta, asked: embedding.collapse(subject.objective, theta=theta, **_features(asked))
    ),
    "geometry": _whole(
        lambda subject, theta, asked: embedding.geometry(subject.objective, theta=theta, **_features(asked))
    ),
    "class_spectra": _of(curvature.class_spectra),
    "gradient_statistics": _of(dynamics.gradient_statistics),
    "gradient_conflict": _whole(
        lambda subject, theta, asked: dynamics.gradient_conflict(dynamics.by_group(subject.objective), theta=theta)
    ),
    "unit_activity": _of(dynamics.unit_activity),
    "example_scores": _of(dynamics.example_scores),
    "calibration": _of(dynamics.calibration),
    "plasticity": _of(dynamics.plasticity),
    "learning_coefficient": _of(dynamics.local_learning_coefficient),
    "coefficient_calibration": _of(dynamics.calibrate_learning_coefficient),
}
"""By the entry's name."""
