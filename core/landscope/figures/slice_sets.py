"""Slices of several models side by side: the same axes, and one scale of colours for all."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from landscope.figures.reliefs import escaped, relief_of
from landscope.figures.scales import height_scale, number
from landscope.figures.surfaces import LEVELS, colour_bar, hole_traces, plane_layout, present_trace
from landscope.figures.theme import Theme
from landscope.measurements import SliceSet

__all__ = ["slice_set_figure"]

COLUMNS = 4
"""Pictures in a row, at most."""

_FINE = 32  # intervals drawn along each axis of a picture
_BETWEEN = 0.05  # of the width, between two pictures
_ABOVE = 0.16  # of the height, for the names above each row and the axis of the row above it


def slice_set_figure(slices: SliceSet, colours: Theme, *, span: tuple[float, float] | None = None) -> go.Figure:
    """A contour map for each model: what has one colour has one loss, and what is as far away is as far away.

    Heights are logarithms where all losses are positive. Between computed points splines are drawn.

    Args:
        slices: The slices.
        colours: The theme.
        span: Losses between which the colours run; None for those of these slices.
    """
    span = span or slices.span()
    _, low, high, logarithmic = height_scale(slices.loss, span)
    figure = go.Figure(layout=_layout(slices, colours))
    bar = colour_bar(low, high, logarithmic)
    figure.update_layout(coloraxis={"cmin": low, "cmax": high, "colorbar": bar})
    for index, (name, one) in enumerate(slices.slices().items()):
        place = {"xaxis": f"x{_tail(index)}", "yaxis": f"y{_tail(index)}"}
        relief = relief_of(one, span=span, fine=_FINE)
        x, y = relief.coordinates
        figure.add_contour(
            x=x,
            y=y,
            z=relief.heights.T,
            coloraxis="coloraxis",
            contours={"coloring": "heatmap", "start": low, "end": high, "size": (high - low) / LEVELS},
            line={"width": 0.5, "color": "rgba(255,255,255,0.45)"},
            text=relief.texts().T,
            hovertemplate="α %{x:.3g}, β %{y:.3g}<br>%{text}<extra></extra>",
            name=escaped(name),
            **place,
        )
        for trace in (*hole_traces(one.loss, (one.alpha, one.beta), relief.name, colours), present_trace(colours)):
            figure.add_trace(trace.update(place))
    return figure


def _layout(slices: SliceSet, colours: Theme) -> dict[str, Any]:
    """Empty planes in rows, each with its model's name and loss above it; what the axes are is told once, on top."""
    plane = plane_layout(("", ""), colours)
    units = "; ".join(f"{sign}: {escaped(unit)}" for sign, unit in zip("αβ", slices.axes, strict=True))
    columns = min(len(slices.names), COLUMNS)
    rows = -(-len(slices.names) // columns)
    width, height = (1 - _BETWEEN * (columns - 1)) / columns, (1 - _ABOVE * (rows - 1)) / rows
    layout: dict[str, Any] = {
        "template": plane["template"],
        "title": {"text": units, "font": {"size": 11, "color": colours.muted}},
        "margin": {"t": 60},
        "showlegend": False,
        "annotations": [],
    }
    for index, (name, loss) in enumerate(zip(slices.names, slices.centre_losses, strict=True)):
        row, column = divmod(index, columns)
        left, top = column * (width + _BETWEEN), 1 - row * (height + _ABOVE)
        layout[f"xaxis{_tail(index)}"] = {
            **plane["xaxis"],
            "title": {"text": "α"},
            "range": [float(slices.alpha[0]), float(slices.alpha[-1])],
            "domain": [left, left + width],
            "anchor": f"y{_tail(index)}",
        }
        layout[f"yaxis{_tail(index)}"] = {
            **plane["yaxis"],
            "title": {"text": "β" if column == 0 else ""},
            "range": [float(slices.beta[0]), float(slices.beta[-1])],
            "domain": [max(top - height, 0.0), top],
            "anchor": f"x{_tail(index)}",
            "scaleanchor": f"x{_tail(index)}",
            "showticklabels": column == 0,
        }
        layout["annotations"].append(
            {
                "text": f"{escaped(name)}: {number(float(loss))}",
                "x": 0,
                "y": 1,
                "xref": f"x{_tail(index)} domain",
                "yref": f"y{_tail(index)} domain",
                "xanchor": "left",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"size": 12, "color": colours.text},
            }
        )
    return layout


def _tail(index: int) -> str:
    return str(index + 1) if index else ""
