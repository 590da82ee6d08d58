"""Lines on two axes, and tables of numbers as colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from landscope.figures.lines import DASHES
from landscope.figures.scales import log_axis, number
from landscope.figures.theme import ABOVE, SIGNED, Theme, blend, template
from landscope.measurements import Chart, Matrix

__all__ = ["band_trace", "chart_axes", "chart_figure", "matrix_figure"]

_MODES = {"lines": "lines", "points": "markers", "both": "lines+markers"}


def chart_figure(chart: Chart, colours: Theme, *, among: Sequence[str] = ()) -> go.Figure:
    """Each line in a colour of its own, a theory's dashed and in the colour of small print.

    Args:
        chart: The lines.
        colours: The theme.
        among: Labels of the lines of all charts beside it, so that a label has one colour in all of them.
    """
    measured = list(dict.fromkeys([*among, *(label for label in chart.labels if label not in chart.expected)]))
    hues = {label: colours.palette[index % len(colours.palette)] for index, label in enumerate(measured)}
    figure = go.Figure(
        layout={
            "template": template(colours),
            **chart_axes([chart]),
            "legend": ABOVE,
            "showlegend": len(chart.labels) > 1,
        }
    )
    dashes = {label: DASHES[1 + index % 3] for index, label in enumerate(chart.expected)}
    hues |= dict.fromkeys(chart.expected, colours.muted)
    for label in filter(chart.low.__contains__, chart.labels):  # below all lines
        fill = blend(hues[label], colours.surface, 0.22)
        figure.add_scatter(**band_trace(label, chart.x[label], chart.low[label], chart.high[label], fill))
    for index, label in enumerate(chart.labels):
        x, hue = chart.x[label], hues[label]
        figure.add_scatter(
            x=x,
            y=chart.y[label],
            mode="lines" if label in chart.expected and len(x) > 1 else _MODES[chart.marks],
            line={"width": 1.6, "color": hue, "dash": dashes.get(label, "solid")},
            marker={"size": 6, "color": hue, "symbol": index % 8},
            legendgroup=label,
            name=label,
        )
    return figure


def chart_axes(charts: Sequence[Chart]) -> dict[str, Any]:
    """The axes of charts that have the same ones, wide enough for all."""
    one = charts[0]
    across = [chart.x for chart in charts]
    upwards = [lines for chart in charts for lines in (chart.y, chart.low, chart.high)]
    return {
        "xaxis": {"title": {"text": one.x_name}, **(_logarithmic(*across) if one.x_log else {})},
        "yaxis": {"title": {"text": one.y_name}, **(_logarithmic(*upwards) if one.y_log else {})},
    }


def _logarithmic(*lines: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """A logarithmic axis for what is positive of all lines."""
    values = np.concatenate([np.ravel(line) for group in lines for line in group.values()])
    positive = values[np.isfinite(values) & (values > 0)]
    return log_axis(float(positive.min()), float(positive.max())) if len(positive) else {"type": "log"}


def band_trace(label: str, x: np.ndarray, low: np.ndarray, high: np.ndarray, fill: str) -> dict[str, Any]:
    """The area between two lines, where both are known."""
    known = np.isfinite(low) & np.isfinite(high)
    return {
        "x": np.concatenate([x[known], x[known][::-1]]),
        "y": np.concatenate([high[known], low[known][::-1]]),
        "mode": "lines",
        "line": {"width": 0},
        "fill": "toself",
        "fillcolor": fill,
        "hoverinfo": "skip",
        "showlegend": False,
        "legendgroup": label,
        "name": f"{label}, band",
    }


def matrix_figure(matrix: Matrix, colours: Theme) -> go.Figure:
    """A cell for each number, with the number in it where there is room.

    Args:
        matrix: The numbers.
        colours: The theme.
    """
    largest = float(np.nanmax(np.abs(matrix.values))) if np.isfinite(matrix.values).any() else 1.0
    limits = {"zmin": -largest, "zmax": largest, "colorscale": SIGNED} if matrix.signed else {"colorscale": "Viridis"}
    figure = go.Figure(
        layout={
            "template": template(colours),
            "xaxis": {"title": {"text": matrix.column_name}, "type": "category", "automargin": True},
            "yaxis": {
                "title": {"text": matrix.row_name},
                "type": "category",
                "autorange": "reversed",
                "automargin": True,  # names may be long
            },
        }
    )
    figure.add_heatmap(
        x=list(matrix.columns),
        y=list(matrix.rows),
        z=matrix.values,
        colorbar={"title": {"text": matrix.value_name, "side": "right"}},
        text=[[number(value) if np.isfinite(value) else "" for value in row] for row in matrix.values],
        texttemplate="%{text}" if matrix.values.size <= 64 else None,
        hovertemplate="%{y}, %{x}<br>%{text}<extra></extra>",
        name=matrix.value_name,
        **limits,
    )
    return figure
