"""Several figures as the cells of one, each with its axes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from landscope.figures.theme import ABOVE, Theme, template

__all__ = ["beside", "one_scale"]

_COLUMNS = 4  # more cells than that stand in rows of three
_ACROSS, _UP = 0.07, 0.16  # between cells, of the whole
_LONG = 28  # letters of an axis' name, which two small cells beside each other have no room for
_AXIS = re.compile(r"([xy])axis(\d*)")
_REFERENCE = re.compile(r"([xy])(\d*)( domain)?")
_LINKS = ("anchor", "overlaying", "matches", "scaleanchor")


def beside(
    figures: Sequence[go.Figure],
    titles: Sequence[str],
    colours: Theme,
    *,
    columns: int | None = None,
    rise: float = _UP,
) -> go.Figure:
    """Figures as the cells of one, row by row.

    Args:
        figures: What is drawn in each cell.
        titles: Above each cell; may be empty.
        colours: The theme.
        columns: Cells in a row; None for up to four, and three where there are more.
        rise: Between rows, as a share of the height: for axes and titles.
    """
    across = columns or _across(len(figures))
    up = max(1, -(-len(figures) // across))
    layout: dict[str, Any] = {"template": template(colours), "showlegend": False, "margin": {"t": 64}}
    notes: list[dict[str, Any]] = []
    shapes: list[dict[str, Any]] = []
    traces = []
    taken = 0  # axes so far
    for index, (drawn, title) in enumerate(zip(figures, titles, strict=True)):
        row, column = divmod(index, across)
        cell = {"x": _part(column, across, _ACROSS), "y": _part(up - 1 - row, up, rise)}
        given = drawn.layout.to_plotly_json()
        axes = {"xaxis": {}, "yaxis": {}} | {key: axis for key, axis in given.items() if _AXIS.fullmatch(key)}
        for key, axis in axes.items():
            letter, number = _AXIS.fullmatch(key).groups()  # type: ignore[union-attr] # they are chosen by it
            other = "y" if letter == "x" else "x"
            links = {link: _shifted(axis[link], taken) for link in _LINKS if link in axis}
            domain = _within(cell[letter], axis.get("domain", (0, 1)))
            tail = _tail(number, taken)
            layout[f"{letter}axis{tail}"] = {**axis, "anchor": f"{other}{tail}", **links, "domain": domain}
        for trace in drawn.data:
            places = {f"{letter}axis": _shifted(trace[f"{letter}axis"] or letter, taken) for letter in "xy"}
            traces.append(trace.update(places))
        several = any(key not in ("xaxis", "yaxis") for key in axes)
        notes += [note for one in given.get("annotations", ()) for note in _placed(one, cell, taken, on_paper=several)]
        shapes += [shape for one in given.get("shapes", ()) for shape in _placed(one, cell, taken, on_paper=False)]
        tail = _tail("", taken)
        place = {"xref": f"x{tail} domain", "yref": "paper", "x": 0, "y": cell["y"][1]}
        place |= {"xanchor": "left", "yanchor": "bottom", "showarrow": False, "align": "left", "yshift": 4}
        if title:
            notes.append({**place, "text": title, "font": {"size": 11}})
        taken += max(int(_AXIS.fullmatch(key).group(2) or 1) for key in axes)  # type: ignore[union-attr]
    more = {"shapes": shapes} if shapes else {}
    return go.Figure(traces, {**layout, **more, "annotations": notes})


def one_scale(figures: Sequence[go.Figure], titles: Sequence[str], colours: Theme) -> go.Figure:
    """Figures of the same kind beside each other: in the same axes, with the same colours and one legend.

    Args:
        figures: What is drawn in each cell.
        titles: Above each cell.
        colours: The theme.
    """
    _share_ranges(figures)
    _share_colours(figures)
    _name_once(figures)
    legend = any(drawn.layout.showlegend for drawn in figures)
    scales = {key: axis for drawn in figures for key, axis in _colour_axes(drawn).items()}
    whole = beside(figures, titles, colours).update_layout(scales)
    seen: set[str] = set()
    for trace in whole.data:
        if trace.showlegend is not False and trace.name:
            trace.showlegend = legend and trace.name not in seen
            seen.add(trace.name)
    if legend:
        whole.update_layout(showlegend=True, legend={**ABOVE, "y": 1.08}, margin={"t": 60})
    return whole


def _share_ranges(figures: Sequence[go.Figure]) -> None:
    """Gives every axis the range that it needs in all figures, as far as they are of one type."""
    layouts = [drawn.layout.to_plotly_json() for drawn in figures]
    keys = [key for key in layouts[0] if _AXIS.fullmatch(key) and all(key in layout for layout in layouts)]
    for key in keys:
        axes = [layout[key] for layout in layouts]
        if len({axis.get("type") for axis in axes}) > 1:
            continue
        ranges = [axis.get("range") for axis in axes]
        if all(ranges):
            ends = np.array(ranges, dtype=float)
            union = [float(ends[:, 0].min()), float(ends[:, 1].max())]
            ticks = [zip(axis.get("tickvals", ()), axis.get("ticktext", ()), strict=True) for axis in axes]
            marks = {value: text for told in ticks for value, text in told if all("ticktext" in axis for axis in axes)}
            for drawn in figures:
                drawn.layout[key].range = union
                if marks:
                    drawn.layout[key].update(tickvals=list(marks), ticktext=list(marks.values()))
        elif axes[0].get("type") != "category" and not any(ranges) and "scaleanchor" not in axes[0]:
            _share_values(figures, key)


def _name_once(figures: Sequence[go.Figure]) -> None:
    """Leaves name and labels of a vertical axis, and long names of a horizontal one, to the first cell of a row."""
    across = _across(len(figures))
    titles = {drawn.layout.yaxis.title.text for drawn in figures}
    names = {drawn.layout.xaxis.title.text for drawn in figures}
    ranges = {drawn.layout.yaxis.range for drawn in figures}
    for index, drawn in enumerate(figures):
        if index % across and len(names) == 1 and len(drawn.layout.xaxis.title.text or "") > _LONG:
            drawn.layout.xaxis.title.text = None
        if index % across and len(titles) == 1:
            drawn.layout.yaxis.title.text = None
            drawn.layout.yaxis.showticklabels = None if len(ranges) > 1 or None in ranges else False


def _share_values(figures: Sequence[go.Figure], key: str) -> None:
    """A range for an axis that each figure would choose for itself."""
    letter, number = _AXIS.fullmatch(key).groups()  # type: ignore[union-attr]
    name, logarithmic = f"{letter}{number}", figures[0].layout[key].type == "log"
    drawn = [trace[letter] for figure in figures for trace in figure.data if (trace[f"{letter}axis"] or letter) == name]
    numbers = [np.asarray(values, dtype=float) for values in drawn if values is not None and _numeric(values)]
    values = np.concatenate([np.empty(0), *map(np.ravel, numbers)])
    values = values[np.isfinite(values) & ((values > 0) | (not logarithmic))]
    if not len(values) or len(numbers) < len(drawn) or any(trace.type == "bar" for f in figures for trace in f.data):
        return
    low, high = (np.log10(end) if logarithmic else end for end in (values.min(), values.max()))
    room = 0.05 * (high - low) or 0.5
    for figure in figures:
        figure.layout[key].range = [float(low - room), float(high + room)]


def _numeric(values: Any) -> bool:
    return np.asarray(values).dtype.kind in "fiu"


def _share_colours(figures: Sequence[go.Figure]) -> None:
    """One range of colours for what stands at the same place in all figures, with one bar."""
    for traces in zip(*(drawn.data for drawn in figures), strict=False):
        if any("z" not in trace or trace.type not in ("heatmap", "contour") for trace in traces):
            continue
        if all(trace.coloraxis is None for trace in traces):
            ends = np.array([_ends(trace) for trace in traces])
            low, high = float(np.nanmin(ends[:, 0])), float(np.nanmax(ends[:, 1]))
            for trace in traces:
                trace.update(zmin=low, zmax=high, zauto=None)
        for trace in traces[:-1]:  # the bar stands on the right
            if trace.coloraxis is None:
                trace.showscale = False
    scales = [drawn.layout.coloraxis for drawn in figures]
    if all(scale.cmin is not None and scale.cmax is not None for scale in scales):
        low, high = min(scale.cmin for scale in scales), max(scale.cmax for scale in scales)
        for scale in scales:
            scale.update(cmin=low, cmax=high)


def _ends(trace: Any) -> tuple[float, float]:
    """Where the colours of a trace begin and end."""
    if trace.zmin is not None and trace.zmax is not None:
        return trace.zmin, trace.zmax
    values = np.asarray(trace.z, dtype=float)
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (np.nan, np.nan)


def _colour_axes(drawn: go.Figure) -> dict[str, Any]:
    return {key: axis for key, axis in drawn.layout.to_plotly_json().items() if key.startswith("coloraxis")}


def _placed(given: dict[str, Any], cell: dict[str, list[float]], taken: int, *, on_paper: bool) -> list[dict[str, Any]]:
    """An annotation or a shape in its cell; none where it is about the whole figure and that has no room."""
    moved = dict(given)
    for letter in "xy":
        reference = given.get(f"{letter}ref") or letter
        if reference != "paper":
            moved[f"{letter}ref"] = _shifted(reference, taken)
        elif not on_paper:
            return []
        else:
            moved[letter] = _within(cell[letter], (given.get(letter, 0), 1))[0]
    return [moved]


def _shifted(reference: str, taken: int) -> str:
    """What "x2" or "y domain" is called where so many axes stand before."""
    found = _REFERENCE.fullmatch(reference)
    return reference if found is None else f"{found[1]}{_tail(found[2], taken)}{found[3] or ''}"


def _tail(number: str, taken: int) -> str:
    return str(int(number or 1) + taken) if int(number or 1) + taken > 1 else ""


def _within(cell: Sequence[float], share: Sequence[float]) -> list[float]:
    low, high = cell
    return [low + part * (high - low) for part in share]


def _across(count: int) -> int:
    """Cells in a row."""
    return count if count <= _COLUMNS else _COLUMNS - 1


def _part(index: int, count: int, gap: float) -> list[float]:
    share = (1 - gap * (count - 1)) / count
    start = index * (share + gap)
    return [start, min(start + share, 1.0)]
