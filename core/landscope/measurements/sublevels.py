"""Minima, saddles and barriers of a grid of losses: the merge tree of its sublevel sets.

Two cells are neighbours if they share a face, an edge or a corner (8 in the plane, 26 in space). A valley that runs
diagonally between the axes is then one valley, where neighbours by faces alone would make a minimum of each of its
cells. The price is that a diagonal ridge one cell wide does not hold water: its barrier is what its flanks are.
Sublevel sets are those of gudhi's cubical complex whose top-dimensional cells are the grid's.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landscope.measurements.landscape import Slice
from landscope.measurements.topology import MergeTree

__all__ = ["loops", "merge_tree"]

Integers = NDArray[np.intp]


def merge_tree(cut: Slice) -> MergeTree:
    """The minima of a slice, and the saddle at which each merges with a deeper one.

    Every cell belongs to the basin of the minimum to which steepest descent over neighbours leads. A saddle between two
    basins is the lowest place to cross from one to the other; taking the saddles in ascending order, the basins merge
    by the elder rule (union-find). Among cells of equal loss the first in the grid's order is the lower, and pairs of
    no persistence are left out: a flat floor is one minimum. Cells whose loss is NaN or infinite are no part of it.

    Where the slice has errors, that of L(saddle) - L(minimum) is at most the sum of the errors of the two, and also of
    the errors of their differences from the centre, which are over the same examples; the smaller bound is given.

    Args:
        cut: A slice in one, two or three dimensions. Its `loss` is what counts: for another metric replace it,
            `cut.replaced(loss=cut.metrics["test/loss"], error=None, contrast_error=None)`.

    Raises:
        ValueError: if no loss is finite.
    """
    shape = cut.loss.shape
    order, rank, count = _ranked(cut.loss)
    if not count:
        raise ValueError(f"a merge tree needs a finite loss, got none in a grid of {' x '.join(map(str, shape))}")
    lowest, saddle, parent = _merged(rank, count)
    sorted_losses = cut.loss.ravel()[order[:count]].astype(np.float64)
    persistent = (saddle < 0) | (sorted_losses[saddle] > sorted_losses[lowest])
    lowest, saddle, parent = lowest[persistent], saddle[persistent], parent[persistent]
    merges = saddle >= 0
    cells, saddle_cells = (np.stack(np.unravel_index(order[ranks], shape), axis=1) for ranks in (lowest, saddle))
    axes = cut.coordinates()
    return MergeTree(
        cells=cells,
        minima=_coordinates(axes, cells),
        losses=sorted_losses[lowest],
        saddle_cells=np.where(merges[:, None], saddle_cells, -1),
        saddles=np.where(merges[:, None], _coordinates(axes, saddle_cells), np.nan),
        saddle_losses=np.where(merges, sorted_losses[saddle], np.inf),
        parents=np.where(merges, np.searchsorted(lowest, parent), -1),
        border=((cells == 0) | (cells == np.array(shape) - 1)).any(axis=1),
        errors=_errors(cut, order[lowest], order[saddle], merges),
        shape=shape,
        outside=cut.loss.size - count,
        axes=cut.axes,
        provenance=replace(cut.provenance, method=f"merge tree of {cut.provenance.method}"),
    )


def loops(cut: Slice) -> np.ndarray:
    """The persistence diagram in dimension 1 of a slice's sublevel sets, (M, 2), the most persistent first.

    Each row is a closed valley around a hill: the loss at which the valley closes, and the loss of the hill's top.
    Computed by gudhi's cubical complex. A valley around cells without a finite loss never fills.

    Raises:
        ValueError: if the slice is a line, which has no loops.
        ModuleNotFoundError: if gudhi is not installed.
    """
    if cut.loss.ndim < 2:
        raise ValueError("loops need a slice of two or three dimensions, got one")
    filtration = np.where(np.isfinite(cut.loss), cut.loss, np.inf).astype(np.float64)
    complex_ = gudhi().CubicalComplex(top_dimensional_cells=filtration)
    complex_.compute_persistence()
    found = np.asarray(complex_.persistence_intervals_in_dimension(1), dtype=np.float64).reshape(-1, 2)
    return found[np.argsort(found[:, 0] - found[:, 1], kind="stable")]


def gudhi() -> Any:
    """The library of topological data analysis, which is optional.

    Raises:
        ModuleNotFoundError: if it is not installed, with the command that does so.
    """
    try:
        import gudhi.hera
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            "loops and distances between persistence diagrams are computed by gudhi: pip install 'landscope[topology]'",
            name="gudhi",
        ) from missing
    return gudhi


def _ranked(loss: NDArray[np.floating[Any]]) -> tuple[Integers, Integers, int]:
    """Cells in ascending order, the place of each cell in it (grid), and how many have a finite loss."""
    filtration = np.where(np.isfinite(loss), loss, np.inf)
    order = np.argsort(filtration, axis=None, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    return order, rank.reshape(loss.shape), int(np.isfinite(loss).sum())


def _merged(rank: Integers, count: int) -> tuple[Integers, Integers, Integers]:
    """Minima, the saddle of each (-1 for none) and the minimum it merges with there, all as ranks."""
    down = rank.copy()
    for here, there in _neighbours(rank.ndim):
        np.minimum(down[here], rank[there], out=down[here])
        np.minimum(down[there], rank[here], out=down[there])
    descent = np.empty(rank.size, dtype=np.intp)
    descent[rank.ravel()] = down.ravel()
    while ((further := descent[descent]) != descent).any():
        descent = further
    lowest = np.flatnonzero(descent[:count] == np.arange(count))
    saddle, parent = np.full(count, -1), np.full(count, -1)
    elder = np.arange(count)

    def root(minimum: int) -> int:
        while elder[minimum] != minimum:
            elder[minimum] = elder[elder[minimum]]
            minimum = int(elder[minimum])
        return minimum

    for place, one, other in _crossings(rank, descent, count):
        first, second = sorted((root(one), root(other)))
        if first != second:
            elder[second], saddle[second], parent[second] = first, place, first
    return lowest, saddle[lowest], parent[lowest]


def _crossings(rank: Integers, descent: Integers, count: int) -> Iterator[tuple[int, int, int]]:
    """The lowest place to cross between each two adjoining basins, with the two, in ascending order; as ranks."""
    found = []
    for here, there in _neighbours(rank.ndim):
        one, other = rank[here].ravel(), rank[there].ravel()
        place = np.maximum(one, other)
        basins = np.sort(np.stack([descent[one], descent[other]]), axis=0)
        apart = (basins[0] != basins[1]) & (place < count)
        found.append(np.stack([place, *basins])[:, apart])
    place, one, other = np.concatenate(found, axis=1)
    ascending = np.lexsort((other, one, place))
    _, first = np.unique((one * count + other)[ascending], return_index=True)
    for index in ascending[np.sort(first)]:
        yield int(place[index]), int(one[index]), int(other[index])


def _neighbours(dimensions: int) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """For each way from a cell to a neighbour, opposite ways counted once: the cells that have one, and it."""
    sides = {-1: slice(None, -1), 0: slice(None), 1: slice(1, None)}
    for offset in itertools.product((-1, 0, 1), repeat=dimensions):
        if offset > (0,) * dimensions:
            yield tuple(sides[-step] for step in offset), tuple(sides[step] for step in offset)


def _coordinates(axes: tuple[np.ndarray, ...], cells: Integers) -> NDArray[np.float64]:
    return np.stack([np.asarray(axis, dtype=np.float64)[cells[:, k]] for k, axis in enumerate(axes)], axis=1)


def _errors(cut: Slice, minima: Integers, saddles: Integers, merges: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    known = [error.ravel() for error in (cut.error, cut.contrast_error) if error is not None]
    if not known:
        return None
    bound = np.fmin.reduce([error[minima] + error[saddles] for error in known])
    return np.where(merges, bound, np.nan)
