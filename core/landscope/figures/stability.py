"""Stability of stochastic gradient descent: how much the curvatures of single examples have in common."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from landscope.figures.theme import HEIGHT, Theme, template
from landscope.measurements import SGDStability

__all__ = ["stability_figure"]


def stability_figure(measured: SGDStability, colours: Theme) -> go.Figure:
    """The cosines S_ij / (S_ii S_jj)^1/2 of the examples' curvatures, with the verdict above."""
    lengths = np.sqrt(np.diag(measured.similarities))
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = measured.similarities / np.outer(lengths, lengths)
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": f"coherence {measured.coherence:.3g}<br>{measured.verdict}"},
            "xaxis": {"title": {"text": "example"}, "constrain": "domain", "showgrid": False},
            "yaxis": {
                "title": {"text": "example"},
                "autorange": "reversed",
                "scaleanchor": "x",
                "constrain": "domain",
                "showgrid": False,
            },
            "margin": {"t": 56},
        }
    )
    figure.add_heatmap(
        z=cosines,
        zmin=0,
        zmax=1,
        colorscale=HEIGHT,
        colorbar={"title": {"text": "agreement<br>of curvatures", "side": "right"}},
        hovertemplate="examples %{x} and %{y}<br>%{z:.3f}<extra></extra>",
        name="agreement",
    )
    return figure
