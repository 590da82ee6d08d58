"""Features of one layer as points, coloured by class, or by what the network makes of each example."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from landscope.figures.scales import log_ticks, number
from landscope.figures.theme import HEIGHT, SIGNED, Theme, categories, template
from landscope.measurements import Projection

__all__ = ["embedding_figure", "embedding_layout"]

NAMED = 10
"""With more classes than this, colours go round a circle and no class is named in the picture."""

COLOURS = ("class", "prediction", "correct", "loss", "margin", "learned")


def embedding_figure(projection: Projection, colours: Theme, *, colour: str = "class") -> go.Figure:
    """The points of every class in its colour; up to ten classes are named at their medians.

    Args:
        projection: The points.
        colours: The theme.
        colour: What colours the points: "class", "prediction", "correct", "loss", "margin" or "learned", the step
            since which each example is right.

    Raises:
        ValueError: if the colour is none of these, or the projection does not know it.
    """
    if colour not in COLOURS:
        raise ValueError(f"colour must be one of {', '.join(COLOURS)}, got {colour!r}")
    figure = go.Figure(layout=embedding_layout(projection.method, colours, projection.points.shape[1]))
    figure.update_layout(title={"text": _caption(projection)}, margin={"t": 56})
    if colour in ("loss", "margin"):
        numbers = projection.losses if colour == "loss" else projection.margins
        return _continuous(figure, projection, _known(numbers, colour), colour)
    if colour == "learned":
        return _learned(figure, projection, _known(projection.learned, colour), colours)
    if colour == "correct":
        right = _known(projection.correct, colour)
        for value, hue, name in ((True, colours.muted, "right"), (False, colours.second, "wrong")):
            _points(figure, projection.points[right == value], name, {"color": hue, "opacity": 0.75})
        return figure
    labels = projection.labels if colour == "class" else _known(projection.predictions, colour)
    hues = categories(max(projection.classes, 1 + int(labels.max(initial=0))), colours)
    word = "class" if colour == "class" else "predicted"
    for label in np.unique(labels):
        points = projection.points[labels == label]
        name = f"{word} {label}" if label >= 0 else "no class"
        hue = hues[int(label)] if label >= 0 else colours.muted
        _points(figure, points, name, {"color": hue, "opacity": 0.75})
        if points.shape[1] == 2 and projection.classes <= NAMED and label >= 0:
            x, y = np.median(points, axis=0)
            figure.add_annotation(
                x=x, y=y, text=f"<b>{label}</b>", showarrow=False, bgcolor=colours.surface, opacity=0.85
            )
    return figure


def embedding_layout(method: str, colours: Theme, dimensions: int = 2) -> dict[str, Any]:
    """Empty axes: coordinates have no unit, so only their ratio is kept."""
    shown = {"pca": "PCA", "umap": "UMAP", "fixed": "fixed axis", "means": "class means", "sphere": "direction"}
    names = [f"{shown.get(method, 'projection')} {axis} (no unit)" for axis in range(1, dimensions + 1)]
    layout: dict[str, Any] = {"template": template(colours), "showlegend": False}
    if dimensions == 3:
        return layout | {
            "scene": {f"{axis}axis": {"title": {"text": name}} for axis, name in zip("xyz", names, strict=True)}
        }
    bare = {"showgrid": False, "constrain": "domain"}
    return layout | {
        "xaxis": {"title": {"text": names[0]}, **bare},
        "yaxis": {"title": {"text": names[1]}, "scaleanchor": "x", **bare},
    }


def _caption(projection: Projection) -> str:
    """How far the picture can be trusted, and how far it moved."""
    if not np.isfinite(projection.trustworthiness):
        return f"{projection.layer}: all features are equal"
    kept = f"trustworthiness {projection.trustworthiness:.2f}"
    if projection.continuity is not None:
        kept += f", continuity {projection.continuity:.2f}"
    lines = [f"{projection.layer}: {kept} ({projection.neighbours} neighbours)"]
    if projection.displacement is not None:
        moved = f"moved {projection.displacement:.2g} radii since the frame before"
        features = projection.feature_displacement
        lines.append(moved if features is None else f"{moved}, the features {features:.2g}")
    return "<br>".join(lines)


def _known(values: NDArray[Any] | None, colour: str) -> NDArray[Any]:
    if values is None:
        raise ValueError(f"this projection has no {colour} of each example: its network or loss does not give one")
    return values


def _continuous(figure: go.Figure, projection: Projection, values: NDArray[Any], name: str) -> go.Figure:
    """Losses on a logarithmic scale, margins on one that is even about zero; the outer hundredths share a colour."""
    if name == "loss":
        low, high = projection.loss_limits or (1.0, 1.0)
        shown = np.log10(np.maximum(values, np.finfo(float).tiny))  # below the scale's end
        limits, scale, title = (np.log10(low), np.log10(high)), HEIGHT, "log₁₀ loss"
    else:
        reach = projection.margin_reach or 1.0
        shown, limits, scale, title = values, (-reach, reach), SIGNED, "margin (logits)"
    bar = {"colorscale": scale, "cmin": limits[0], "cmax": limits[1], "colorbar": {"title": {"text": title}}}
    _points(figure, projection.points, name, {"color": shown, "showscale": True, **bar}, text=values)
    return figure


def _learned(figure: go.Figure, projection: Projection, steps: NDArray[Any], colours: Theme) -> go.Figure:
    """Steps from the beginning on a logarithmic scale, log(1 + step); crosses are what is wrong."""
    known = steps >= 0
    last = float(max(projection.provenance.step or 0, steps.max(initial=0), 1))
    ticks = [0.0, *(tick for tick in log_ticks(1, max(last, 2), most=5) if tick <= last)]
    bar = {"title": {"text": "right since step"}, "tickvals": np.log1p(ticks), "ticktext": [number(t) for t in ticks]}
    scale = {"colorscale": HEIGHT, "cmin": 0, "cmax": np.log1p(last), "showscale": True, "colorbar": bar}
    hue = {"color": np.log1p(steps[known]), **scale}
    _points(figure, projection.points[known], "right since step", hue, text=steps[known], digits=",d")
    _points(figure, projection.points[~known], "wrong", {"color": colours.muted, "symbol": "x", "opacity": 0.75})
    return figure


def _points(
    figure: go.Figure,
    points: NDArray[np.float64],
    name: str,
    marker: dict[str, Any],
    text: NDArray[Any] | None = None,
    digits: str = ".3g",
) -> None:
    hover = f"{name}<extra></extra>" if text is None else f"{name} %{{customdata:{digits}}}<extra></extra>"
    common: dict[str, Any] = {"mode": "markers", "name": name, "hovertemplate": hover, "customdata": text}
    if points.shape[1] == 2:
        figure.add_scatter(x=points[:, 0], y=points[:, 1], marker={"size": 5} | marker, **common)
    else:
        figure.add_scatter3d(
            x=points[:, 0], y=points[:, 1], z=points[:, 2], marker={"size": 2.5} | marker | {"opacity": 1}, **common
        )
