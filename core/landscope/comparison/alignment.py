"""Whether what two runs measured has the same coordinates, and what brings it there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landscope.measurements import Projection, Slice2D
from landscope.measurements.placement import laid_over

__all__ = ["Placed", "minus", "placed", "unlike_axes"]

_LEAST = 3  # examples that a plane can be turned by


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
    if not all(
        np.shape(a) == np.shape(b) and np.allclose(a, b)
        for a, b in zip(first.coordinates(), second.coordinates(), strict=True)
    ):
        sizes = " and ".join(" × ".join(str(count) for count in cut.loss.shape) for cut in (first, second))
        return f"the grids differ: {sizes} points, or other distances between them"
    return ""


def minus(first: Slice2D, second: Slice2D) -> NDArray[np.float64]:
    """(A, B) the loss of the first plane less that of the second, at every point of their common grid.

    Raises:
        ValueError: if coordinates do not mean the same in both, see `unlike_axes`.
    """
    reason = unlike_axes(first, second)
    if reason:
        raise ValueError(f"the two planes cannot be subtracted: {reason}")
    return np.asarray(first.loss, dtype=np.float64) - np.asarray(second.loss, dtype=np.float64)


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
