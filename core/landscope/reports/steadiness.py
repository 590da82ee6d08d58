"""Axes and colours that hold still while one goes through the steps of a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

__all__ = ["hold_still"]

Limits = tuple[float, float]

_ROOM = 0.04  # of a range, beside its data
_NARROWEST = 1 / 8  # of a common range that is filled, or every frame keeps its own
_PLACED = ("scatter", "bar", "heatmap", "contour")  # traces whose extent on an axis is that of their coordinates
_FILLING = ("heatmap", "contour")
_COLOURED = {"heatmap": ("zmin", "zmax"), "contour": ("zmin", "zmax"), "surface": ("cmin", "cmax")}


def hold_still(frames: Sequence[go.Figure], *others: Sequence[go.Figure]) -> None:
    """Gives the figures of one picture the same ranges of axes and colours: what holds all of their data.

    Axes of categories stay as they are, and so do those whose extent cannot be told from coordinates (stacked bars,
    distributions, 3-D scenes). Every frame keeps its own range where a plane would fill less than an eighth of the
    common one at some step, as one of automatic radius may, or lines would at the last: they may have grown to that.

    Args:
        frames: The picture at each step; changed in place.
        *others: The same pictures in another theme, which get the same ranges.
    """
    figures = [one for sequence in (frames, *others) for one in sequence]
    for name in dict.fromkeys(axis for one in frames for axis in _axes(one)):
        each = [_axis_limits(one, name) for one in frames]
        limits = _together(each)
        planes = any(trace.type in _FILLING for trace in frames[-1].data)
        if limits is not None and all(_fills(one, limits) for one in each[0 if planes else -1 :]):
            for one in figures:
                if name in one.layout and one.layout[name].autorange != "reversed":
                    one.layout[name].update(range=limits, autorange=False)
    count = min((len(one.data) for one in frames), default=0)
    for at in range(count):
        ends = _COLOURED.get(frames[0].data[at].type)
        if ends is None or any(one.data[at].type != frames[0].data[at].type for one in frames):
            continue
        limits = _together([_colour_limits(one.data[at], ends) for one in frames])
        if limits is not None:
            for one in figures:
                one.data[at].update(dict(zip(ends, limits, strict=True)))


def _axes(drawing: go.Figure) -> Iterator[str]:
    """The names of a figure's axes in its layout, whether or not it says anything of them."""
    for trace in drawing.data:
        for side in "xy":
            if f"{side}axis" in trace:
                yield f"{side}axis{(trace[f'{side}axis'] or side)[1:]}"


def _axis_limits(drawing: go.Figure, name: str) -> Limits | None:
    """The range of an axis in its own units, logarithms on logarithmic ones; None where that cannot be told."""
    axis = drawing.layout[name]
    if axis.range is not None and all(isinstance(end, int | float) for end in axis.range):
        return min(axis.range), max(axis.range)
    if axis.type == "category" or axis.matches or drawing.layout.barmode in ("stack", "relative"):
        return None
    side, logarithmic = name[0], axis.type == "log"
    ends: list[float] = []
    tight = True
    for trace in drawing.data:
        if f"{side}axis" not in trace or f"{side}axis{(trace[f'{side}axis'] or side)[1:]}" != name:
            continue
        if trace.type not in _PLACED or (trace.type == "bar" and trace.base is not None):
            return None
        values = _numbers(trace[side], logarithmic)
        if values is None:
            return None
        if trace.type == "bar":
            values = _of_bars(
                values, along=(trace.orientation or "v") == ("h" if side == "x" else "v"), log=logarithmic
            )
        elif trace.type == "heatmap":
            values = _of_cells(values)
        tight &= trace.type in _FILLING
        ends += [float(values.min()), float(values.max())] if len(values) else []
    if not ends:
        return None
    low, high = min(ends), max(ends)
    room = 0.0 if tight else _ROOM * (high - low) or (0.5 if high == low else 0.0)
    return low - room, high + room


def _of_bars(values: NDArray[np.float64], *, along: bool, log: bool) -> NDArray[np.float64]:
    """With the ground that bars stand on along their length, and with their half widths across it."""
    if along:
        return values if log else np.append(values, 0.0)
    return _of_cells(values)


def _of_cells(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centres with half a cell on either side."""
    if len(centres) < 2:
        return np.concatenate([centres - 0.5, centres + 0.5])
    half = float(np.diff(np.sort(centres)).min()) / 2
    return np.array([centres.min() - half, centres.max() + half])


def _numbers(values: Any, logarithmic: bool) -> NDArray[np.float64] | None:
    """Finite numbers as an axis places them; None for names."""
    if values is None:
        return None
    flat = np.asarray(values).ravel()
    if flat.dtype == object:  # gaps in lines are None
        flat = np.array([np.nan if value is None else value for value in flat])
    if flat.dtype.kind not in "fiub":
        return None
    finite: NDArray[np.float64] = flat[np.isfinite(flat)].astype(np.float64)
    return np.log10(finite[finite > 0]) if logarithmic else finite


def _colour_limits(trace: Any, ends: tuple[str, str]) -> Limits | None:
    low, high = (trace[end] for end in ends)
    if low is not None and high is not None:
        return float(low), float(high)
    if trace.coloraxis or (trace.type == "contour" and trace.contours.type == "constraint"):
        return None
    values = _numbers(trace.z, False)
    return None if values is None or not len(values) else (float(values.min()), float(values.max()))


def _fills(one: Limits | None, common: Limits) -> bool:
    return one is not None and one[1] - one[0] >= _NARROWEST * (common[1] - common[0])


def _together(limits: Sequence[Limits | None]) -> Limits | None:
    """What holds all of them; None where one cannot be told."""
    known = [one for one in limits if one is not None]
    if not known or len(known) < len(limits):
        return None
    return min(low for low, _ in known), max(high for _, high in known)
