"""Distributions of eigenvalues: the Hessian's density, leading eigenvalues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from landscope.figures.scales import log_axis, number, signed_log, signed_log_ticks
from landscope.figures.theme import Theme, blend, shades, template
from landscope.measurements import Eigenvalues, SpectralDensity

__all__ = [
    "density_figure",
    "density_layout",
    "eigenvalues_figure",
    "per_unit",
    "smoothed_figure",
    "waterfall_figure",
    "waterfall_layout",
]

STEM = 0.02
"""Height of the stems that mark exact eigenvalues, in density; it has no meaning."""
ROWS = 200
"""Eigenvalues at which densities are held against each other over the steps."""


def density_figure(density: SpectralDensity, colours: Theme) -> go.Figure:
    """Density per unit of u = asinh(lambda / scale) over u, with labels in lambda; leading eigenvalues as stems."""
    u = signed_log(density.grid, density.scale)
    floor = max(float(density.density.max()) * 1e-5, 1e-300)
    low, high = (np.maximum(values, floor) for values in (density.low, density.high))
    shade = blend(colours.first, colours.surface, 0.22)
    figure = go.Figure(layout=density_layout(colours) | {"title": {"text": _remarks(density)}})
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
    exact = _exact(density)
    spikes = signed_log(exact[:, 0], density.scale)
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
        customdata=exact,
        hovertemplate="λ %{customdata[0]:.4g} ± %{customdata[1]:.1g}<extra></extra>",
        name="outlying eigenvalues",
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


def _exact(density: SpectralDensity) -> NDArray[np.float64]:
    """The outlying eigenvalues of both ends, with their error bounds, in rows."""
    leading = np.stack([density.spikes, density.spike_residuals], axis=1)
    if density.negative_spikes is None or density.negative_residuals is None:
        return leading
    return np.concatenate([leading, np.stack([density.negative_spikes, density.negative_residuals], axis=1)])


def _remarks(density: SpectralDensity) -> str:
    """How negative the spectrum is, and what went wrong."""
    criteria = density.criteria()
    told = (
        f"r_e {number(criteria.extreme_ratio)}, K_H(1) {number(criteria.k_h_1)} ± {number(criteria.k_h_1_stderr)}, "
        f"K_H(½) {number(criteria.k_h_half)} ({criteria.probes} probes × {criteria.steps} steps)"
        if criteria.extreme_ratio >= 0
        else "no eigenvalue is positive"
    )
    failed = [f"check failed: {name}: {found}" for name, outcome, found in density.checks if outcome == "fail"]
    return "<br>".join([*failed, told])


def density_layout(colours: Theme) -> dict[str, Any]:
    """The empty axes of a spectral density."""
    return {
        "template": template(colours),
        "xaxis": {"title": {"text": "eigenvalue λ (loss / parameter²)"}},
        "yaxis": {"title": {"text": "density (per unit asinh λ)"}, "type": "log"},
        "showlegend": False,
    }


def waterfall_figure(densities: Sequence[SpectralDensity], colours: Theme) -> go.Figure:
    """Densities through a training: one column each over the steps, all on one signed-log axis; the largest eigenvalue.

    Every density has its own scale s. With u = asinh(lambda / s) and one scale s_0 for all, the smallest, the density
    per unit of u_0 is that per unit of u times du/du_0 = sqrt(lambda^2 + s_0^2) / sqrt(lambda^2 + s^2).

    Args:
        densities: Spectral densities whose provenance names the step, in ascending order of it.
        colours: The theme.

    Raises:
        ValueError: if there is none, or one whose step is not known.
    """
    steps = [density.provenance.step for density in densities]
    if not steps or None in steps:
        raise ValueError(f"waterfall needs at least one density, each with its step; got steps {steps}")
    scale = min(density.scale for density in densities)
    low, high = (edge(float(density.grid[end]) for density in densities) for edge, end in ((min, 0), (max, -1)))
    u = np.linspace(signed_log(low, scale), signed_log(high, scale), ROWS)
    heights = np.stack([per_unit(density, scale * np.sinh(u), scale) for density in densities], axis=1)
    floor = 0.1 / max(density.provenance.parameters or 100 for density in densities)
    figure = go.Figure(layout=waterfall_layout(colours))
    figure.add_heatmap(
        x=steps,
        y=u,
        z=np.log10(np.maximum(heights, floor)),
        colorscale=shades(colours),
        zmin=float(np.log10(floor)),
        colorbar={"title": {"text": "density (log₁₀, per unit asinh λ)"}},
        customdata=np.broadcast_to(scale * np.sinh(u)[:, None], heights.shape),
        hovertemplate="step %{x}<br>λ %{customdata:.3g}<br>log₁₀ density %{z:.2f}<extra></extra>",
        name="density",
    )
    largest = [density.spikes[0] if len(density.spikes) else np.nan for density in densities]
    limits = [np.nan if density.threshold is None else density.threshold for density in densities]
    for name, values, colour, dash in (
        ("λ max", largest, colours.second, "solid"),
        ("stability limit", limits, colours.muted, "dash"),
    ):
        if np.isfinite(values).any():
            line = {"width": 1.4, "color": colour, "dash": dash}
            figure.add_scatter(x=steps, y=signed_log(np.array(values), scale), mode="lines", line=line, name=name)
    ticks = signed_log_ticks(low, high, max(scale, 1e-6 * max(abs(low), abs(high))))
    figure.update_yaxes(tickvals=signed_log(np.array(ticks), scale), ticktext=[number(tick) for tick in ticks])
    return figure


def waterfall_layout(colours: Theme) -> dict[str, Any]:
    """The empty axes of densities through a training."""
    return {
        "template": template(colours),
        "xaxis": {"title": {"text": "training (steps)"}, "showgrid": False},
        "yaxis": {"title": {"text": "eigenvalue λ (loss / parameter²)"}, "showgrid": False},
        "showlegend": False,
    }


def per_unit(density: SpectralDensity, values: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """A density at `values`, per unit of asinh(values / scale); zero where it was not measured.

    Args:
        density: The density, per unit of asinh(lambda / s) with a scale s of its own.
        values: Eigenvalues of any shape.
        scale: The other scale.
    """
    own, at = (signed_log(where, density.scale) for where in (density.grid, values))
    stretch = np.hypot(values, scale) / np.hypot(values, density.scale)
    return np.asarray(stretch * np.interp(at, own, density.density, left=0.0, right=0.0))


def smoothed_figure(
    density: NDArray[np.float64], grid: NDArray[np.float64], colours: Theme, *, floor: float = 1e-7
) -> go.Figure:
    """A density (G,) per unit of the eigenvalue over its grid (G,), its axis logarithmic down to `floor`."""
    figure = go.Figure(
        layout={
            "template": template(colours),
            "xaxis": {"title": {"text": "eigenvalue λ (loss / parameter²)"}},
            "yaxis": {
                "title": {"text": "density (parameter² / loss)"},
                **log_axis(floor, max(float(density.max()), 10 * floor)),
            },
            "showlegend": False,
        }
    )
    line = {"width": 1.2, "color": colours.first}
    figure.add_scatter(x=grid, y=density + floor, mode="lines", line=line, name="density")
    return figure


def eigenvalues_figure(eigenvalues: Eigenvalues, colours: Theme) -> go.Figure:
    """Eigenvalues over their rank, each with the bound on its error; open markers did not converge."""
    ranks = eigenvalues.ranks
    places = np.arange(1, len(ranks) + 1)
    symbols = np.where(eigenvalues.converged, "circle", "circle-open")
    figure = go.Figure(
        layout={
            "template": template(colours),
            "xaxis": {
                "title": {"text": "rank (negative: from the smallest)" if (ranks < 0).any() else "rank"},
                "tickvals": places,
                "ticktext": [str(rank) for rank in ranks],
            },
            "yaxis": {
                "title": {"text": f"eigenvalue of the {eigenvalues.operator} ({_unit(eigenvalues.operator)})"},
                "rangemode": "tozero",
            },
        }
    )
    figure.add_scatter(
        x=places,
        y=eigenvalues.values,
        mode="markers",
        marker={"size": 8, "color": colours.first, "symbol": symbols},
        error_y={"array": eigenvalues.residuals, "thickness": 1.2, "width": 4},
        customdata=ranks,
        hovertemplate="rank %{customdata}<br>λ %{y:.5g}<extra></extra>",
        name="λ",
    )
    return figure


def _unit(operator: str) -> str:
    return "output² / parameter²" if operator.endswith("tangent kernel") else "loss / parameter²"
