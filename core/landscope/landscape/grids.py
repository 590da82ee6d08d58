"""Grids of coordinates, and the coarser grids nested in them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
import torch
from torch import Tensor

__all__ = ["Grid", "Scale", "spaced"]

Scale = Literal["linear", "log"]
SCALES: tuple[Scale, ...] = ("linear", "log")

_FEWEST = 4  # of a coarsest grid's points along an axis: a cubic spline needs that many
_LINEAR = 1e-3  # share of the radius below which a logarithmic axis is linear


def spaced(low: float, high: float, count: int, scale: Scale) -> np.ndarray:
    """Coordinates (count,) from low to high, ends included.

    "linear" spaces them evenly. "log" spaces u = asinh(c / s) / asinh(1 / s) evenly, with c in units of the farther end
    and s = 1e-3: logarithmic on both sides of zero, linear within a thousandth of the radius around it.

    Raises:
        ValueError: if low is not below high, there are fewer than two points, or the scale is unknown.
    """
    if scale not in SCALES:
        raise ValueError(f"scale must be one of {', '.join(SCALES)}, got {scale!r}")
    if not low < high or not np.isfinite([low, high]).all():
        raise ValueError(f"extent must be finite pairs (low, high) with low < high, got ({low}, {high})")
    if count < 2:
        raise ValueError(f"points must be at least 2 a side, got {count}")
    # Symmetric arithmetic, so that an odd grid has zero itself, not its rounding, in the middle of a symmetric extent.
    steps = np.arange(count)
    if scale == "linear":
        even: np.ndarray = (low * (count - 1 - steps) + high * steps) / (count - 1)
        even[[0, -1]] = low, high
        return even
    far = max(abs(low), abs(high))
    ends = np.arcsinh(np.array([low, high]) / far / _LINEAR)
    even = (ends[0] * (count - 1 - steps) + ends[1] * steps) / (count - 1)
    inside: np.ndarray = np.sinh(even) * _LINEAR * far
    inside[[0, -1]] = low, high
    return inside


@dataclass(frozen=True)
class Grid:
    """A grid of coordinates in one, two or three dimensions.

    Attributes:
        axes: The coordinates along each dimension.
    """

    axes: tuple[np.ndarray, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along each axis."""
        return tuple(len(axis) for axis in self.axes)

    def strides(self) -> list[int]:
        """Every how many points make up each of the nested grids, from the coarsest to this one, which is 1.

        A grid is halved as long as both its ends stay in it and no side has fewer than four points: 33 -> 17 -> 9 -> 5.
        """
        strides = [1]
        while all((n - 1) % (2 * strides[0]) == 0 and (n - 1) // (2 * strides[0]) + 1 >= _FEWEST for n in self.shape):
            strides.insert(0, 2 * strides[0])
        return strides

    def indices(self, stride: int, *, but: int | None = None) -> np.ndarray:
        """Positions (G, K) of a nested grid's points in row order, those of a coarser one left out.

        Args:
            stride: Of the nested grid.
            but: Stride of the coarser grid to leave out.
        """
        ranges = [range(0, count, stride) for count in self.shape]
        points = np.array(list(product(*ranges)), dtype=np.int64)
        return points if but is None else points[(points % but != 0).any(axis=1)]

    def coordinates(self, indices: np.ndarray) -> Tensor:
        """Coordinates (G, K), float64, of positions (G, K)."""
        columns = [axis[indices[:, k]] for k, axis in enumerate(self.axes)]
        return torch.from_numpy(np.stack(columns, axis=1))

    def every(self, stride: int) -> Grid:
        """The nested grid of a stride."""
        return Grid(tuple(axis[::stride] for axis in self.axes))
