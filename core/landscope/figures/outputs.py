"""Outputs: reliability diagrams, divergence from earlier outputs, and predictions that flip."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from landscope.figures.pairs import square_layout
from landscope.figures.scales import number
from landscope.figures.theme import HEIGHT, Theme, template
from landscope.measurements import Calibration, OutputChange, PredictionFlips

__all__ = ["change_figure", "flips_figure", "reliability_figure"]

_BINS = 40
_LEAST = 1e-12  # divergence below which it is drawn as so much: what rounding leaves


def reliability_figure(
    measured: Calibration, colours: Theme, *, bins: int | None = None, adaptive: bool = False
) -> go.Figure:
    """The reliability diagram: accuracy over confidence with standard errors, and how many examples there are."""
    found = measured.reliability(bins, adaptive=adaptive)
    filled = found.counts > 0
    count = len(found.counts)
    known = count == measured.bins and not adaptive and np.isfinite(measured.ece_error)
    error = f" ± {number(measured.ece_error)}" if known else ""
    chance = number(measured.chance_ece(bins, adaptive=adaptive))
    words = f"calibration error {number(measured.ece(bins, adaptive=adaptive))}{error} in {count} bins"
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": f"{words}, by chance {chance}<br>Brier score {number(measured.brier)}"},
            "xaxis": {
                "title": {"text": "probability of the predicted class"},
                "range": [-0.02, 1.02],
                "anchor": "y2",
            },
            "yaxis": {"title": {"text": "share that is right"}, "range": [-0.02, 1.05], "domain": [0.3, 1]},
            "yaxis2": {"title": {"text": "examples"}, "domain": [0, 0.22], "rangemode": "tozero"},
            "margin": {"t": 56},
            "showlegend": False,
        }
    )
    line = {"width": 1.2, "color": colours.muted, "dash": "dash"}
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=line, hoverinfo="skip", name="calibrated")
    figure.add_scatter(
        x=found.confidences[filled],
        y=found.accuracies[filled],
        mode="lines+markers",
        line={"width": 1.5, "color": colours.first},
        marker={"size": 7, "color": colours.first},
        error_y={"array": found.errors[filled], "thickness": 1.2, "width": 4},
        customdata=found.counts[filled],
        hovertemplate="confidence %{x:.3f}<br>right %{y:.3f}<br>%{customdata} examples",
        name="accuracy",
    )
    figure.add_bar(
        x=(found.edges[1:] + found.edges[:-1]) / 2,
        y=found.counts,
        width=np.diff(found.edges),
        yaxis="y2",
        marker={"color": colours.second, "line": {"width": 1, "color": colours.surface}},
        hovertemplate="%{y} examples",
        name="examples",
    )
    return figure


def change_figure(measured: OutputChange, colours: Theme, *, style: str = "flips") -> go.Figure:
    """Predictions gained, lost and changed otherwise by class; or, with style "kl", the divergences' distribution.

    Raises:
        ValueError: if the style is another.
    """
    if style not in ("flips", "kl"):
        raise ValueError(f'style must be "flips" or "kl", got {style!r}')
    shares = measured.scalars()
    words = f"KL divergence {number(shares['kl'])} nats"
    if "kl_error" in shares:
        words += f" ± {number(shares['kl_error'])}"
    words += f", {shares['flipped']:.1%} of predictions flipped"
    figure = go.Figure(layout={"template": template(colours), "title": {"text": words}})
    if style == "kl":
        counts, edges = np.histogram(np.log10(np.maximum(measured.kl, _LEAST)), bins=_BINS)
        figure.add_bar(
            x=10 ** ((edges[1:] + edges[:-1]) / 2),
            y=counts,
            width=np.diff(10**edges),
            marker={"color": colours.first},
            hovertemplate="about %{x:.2g} nats<br>%{y} examples",
            name="examples",
        )
        name = "KL divergence of an example's probabilities (nats)"
        return figure.update_layout(
            xaxis={"title": {"text": name}, "type": "log"},
            yaxis={"title": {"text": "examples"}, "rangemode": "tozero"},
        )
    classes = np.unique(measured.labels)
    otherwise = measured.flipped & ~measured.gained & ~measured.lost
    bars = (
        ("right now", measured.gained, colours.first, ""),
        ("wrong now", measured.lost, colours.second, "/"),
        ("wrong otherwise", otherwise, colours.muted, "x"),
    )
    for name, chosen, hue, pattern in bars:
        figure.add_bar(
            x=[str(label) for label in classes],
            y=[chosen[measured.labels == label].mean() for label in classes],
            marker={"color": hue, "pattern": {"shape": pattern}},
            hovertemplate="class %{x}<br>%{y:.1%}",
            name=name,
        )
    return figure.update_layout(
        xaxis={"title": {"text": "class"}, "type": "category"},
        yaxis={"title": {"text": "share of its examples"}, "rangemode": "tozero"},
        barmode="stack",
    )


def flips_figure(measured: PredictionFlips, colours: Theme) -> go.Figure:
    """The share of examples that the row's run is right about and the column's wrong."""
    names = list(measured.runs)
    title = f"{measured.scalars()['differences']:.1%} of predictions differ between two runs"
    figure = go.Figure(layout=square_layout(colours, title=title, across="wrong", down="right"))
    figure.add_heatmap(
        x=names,
        y=names,
        z=measured.flips,
        zmin=0,
        colorscale=HEIGHT,
        customdata=measured.independent,
        colorbar={"title": {"text": "share of examples", "side": "right"}},
        hovertemplate="%{y} right, %{x} wrong<br>%{z:.2%}, with independent errors %{customdata:.2%}<extra></extra>",
        name="flips",
    )
    return figure
