"""Many runs as one picture: a band over time, and the accuracies at the end against independent errors."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from landscope.figures.lines import add_band
from landscope.figures.theme import ABOVE, Theme, blend, template
from landscope.measurements import SeedBands, SeedVariance

__all__ = ["bands_figure", "variance_figure"]


def bands_figure(bands: SeedBands, colours: Theme) -> go.Figure:
    """Every run, their mean, and the band that holds the middle 80 of 100.

    Args:
        bands: The runs.
        colours: The theme.
    """
    figure = go.Figure(
        layout={
            "template": template(colours),
            "xaxis": {"title": {"text": "training (steps)"}},
            "yaxis": {"title": {"text": bands.quantity}},
            "legend": ABOVE,
        }
    )
    add_band(figure, bands.steps, bands.quantile(0.1), bands.quantile(0.9), "middle 80 % of runs", colours)
    for run, values in enumerate(bands.values):
        thin = {"width": 0.6, "color": colours.muted}
        figure.add_scatter(x=bands.steps, y=values, mode="lines", line=thin, showlegend=False, name=f"run {run + 1}")
    line = {"width": 2, "color": colours.first}
    figure.add_scatter(x=bands.steps, y=bands.mean, mode="lines", line=line, name=f"mean of {bands.runs}")
    return figure


def variance_figure(measured: SeedVariance, colours: Theme) -> go.Figure:
    """How many runs have each accuracy, against what independent errors predict.

    Args:
        measured: The runs' accuracies.
        colours: The theme.
    """
    said = "deviation {observed:.2%}; of independent errors {independent:.2%}<br>on the distribution {distribution:.2%}"
    title = said.format_map(measured.scalars())
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": title},
            "xaxis": {"title": {"text": "accuracy on the test set"}, "tickformat": ".1%"},
            "yaxis": {"title": {"text": "runs"}},
            "legend": ABOVE,
            "bargap": 0.02,
            "margin": {"t": 56},
        }
    )
    examples, likely = measured.examples, np.flatnonzero(measured.predicted > 1e-5)
    right = np.round(measured.accuracies * examples).astype(np.int64)
    low, high = min(likely[0], right.min()), max(likely[-1], right.max())
    width = max(1, int(np.ceil((high - low + 1) / 24)))
    edges = np.arange(low, high + width + 1, width)
    middles = (edges[:-1] + (width - 1) / 2) / examples
    counts = np.histogram(right, bins=edges)[0]
    sums = np.concatenate([[0.0], np.cumsum(measured.predicted)])
    expected = measured.runs * (sums[np.minimum(edges[1:], examples + 1)] - sums[np.minimum(edges[:-1], examples + 1)])
    figure.add_bar(x=middles, y=counts, marker={"color": blend(colours.first, colours.surface, 0.6)}, name="runs")
    line = {"width": 2, "color": colours.second, "dash": "dash"}
    figure.add_scatter(x=middles, y=expected, mode="lines", line=line, name="if errors were independent")
    return figure
