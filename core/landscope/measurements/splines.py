"""Cubic splines over grids of any dimension that may have holes: what is not finite is never filled in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, make_interp_spline

__all__ = ["Array", "Axis", "Rule", "at_all", "cubic", "linear", "polynomial_through_neighbours", "upsampled"]

_LINEAR = 1e-3  # as in landscope.landscape.grids.spaced, so that both draw the same coordinates

Array = NDArray[np.float64]
Rule = Callable[[Array, Array, Array], Array]


@dataclass(frozen=True)
class Axis:
    """One axis of a grid, as it is known and as it is drawn.

    Attributes:
        knots: (n,) the variable in which splines run, at the known points; ascending.
        targets: (m,) the same at the drawn points.
        coordinates: (m,) the drawn points' coordinates.
        exact: (m,) whether a drawn point is a known one.
    """

    knots: Array
    targets: Array
    coordinates: Array
    exact: NDArray[np.bool_]

    @classmethod
    def of(cls, coordinates: Array, count: int, *, logarithmic: bool) -> Axis:
        """The axis with `count` points in place of its n: each spacing is divided as evenly as that allows.

        Args:
            coordinates: (n,) coordinates of the known points, ascending or descending.
            count: Points to draw.
            logarithmic: Whether spacings are even, and splines run, in the signed logarithm asinh(c / s), with s a
                thousandth of the farther end, in place of the coordinate c.
        """
        coordinates = np.asarray(coordinates, dtype=np.float64)
        at = np.linspace(0.0, len(coordinates) - 1, count)
        exact = np.abs(at - np.rint(at)) < 1e-9 * count
        at = np.where(exact, np.rint(at), at)
        unit = _LINEAR * np.abs(coordinates).max()
        variable = np.arcsinh(coordinates / unit) if logarithmic else coordinates
        targets = np.interp(at, np.arange(len(coordinates)), variable)
        finer = np.sinh(targets) * unit if logarithmic else targets.copy()
        finer[exact] = coordinates[at[exact].astype(np.intp)]
        sign = 1.0 if coordinates[-1] > coordinates[0] else -1.0
        return cls(sign * variable, sign * targets, finer, exact)

    @classmethod
    def at(cls, coordinates: Array, place: float, *, logarithmic: bool) -> Axis:
        """The axis with a single drawn point, anywhere on it; arguments as of `of`."""
        coordinates = np.asarray(coordinates, dtype=np.float64)
        unit = _LINEAR * np.abs(coordinates).max()
        points = np.append(coordinates, place)
        variable = np.arcsinh(points / unit) if logarithmic else points
        known = np.flatnonzero(coordinates == place)
        sign = 1.0 if coordinates[-1] > coordinates[0] else -1.0
        target = variable[known[0]] if known.size else variable[-1]
        drawn = np.array([sign * target]), np.array([float(place)]), np.array([known.size > 0])
        return cls(sign * variable[:-1], *drawn)

    def halved(self) -> tuple[Axis, NDArray[np.intp]]:
        """The axis on which every other known point, and the last, is known and all are drawn; and which those are."""
        points = np.arange(len(self.knots))
        kept = np.union1d(points[::2], points[-1:])
        return Axis(self.knots[kept], self.knots, self.knots, np.isin(points, kept)), kept


def at_all(masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """(grid) where every axis' mask holds."""
    return np.asarray(reduce(np.logical_and.outer, masks))


def linear(knots: Array, values: Array, targets: Array) -> Array:
    """Straight lines through values (n, ...)."""
    return np.asarray(make_interp_spline(knots, values, k=1)(targets))


def cubic(knots: Array, values: Array, targets: Array) -> Array:
    """The cubic spline through values (n, ...) that ends without a condition of its own ("not a knot").

    Exact for cubic polynomials; the parabola through three points, the line through two.
    """
    return np.asarray(CubicSpline(knots, values)(targets))


def upsampled(values: Array, axes: Sequence[Axis], rule: Rule) -> Array:
    """Values over the known grid, interpolated at every point of the drawn one.

    A cell has a value where all corners of the known cell around it have finite ones, and at known points, where it is
    the known value whatever that is; it is NaN elsewhere.
    """
    for dimension, axis in enumerate(axes):
        values = np.moveaxis(_along(np.moveaxis(values, dimension, 0), axis, rule), 0, dimension)
    return values


def _along(values: Array, axis: Axis, rule: Rule) -> Array:
    """Interpolates values (n, ...) along their first axis, each unbroken run of finite ones by itself."""
    lines = values.reshape(len(values), -1)
    found = np.full((len(axis.targets), lines.shape[1]), np.nan)
    patterns, which = np.unique(np.isfinite(lines), axis=1, return_inverse=True)
    for number, pattern in enumerate(patterns.T):
        columns = np.flatnonzero(which.ravel() == number)
        edges = np.flatnonzero(np.diff(pattern.astype(np.int8), prepend=0, append=0))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            if stop - start > 1:
                knots = axis.knots[start:stop]
                inside = (axis.targets >= knots[0]) & (axis.targets <= knots[-1])
                found[np.ix_(inside, columns)] = rule(knots, lines[start:stop, columns], axis.targets[inside])
    found[axis.exact] = lines[np.searchsorted(axis.knots, axis.targets[axis.exact])]
    return found.reshape(-1, *values.shape[1:])


def polynomial_through_neighbours(values: Array, knots: Array, reach: int) -> Array:
    """At each point, the polynomial through `reach` neighbours on either side of it, along the last axis.

    NaN where one of them is missing or not finite.

    Args:
        values: (..., n).
        knots: (n,) where.
        reach: How many neighbours on either side.
    """
    width = 2 * reach + 1
    found = np.full(values.shape, np.nan)
    if values.shape[-1] < width:
        return found
    around = np.delete(np.lib.stride_tricks.sliding_window_view(values, width, axis=-1), reach, axis=-1)
    at = np.delete(np.lib.stride_tricks.sliding_window_view(knots, width), reach, axis=-1)
    around = np.where(np.isfinite(around), around, np.nan)
    found[..., reach:-reach] = (_lagrange(at, knots[reach:-reach]) * around).sum(axis=-1)
    return found


def _lagrange(knots: Array, at: Array) -> Array:
    """(n, k) the polynomials that are 1 at one of knots (n, k) and 0 at the others, at points (n,)."""
    others = [np.delete(knots, j, axis=1) for j in range(knots.shape[1])]
    products = [((at[:, None] - rest) / (knots[:, j, None] - rest)).prod(axis=1) for j, rest in enumerate(others)]
    return np.stack(products, axis=1)
