"""Curvature by parameter, by class, and in the criteria of its spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from landscope.figures.scales import number, signed_log, signed_log_ticks
from landscope.figures.theme import Theme, template
from landscope.measurements import ClassSpectra, Diagonal

__all__ = ["class_spectra_figure", "diagonal_figure"]


def diagonal_figure(diagonal: Diagonal, colours: Theme) -> go.Figure:
    """The mean curvature along the elements of each parameter, with its standard error, on a signed-log axis."""
    axis = _signed_log_axis(np.concatenate([diagonal.means, [0.0]]))
    places, above, below = axis.places(diagonal.means, diagonal.mean_errors)
    how = f"XDiag, {diagonal.probes} probes" if diagonal.probes else "exact"
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": how},
            "xaxis": {"title": {"text": "parameter"}, "type": "category"},
            "yaxis": axis.layout(f"mean diagonal of the {diagonal.operator} (loss / parameter²)"),
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


def class_spectra_figure(spectra: ClassSpectra, colours: Theme) -> go.Figure:
    """Largest and smallest eigenvalues of each class's loss, classes by falling number of examples, on a signed log."""
    order = np.argsort(-spectra.counts, kind="stable")
    names = [f"{spectra.classes[i]}<br>{spectra.counts[i]}" for i in order]
    axis = _signed_log_axis(np.concatenate([spectra.largest.ravel(), spectra.smallest.ravel(), [0.0]]))
    figure = go.Figure(
        layout={
            "template": template(colours),
            "xaxis": {"title": {"text": "class, and its examples"}, "type": "category"},
            "yaxis": axis.layout(f"eigenvalue of the class's {spectra.operator} (loss / parameter²)"),
            "legend": {"orientation": "h", "y": 1.12, "x": 0},
        }
    )
    told = np.stack([spectra.losses, spectra.traces, spectra.trace_errors, spectra.ratio], axis=1)[order]
    ends = (
        ("largest", "circle", colours.first, spectra.largest, spectra.largest_residuals),
        ("smallest", "diamond", colours.second, spectra.smallest, spectra.smallest_residuals),
    )
    for name, symbol, colour, values, residuals in ends:
        for rank in range(values.shape[1]):
            places, above, below = axis.places(values[order, rank], residuals[order, rank])
            figure.add_scatter(
                x=names,
                y=places,
                mode="markers",
                marker={"size": 9, "color": colour, "symbol": symbol},
                error_y={"array": above, "arrayminus": below, "thickness": 1.2, "width": 4},
                customdata=np.column_stack([values[order, rank], residuals[order, rank], told]),
                hovertemplate="λ %{customdata[0]:.4g} ± %{customdata[1]:.1g}<br>loss %{customdata[2]:.4g}<br>"
                "trace %{customdata[3]:.4g} ± %{customdata[4]:.2g}<br>−λ_min / λ_max %{customdata[5]:.3g}",
                name=name,
                showlegend=rank == 0,
            )
    return figure


@dataclass(frozen=True)
class _SignedLogAxis:
    """An axis that is linear below `scale` and logarithmic above it, on both sides of zero."""

    scale: float
    ticks: list[float]

    def places(
        self, values: NDArray[np.float64], errors: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Where values are drawn, and how far their error bars reach up and down."""
        middle = signed_log(values, self.scale)
        return (
            middle,
            signed_log(values + errors, self.scale) - middle,
            middle - signed_log(values - errors, self.scale),
        )

    def layout(self, title: str) -> dict[str, Any]:
        """For plotly, with labels in the values."""
        places = signed_log(np.array(self.ticks), self.scale)
        return {"title": {"text": title}, "tickvals": places, "ticktext": [number(tick) for tick in self.ticks]}


def _signed_log_axis(values: NDArray[np.float64]) -> _SignedLogAxis:
    """With the smallest value but zero at the end of its linear part, within six decades of the largest."""
    sizes = np.abs(values[values != 0])
    scale = max(float(sizes.min()), 1e-6 * float(sizes.max())) if sizes.size else 1.0
    return _SignedLogAxis(scale, signed_log_ticks(float(values.min()), float(values.max()), scale))
