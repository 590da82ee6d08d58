"""The loss along lines and curves between two sets of weights, and the barriers on the way."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from landscope.isolation import autograd_tensors
from landscope.landscape.checks import Check, batch_norm_check
from landscope.landscape.curves import Curve
from landscope.landscape.samples import standard_error
from landscope.measurements import Barriers, Connection
from landscope.measurements.connectivity import chord_excess
from landscope.objective import Objective

__all__ = ["barrier", "barriers_along", "line_between", "losses_along", "measured"]

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 2**28  # weights of the points that are held at once


def barrier(
    objective: Objective,
    first: Tensor,
    second: Tensor,
    *,
    points: int = 25,
    also: Mapping[str, Objective] | None = None,
) -> Connection:
    """The loss on the straight line (1 - t) first + t second; its `barrier` says how separate the two are.

    Args:
        objective: What to evaluate. With batch normalisation use one with batch_norm="recompute".
        first: (P,) the weights at t = 0.
        second: (P,) the weights at t = 1.
        points: Number of evenly spaced positions.
        also: Other objectives of the same parameters to evaluate on the way, by name: {"test": ...}.

    Raises:
        ValueError: if an end has the wrong shape, or there are fewer than two points.
    """
    return measured(objective, line_between(objective, first, second), "line", points=points, also=also)


def barriers_along(
    objective: Objective,
    first: Tensor,
    second: Tensor,
    *,
    steps: Sequence[int] | None = None,
    points: int = 25,
    also: Mapping[str, Objective] | None = None,
) -> Barriers:
    """The straight-line barrier between two runs at each moment of their training: when do they part?

    Two copies of a network that are trained on from one point, with batches in different order, stay in one linearly
    connected basin if that point is late enough (Frankle et al. 2020; Fort et al. 2020).

    Args:
        objective: What to evaluate. With batch normalisation use one with batch_norm="recompute".
        first: (T, P) weights of the first run.
        second: (T, P) weights of the second run at the same moments.
        steps: The optimiser step of each moment; 0, 1, 2, ... by default.
        points: Number of evenly spaced positions on each line.
        also: Other objectives of the same parameters to evaluate on the way, by name: {"test": ...}.

    Raises:
        ValueError: if the two paths differ in shape, are empty, or do not fit the steps or the objective.
    """
    if first.shape != second.shape or first.ndim != 2 or not len(first):
        raise ValueError(
            f"both paths must have the same shape (T, P), got {tuple(first.shape)} and {tuple(second.shape)}"
        )
    if steps is not None and len(steps) != len(first):
        raise ValueError(f"steps must name each of the {len(first)} moments, got {len(steps)}")
    with objective.measuring() as meter:
        rows = [
            measured(objective, line_between(objective, *pair), "line", points=points, also=also).replaced(points=None)
            for pair in zip(first, second, strict=True)
        ]
        errors = [math.nan if row.barrier_error is None else row.barrier_error for row in rows]
        return Barriers(
            steps=np.arange(len(first)) if steps is None else np.asarray(steps),
            t=rows[0].t,
            loss=np.stack([row.loss for row in rows]),
            accuracy=_stacked([row.accuracy for row in rows]),
            metrics={name: np.stack([row.metrics[name] for row in rows]) for name in rows[0].metrics},
            barrier_errors=None if np.isnan(errors).all() else np.array(errors),
            distance=np.array([row.distance for row in rows]),
            checks=rows[0].checks,
            provenance=meter.provenance(f"{points} points on {len(first)} straight lines"),
        )


def measured(
    objective: Objective, curve: Curve, name: str, *, points: int, also: Mapping[str, Objective] | None
) -> Connection:
    """The loss at evenly spaced positions on a curve.

    Args:
        objective: What to evaluate.
        curve: Where.
        name: Of the kind of curve.
        points: Number of positions.
        also: Other objectives of the same parameters, by name.

    Raises:
        ValueError: if there are fewer than two points.
    """
    if points < 2:
        raise ValueError(f"points must be at least 2, one for each end, got {points}")
    t = torch.linspace(0, 1, points, dtype=torch.float64)
    with objective.measuring() as meter:
        found = losses_along(objective, curve, t, also)
        loss = found.pop("loss")
        return Connection(
            curve=name,
            t=t.numpy(),
            loss=loss,
            accuracy=found.pop("accuracy", None),
            metrics=found,
            barrier_error=_rise_error(objective, curve, t, loss),
            arc=curve.arc(t).numpy(),
            distance=curve.distance,
            checks=_checks(objective),
            points=curve.points.to(torch.promote_types(curve.points.dtype, torch.float32)).cpu().numpy(),
            provenance=meter.provenance(f"{points} points on a {name}"),
        )


def losses_along(
    objective: Objective, curve: Curve, t: Tensor, also: Mapping[str, Objective] | None
) -> dict[str, np.ndarray]:
    """Metrics (M,) at positions t (M,) of a curve: the objective's own "loss" and "accuracy", "name/loss" of others."""
    objectives = {"": objective, **{f"{name}/": other for name, other in (also or {}).items()}}
    chunk = max(8, _CHUNK_BYTES // (8 * curve.points.shape[1]))
    found: dict[str, list[np.ndarray]] = {}
    for piece in t.split(chunk):
        thetas = curve.at(piece)
        for prefix, one in objectives.items():
            for name, values in one.metrics(thetas).items():
                found.setdefault(prefix + name, []).append(values.numpy())
    return {name: np.concatenate(pieces) for name, pieces in found.items()}


def line_between(objective: Objective, first: Tensor, second: Tensor) -> Curve:
    """The straight line between two parameter vectors (P,) of an objective.

    Raises:
        ValueError: if one of them has the wrong shape.
    """
    layout = objective.layout
    for name, end in (("first", first), ("second", second)):
        layout.check(name, end, 1)
    with autograd_tensors():
        return Curve("polygon", torch.stack([end.detach().to(layout.device, layout.dtype) for end in (first, second)]))


def _rise_error(objective: Objective, curve: Curve, t: Tensor, loss: np.ndarray) -> float | None:
    """Standard error over examples of l(t) - ((1 - t) l(0) + t l(1)), where its mean is greatest between the ends."""
    if len(t) < 3:
        return None
    rise = chord_excess(t.numpy(), loss)[1:-1]
    top = t[1 + int(np.argmax(rise))]
    try:
        first, middle, last = (objective.losses(theta) for theta in curve.at(torch.stack([t[0], top, t[-1]])))
    except (TypeError, ValueError) as reason:
        logger.info("the barrier has no standard error: there are no losses of single examples (%s)", reason)
        return None
    counts = ~(first.isnan() & last.isnan())  # `ignore_index` leaves nothing of some examples
    contrast = middle - ((1 - top) * first + top * last)
    return float(standard_error(contrast.unsqueeze(0), counts)[0])


def _stacked(rows: Sequence[np.ndarray | None]) -> np.ndarray | None:
    return np.stack([row for row in rows if row is not None]) if rows[0] is not None else None


def _checks(objective: Objective) -> tuple[Check, ...]:
    found = batch_norm_check(objective, "curve")
    if found and objective.batch_norm == "eval":
        warning = (
            "the model's running statistics fit its own weights and none between or beyond: "
            'measure with batch_norm="recompute"'
        )
        return (("batch norm", "fail", warning),)
    return tuple(found)
