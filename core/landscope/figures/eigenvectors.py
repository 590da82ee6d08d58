"""What leading eigenvectors are made of, layer by layer, and what goes along them."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from landscope.figures.scales import number
from landscope.figures.theme import HEIGHT, Theme, template
from landscope.measurements import EigenvectorReadout

__all__ = ["readout_figure"]


def readout_figure(measured: EigenvectorReadout, colours: Theme) -> go.Figure:
    """Above, the shares of gradient and update along each eigenvector; below, each one's mass by layer."""
    ranks = np.arange(1, len(measured.values) + 1)
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": _caption(measured)},
            "xaxis": {"title": {"text": "rank of the eigenvector"}, "dtick": 1, "anchor": "y2"},
            "yaxis": {"title": {"text": "share along it (cos²)"}, "domain": [0.6, 1.0], "rangemode": "tozero"},
            "yaxis2": {
                "title": {"text": "layer"},
                "type": "category",
                "domain": [0.0, 0.52],
                "autorange": "reversed",
                "automargin": True,
                "showgrid": False,
            },
            "margin": {"t": 56},
        }
    )
    shares = [("gradient", measured.gradient_overlap, colours.first, "")]
    if measured.update_overlap is not None:
        shares.append(("update", measured.update_overlap, colours.second, "/"))
    for name, overlap, colour, pattern in shares:
        figure.add_bar(
            x=ranks,
            y=overlap,
            marker={"color": colour, "pattern": {"shape": pattern}},
            customdata=measured.values,
            hovertemplate="rank %{x}, λ %{customdata:.4g}<br>%{y:.4f}<extra>%{fullData.name}</extra>",
            name=name,
        )
    figure.add_heatmap(
        x=ranks,
        y=list(measured.layers),
        z=measured.mass.T,
        zmin=0,
        zmax=1,
        colorscale=HEIGHT,
        colorbar={"title": {"text": "share of its length²", "side": "right"}, "len": 0.52, "y": 0.26},
        hovertemplate="rank %{x}, %{y}<br>%{z:.3f}<extra></extra>",
        name="mass",
        yaxis="y2",
    )
    return figure


def _caption(measured: EigenvectorReadout) -> str:
    gradient = float(measured.gradient_overlap.sum())
    parts = [f"{100 * gradient:.3g} % of the squared gradient" if np.isfinite(gradient) else "no gradient"]
    if measured.update_overlap is not None:
        parts.append(f"{100 * float(measured.update_overlap.sum()):.3g} % of the update")
    caption = f"{' and '.join(parts)} in the subspace (by chance {number(100 * measured.chance)} %)"
    if measured.angles is not None and len(measured.angles):
        caption += f"<br>turned by up to {np.degrees(measured.angles[0]):.3g}° since the last measurement"
    return caption
