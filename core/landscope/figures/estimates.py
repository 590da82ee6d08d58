"""Curvature by parameter, by class, and in the criteria of its spectrum."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from landscope.figures.scales import number, signed_log, signed_log_ticks
from landscope.figures.theme import Theme, template
from landscope.measurements import Diagonal

__all__ = ["diagonal_figure"]


def diagonal_figure(diagonal: Diagonal, colours: Theme) -> go.Figure:
    """The mean curvature along the elements of each parameter, with its standard error, on a signed-log axis."""
    smallest = float(np.abs(diagonal.means[diagonal.means != 0]).min(initial=np.inf))
    scale = smallest if np.isfinite(smallest) else 1.0
    places = signed_log(diagonal.means, scale)
    above = signed_log(diagonal.means + diagonal.mean_errors, scale) - places
    below = places - signed_log(diagonal.means - diagonal.mean_errors, scale)
    low, high = min(0.0, float(diagonal.means.min())), max(0.0, float(diagonal.means.max()))
    ticks = signed_log_ticks(low, high, scale)
    how = f"XDiag, {diagonal.probes} probes" if diagonal.probes else "exact"
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": how},
            "xaxis": {"title": {"text": "parameter"}, "type": "category"},
            "yaxis": {
                "title": {"text": f"mean diagonal of the {diagonal.operator} (loss / parameter²)"},
                "tickvals": signed_log(np.array(ticks), scale),
                "ticktext": [number(tick) for tick in ticks],
            },
            "showlegend": False,
        }
    )
    figure.add_scatter(
        x=list(diagonal.names),
        y=places,
        mode="markers",
        marker={"size": 8, "color": colours.first},
        error_y={"array": above, "arrayminus": below, "thickness": 1.2, "width": 4},
        customdata=np.stack([diagonal.means, diagonal.mean_errors, np.array(diagonal.sizes)], axis=1),
        hovertemplate="%{x}, %{customdata[2]} elements<br>%{customdata[0]:.4g} ± %{customdata[1]:.2g}<extra></extra>",
        name="mean diagonal",
    )
    return figure
