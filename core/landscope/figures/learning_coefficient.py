"""The Langevin chains behind a local learning coefficient, and how it depends on their settings."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from landscope.figures.lines import series_layout
from landscope.figures.theme import HEIGHT, Theme, blend, template
from landscope.measurements import CoefficientCalibration, LearningCoefficient

__all__ = ["calibration_figure", "coefficient_figure"]


def coefficient_figure(measured: LearningCoefficient, colours: Theme) -> go.Figure:
    """The loss of every chain and its distance from the first weights; the burn-in is shaded.

    Args:
        measured: The estimate with its chains.
        colours: The theme.
    """
    layout = series_layout([("loss", False), ("distance (parameters' units)", False)], colours)
    agreed = "chains agree" if measured.reliable else "not to be believed: chains disagree or went down"
    title = f"{measured.value:.3g} ± {measured.stderr:.2g}<br>mixing {measured.mixing:.3f}: {agreed}"
    figure = go.Figure(layout=layout | {"title": {"text": title}, "margin": {"t": 56}})
    steps = np.arange(1, measured.losses.shape[1] + 1)
    for chain, (losses, distances) in enumerate(zip(measured.losses, measured.distances, strict=True)):
        line = {"width": 1, "color": colours.palette[chain % len(colours.palette)]}
        name = f"chain {chain + 1}"
        figure.add_scatter(x=steps, y=losses, mode="lines", line=line, name=name)
        figure.add_scatter(x=steps, y=distances, yaxis="y2", mode="lines", line=line, name=name)
    figure.add_hline(y=measured.start, line={"width": 1, "dash": "dash", "color": colours.muted})
    if measured.burn_in:
        shade = blend(colours.muted, colours.surface, 0.15)
        figure.add_vrect(x0=0.5, x1=measured.burn_in + 0.5, fillcolor=shade, line={"width": 0}, layer="below")
    figure.update_layout(xaxis={"title": {"text": "steps of the dynamics (burn-in shaded)"}})
    return figure


def calibration_figure(measured: CoefficientCalibration, colours: Theme) -> go.Figure:
    """The estimate for every pair of step and pull, each with its error; those not to be believed in brackets.

    Args:
        measured: The estimates.
        colours: The theme.
    """
    figure = go.Figure(
        layout={
            "template": template(colours),
            "xaxis": {"title": {"text": "pull γ (share of nβλ<sub>max</sub>)"}, "type": "category"},
            "yaxis": {"title": {"text": "step ε (share of the inverse curvature)"}, "type": "category"},
        }
    )
    said = np.full(measured.values.shape, "diverged", dtype=object)
    for place in zip(*np.nonzero(np.isfinite(measured.values)), strict=True):
        text = f"{measured.values[place]:.3g} ± {measured.stderrs[place]:.1g}"
        said[place] = text if measured.believable[place] else f"({text})"
    figure.add_heatmap(
        x=[f"{share:g}" for share in measured.pull_shares],
        y=[f"{share:g}" for share in measured.step_shares],
        z=measured.values,
        text=said,
        texttemplate="%{text}",
        colorscale=HEIGHT,
        colorbar={"title": {"text": "learning coefficient", "side": "right"}},
        customdata=measured.mixing,
        hovertemplate="step %{y}, pull %{x}<br>%{text}<br>mixing %{customdata:.3f}<extra></extra>",
        name="coefficient",
    )
    return figure
