"""The minima of a landscape and the barriers between them: as a persistence diagram, and on the map."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from landscope.figures.scales import log_axis
from landscope.figures.surfaces import landscape_figure
from landscope.figures.theme import Theme, template
from landscope.measurements import MergeTree, Slice2D

__all__ = ["merge_tree_figure", "merge_tree_traces"]

_WIDE = 20.0  # ratio of the greatest loss to the least from which on a linear axis hides the lower ones


def merge_tree_figure(tree: MergeTree, colours: Theme, *, cut: Slice2D | None = None) -> go.Figure:
    """The persistence diagram; or, given the slice the tree is of, its map with minima and saddles marked.

    In the diagram, every minimum is a point at its loss (across) and the loss of the saddle where it merges with a
    deeper one (up): the higher above the diagonal, the deeper the basin. A bar spans two standard errors of its
    persistence; minima within that of the diagonal are hollow. On the upper dashed line are those that never merge.

    Args:
        tree: The merge tree.
        colours: The theme.
        cut: The slice in two dimensions of which it is.

    Raises:
        ValueError: if the slice has another grid than the tree.
    """
    if cut is None:
        return _diagram(tree, colours)
    if cut.loss.shape != tree.shape:
        raise ValueError(f"the tree is of a grid of shape {tree.shape}, got a slice of shape {cut.loss.shape}")
    marks = merge_tree_traces(tree, colours)
    return landscape_figure(cut, colours).add_traces(marks)


def merge_tree_traces(tree: MergeTree, colours: Theme) -> list[Any]:
    """Minima, numbered from the deepest, saddles where they merge, and lines from each over its saddle to its parent.

    Args:
        tree: The merge tree of a slice in two dimensions; simplify it first, so that the map can be read.
        colours: The theme.

    Raises:
        ValueError: if the tree is not of a slice in two dimensions.
    """
    if len(tree.shape) != 2:
        raise ValueError(f"minima are marked on slices in two dimensions, got a tree of a grid of shape {tree.shape}")
    merging = np.flatnonzero(tree.parents >= 0)
    break_ = np.full((len(merging), 2), np.nan)
    ways = np.stack([tree.minima[merging], tree.saddles[merging], tree.minima[tree.parents[merging]], break_], axis=1)
    x, y = ways.reshape(-1, 2).T
    dark, light = "#1c2128", "#ffffff"
    return [
        go.Scatter(x=x, y=y, mode="lines", line={"width": 1.5, "color": light}, hoverinfo="skip", name="merges"),
        go.Scatter(
            x=tree.saddles[merging, 0],
            y=tree.saddles[merging, 1],
            mode="markers",
            marker={"symbol": "x", "size": 9, "color": light, "line": {"width": 1, "color": dark}},
            customdata=np.stack([merging + 1, tree.saddle_losses[merging], tree.persistence[merging]], axis=1),
            hovertemplate="saddle of minimum %{customdata[0]}<br>loss %{customdata[1]:.4g}"
            "<br>barrier %{customdata[2]:.3g}<extra></extra>",
            name="saddles",
        ),
        go.Scatter(
            x=tree.minima[:, 0],
            y=tree.minima[:, 1],
            mode="markers+text",
            text=[str(index + 1) for index in range(len(tree.losses))],
            textfont={"size": 10, "color": dark},
            marker={"symbol": "circle", "size": 16, "color": light, "line": {"width": 1.5, "color": colours.accent}},
            customdata=np.stack([tree.losses, tree.persistence], axis=1),
            hovertemplate="minimum %{text}<br>loss %{customdata[0]:.4g}<br>barrier %{customdata[1]:.3g}<extra></extra>",
            name="minima",
        ),
    ]


def _diagram(tree: MergeTree, colours: Theme) -> go.Figure:
    loops = np.empty((0, 2)) if tree.loops is None else tree.loops
    ends = np.concatenate([tree.diagram.ravel(), loops.ravel()])
    ends = ends[np.isfinite(ends)]
    low, high = float(ends.min()), float(ends.max())
    logarithmic = 0 < _WIDE * low < high
    room = (high / low) ** 0.12 if logarithmic else 0.12 * (high - low or 1.0)
    top = high * room if logarithmic else high + room
    bottom = low / room**0.5 if logarithmic else low - room / 2
    axis = (
        log_axis(bottom, top * room**0.5) if logarithmic else {"range": [bottom, top + room / 2], "constrain": "domain"}
    )
    figure = go.Figure(
        layout={
            "template": template(colours),
            "xaxis": axis | {"title": {"text": "loss at the minimum (birth)"}},
            "yaxis": axis | {"title": {"text": "loss at the saddle (death)"}},
            "showlegend": True,
            "legend": {"yanchor": "bottom", "y": 0.02, "xanchor": "right", "x": 1},
        }
    )
    quiet = {"mode": "lines", "hoverinfo": "skip", "showlegend": False}
    figure.add_scatter(x=[bottom, top], y=[bottom, top], line={"width": 1, "color": colours.axis}, **quiet)
    figure.add_scatter(x=[bottom, top], y=[top, top], line={"width": 1, "color": colours.axis, "dash": "dash"}, **quiet)
    figure.add_annotation(
        x=np.log10(bottom) if logarithmic else bottom,
        y=np.log10(top) if logarithmic else top,
        text="never merges",
        showarrow=False,
        xanchor="left",
        yanchor="bottom",
        font={"size": 11, "color": colours.muted},
    )
    if len(loops):
        figure.add_scatter(**_points(loops, top), **_marks("diamond-open", colours.second, "loops around hills"))
    figure.add_scatter(**_points(tree.diagram, top), **_minima(tree, colours))
    return figure


def _minima(tree: MergeTree, colours: Theme) -> dict[str, Any]:
    passed = np.ones(len(tree.losses), dtype=bool) if tree.significant is None else tree.significant
    look = _marks(["circle" if sure else "circle-open" for sure in passed], colours.first, "minima")
    look["customdata"] = np.stack([np.arange(1, len(tree.losses) + 1), tree.persistence], axis=1)
    look["hovertemplate"] = "minimum %{customdata[0]}<br>loss %{x:.4g}<br>barrier %{customdata[1]:.3g}<extra></extra>"
    if tree.errors is not None:
        bars = 2 * np.nan_to_num(tree.errors)
        look["error_y"] = {"array": bars, "thickness": 1, "width": 3, "color": colours.first}
    return look


def _points(diagram: NDArray[np.float64], top: float) -> dict[str, Any]:
    return {"x": diagram[:, 0], "y": np.where(np.isinf(diagram[:, 1]), top, diagram[:, 1])}


def _marks(symbol: str | list[str], colour: str, name: str) -> dict[str, Any]:
    return {
        "mode": "markers",
        "marker": {"symbol": symbol, "size": 8, "color": colour, "line": {"width": 1.5, "color": colour}},
        "name": name,
    }
