"""Weights: their singular values, how far they have come, what their units do, and how well they still learn."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from landscope.figures.lines import DASHES, series_layout
from landscope.figures.scales import log_axis, number
from landscope.figures.theme import ABOVE, Theme, categories, template
from landscope.measurements import Plasticity, UnitActivity, WeightStatistics

__all__ = ["plasticity_figure", "units_figure", "weights_figure"]


def weights_figure(measured: WeightStatistics, colours: Theme, *, style: str = "spectra") -> go.Figure:
    """The singular values of every matrix by rank; or, with style "distance", how far each parameter has come.

    Raises:
        ValueError: if the style is another, or there is nothing to draw in it.
    """
    if style == "spectra":
        return _spectra_figure(measured, colours)
    if style == "distance":
        return _distance_figure(measured, colours)
    raise ValueError(f'style must be "spectra" or "distance", got {style!r}')


def _spectra_figure(measured: WeightStatistics, colours: Theme) -> go.Figure:
    spectra = measured.singular_values
    positive = np.concatenate([values[values > 0] for values in spectra.values()] or [np.empty(0)])
    if not positive.size:
        raise ValueError("no parameter is a matrix other than zero: there are no singular values to draw")
    longest = max(len(values) for values in spectra.values())
    figure = go.Figure(
        layout={
            "template": template(colours),
            "xaxis": {"title": {"text": "rank"}, **log_axis(1, max(longest, 2))},
            "yaxis": {
                "title": {"text": "singular value (parameter)"},
                **log_axis(float(positive.min()), float(positive.max())),
            },
            "showlegend": True,
        }
    )
    ranks = dict(zip(measured.names, measured.stable_ranks, strict=True))
    for index, (name, hue) in enumerate(zip(spectra, categories(len(spectra), colours), strict=True)):
        figure.add_scatter(
            x=np.arange(1, len(spectra[name]) + 1),
            y=np.where(spectra[name] > 0, spectra[name], np.nan),
            mode="lines+markers",
            line={"width": 1.5, "color": hue, "dash": DASHES[index % len(DASHES)]},
            marker={"size": 4, "color": hue},
            hovertemplate="rank %{x}<br>%{y:.4g}",
            name=f"{name}, stable rank {number(ranks[name])}",
        )
    return figure


def _distance_figure(measured: WeightStatistics, colours: Theme) -> go.Figure:
    if measured.distances is None or measured.wassersteins is None:
        raise ValueError("distances are not known: measure with start=, the weights where training began")
    roots = np.sqrt(np.maximum(measured.sizes, 1))
    lines = {
        "each element": measured.distances / roots,
        "their distribution (Wasserstein)": measured.wassersteins,
        "size of the elements": measured.norms / roots,
    }
    positive = np.concatenate([values[values > 0] for values in lines.values()])
    if not positive.size:
        raise ValueError("all weights are zero, and have not moved")
    figure = go.Figure(
        layout={
            "template": template(colours),
            "xaxis": {"title": {"text": "parameter"}, "type": "category"},
            "yaxis": {
                "title": {"text": "root mean square (parameter)"},
                **log_axis(float(positive.min()), float(positive.max())),
            },
            "legend": ABOVE,
        }
    )
    looks = zip((colours.first, colours.second, colours.muted), ("circle", "diamond", "line-ew-open"), strict=True)
    for (name, values), (hue, symbol) in zip(lines.items(), looks, strict=True):
        figure.add_scatter(
            x=list(measured.names),
            y=np.where(values > 0, values, np.nan),
            mode="markers",
            marker={"size": 9, "color": hue, "symbol": symbol},
            hovertemplate="%{x}<br>%{y:.4g}",
            name=name,
        )
    return figure


def units_figure(measured: UnitActivity, colours: Theme) -> go.Figure:
    """The shares of dead, dormant and saturated units of each layer."""
    figure = go.Figure(
        layout={
            "template": template(colours),
            "xaxis": {"title": {"text": "layer, and its function"}, "type": "category"},
            "yaxis": {"title": {"text": "share of units (no unit)"}, "range": [0, 1.02]},
            "barmode": "group",
            "legend": ABOVE,
        }
    )
    names = [f"{layer}<br>{name}" for layer, name in zip(measured.layers, measured.functions, strict=True)]
    bars = (
        ("dead", measured.dead, colours.first, ""),
        (f"dormant, below {number(measured.tolerance)}", measured.dormant, colours.second, "/"),
        ("saturated", measured.saturated, colours.third, "x"),
    )
    for name, shares, hue, pattern in bars:
        figure.add_bar(
            x=names,
            y=shares,
            marker={"color": hue, "pattern": {"shape": pattern}},
            customdata=measured.units,
            hovertemplate="%{y:.1%} of %{customdata} units",
            name=name,
        )
    return figure


def plasticity_figure(measured: Plasticity, colours: Theme) -> go.Figure:
    """Loss and accuracy on random labels over the probe's steps, beside those of the network at its start."""
    sides = [("now", measured.losses, measured.accuracies, colours.first)]
    if measured.fresh_losses is not None:
        sides.append(("at the start of training", measured.fresh_losses, measured.fresh_accuracies, colours.second))
    rows = [("loss on random labels", False)]
    if measured.accuracies is not None:
        rows.append(("random labels learned (share)", False))
    words = f"sharpness {number(measured.lambda_max)}, Adam with learning rate {number(measured.lr)}"
    layout = series_layout(rows, colours) | {"title": {"text": words}, "showlegend": True}
    figure = go.Figure(layout=layout).update_xaxes(title={"text": "steps of the probe"})
    for index, (name, losses, accuracies, hue) in enumerate(sides):
        line = {"width": 1.5, "color": hue, "dash": DASHES[index]}
        steps = np.arange(len(losses))
        figure.add_scatter(x=steps, y=losses, mode="lines", line=line, name=name, legendgroup=name)
        if accuracies is not None:
            figure.add_scatter(
                x=steps,
                y=accuracies,
                yaxis="y2",
                mode="lines",
                line=line,
                name=name,
                legendgroup=name,
                showlegend=False,
            )
    return figure
