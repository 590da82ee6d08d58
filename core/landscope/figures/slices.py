"""Slices of one and of three dimensions: a line through weight space with its error, and isosurfaces in a box of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from landscope.figures.reliefs import DOUBT, escaped, not_finite, relief_of
from landscope.figures.scales import log_axis
from landscope.figures.surfaces import colour_bar
from landscope.figures.theme import HEIGHT, Theme, template, veil
from landscope.measurements import Slice1D, Slice3D

__all__ = ["box_figure", "line_figure"]

LEVELS = 5
"""Isosurfaces in a box."""

_FINE_BOX = 24  # intervals along each side of a box: what a browser turns smoothly


def line_figure(slice1d: Slice1D, colours: Theme, *, show: str = "loss") -> go.Figure:
    """A quantity along the line, its computed points, and two standard errors either way as a band.

    Args:
        slice1d: The measured line.
        colours: The theme.
        show: "loss", "accuracy" or the name of a metric of the slice.

    Raises:
        ValueError: if the slice has nothing called `show`.
    """
    relief = relief_of(slice1d, show)
    (x,) = relief.coordinates
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": relief.title},
            "xaxis": {"title": {"text": f"α ({escaped(slice1d.axes[0])})"}},
            "yaxis": {"title": {"text": relief.name + (" (log scale)" if relief.logarithmic else "")}},
            "showlegend": False,
        }
    )
    if relief.error is not None:
        lower, upper = relief.values - DOUBT * relief.error, relief.values + DOUBT * relief.error
        if relief.logarithmic:  # what would be below zero ends at the axis
            lower = np.maximum(lower, 0.5 * np.nanmin(relief.values))
        edge: dict[str, Any] = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
        figure.add_scatter(x=x, y=lower, name="lower", **edge)
        figure.add_scatter(
            x=x, y=upper, name="± 2 standard errors", fill="tonexty", fillcolor=veil(colours.first, 0.16), **edge
        )
    figure.add_scatter(
        x=x,
        y=relief.values,
        mode="lines",
        line={"width": 1.6, "color": colours.first},
        text=relief.texts(),
        hovertemplate="α %{x:.3g}<br>%{text}<extra></extra>",
        name=relief.name,
    )
    computed = np.isin(x, slice1d.alpha)
    dots = {"size": 4, "color": colours.first}
    figure.add_scatter(
        x=x[computed], y=relief.values[computed], mode="markers", marker=dots, hoverinfo="skip", name="computed"
    )
    centre = slice1d.centre_loss if show == "loss" else float(np.interp(0.0, x, relief.values))
    mark = {"size": 9, "color": colours.accent, "line": {"width": 1.5, "color": colours.surface}}
    figure.add_scatter(x=[0.0], y=[centre], mode="markers", marker=mark, name="these weights")
    (missing,) = not_finite(slice1d.loss, (slice1d.alpha,))
    if len(missing):
        cross = {"symbol": "x-thin", "size": 7, "line": {"width": 1, "color": colours.muted}}
        figure.add_scatter(
            x=missing,
            y=np.full(len(missing), 10.0**relief.low if relief.logarithmic else relief.low),
            mode="markers",
            marker=cross,
            hovertemplate=f"α %{{x:.3g}}<br>{relief.name} is not finite<extra></extra>",
            name=f"{len(missing)} of {slice1d.loss.size} not finite",
        )
    return figure.update_yaxes(log_axis(10.0**relief.low, 10.0**relief.high)) if relief.logarithmic else figure


def box_figure(
    slice3d: Slice3D, colours: Theme, *, show: str = "loss", span: tuple[float, float] | None = None
) -> go.Figure:
    """Surfaces of equal loss in the box, evenly spaced in its logarithm where it is positive, and the weights.

    Args:
        slice3d: The measured box.
        colours: The theme.
        show: "loss", "accuracy" or the name of a metric of the slice.
        span: Values between which the colours run; None for this slice's own.

    Raises:
        ValueError: if the slice has nothing called `show`.
    """
    relief = relief_of(slice3d, show, span, fine=_FINE_BOX)
    x, y, z = (axis.ravel() for axis in np.meshgrid(*relief.coordinates, indexing="ij"))
    room = (relief.high - relief.low) / (LEVELS + 1)
    lost = int((~np.isfinite(slice3d.loss)).sum())
    figure = go.Figure(
        go.Isosurface(
            x=x,
            y=y,
            z=z,
            value=relief.heights.ravel(),
            isomin=relief.low + room,
            isomax=relief.high - room,
            cmin=relief.low,
            cmax=relief.high,
            surface={"count": LEVELS},
            opacity=0.35,
            caps={axis: {"show": False} for axis in "xyz"},
            colorscale=HEIGHT,
            colorbar={**colour_bar(relief.low, relief.high, relief.logarithmic, relief.name), "len": 0.7},
            text=relief.texts().ravel(),
            hovertemplate="α %{x:.3g}, β %{y:.3g}, γ %{z:.3g}<br>%{text}<extra></extra>",
            name=f"{lost} of {slice3d.loss.size} not finite" if lost else relief.name,
        )
    )
    mark = {"size": 5, "color": colours.accent}
    figure.add_scatter3d(x=[0.0], y=[0.0], z=[0.0], mode="markers", marker=mark, name="these weights")
    names = (f"{sign} ({escaped(unit)})" for sign, unit in zip("αβγ", slice3d.axes, strict=True))
    scene = {f"{axis}axis": {"title": {"text": name}} for axis, name in zip("xyz", names, strict=True)}
    title = relief.title + (f"; {lost} of {slice3d.loss.size} not finite" if lost else "")
    return figure.update_layout(
        template=template(colours),
        title={"text": title},
        scene=scene,
        margin={"l": 0, "r": 0, "t": 44, "b": 0},
        showlegend=False,
    )
