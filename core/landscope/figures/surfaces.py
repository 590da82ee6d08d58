"""A slice of the loss landscape as a contour map or a surface."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from landscope.figures.scales import height_scale, log_ticks, number
from landscope.figures.theme import HEIGHT, Theme, template
from landscope.measurements import Slice2D

__all__ = ["colour_bar", "landscape_figure", "plane_layout", "space_layout"]

LEVELS = 18


def landscape_figure(
    slice2d: Slice2D, colours: Theme, *, style: str = "contour", span: tuple[float, float] | None = None
) -> go.Figure:
    """The loss over the plane, the training's path on it, its start and the present weights.

    Args:
        slice2d: The measured plane.
        colours: The theme.
        style: "contour" or "surface".
        span: Losses between which the colours run; None for this slice's own.

    Raises:
        ValueError: if `style` is neither.
    """
    if style not in ("contour", "surface"):
        raise ValueError(f'style must be "contour" or "surface", got {style!r}')
    if style == "contour":
        return go.Figure(_contour(slice2d, colours, span), plane_layout(slice2d.axes, colours))
    figure = go.Figure(_surface(slice2d, colours, span), space_layout(slice2d.axes, colours))
    _, low, high, logarithmic = height_scale(slice2d.loss, span)
    bar = colour_bar(low, high, logarithmic)
    # The bar beside it and the axis are one scale.
    return figure.update_layout(scene_zaxis=bar | {"title": {"text": "loss"}, "range": [low, high]})


def plane_layout(axes: tuple[str, ...], colours: Theme) -> dict[str, Any]:
    """The empty plane: one unit is as long along alpha as along beta."""
    across, up = (
        {"title": {"text": f"{sign} ({unit})"}, "showgrid": False, "constrain": "domain"}
        for sign, unit in zip("αβ", axes, strict=True)
    )
    return {
        "template": template(colours),
        "xaxis": across,
        "yaxis": {**up, "scaleanchor": "x"},
        "showlegend": False,
    }


def space_layout(axes: tuple[str, ...], colours: Theme) -> dict[str, Any]:
    """The empty scene, seen from above the front corner."""
    return {
        "template": template(colours),
        "scene": {
            "xaxis": {"title": {"text": f"α ({axes[0]})"}},
            "yaxis": {"title": {"text": f"β ({axes[1]})"}},
            "zaxis": {"title": {"text": "loss"}},
            "aspectmode": "manual",
            "aspectratio": {"x": 1, "y": 1, "z": 0.62},
            "camera": {"eye": {"x": 1.2, "y": -1.3, "z": 1.0}, "center": {"x": 0, "y": 0, "z": -0.18}},
        },
        "margin": {"l": 0, "r": 0, "t": 36, "b": 0},
        "showlegend": False,
    }


def colour_bar(low: float, high: float, logarithmic: bool) -> dict[str, Any]:
    """A colour bar that reads as losses, whether or not the heights are their logarithms."""
    bar: dict[str, Any] = {"title": {"text": "loss (log scale)" if logarithmic else "loss"}}
    if not logarithmic:
        return bar
    ticks = log_ticks(10.0**low, 10.0**high)
    return {**bar, "tickvals": [float(np.log10(tick)) for tick in ticks], "ticktext": [number(tick) for tick in ticks]}


def _contour(slice2d: Slice2D, colours: Theme, span: tuple[float, float] | None) -> list[Any]:
    height, low, high, logarithmic = height_scale(slice2d.loss, span)
    traces: list[Any] = [
        go.Contour(
            x=slice2d.alpha,
            y=slice2d.beta,
            z=height.T,
            zmin=low,
            zmax=high,
            contours={"coloring": "heatmap", "start": low, "end": high, "size": (high - low) / LEVELS},
            line={"width": 0.5, "color": "rgba(255,255,255,0.45)"},
            colorbar=colour_bar(low, high, logarithmic),
            customdata=slice2d.loss.T,
            hovertemplate="α %{x:.3g}, β %{y:.3g}<br>loss %{customdata:.4g}<extra></extra>",
            name="loss",
        )
    ]
    missing = np.argwhere(~np.isfinite(slice2d.loss))
    if len(missing):
        traces.append(
            go.Scatter(
                x=slice2d.alpha[missing[:, 0]],
                y=slice2d.beta[missing[:, 1]],
                mode="markers",
                marker={"symbol": "x-thin", "size": 6, "line": {"width": 1, "color": colours.axis}},
                hovertemplate="α %{x:.3g}, β %{y:.3g}<br>loss is not finite<extra></extra>",
                name=f"{len(missing)} of {slice2d.loss.size} not finite",
            )
        )
    if slice2d.path is not None and len(slice2d.path):
        x, y = slice2d.path[:, 0], slice2d.path[:, 1]
        traces += [
            go.Scatter(x=x, y=y, mode="lines", line={"width": 1.5, "color": colours.accent}, name="path"),
            go.Scatter(x=x[:1], y=y[:1], mode="markers", marker=_start(colours), name="start"),
        ]
    traces.append(go.Scatter(x=[0.0], y=[0.0], mode="markers", marker=_present(colours), name="these weights"))
    return traces


def _surface(slice2d: Slice2D, colours: Theme, span: tuple[float, float] | None) -> list[Any]:
    height, low, high, logarithmic = height_scale(slice2d.loss, span)
    bar = {**colour_bar(low, high, logarithmic), "len": 0.7}
    traces: list[Any] = [
        go.Surface(
            x=slice2d.alpha,
            y=slice2d.beta,
            z=height.T,
            cmin=low,
            cmax=high,
            colorscale=HEIGHT,
            colorbar=bar,
            lighting={"ambient": 0.75, "diffuse": 0.5, "specular": 0.05, "roughness": 0.9},
            customdata=slice2d.loss.T,
            hovertemplate="α %{x:.3g}, β %{y:.3g}<br>loss %{customdata:.4g}<extra></extra>",
            name="loss",
        )
    ]
    lift = 0.012 * (high - low)  # so that lines on the surface are not hidden by it
    if slice2d.path is not None and len(slice2d.path):
        above = _heights_at(height, slice2d.alpha, slice2d.beta, slice2d.path) + lift
        x, y = slice2d.path[:, 0], slice2d.path[:, 1]
        line = {"width": 5, "color": colours.accent}
        traces.append(go.Scatter3d(x=x, y=y, z=above, mode="lines", line=line, hoverinfo="skip", name="path"))
    centre = np.log10(slice2d.centre_loss) if logarithmic and slice2d.centre_loss > 0 else slice2d.centre_loss
    traces.append(
        go.Scatter3d(
            x=[0.0],
            y=[0.0],
            z=[centre + lift],
            mode="markers",
            marker={"size": 4, "color": colours.accent},
            name="these weights",
        )
    )
    return traces


def _heights_at(
    height: NDArray[np.float64], alpha: NDArray[np.floating], beta: NDArray[np.floating], points: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Bilinear heights of a grid at points (T, 2); NaN outside it."""
    (i, s), (j, t) = (_cells(axis, points[:, column]) for column, axis in enumerate((alpha, beta)))
    below = (1 - s) * height[i, j] + s * height[i + 1, j]
    above = (1 - s) * height[i, j + 1] + s * height[i + 1, j + 1]
    inside = (s >= 0) & (s <= 1) & (t >= 0) & (t <= 1)
    return np.where(inside, (1 - t) * below + t * above, np.nan)


def _cells(axis: NDArray[np.floating], values: NDArray[np.floating]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The interval of an ascending axis that each value is in or next to, and where in it, 0 to 1 inside."""
    index = np.clip(np.searchsorted(axis, values, side="right") - 1, 0, len(axis) - 2)
    return index, np.asarray((values - axis[index]) / (axis[index + 1] - axis[index]), dtype=np.float64)


def _start(colours: Theme) -> dict[str, Any]:
    return {"symbol": "circle-open", "size": 8, "color": colours.accent, "line": {"width": 2}}


def _present(colours: Theme) -> dict[str, Any]:
    return {"symbol": "circle", "size": 8, "color": colours.accent, "line": {"width": 1.5, "color": "#ffffff"}}
