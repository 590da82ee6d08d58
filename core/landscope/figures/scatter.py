"""Features of one layer as points, coloured by class."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from landscope.figures.theme import Theme, categories, template
from landscope.measurements import Projection

__all__ = ["embedding_figure", "embedding_layout"]

NAMED = 10
"""With more classes than this, colours go round a circle and no class is named in the picture."""


def embedding_figure(projection: Projection, colours: Theme) -> go.Figure:
    """The points of every class in its colour; up to ten classes are named at their medians."""
    figure = go.Figure(layout=embedding_layout(projection.method, colours, projection.points.shape[1]))
    flat = projection.points.shape[1] == 2
    hues = categories(max(projection.classes, 1), colours)
    for label in np.unique(projection.labels):
        points = projection.points[projection.labels == label]
        colour = hues[int(label) % len(hues)] if label >= 0 else colours.muted
        name = f"class {label}" if label >= 0 else "no class"
        common: dict[str, Any] = {"mode": "markers", "name": name, "hovertemplate": f"{name}<extra></extra>"}
        if flat:
            figure.add_scatter(
                x=points[:, 0], y=points[:, 1], marker={"size": 5, "color": colour, "opacity": 0.75}, **common
            )
            if projection.classes <= NAMED and label >= 0:
                x, y = np.median(points, axis=0)
                figure.add_annotation(
                    x=x, y=y, text=f"<b>{label}</b>", showarrow=False, bgcolor=colours.surface, opacity=0.85
                )
        else:
            figure.add_scatter3d(
                x=points[:, 0], y=points[:, 1], z=points[:, 2], marker={"size": 2.5, "color": colour}, **common
            )
    return figure


def embedding_layout(method: str, colours: Theme, dimensions: int = 2) -> dict[str, Any]:
    """Empty axes: coordinates have no unit, so only their ratio is kept."""
    names = [f"{method.upper() or 'projection'} {axis} (no unit)" for axis in range(1, dimensions + 1)]
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
