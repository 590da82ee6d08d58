"""Distributions of eigenvalues: the Hessian's density, leading eigenvalues, and a kernel's spectrum."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from landscope.figures.scales import log_axis, number, signed_log, signed_log_ticks
from landscope.figures.theme import Theme, blend, template
from landscope.measurements import NTK, Eigenvalues, SpectralDensity

__all__ = ["density_figure", "density_layout", "eigenvalues_figure", "kernel_figure"]

STEM = 0.02
"""Height of the stems that mark exact eigenvalues, in density; it has no meaning."""


def density_figure(density: SpectralDensity, colours: Theme) -> go.Figure:
    """Density per unit of u = asinh(lambda / scale) over u, with labels in lambda; leading eigenvalues as stems."""
    u = signed_log(density.grid, density.scale)
    floor = max(float(density.density.max()) * 1e-5, 1e-300)
    low, high = (np.maximum(values, floor) for values in (density.low, density.high))
    shade = blend(colours.first, colours.surface, 0.22)
    figure = go.Figure(layout=density_layout(colours))
    figure.add_scatter(x=u, y=low, mode="lines", line={"width": 0}, hoverinfo="skip", name="low")
    figure.add_scatter(
        x=u,
        y=high,
        mode="lines",
        line={"width": 0},
        fill="tonexty",
        fillcolor=shade,
        hoverinfo="skip",
        name="90 % band",
    )
    figure.add_scatter(
        x=u,
        y=np.maximum(density.density, floor),
        mode="lines",
        line={"width": 1.5, "color": colours.first},
        customdata=density.grid,
        hovertemplate="λ %{customdata:.3g}<br>density %{y:.3g}<extra></extra>",
        name="density",
    )
    spikes = signed_log(density.spikes, density.scale)
    figure.add_scatter(
        x=np.repeat(spikes, 3),
        y=np.tile([floor, STEM, np.nan], len(spikes)),
        mode="lines",
        line={"width": 1, "color": colours.second},
        hoverinfo="skip",
        name="stems",
    )
    figure.add_scatter(
        x=spikes,
        y=np.full(len(spikes), STEM),
        mode="markers",
        marker={"size": 5, "color": colours.second},
        customdata=np.stack([density.spikes, density.spike_residuals], axis=1),
        hovertemplate="λ %{customdata[0]:.4g} ± %{customdata[1]:.1g}<extra></extra>",
        name="leading eigenvalues",
    )
    largest = max(abs(float(density.grid[0])), abs(float(density.grid[-1])))
    ticks = signed_log_ticks(float(density.grid[0]), float(density.grid[-1]), max(density.scale, largest * 1e-6))
    figure.update_xaxes(tickvals=signed_log(np.array(ticks), density.scale), ticktext=[number(tick) for tick in ticks])
    figure.update_yaxes(log_axis(floor, 2 * float(density.density.max())))
    if density.threshold is not None:
        figure.add_vline(
            float(signed_log(density.threshold, density.scale)),
            line={"dash": "dash", "width": 1.2, "color": colours.muted},
            annotation={"text": "stability limit", "font": {"size": 11, "color": colours.muted}},
        )
    return figure


def density_layout(colours: Theme) -> dict[str, Any]:
    """The empty axes of a spectral density."""
    return {
        "template": template(colours),
        "xaxis": {"title": {"text": "eigenvalue λ (loss / parameter²)"}},
        "yaxis": {"title": {"text": "density (per unit asinh λ)"}, "type": "log"},
        "showlegend": False,
    }


def eigenvalues_figure(eigenvalues: Eigenvalues, colours: Theme) -> go.Figure:
    """Eigenvalues over their rank, each with the bound on its error; open markers did not converge."""
    rank = np.arange(1, len(eigenvalues.values) + 1)
    symbols = np.where(eigenvalues.converged, "circle", "circle-open")
    figure = go.Figure(
        layout={
            "template": template(colours),
            "xaxis": {"title": {"text": "rank"}, "dtick": 1},
            "yaxis": {
                "title": {"text": f"eigenvalue of the {eigenvalues.operator} (loss / parameter²)"},
                "rangemode": "tozero",
            },
        }
    )
    figure.add_scatter(
        x=rank,
        y=eigenvalues.values,
        mode="markers",
        marker={"size": 8, "color": colours.first, "symbol": symbols},
        error_y={"array": eigenvalues.residuals, "thickness": 1.2, "width": 4},
        hovertemplate="rank %{x}<br>λ %{y:.5g}<extra></extra>",
        name="λ",
    )
    return figure


def kernel_figure(ntk: NTK, colours: Theme) -> go.Figure:
    """The kernel's positive eigenvalues over their rank, both on logarithmic axes.

    Raises:
        ValueError: if none is positive.
    """
    positive = ntk.eigenvalues[ntk.eigenvalues > 0]
    if not len(positive):
        raise ValueError(
            f"none of the kernel's {len(ntk.eigenvalues)} eigenvalues is positive: there is nothing to draw"
        )
    rank = np.arange(1, len(positive) + 1)  # they descend, so the positive ones come first
    alignment = "" if ntk.alignment is None else f", label alignment {ntk.alignment:.3f}"
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": f"effective rank {ntk.effective_rank:.1f}{alignment}"},
            "xaxis": {"title": {"text": "rank"}, **log_axis(1, len(rank))},
            "yaxis": {
                "title": {"text": "eigenvalue of the kernel (output² / parameter²)"},
                **log_axis(float(positive.min()), float(positive.max())),
            },
        }
    )
    figure.add_scatter(
        x=rank,
        y=positive,
        mode="lines+markers",
        line={"width": 1.2, "color": colours.first},
        marker={"size": 4},
        hovertemplate="rank %{x}<br>%{y:.4g}<extra></extra>",
        name="eigenvalue",
    )
    return figure
