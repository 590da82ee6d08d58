"""Scalars of several runs over the steps, alone or as bands over seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from landscope.measurements.seeds import at_common_steps

__all__ = ["ascending", "band", "less", "thinned"]

Array = NDArray[np.float64]
Line = tuple[NDArray[np.int64], Array]

MOST = 1000
"""Points of a curve that are drawn; a picture is hardly wider."""


def ascending(steps: NDArray[np.int64], values: Array) -> Line:
    """A curve by ascending step, with the newest value of each: a training that was resumed may say some twice."""
    order = np.argsort(steps, kind="stable")
    last = np.append(np.diff(steps[order]) > 0, True)[: len(order)]
    return steps[order][last], values[order][last]


def thinned(steps: NDArray[np.int64], values: Array, most: int = MOST) -> Line:
    """At most `most` points: the first, the last, and the least and greatest value of every stretch of the others.

    Args:
        steps: (n,) ascending.
        values: (n,); values that are not finite are kept only where a stretch has no other.
        most: An even number from 4.
    """
    if len(steps) <= most:
        return steps, values
    parts = np.array_split(np.arange(1, len(steps) - 1), most // 2 - 1)
    finite = np.isfinite(values)
    lowest, highest = np.where(finite, values, np.inf), np.where(finite, values, -np.inf)
    inner = [part[at] for part in parts for at in (lowest[part].argmin(), highest[part].argmax())]
    kept = np.unique([0, *inner, len(steps) - 1])
    return steps[kept], values[kept]


def band(curves: Sequence[Line], *, deciles: bool = False) -> tuple[NDArray[np.int64], Array, Array, Array] | None:
    """Steps, mean, lower and upper edge of several runs, at their common steps; None where they have none.

    Args:
        curves: Steps and values of each run.
        deciles: Whether the edges are the first and ninth deciles of the runs, linear between ranks, in place of the
            least and the greatest value.
    """
    if not all(len(steps) for steps, _ in curves):
        return None
    steps, values = at_common_steps(curves)
    if not len(steps):
        return None
    low, high = np.quantile(values, (0.1, 0.9), axis=0) if deciles else (values.min(axis=0), values.max(axis=0))
    return steps, values.mean(axis=0), low, high


def less(first: Line, second: Line) -> Line | None:
    """One curve less another at their common steps, linear between their own; None where they have none."""
    if not (len(first[0]) and len(second[0])):
        return None
    steps, (one, other) = at_common_steps([first, second])
    return (steps, one - other) if len(steps) else None
