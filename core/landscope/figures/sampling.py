"""How a landscape settles with examples, and how random lines through it differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from landscope.figures.lines import add_band, series_layout
from landscope.figures.scales import height_scale, log_axis, log_ticks, number
from landscope.figures.theme import ABOVE, Theme, blend, template
from landscope.measurements import Ensemble, MeanCurvature, SampleConvergence

__all__ = ["convergence_figure", "curvature_lines_figure", "ensemble_figure"]


def convergence_figure(convergence: SampleConvergence, colours: Theme) -> go.Figure:
    """The change that one more example makes, with the fitted power law; and the distance from the whole picture.

    Args:
        convergence: The measurement.
        colours: The theme.
    """
    rows = [("change by one example (loss)", True), (f"distance from all {convergence.provenance.examples}", True)]
    figure = go.Figure(layout=series_layout(rows, colours) | {"showlegend": True, "legend": ABOVE})
    sizes, changes = convergence.sizes, convergence.changes
    law = np.sqrt(sizes * (sizes + 1.0)) ** convergence.slope
    known = changes > 0
    offset = float(np.mean(np.log(changes[known] / law[known]))) if known.any() else np.nan
    figure.add_scatter(
        x=sizes,
        y=changes,
        mode="markers",
        marker={"size": 6, "color": colours.first},
        error_y={"array": convergence.changes_scatter, "thickness": 1, "width": 3},
        name="|L<sub>k+1</sub> − L<sub>k</sub>|",
        hovertemplate="k %{x}<br>change %{y:.3g}<extra></extra>",
    )
    figure.add_scatter(
        x=sizes,
        y=np.exp(offset) * law,
        mode="lines",
        line={"width": 1.5, "dash": "dash", "color": colours.muted},
        name=f"∝ k<sup>{convergence.slope:.2f}</sup>".replace("-", "−"),
        hoverinfo="skip",
    )
    for name, distances, hue, dash in (
        ("loss", convergence.distances, colours.first, "solid"),
        ("above the centre", convergence.contrast_distances, colours.second, "dash"),
    ):
        figure.add_scatter(
            x=sizes,
            y=np.where(np.isfinite(distances) & (distances > 0), distances, np.nan),
            yaxis="y2",
            mode="lines",
            line={"width": 1.5, "color": hue, "dash": dash},
            name=name,
            hovertemplate="k %{x}<br>%{y:.2%} of the range<extra></extra>",
        )
    figure.add_scatter(
        x=[sizes[0], sizes[-1]],
        y=[convergence.tolerance] * 2,
        yaxis="y2",
        mode="lines",
        line={"width": 1, "color": colours.muted},
        hoverinfo="skip",
        showlegend=False,
        name="tolerance",
    )
    figure.add_annotation(
        x=np.log10(sizes[0]),
        y=np.log10(convergence.tolerance),
        yref="y2",
        text=f"{convergence.tolerance:.2g} of the range takes {_count(convergence.needed)} examples, "
        f"above the centre {_count(convergence.contrasts_needed)}",
        showarrow=False,
        xanchor="left",
        yanchor="top",
        font={"size": 11, "color": colours.muted},
    )
    figure.update_layout(
        xaxis=log_axis(float(sizes[0]), float(sizes[-1])) | {"title": {"text": "examples k"}},
        yaxis=_log(changes) | {"title": {"text": rows[0][0]}},
        yaxis2=_log(np.concatenate([convergence.distances, convergence.contrast_distances, [convergence.tolerance]]))
        | {"title": {"text": rows[1][0]}},
    )
    return figure


def ensemble_figure(ensemble: Ensemble, colours: Theme) -> go.Figure:
    """The loss along every line, their mean, and the band that holds the middle 80 of 100.

    Args:
        ensemble: The measured lines.
        colours: The theme.
    """
    _, low, high, logarithmic = height_scale(ensemble.loss, None)
    scale = log_axis(10**low, 10**high) if logarithmic else {"range": [low, high]}
    layout = {
        "template": template(colours),
        "xaxis": {"title": {"text": f"distance along each line ({ensemble.axis})"}},
        "yaxis": scale | {"title": {"text": "loss (log scale)" if logarithmic else "loss"}},
        "legend": ABOVE,
        "hovermode": "closest",
    }
    figure = go.Figure(layout=layout)
    lower, upper = (_finite(ensemble.quantile(share)) for share in (0.1, 0.9))
    add_band(figure, ensemble.radius, lower, upper, "middle 80 % of lines", colours)
    for row, losses in enumerate(ensemble.loss):
        figure.add_scatter(
            x=ensemble.radius,
            y=_finite(losses),
            mode="lines",
            line={"width": 0.8, "color": blend(colours.muted, colours.surface, 0.7)},
            name=f"{len(ensemble.loss)} lines",
            legendgroup="lines",
            showlegend=row == 0,
            hovertemplate=f"line {row + 1}: %{{x:.3g}}<br>loss %{{y:.4g}}<extra></extra>",
        )
    figure.add_scatter(
        x=ensemble.radius,
        y=_finite(ensemble.mean),
        mode="lines",
        line={"width": 2, "color": colours.first},
        name="mean",
        hovertemplate="%{x:.3g}<br>mean loss %{y:.4g}<extra></extra>",
    )
    if np.isfinite(ensemble.centre_loss):
        figure.add_scatter(
            x=[0.0],
            y=[ensemble.centre_loss],
            mode="markers",
            marker={"size": 8, "color": colours.accent},
            name="these weights",
            hovertemplate="loss %{y:.4g}<extra></extra>",
        )
    return figure


def curvature_lines_figure(mean: MeanCurvature, colours: Theme) -> go.Figure:
    """The curvature along every direction in ascending order, and their mean with two standard errors.

    Args:
        mean: The measurement.
        colours: The theme.
    """
    order = np.arange(1, len(mean.curvatures) + 1)
    figure = go.Figure(
        layout={
            "template": template(colours),
            "xaxis": {"title": {"text": "random unit directions, least curved first"}},
            "yaxis": {"title": {"text": "curvature d·Hd (loss / parameter²)"}},
            "legend": ABOVE,
        }
    )
    ends = [0.5, len(order) + 0.5]
    edge: dict[str, Any] = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "x": ends}
    figure.add_scatter(y=[mean.value - 2 * mean.stderr] * 2, showlegend=False, name="low", **edge)
    figure.add_scatter(
        y=[mean.value + 2 * mean.stderr] * 2,
        fill="tonexty",
        fillcolor=blend(colours.first, colours.surface, 0.22),
        name="two standard errors",
        **edge,
    )
    figure.add_scatter(
        x=ends,
        y=[mean.value] * 2,
        mode="lines",
        line={"width": 1.5, "color": colours.first},
        name=f"mean {number(mean.value)}",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=order,
        y=np.sort(mean.curvatures),
        mode="markers",
        marker={"size": 5, "color": colours.second},
        name=f"{len(order)} directions",
        hovertemplate="%{y:.4g}<extra></extra>",
    )
    return figure


def _count(value: float) -> str:
    return number(value) if np.isfinite(value) else "∞"


def _log(values: NDArray[np.floating]) -> dict[str, Any]:
    """A logarithmic axis over what is positive and finite."""
    known = values[np.isfinite(values) & (values > 0)]
    if not known.size:
        return {}
    low, high = float(known.min()), float(known.max())
    axis = log_axis(low, high)
    ticks = log_ticks(low, max(high, low * 1.1), most=5)
    return axis | {"tickvals": ticks, "ticktext": [number(tick) for tick in ticks]}


def _finite(values: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.where(np.isfinite(values), values, np.nan)
