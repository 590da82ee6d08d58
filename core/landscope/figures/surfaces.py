"""Planes through weight space: the loss as a contour map or a surface, and the curvature as a map."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from landscope.figures.arrows import descent_trace
from landscope.figures.reliefs import FINE, Relief, escaped, not_finite, relief_of
from landscope.figures.scales import log_ticks, number
from landscope.figures.theme import HEIGHT, Theme, template
from landscope.measurements import CurvatureMap, Slice2D

__all__ = [
    "LEVELS",
    "colour_bar",
    "curvature_figure",
    "hole_traces",
    "landscape_figure",
    "plane_layout",
    "present_trace",
    "space_layout",
]

LEVELS = 18
"""Steps of colour between contour lines, over the whole scale."""

PALEST = 0.15
"""Opacity of a point of the path that is wholly outside of the plane."""


def landscape_figure(
    slice2d: Slice2D,
    colours: Theme,
    *,
    style: str = "contour",
    show: str = "loss",
    span: tuple[float, float] | None = None,
    fine: int = FINE,
) -> go.Figure:
    """A quantity over the plane, the training's path on it, its start and the present weights.

    Between computed points splines are drawn, with their error in the title. Inside the dotted line losses are not
    told apart from the centre's: they differ by less than two standard errors of the difference.

    Args:
        slice2d: The measured plane.
        colours: The theme.
        style: "contour" or "surface".
        show: "loss", "accuracy" or the name of a metric of the slice.
        span: Values between which the colours run; None for this slice's own.
        fine: Intervals drawn along each axis, at least: fewer for a small picture.

    Raises:
        ValueError: if `style` is neither, or the slice has nothing called `show`.
    """
    if style not in ("contour", "surface"):
        raise ValueError(f'style must be "contour" or "surface", got {style!r}')
    relief = relief_of(slice2d, show, span, fine)
    flat = style == "contour"
    layout = (plane_layout if flat else space_layout)(slice2d.axes, colours)
    figure = go.Figure((_contour if flat else _surface)(slice2d, relief, colours), layout)
    figure.update_layout(title={"text": relief.title}, annotations=_remarks(slice2d, colours))
    if not flat:
        bar = colour_bar(relief.low, relief.high, relief.logarithmic, relief.name)
        # The bar beside it and the axis are one scale.
        height = bar | {"title": {"text": relief.name}, "range": [relief.low, relief.high]}
        figure.update_layout(scene_zaxis=height, margin_t=44)
    return figure


def curvature_figure(curvature: CurvatureMap, colours: Theme) -> go.Figure:
    """The ratio |lambda_min / lambda_max| of the Hessian over the plane (Li et al. 2018, section 6): 0 where convex."""
    figure = go.Figure(layout=plane_layout(curvature.axes, colours))
    ratio = curvature.ratio
    told = np.stack([curvature.largest.T, curvature.smallest.T, curvature.residuals.T], axis=-1)
    figure.add_heatmap(
        x=curvature.alpha,
        y=curvature.beta,
        z=np.where(np.isfinite(ratio), ratio, np.nan).T,
        zmin=0,
        zmax=1,
        colorscale=HEIGHT,
        colorbar={"title": {"text": "|λ min / λ max| (no unit)"}},
        customdata=told,
        hovertemplate="α %{x:.3g}, β %{y:.3g}<br>ratio %{z:.3g}<br>λ max %{customdata[0]:.4g}, λ min "
        "%{customdata[1]:.4g} (± %{customdata[2]:.1g})<extra></extra>",
        name="ratio of the extreme eigenvalues",
    )
    figure.add_traces(hole_traces(ratio, (curvature.alpha, curvature.beta), "ratio", colours))
    return figure.add_trace(present_trace(colours))


def plane_layout(axes: tuple[str, ...], colours: Theme) -> dict[str, Any]:
    """The empty plane: one unit is as long along alpha as along beta."""
    across, up = (
        {"title": {"text": f"{sign} ({escaped(unit)})"}, "showgrid": False, "constrain": "domain"}
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
            "xaxis": {"title": {"text": f"α ({escaped(axes[0])})"}},
            "yaxis": {"title": {"text": f"β ({escaped(axes[1])})"}},
            "zaxis": {"title": {"text": "loss"}},
            "aspectmode": "manual",
            "aspectratio": {"x": 1, "y": 1, "z": 0.62},
            "camera": {"eye": {"x": 1.2, "y": -1.3, "z": 1.0}, "center": {"x": 0, "y": 0, "z": -0.18}},
        },
        "margin": {"l": 0, "r": 0, "t": 36, "b": 0},
        "showlegend": False,
    }


def colour_bar(low: float, high: float, logarithmic: bool, name: str = "loss") -> dict[str, Any]:
    """A colour bar that reads as the quantity itself, whether or not the heights are its logarithms."""
    bar: dict[str, Any] = {"title": {"text": f"{name} (log scale)" if logarithmic else name}}
    if not logarithmic:
        return bar
    ticks = log_ticks(10.0**low, 10.0**high)
    return {**bar, "tickvals": [float(np.log10(tick)) for tick in ticks], "ticktext": [number(tick) for tick in ticks]}


def _contour(slice2d: Slice2D, relief: Relief, colours: Theme) -> list[Any]:
    x, y = relief.coordinates
    traces: list[Any] = [
        go.Contour(
            x=x,
            y=y,
            z=relief.heights.T,
            zmin=relief.low,
            zmax=relief.high,
            contours={
                "coloring": "heatmap",
                "start": relief.low,
                "end": relief.high,
                "size": (relief.high - relief.low) / LEVELS,
            },
            line={"width": 0.5, "color": "rgba(255,255,255,0.45)"},
            colorbar=colour_bar(relief.low, relief.high, relief.logarithmic, relief.name),
            text=relief.texts().T,
            hovertemplate="α %{x:.3g}, β %{y:.3g}<br>%{text}<extra></extra>",
            name=relief.name,
        )
    ]
    if relief.doubt is not None and (relief.doubt < 1).any():
        traces.append(
            go.Contour(
                x=x,
                y=y,
                z=relief.doubt.T,
                contours={"type": "constraint", "operation": ">", "value": 1},  # what it excludes is shaded
                fillcolor="rgba(255,255,255,0.28)",
                line={"width": 1.2, "color": "rgba(255,255,255,0.95)", "dash": "dot", "smoothing": 0},
                showscale=False,
                hoverinfo="skip",
                name="not told apart from the centre",
            )
        )
    traces += hole_traces(slice2d.loss, (slice2d.alpha, slice2d.beta), relief.name, colours)
    if slice2d.gradient is not None:
        traces.append(descent_trace(slice2d))
    if slice2d.path is not None and len(slice2d.path):
        x, y = slice2d.path.T
        traces += [
            go.Scatter(
                x=x,
                y=y,
                mode="lines+markers",
                line={"width": 1.5, "color": colours.accent},
                marker={"size": 5, "color": colours.accent, "opacity": _nearness(slice2d)},
                text=_path_texts(slice2d),
                hovertemplate="%{text}<extra></extra>",
                name="path",
            ),
            go.Scatter(x=x[:1], y=y[:1], mode="markers", marker=_start(colours), hoverinfo="skip", name="start"),
        ]
    return [*traces, present_trace(colours)]


def _surface(slice2d: Slice2D, relief: Relief, colours: Theme) -> list[Any]:
    x, y = relief.coordinates
    traces: list[Any] = [
        go.Surface(
            x=x,
            y=y,
            z=relief.heights.T,
            cmin=relief.low,
            cmax=relief.high,
            colorscale=HEIGHT,
            colorbar={**colour_bar(relief.low, relief.high, relief.logarithmic, relief.name), "len": 0.7},
            lighting={"ambient": 0.75, "diffuse": 0.5, "specular": 0.05, "roughness": 0.9},
            text=relief.texts().T,
            hovertemplate="α %{x:.3g}, β %{y:.3g}<br>%{text}<extra></extra>",
            name=relief.name,
        )
    ]
    lift = 0.012 * (relief.high - relief.low)  # so that what is on the surface is not hidden by it
    if slice2d.path is not None and len(slice2d.path):
        traces.append(
            go.Scatter3d(
                x=slice2d.path[:, 0],
                y=slice2d.path[:, 1],
                z=_heights_at(relief.heights, x, y, slice2d.path) + lift,
                mode="lines",
                line={"width": 5, "color": colours.accent},
                text=_path_texts(slice2d),
                hovertemplate="%{text}<extra></extra>",
                name="path",
            )
        )
    centre = _heights_at(relief.heights, x, y, np.zeros((1, 2)))
    traces.append(
        go.Scatter3d(
            x=[0.0],
            y=[0.0],
            z=centre + lift,
            mode="markers",
            marker={"size": 4, "color": colours.accent},
            name="these weights",
        )
    )
    return traces


def hole_traces(
    values: NDArray[np.floating], coordinates: tuple[NDArray[np.floating], ...], name: str, colours: Theme
) -> list[Any]:
    """Crosses where a value is not finite, and how many there are."""
    x, y = not_finite(values, coordinates)
    if not len(x):
        return []
    return [
        go.Scatter(
            x=x,
            y=y,
            mode="markers",
            marker={"symbol": "x-thin", "size": 6, "line": {"width": 1, "color": colours.axis}},
            hovertemplate=f"α %{{x:.3g}}, β %{{y:.3g}}<br>{name} is not finite<extra></extra>",
            name=f"{len(x)} of {values.size} not finite",
        )
    ]


def _nearness(slice2d: Slice2D) -> NDArray[np.float64]:
    """(T,) 1 for points of the path in the plane, PALEST for one as far from it as the path ever is from the centre."""
    path = np.asarray(slice2d.path, dtype=np.float64)
    away = np.zeros(len(path)) if slice2d.path_distances is None else np.asarray(slice2d.path_distances)
    gram = np.eye(2) if slice2d.gram is None else slice2d.gram
    within = np.sqrt(np.maximum(np.einsum("ti,ij,tj->t", path, gram, path), 0))
    furthest = float(np.hypot(within, away).max()) or 1.0
    return np.asarray(1 - (1 - PALEST) * away / furthest)


def _path_texts(slice2d: Slice2D) -> list[str]:
    """What is known of each point of the path: its step, its own loss, and how far it is from the plane."""
    columns = [
        ("path, step {:.0f}", slice2d.path_steps),
        ("its own loss {:.4g}", slice2d.path_losses),
        ("{:.3g} away from the plane", slice2d.path_distances),
    ]
    known = [(words, values) for words, values in columns if values is not None]
    count = 0 if slice2d.path is None else len(slice2d.path)
    return ["<br>".join(words.format(values[t]) for words, values in known) or "path" for t in range(count)]


def _remarks(slice2d: Slice2D, colours: Theme) -> list[dict[str, Any]]:
    """Checks that failed, and what one must know to read the picture at all, above it."""
    remarks = [f"check failed: {name}: {found}" for name, outcome, found in slice2d.checks if outcome == "fail"]
    if slice2d.plane == "random" and any(name == "batch norm" for name, *_ in slice2d.checks):
        remarks.append("batch norm: on a random plane, flat or sharp may be a matter of scale alone")
    place = {"x": 0, "xref": "paper", "xanchor": "left", "y": 1, "yref": "paper", "yanchor": "bottom"}
    font = {"size": 11, "color": colours.second}
    text = "<br>".join(escaped(remark) for remark in remarks)
    return [{**place, "text": text, "font": font, "showarrow": False, "align": "left"}] if remarks else []


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


def present_trace(colours: Theme) -> go.Scatter:
    """The weights that the plane was taken around."""
    marker = {"symbol": "circle", "size": 8, "color": colours.accent, "line": {"width": 1.5, "color": "#ffffff"}}
    return go.Scatter(x=[0.0], y=[0.0], mode="markers", marker=marker, name="these weights")
