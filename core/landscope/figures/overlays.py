"""The charts of several runs laid over one another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from landscope.figures.charts import band_trace, chart_axes
from landscope.figures.comparisons import DASHES, Pen
from landscope.figures.reliefs import escaped
from landscope.figures.theme import ABOVE, Theme, blend, template
from landscope.measurements import Chart

__all__ = ["MOST_LINES", "measured_lines", "overlaid_figure", "overlayable"]

MOST_LINES = 4
"""Measured lines of a chart that can be told apart by their dashes while colours tell runs."""

_MODES = {"lines": "lines", "points": "markers", "both": "lines+markers"}


def overlayable(charts: Mapping[str, Chart]) -> bool:
    """Whether charts have the same axes, and few enough lines."""
    axes = {(chart.x_name, chart.y_name, chart.x_log, chart.y_log) for chart in charts.values()}
    return len(axes) == 1 and len(measured_lines(charts)) <= MOST_LINES


def overlaid_figure(charts: Mapping[str, Chart], pens: Mapping[str, Pen], colours: Theme) -> go.Figure:
    """Every run's lines in its colour; which line it is tells the dash, or the symbol. A theory's are thin and dotted.

    Args:
        charts: Each run's chart by its label, all with the same axes.
        pens: How each run is drawn.
        colours: The theme.
    """
    names = measured_lines(charts)
    figure = go.Figure(layout={"template": template(colours), "legend": ABOVE, "showlegend": True})
    figure.update_layout(chart_axes(list(charts.values())))
    for run, chart in charts.items():
        hue = pens[run].colour(colours)
        for label in filter(chart.low.__contains__, chart.labels):  # below all lines
            fill = blend(hue, colours.surface, 0.22)
            trace = band_trace(run, chart.x[label], chart.low[label], chart.high[label], fill)
            figure.add_scatter(**trace, opacity=0.6)
    for number, (run, chart) in enumerate(charts.items()):
        pen = pens[run]
        width = 1.6 + 1.4 * (1 - number / max(len(charts) - 1, 1))  # so that equal lines are all seen
        figure.add_scatter(**_key(run, pen.line(colours) if len(names) < 2 else {"color": pen.colour(colours)}))
        for label in chart.labels:
            expected = label in chart.expected
            place = 0 if expected else names.index(label)
            dash = "dot" if expected else DASHES[place if len(names) > 1 else pen.dash % len(DASHES)]
            figure.add_scatter(
                x=chart.x[label],
                y=chart.y[label],
                mode="lines" if expected and len(chart.x[label]) > 1 else _MODES[chart.marks],
                line={"width": 1 if expected else width, "color": pen.colour(colours), "dash": dash},
                marker={"size": 6, "color": pen.colour(colours), "symbol": place if len(names) > 1 else pen.dash},
                hovertemplate=f"{escaped(label)}<br>%{{x:.4g}}, %{{y:.4g}}",
                legendgroup=run,
                showlegend=False,
                name=escaped(run),
            )
    if len(names) > 1:
        points = any(chart.marks == "points" for chart in charts.values())
        for place, label in enumerate(names):
            line = {"color": colours.muted, "dash": DASHES[place]}
            key = _key(label, line) | ({"mode": "markers", "marker": {"symbol": place}} if points else {})
            figure.add_scatter(**key)
    return figure


def measured_lines(charts: Mapping[str, Chart]) -> list[str]:
    """The lines that were measured in any run, in the order in which they come up."""
    return list(
        dict.fromkeys(label for chart in charts.values() for label in chart.labels if label not in chart.expected)
    )


def _key(name: str, line: dict[str, Any]) -> dict[str, Any]:
    """An entry of the legend without a line of its own."""
    nothing = np.array([np.nan])
    return {
        "x": nothing,
        "y": nothing,
        "mode": "lines",
        "line": {"width": 1.6, **line},
        "marker": {"size": 6, "color": line["color"]},
        "legendgroup": name,
        "name": escaped(name),
        "hoverinfo": "skip",
    }
