"""How rough a boundary is: where two regions of a grid meet, and the box-counting dimension of that set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoxCounts", "boundary_of", "box_counts"]

_COARSEST = 4  # boxes a side that the largest boxes leave at least


@dataclass(frozen=True, eq=False)
class BoxCounts:
    """How many boxes of each size a set meets, and the dimension that follows.

    Attributes:
        sizes: (S,) sides of the boxes, in cells of the grid.
        counts: (S,) boxes of that side that meet the set.
        dimension: Slope D of the least-squares line through log(count) over -log(size); NaN for an empty set, or where
            the grid is too small for two sizes.
        error: Standard error of that slope, from the scatter about the line: how well the counts follow a power law.
            NaN with fewer than three sizes.
    """

    sizes: NDArray[np.int64]
    counts: NDArray[np.int64]
    dimension: float
    error: float


def boundary_of(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(A - 1, B - 1) squares of four neighbouring points of a grid (A, B) of which some are in the region, some not.

    Raises:
        ValueError: if the grid has fewer than two points along an axis.
    """
    if region.ndim != 2 or min(region.shape) < 2:
        raise ValueError(f"region must be a grid of at least 2 x 2 points, got shape {region.shape}")
    inside = region[1:, 1:].astype(int) + region[1:, :-1] + region[:-1, 1:] + region[:-1, :-1]
    return (inside > 0) & (inside < 4)


def box_counts(cells: NDArray[np.bool_], sizes: NDArray[np.int64] | None = None) -> BoxCounts:
    """The box-counting dimension of a set of cells, N(s) ~ s^-D.

    Boxes of side s are laid from the first cell on; those that stick out over the end count as any.

    Args:
        cells: (A, B) whether a cell belongs to the set.
        sizes: Sides of the boxes, in cells; by default 1, 2, 4, ... as long as four boxes fit along the shorter side.

    Raises:
        ValueError: if sizes are not positive.
    """
    if sizes is None:
        sizes = 2 ** np.arange(max(min(cells.shape) // _COARSEST, 1).bit_length(), dtype=np.int64)
    if np.min(sizes) < 1:
        raise ValueError(f"sizes of boxes must be positive, got {list(sizes)}")
    counts = np.array([_boxes(cells, int(size)) for size in sizes], dtype=np.int64)
    dimension, error = _slope(-np.log(sizes), np.log(counts)) if counts.all() else (np.nan, np.nan)
    return BoxCounts(np.asarray(sizes, dtype=np.int64), counts, dimension, error)


def _boxes(cells: NDArray[np.bool_], size: int) -> int:
    """Boxes of side `size` that have a cell of the set."""
    rows = np.logical_or.reduceat(cells, np.arange(0, cells.shape[0], size), axis=0)
    return int(np.logical_or.reduceat(rows, np.arange(0, cells.shape[1], size), axis=1).sum())


def _slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Slope of the least-squares line and its standard error, sqrt(sum r^2 / (n - 2) / sum (x - mean)^2)."""
    if len(x) < 2:
        return np.nan, np.nan
    centred = x - x.mean()
    spread = float(centred @ centred)
    slope = float(centred @ y) / spread
    residual = y - y.mean() - slope * centred
    error = np.sqrt(float(residual @ residual) / (len(x) - 2) / spread) if len(x) > 2 else np.nan
    return slope, float(error)
