"""How convex and how rough a grid of losses is, by finite differences that know the spacing of its axes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landscope.measurements.landscape import Slice
from landscope.measurements.topology import Roughness

__all__ = ["grid_hessian", "roughness"]

_PRECISION = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
_ROUNDINGS = 8  # a second difference below this many roundings of the loss is taken for zero


def roughness(cut: Slice) -> Roughness:
    """Shares of convex cells and of cells with negative curvature, and the excess variation along each axis.

    Definiteness is that of the Hessian of the slice, D^T H D with the directions as columns of D; it is the same for
    any spacing and scale of the axes. Second differences below rounding, 8 units in the last place of the precision
    the loss was computed in, count as zero. The loss itself is taken, not its logarithm, which is convex in fewer
    places. The excess variation is ours; its formula is in `Roughness`.

    Args:
        cut: A slice in one, two or three dimensions.
    """
    spacing_free = grid_hessian(cut.loss, cut.coordinates(), unit_cells=True)
    examined = np.isfinite(spacing_free).all(axis=(-2, -1))
    smallest = np.linalg.eigvalsh(spacing_free[examined])[:, 0]
    loss = np.abs(cut.loss[(slice(1, -1),) * cut.loss.ndim][examined])
    rounding = _ROUNDINGS * _PRECISION.get(cut.provenance.precision, 2.0**-23) * loss
    excess, lines = zip(*(_excess(cut.loss, axis) for axis in range(cut.loss.ndim)), strict=True)
    return Roughness(
        convex=_share(smallest > rounding),
        negative=_share(smallest < -rounding),
        cells=int(examined.sum()),
        excess=np.array(excess),
        lines=np.array(lines),
        provenance=replace(cut.provenance, method=f"differences of {cut.provenance.method}"),
    )


def grid_hessian(
    values: NDArray[np.floating[Any]], axes: tuple[NDArray[np.floating[Any]], ...], *, unit_cells: bool = False
) -> NDArray[np.float64]:
    """The Hessian at each cell that is not on the edge of a grid of D dimensions, (grid - 2, D, D).

    With h and k the steps to the left and to the right, second derivatives are second divided differences,
    2 [(f(x + k) - f(x)) / k - (f(x) - f(x - h)) / h] / (h + k), and mixed ones products of the first derivatives
    [h^2 f(x + k) + (k^2 - h^2) f(x) - k^2 f(x - h)] / (h k (h + k)): exact for every quadratic, on any spacing.
    NaN where a cell or one of its neighbours is not finite.

    Args:
        values: The grid; fewer than three cells along an axis leave nothing.
        axes: Its ascending coordinates along each axis.
        unit_cells: Take the geometric mean of the two steps beside a cell as its unit, so that all entries are in
            units of the values. Signs of eigenvalues do not depend on it (Sylvester's law of inertia).
    """
    dimensions = values.ndim
    finite = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
    units, first, second = zip(*(_stencils(np.asarray(axis, dtype=np.float64)) for axis in axes), strict=True)
    inner = tuple(max(count - 2, 0) for count in values.shape)
    hessian = np.empty((*inner, dimensions, dimensions))
    for i in range(dimensions):
        for j in range(i + 1):
            weights: list[NDArray[np.float64] | None] = [None] * dimensions
            weights[i], weights[j] = (second[i],) * 2 if i == j else (first[i], first[j])
            derivative = finite
            for axis, stencil in enumerate(weights):
                derivative = _apply(derivative, axis, stencil)
            if unit_cells:
                derivative = derivative * _along(units[i], i, dimensions) * _along(units[j], j, dimensions)
            hessian[..., i, j] = hessian[..., j, i] = derivative
    return hessian


def _stencils(axis: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Unit (n - 2,); weights (3, n - 2) of the left neighbour, the cell and the right one in the two derivatives."""
    h, k = np.diff(axis)[:-1], np.diff(axis)[1:]
    first = np.stack([-k / (h * (h + k)), (k - h) / (h * k), h / (k * (h + k))])
    second = np.stack([2 / (h * (h + k)), -2 / (h * k), 2 / (k * (h + k))])
    return np.sqrt(h * k), first, second


def _apply(values: NDArray[np.float64], axis: int, stencil: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Weighs each cell and its two neighbours along an axis; without weights, drops the first and last cell.

    Dropping what the weights do not reach keeps a NaN from spreading further than it must.
    """
    across = np.moveaxis(values, axis, -1)
    if stencil is None:
        applied = across[..., 1:-1]
    else:
        applied = stencil[0] * across[..., :-2] + stencil[1] * across[..., 1:-1] + stencil[2] * across[..., 2:]
    return np.moveaxis(applied, -1, axis)


def _along(numbers: NDArray[np.float64], axis: int, dimensions: int) -> NDArray[np.float64]:
    return numbers.reshape([-1 if k == axis else 1 for k in range(dimensions)])


def _excess(loss: NDArray[np.floating[Any]], axis: int) -> tuple[float, int]:
    """Excess variation of the lines along an axis, and the number of lines."""
    lines = np.moveaxis(loss, axis, -1).reshape(-1, loss.shape[axis]).astype(np.float64)
    lines = lines[np.isfinite(lines).all(axis=1)]
    variation = float(np.abs(np.diff(lines, axis=1)).sum())
    needed = float((lines[:, 0] + lines[:, -1] - 2 * lines.min(axis=1)).sum())
    return (max(1.0 - needed / variation, 0.0) if variation > 0 else float("nan")), len(lines)


def _share(chosen: NDArray[np.bool_]) -> float:
    return float(chosen.mean()) if chosen.size else float("nan")
