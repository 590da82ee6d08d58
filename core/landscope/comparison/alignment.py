"""Whether what two runs measured has the same coordinates, and what brings it there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landscope.measurements import Projection, Slice2D
from landscope.measurements.placement import laid_over

__all__ = ["Placed", "PlaneDifference", "minus", "placed", "unlike_axes"]

_LEAST = 3  # points along an axis that are a picture, and examples that a plane can be turned by
_ROUNDING = 1e-6  # of an axis' length, within which coordinates are the same


def unlike_axes(first: Slice2D, second: Slice2D) -> str:
    """Why coordinates of one plane mean something else in another; empty where they mean the same.

    A coordinate is a multiple of a direction, so the directions must be the same: random ones of one seed, in networks
    of one size. Both planes are about their own weights, and filter normalisation gives directions their lengths.
    """
    if first.provenance.parameters != second.provenance.parameters:
        sizes = f"{first.provenance.parameters:,} and {second.provenance.parameters:,}"
        return f"networks of {sizes} parameters have no directions in common"
    if first.plane != second.plane or first.normalisation != second.normalisation:
        kinds = f"{first.plane} ({first.normalisation}) and {second.plane} ({second.normalisation})"
        return f"the planes are of different kinds: {kinds}"
    if first.plane != "random":
        return f"each run has {first.plane} directions of its own, so that coordinates mean another direction in each"
    if first.provenance.seed != second.provenance.seed:
        return f"the random directions are of different seeds: {first.provenance.seed} and {second.provenance.seed}"
    shared = [len(own) for own, _ in _shared(first, second)]
    if min(shared) < _LEAST:
        sizes = " and ".join(" × ".join(str(count) for count in cut.loss.shape) for cut in (first, second))
        common = " × ".join(str(count) for count in shared)
        return f"grids of {sizes} points have {common} in common, and {_LEAST} × {_LEAST} are needed"
    return ""


@dataclass(frozen=True)
class PlaneDifference:
    """One plane less another.

    Attributes:
        alpha: (A,) coordinates along the first direction that both grids have.
        beta: (B,) along the second.
        loss: (A, B) the loss of the first less that of the second.
        axes: What one unit along each axis is, in words.
    """

    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]
    loss: NDArray[np.float64]
    axes: tuple[str, ...]


def minus(first: Slice2D, second: Slice2D) -> PlaneDifference:
    """The loss of the first plane less that of the second, at the points that both grids have.

    A coarse grid of a live run is part of the finer ones that follow it, so that it can be held against those.

    Raises:
        ValueError: if coordinates do not mean the same in both, see `unlike_axes`.
    """
    reason = unlike_axes(first, second)
    if reason:
        raise ValueError(f"the two planes cannot be subtracted: {reason}")
    (a, other_a), (b, other_b) = _shared(first, second)
    one, other = (np.asarray(cut.loss, dtype=np.float64) for cut in (first, second))
    loss = one[np.ix_(a, b)] - other[np.ix_(other_a, other_b)]
    return PlaneDifference(np.asarray(first.alpha)[a], np.asarray(first.beta)[b], loss, first.axes)


def _shared(first: Slice2D, second: Slice2D) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Along each axis, the places in both grids of the coordinates that they share."""
    found = []
    for own, other in zip(first.coordinates(), second.coordinates(), strict=True):
        near = np.abs(own[:, None] - other[None]) <= _ROUNDING * float(np.ptp(own))
        places = near.nonzero()
        found.append((places[0], places[1]))
    return found


@dataclass(frozen=True)
class Placed:
    """A picture of points, laid over another if that can be.

    Attributes:
        projection: The points; turned, reflected, scaled and moved, or as they were measured.
        residual: |X R s - Y|^2 / |Y|^2 of centred points: 0 where the pictures agree up to place, rotation and scale,
            1 where they have nothing in common; None where they cannot be laid over one another.
        shared: Number of examples that both pictures have.
        reason: Why it is as it was measured; empty where it was laid over.
    """

    projection: Projection
    residual: float | None
    shared: int
    reason: str = ""


def placed(projection: Projection, reference: Projection) -> Placed:
    """Points laid over those of the same examples in another run: Procrustes with rotation, reflection, scale, place.

    The transformation is the best for the examples that both have (Schoenemann 1966; scale as in Gower 1975), and moves
    all points. Examples are the same where they stand at the same position of their data with the same class.

    Args:
        projection: What is to be moved.
        reference: What it is laid over.
    """
    if projection.points.shape[1] != reference.points.shape[1]:
        dimensions = f"{projection.points.shape[1]} and {reference.points.shape[1]}"
        return Placed(projection, None, 0, f"the pictures have {dimensions} dimensions")
    if projection.positions is None or reference.positions is None:
        return Placed(projection, None, 0, "it is not known which examples the points are")
    _, own, other = np.intersect1d(projection.positions, reference.positions, return_indices=True)
    data = projection.provenance.data, reference.provenance.data
    same = not all(data) or data[0] == data[1]
    if not same or (projection.labels[own] != reference.labels[other]).any():
        return Placed(projection, None, 0, "its examples are others")
    if len(own) < _LEAST:
        return Placed(projection, None, len(own), f"they have {len(own)} examples in common, and {_LEAST} are needed")
    aim = reference.points[other].astype(np.float64)
    moved = laid_over(projection.points[own].astype(np.float64), aim, scaled=True, also=projection.points)
    spread = float(np.square(aim - aim.mean(axis=0)).sum())
    residual = float(np.square(moved[own] - aim).sum()) / spread if spread > 0 else None
    return Placed(projection.replaced(points=moved), residual, len(own))
