"""How far two slices differ, by numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landscope.measurements.landscape import Slice

__all__ = ["Comparison", "compare"]

_Array = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """The difference of two slices' losses, |a - b| / max(|a|, |b|), over the points both know.

    Attributes:
        largest: The greatest of them.
        median: The median.
        where: The coordinates of the greatest one.
        points: Number of points compared.
        lone: Number of points, among those both grids cover, where one loss is finite and the other is not.
        method: "same grid", or how the second was read off at the points of the first: "cubic" or "linear"
            interpolation.
    """

    largest: float
    median: float
    where: tuple[float, ...]
    points: int
    lone: int
    method: str


def compare(first: Slice, second: Slice) -> Comparison:
    """How far the losses of two slices differ.

    Where their grids differ, the second is interpolated at those points of the first that lie within both: by cubic
    splines of the logarithm of the loss (of the loss itself where it is not positive), or linearly where the second
    has losses that are not finite, or fewer than four points along an axis. That the two have the same directions is
    the caller's care.

    Args:
        first: A slice.
        second: Another one, of as many dimensions.

    Raises:
        TypeError: if their dimensions differ.
        ValueError: if they have no finite point in common.
    """
    axes, others = first.coordinates(), second.coordinates()
    if len(axes) != len(others):
        raise TypeError(f"slices must have as many dimensions, got {len(axes)} and {len(others)}")
    inside = [_covered(along, other) for along, other in zip(axes, others, strict=True)]
    common = [np.clip(x[within], y.min(), y.max()) for x, within, y in zip(axes, inside, others, strict=True)]
    a = np.asarray(first.loss, dtype=np.float64)[np.ix_(*inside)]
    b, method = _read_off(second, common)
    known = np.isfinite(a) & np.isfinite(b)
    if not known.any():
        raise ValueError(
            f"slices have no finite point in common: the first covers {_extent(axes)}, the second {_extent(others)}"
        )
    scale = np.maximum(np.abs(a), np.abs(b))
    apart = np.divide(np.abs(a - b), scale, out=np.zeros_like(a), where=known & (scale > 0))
    place = np.unravel_index(int(np.where(known, apart, -1.0).argmax()), a.shape)
    return Comparison(
        largest=float(apart[place]),
        median=float(np.median(apart[known])),
        where=tuple(float(along[index]) for along, index in zip(common, place, strict=True)),
        points=int(known.sum()),
        lone=int((np.isfinite(a) != np.isfinite(b)).sum()),
        method=method,
    )


def _read_off(flat: Slice, points: list[_Array]) -> tuple[_Array, str]:
    """The losses of a slice at a grid of points within its own, and how they were found."""
    # Here, as it takes half a second to import, and a server that only hands measurements on compares none.
    from scipy.interpolate import RegularGridInterpolator, make_interp_spline

    axes, loss = flat.coordinates(), np.asarray(flat.loss, dtype=np.float64)
    nearest = [np.abs(own[:, None] - along).argmin(axis=0) for own, along in zip(axes, points, strict=True)]
    if all(_same(own[near], along, own) for own, near, along in zip(axes, nearest, points, strict=True)):
        return loss[np.ix_(*nearest)], "same grid"
    positive = bool((loss[np.isfinite(loss)] > 0).all())
    heights = np.log(loss) if positive else loss
    if np.isfinite(loss).all() and min(loss.shape) >= 4:
        method = "cubic"
        for axis, (own, along) in enumerate(zip(axes, points, strict=True)):
            heights = make_interp_spline(own, heights, axis=axis)(along)
    else:
        method = "linear"
        heights = RegularGridInterpolator(axes, heights)(tuple(np.meshgrid(*points, indexing="ij")))
    return np.exp(heights) if positive else heights, method


def _covered(along: _Array, other: _Array) -> NDArray[np.bool_]:
    """Which coordinates lie within the other axis, up to rounding."""
    slack = 1e-9 * (other.max() - other.min())
    covered: NDArray[np.bool_] = (along >= other.min() - slack) & (along <= other.max() + slack)
    return covered


def _same(found: _Array, wanted: _Array, own: _Array) -> bool:
    return bool((np.abs(found - wanted) <= 1e-9 * (own.max() - own.min())).all())


def _extent(axes: tuple[np.ndarray, ...]) -> str:
    return " x ".join(f"[{along.min():g}, {along.max():g}]" for along in axes)
