"""Sharpness by its many definitions, and the loss beside its quadratic model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go

from landscope.figures.scales import log_axis, number, signed_log, signed_log_ticks
from landscope.figures.theme import Theme, blend, template
from landscope.measurements import QuadraticModel, SharpnessMeasures

__all__ = ["measures_figure", "quadratic_figure"]

_GAP = 0.12  # between panels, of the figure


def quadratic_figure(measured: QuadraticModel, colours: Theme) -> go.Figure:
    """A panel for each direction: the loss, its quadratic model dashed, and shaded where that holds."""
    count = len(measured.names)
    across = min(count, 2)
    down = math.ceil(count / across)
    layout: dict[str, Any] = {"template": template(colours), "showlegend": False, "annotations": []}
    figure = go.Figure()
    for index, (name, radius) in enumerate(zip(measured.names, measured.radii, strict=True)):
        row, column = divmod(index, across)
        tail = "" if index == 0 else str(index + 1)
        x, y = _share(column, across), _share(down - 1 - row, down)
        distance, loss, model = measured.distances[index], measured.losses[index], measured.predictions[index]
        layout[f"xaxis{tail}"] = {
            "title": {"text": f"distance, {name}" + _extent(float(radius), measured.tolerance)},
            "domain": x,
            "anchor": f"y{tail}",
        }
        layout[f"yaxis{tail}"] = {"title": {"text": "loss"}, "domain": y, "anchor": f"x{tail}"}
        axes = {"xaxis": f"x{tail}", "yaxis": f"y{tail}"}
        figure.add_scatter(
            x=distance,
            y=np.where(np.isfinite(loss), loss, np.nan),
            mode="lines+markers",
            line={"width": 1.5, "color": colours.first},
            marker={"size": 4},
            hovertemplate="%{x:.4g}<br>loss %{y:.5g}<extra></extra>",
            name=f"loss, {name}",
            **axes,
        )
        figure.add_scatter(
            x=distance,
            y=model,
            mode="lines",
            line={"width": 1.5, "color": colours.second, "dash": "dash"},
            hovertemplate="%{x:.4g}<br>quadratic model %{y:.5g}<extra></extra>",
            name=f"quadratic model, {name}",
            **axes,
        )
        if np.isfinite(radius):
            figure.add_shape(
                type="rect",
                xref=f"x{tail}",
                yref=f"y{tail} domain",
                x0=-radius,
                x1=radius,
                y0=0,
                y1=1,
                line={"width": 0},
                fillcolor=blend(colours.first, colours.surface, 0.12),
                layer="below",
            )
    return figure.update_layout(layout)


def measures_figure(measured: SharpnessMeasures, colours: Theme) -> go.Figure:
    """Every measure with its error on one signed-logarithmic axis, and the rise of the loss over the radius rho."""
    figure = go.Figure(
        layout={
            "template": template(colours),
            "xaxis": {"title": {"text": "value (as its formula says)"}, "domain": [0.0, 0.46]},
            "yaxis": {"title": {"text": "measure"}, "type": "category", "autorange": "reversed", "automargin": True},
            "xaxis2": {
                "title": {"text": "radius ρ of the ball around the weights"},
                "domain": [0.6, 1.0],
                "anchor": "y2",
            },
            "yaxis2": {"title": {"text": "rise of the loss"}, "anchor": "x2"},
            "legend": {"x": 0.62, "y": 1.0, "xanchor": "left", "yanchor": "top"},
        }
    )
    _add_values(figure, measured, colours)
    curves = (
        ("several steps", measured.sam_multi_step, colours.first, "solid", "circle"),
        ("one step", measured.sam_one_step, colours.second, "dash", "diamond"),
    )
    for name, rise, colour, dash, symbol in curves:
        figure.add_scatter(
            x=measured.rho,
            y=np.where(np.isfinite(rise), rise, np.nan),
            mode="lines+markers",
            line={"width": 1.5, "color": colour, "dash": dash},
            marker={"size": 7, "symbol": symbol},
            hovertemplate="ρ %{x:.3g}<br>+%{y:.4g}<extra>%{fullData.name}</extra>",
            name=f"SAM, {name}",
            xaxis="x2",
            yaxis="y2",
        )
    figure.update_layout(xaxis2=log_axis(float(measured.rho.min()), float(measured.rho.max())))
    rises = np.concatenate([measured.sam_one_step, measured.sam_multi_step])
    positive = rises[np.isfinite(rises) & (rises > 0)]
    if positive.size == rises.size:
        figure.update_layout(yaxis2=log_axis(float(positive.min()), float(positive.max())))
    return figure


def _add_values(figure: go.Figure, measured: SharpnessMeasures, colours: Theme) -> None:
    """The measures as points over u = asinh(value / scale), errors likewise, ticks in the values themselves."""
    values = np.where(np.isfinite(measured.values), measured.values, np.nan)
    errors = np.nan_to_num(measured.errors)
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    scale = max(float(sizes.min()), float(sizes.max()) * 1e-6) if sizes.size else 1.0
    u = signed_log(values, scale)
    figure.add_scatter(
        x=u,
        y=list(measured.names),
        mode="markers",
        marker={"size": 8, "color": colours.first},
        error_x={
            "array": signed_log(values + errors, scale) - u,
            "arrayminus": u - signed_log(values - errors, scale),
            "thickness": 1.2,
            "width": 4,
        },
        text=[_hover(measured, index) for index in range(len(values))],
        hovertemplate="%{text}<extra></extra>",
        name="measures",
        showlegend=False,
    )
    low, high = min(float(np.nanmin(values, initial=0.0)), 0.0), max(float(np.nanmax(values, initial=scale)), scale)
    ticks = signed_log_ticks(low, high, scale)
    labels = [number(tick) for tick in ticks]
    figure.update_layout(xaxis={"tickvals": signed_log(np.array(ticks), scale), "ticktext": labels})


def _hover(measured: SharpnessMeasures, index: int) -> str:
    error = measured.errors[index]
    spread = f" ± {error:.2g}" if np.isfinite(error) else ""
    lines = [measured.symbols[index], f"{measured.values[index]:.5g}{spread}", measured.settings[index]]
    return "<br>".join(line for line in lines if line)


def _share(place: int, count: int) -> list[float]:
    """The domain of one of some panels in a row."""
    width = (1 - _GAP * (count - 1)) / count
    start = place * (width + _GAP)
    return [start, min(start + width, 1.0)]


def _extent(radius: float, tolerance: float) -> str:
    share = f"{100 * tolerance:g} %"
    return (
        f"<br>right to {share} up to {number(radius)}" if math.isfinite(radius) else f"<br>right to {share} all along"
    )
