"""The geometry of features: spectra, class means, distributions of cosines, and similarities."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from landscope.figures.scales import log_axis
from landscope.figures.theme import HEIGHT, SIGNED, Theme, template
from landscope.measurements import Contrast, Dimension, Geometry, Similarity

__all__ = ["contrast_figure", "dimension_figure", "geometry_figure", "similarity_figure"]


def dimension_figure(dimension: Dimension, colours: Theme) -> go.Figure:
    """The covariance's eigenvalues by rank, both logarithmic, with the dimensions in words."""
    positive = np.flatnonzero(dimension.eigenvalues > 0)
    if not positive.size:
        raise ValueError(f"features of layer {dimension.layer!r} are all equal: there is no spectrum to draw")
    values = dimension.eigenvalues[positive]
    words = f"{dimension.layer}: RankMe {dimension.effective_rank:.1f}, participation ratio "
    words += f"{dimension.participation_ratio:.1f} of {dimension.features}"
    if np.isfinite(dimension.intrinsic):
        interval = f"{dimension.intrinsic_low:.1f} to {dimension.intrinsic_high:.1f}"
        words += f", intrinsic dimension {dimension.intrinsic:.1f} ({interval})"
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": words + (f"<br>{dimension.alarm}" if dimension.alarm else "")},
            "xaxis": {"title": {"text": "rank"}, **log_axis(1, len(dimension.eigenvalues))},
            "yaxis": {
                "title": {"text": "eigenvalue of the covariance (feature²)"},
                **log_axis(float(values.min()), float(values.max())),
            },
            "margin": {"t": 56},
            "showlegend": False,
        }
    )
    figure.add_scatter(
        x=positive + 1,
        y=values,
        mode="lines+markers",
        line={"width": 1.5, "color": colours.first},
        marker={"size": 4, "color": colours.first},
        hovertemplate="rank %{x}<br>%{y:.3g}<extra></extra>",
        name="eigenvalues",
    )
    return figure


def contrast_figure(contrast: Contrast, colours: Theme) -> go.Figure:
    """Distributions of the cosines of positive and negative pairs."""
    words = f"{contrast.layer}: uniformity {contrast.uniformity:.2f}"
    for name, value in (("alignment", contrast.alignment), ("tolerance", contrast.tolerance)):
        words += "" if value is None else f", {name} {value:.2f}"
    for name, value in (("nearest neighbours", contrast.knn_accuracy), ("linear reader", contrast.probe_accuracy)):
        words += "" if value is None else f", {name} {100 * value:.0f} % right"
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": words},
            "xaxis": {"title": {"text": "cosine of two examples' features"}, "range": [-1, 1]},
            "yaxis": {"title": {"text": "density (per unit of cosine)"}, "rangemode": "tozero"},
            "showlegend": contrast.positive is not None,
        }
    )
    middles = (contrast.edges[1:] + contrast.edges[:-1]) / 2
    negative = "different classes" if contrast.positive is not None else "all pairs"
    sides = ((contrast.positive, "positive pairs", colours.first), (contrast.negative, negative, colours.second))
    for index, (density, name, hue) in enumerate(sides):
        if density is not None:
            line = {"width": 1.5, "color": hue, "shape": "hvh", "dash": ("solid", "dash")[index]}
            figure.add_scatter(x=middles, y=density, mode="lines", line=line, name=name)
    return figure


def geometry_figure(geometry: Geometry, colours: Theme, *, style: str = "spectrum") -> go.Figure:
    """One of three views.

    Args:
        geometry: What to draw.
        colours: The theme.
        style: "spectrum", "cosines" for the distributions over pairs, or "means" for the class means' cosines.

    Raises:
        ValueError: if the style is none of these, or there are no class means.
    """
    if style == "spectrum":
        return dimension_figure(geometry, colours)
    if style == "cosines":
        return contrast_figure(geometry, colours)
    if style != "means":
        raise ValueError(f'style must be "spectrum", "cosines" or "means", got {style!r}')
    if geometry.cosines is None:
        raise ValueError("there are no class means: the examples have fewer than two classes, or all the same mean")
    names = [str(index) for index in range(len(geometry.cosines))]
    title = f"{geometry.layer}: cosines of class means, {geometry.target} target"
    return _matrix(geometry.cosines, names, names, title, ("class", "class"), _signed("cosine"), colours)


def similarity_figure(similarity: Similarity, colours: Theme) -> go.Figure:
    """The matrix, its first row on top."""
    if similarity.metric == "cka":
        title, scale = "linear CKA, unbiased", {"colorscale": HEIGHT, "zmin": 0, "zmax": 1}
    else:
        title, scale = "squared Procrustes distance", {"colorscale": HEIGHT, "reversescale": True, "zmin": 0, "zmax": 2}
    scale |= {"colorbar": {"title": {"text": title}}}
    axes = ("features (name)", "features (name)")
    return _matrix(similarity.values, similarity.rows, similarity.columns, title, axes, scale, colours)


def _signed(name: str) -> dict[str, Any]:
    return {"colorscale": SIGNED, "reversescale": True, "zmin": -1, "zmax": 1, "colorbar": {"title": {"text": name}}}


def _matrix(
    values: NDArray[np.float64],
    rows: Any,
    columns: Any,
    title: str,
    axes: tuple[str, str],
    scale: dict[str, Any],
    colours: Theme,
) -> go.Figure:
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": title},
            "xaxis": {"title": {"text": axes[0]}, "type": "category", "showgrid": False},
            "yaxis": {"title": {"text": axes[1]}, "type": "category", "autorange": "reversed", "showgrid": False},
        }
    )
    figure.add_heatmap(
        x=list(columns),
        y=list(rows),
        z=values,
        hovertemplate="%{y}, %{x}<br>%{z:.3g}<extra></extra>",
        name=title,
        **scale,
    )
    return figure
