"""How a slice settles as examples are added: how many it takes until the picture stops moving."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from landscope.landscape.slices import Directions, cut
from landscope.measurements import SampleConvergence
from landscope.objective import Objective

__all__ = ["sample_convergence", "settling"]

Array = NDArray[np.float64]

_SIZES = 24
_MOST = 95  # percentile over the slice


def sample_convergence(
    objective: Objective,
    directions: Directions = None,
    *,
    points: int = 9,
    sizes: Sequence[int] | None = None,
    orders: int = 8,
    tolerance: float = 0.01,
    seed: int = 0,
    **options: Any,
) -> SampleConvergence:
    """How the loss over a slice settles with the number k of examples it averages over.

    Every example's loss is evaluated once at each point of the slice; means over the first k examples of random orders
    then cost no evaluation. Beside |L_{k+1} - L_k|, the measure of "Unraveling the Hessian" (arXiv 2409.11995), stand
    the distance from the picture of all examples, and how many examples bring the standard error of what is drawn below
    a share of its range. 8 bytes are held for each point and example.

    Args:
        objective: What to evaluate.
        directions: Of the slice; see `landscope.landscape.cut`.
        points: Grid points along each direction.
        sizes: Numbers k of examples, each at least 1 and less than all; spaced logarithmically by default.
        orders: Number of random orders.
        tolerance: The share of the range of heights at which the picture is said to have settled.
        seed: Of the orders, and of random directions.
        **options: Those of `cut`: `dimensions`, `theta`, `radius`, `extent`, `scale`, `normalisation` and so on.

    Raises:
        ValueError: if a size is out of range, there are fewer than two orders or three examples, the tolerance is not
            positive, or no point of the slice has a finite loss.
    """
    with objective.measuring() as meter:
        plan = cut(objective, directions, points=points, seed=seed, **options)
        coordinates = plan.grid.coordinates(plan.grid.indices(1)).to(plan.centre.device)
        thetas = (plan.centre.double() + row @ plan.directions.double() for row in coordinates)
        found = [objective.losses(theta.to(plan.centre.dtype)) for theta in (plan.centre, *thetas)]
        losses = torch.stack([each.cpu().double() for each in found]).numpy()
        return SampleConvergence(
            provenance=meter.provenance(f"{len(coordinates)} points, {plan.plane} directions", seed=seed),
            **settling(losses[1:], losses[0], sizes=sizes, orders=orders, tolerance=tolerance, seed=seed),
        )


def settling(
    losses: Array, centre: Array, *, sizes: Sequence[int] | None, orders: int, tolerance: float, seed: int
) -> dict[str, Any]:
    """The numbers of a `SampleConvergence`, by name.

    Args:
        losses: (K, N) loss of N examples at K points; what is NaN everywhere is no example.
        centre: (N,) loss of the same examples at the centre.
        sizes: See `sample_convergence`, as the rest.
        orders: Number of random orders.
        tolerance: Share of the range.
        seed: Of the orders.
    """
    counted = ~np.isnan(np.vstack([losses, centre])).all(axis=0)
    finite = np.isfinite(losses[:, counted]).all(axis=1)
    losses, centre = losses[:, counted][finite], centre[counted]
    count = len(centre)
    _check(len(losses), count, orders, tolerance)
    at = np.unique(np.geomspace(2, count - 1, _SIZES).round() if sizes is None else sizes).astype(np.int64)
    if len(at) < 2 or at[0] < 1 or at[-1] >= count:
        raise ValueError(f"sizes must be two or more, from 1 to less than the {count} examples, got {at.tolist()}")

    rows = np.vstack([losses, centre])
    means = rows.mean(axis=1)
    logarithmic = bool((means > 0).all())
    heights = np.log(means) if logarithmic else means
    extent = float(np.ptp(heights))

    generator = np.random.default_rng(seed)
    changes, distances, contrasts = (np.empty((orders, len(at))) for _ in range(3))
    for order in range(orders):
        shuffled = rows[:, generator.permutation(count)]
        partial = np.cumsum(shuffled, axis=1)[:, at - 1] / at
        for j, k in enumerate(at):
            changes[order, j] = np.abs(shuffled[:-1, k:] - partial[:-1, j, None]).mean() / (k + 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = (np.log(partial) if logarithmic else partial) - heights[:, None]
            distances[order] = _percentile(np.abs(apart[:-1]) / extent)
            contrasts[order] = _percentile(np.abs(apart[:-1] - apart[-1]) / extent)

    # What one example adds to a height: its loss, or its share in the logarithm of the mean.
    shares = rows / means[:, None] if logarithmic else rows
    slopes = [_exponent(at, each, count) for each in changes]
    return {
        "sizes": at,
        "changes": changes.mean(axis=0),
        "changes_scatter": changes.std(axis=0, ddof=1),
        "slope": float(np.mean(slopes)),
        "slope_error": float(np.std(slopes, ddof=1) / np.sqrt(orders)),
        "distances": distances.mean(axis=0),
        "contrast_distances": contrasts.mean(axis=0),
        "tolerance": tolerance,
        "needed": _needed(shares[:-1], tolerance * extent),
        "contrasts_needed": _needed(shares[:-1] - shares[-1], tolerance * extent),
        "points": len(losses),
        "orders": orders,
        "logarithmic": logarithmic,
    }


def _exponent(sizes: NDArray[np.int64], changes: Array, count: int) -> float:
    """Of the changes' decay with sqrt(k (k + 1)), each weighted by the examples it is a mean over."""
    known = changes > 0
    if known.sum() < 2:
        return float("nan")
    at = sizes[known]
    return float(np.polyfit(np.log(at * (at + 1.0)) / 2, np.log(changes[known]), 1, w=np.sqrt(count - at))[0])


def _needed(shares: Array, allowed: float) -> float:
    """The k with which s / sqrt(k) is within what is allowed at most points, s being the scatter over the examples."""
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = float(_percentile((shares.std(axis=1, ddof=1) / allowed) ** 2))
    return max(1.0, float(np.ceil(needed))) if np.isfinite(needed) else needed


def _percentile(values: Array) -> Array:
    """The percentile over the slice, of values that may be infinite."""
    return np.asarray(np.percentile(values, _MOST, axis=0, method="higher"))


def _check(points: int, count: int, orders: int, tolerance: float) -> None:
    if not points:
        raise ValueError("no point of the slice has a finite loss: choose a smaller radius")
    if count < 3:
        raise ValueError(f"convergence needs at least 3 examples, got {count}")
    if orders < 2:
        raise ValueError(f"orders must be at least 2, so that they show their scatter, got {orders}")
    if not tolerance > 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}")
