"""Loss curves with their laws and forecasts, and the bound of a schedule."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from landscope.figures.lines import add_band, series_layout
from landscope.figures.theme import ABOVE, Theme, template
from landscope.measurements import Forecast, LossLaw, ScheduleBound

__all__ = ["forecast_figure", "law_figure", "schedule_figure"]


def law_figure(law: LossLaw, colours: Theme) -> go.Figure:
    """The losses, the law, and below them the relative residuals.

    Args:
        law: The fitted law.
        colours: The theme.
    """
    rows = [("loss", False), ("residual (share of loss)", False)]
    figure = go.Figure(layout=series_layout(rows, colours) | {"showlegend": True, "legend": ABOVE})
    points = {"size": 4, "color": colours.muted}
    figure.add_scatter(x=law.steps, y=law.losses, mode="markers", marker=points, name="measured")
    constants = f"{law.floor:.3g} + {law.scale:.3g} x<sup>−{law.exponent:.2g}</sup>"
    annealed = f" − {law.annealing:.3g} S<sub>2</sub>" if law.annealing > 0 else ""
    line = {"width": 2, "color": colours.first}
    figure.add_scatter(x=law.steps, y=law.fitted, mode="lines", line=line, name=constants + annealed)
    figure.add_scatter(
        x=law.steps,
        y=(law.losses - law.fitted) / law.fitted,
        yaxis="y2",
        mode="markers",
        marker=points,
        showlegend=False,
        name="residual",
    )
    figure.add_hline(y=0, yref="y2", line={"width": 1, "color": colours.axis})
    return figure


def forecast_figure(made: Forecast, colours: Theme) -> go.Figure:
    """What was expected, the band of two standard errors, and what came.

    Args:
        made: The forecast.
        colours: The theme.
    """
    scored = "" if made.error is None else f"off by {made.error:.1%} on average, {made.coverage:.0%} within the band"
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": scored},
            "xaxis": {"title": {"text": "training (steps)"}},
            "yaxis": {"title": {"text": "loss"}},
            "legend": ABOVE,
            "margin": {"t": 44},
        }
    )
    add_band(figure, made.steps, made.low, made.high, "± 2 standard errors", colours)
    line = {"width": 2, "color": colours.first}
    figure.add_scatter(x=made.steps, y=made.expected, mode="lines", line=line, name=f"from step {made.made_at:,}")
    if made.observed is not None:
        points = {"size": 4, "color": colours.second}
        figure.add_scatter(x=made.steps, y=made.observed, mode="markers", marker=points, name="came")
    return figure


def schedule_figure(measured: ScheduleBound, colours: Theme) -> go.Figure:
    """The bound at every step, split in its two terms, and the schedule below.

    Args:
        measured: The bound.
        colours: The theme.
    """
    rows = [("bound on f − f* (units of loss)", True), ("learning rate", False)]
    figure = go.Figure(layout=series_layout(rows, colours) | {"showlegend": True, "legend": ABOVE})
    steps = np.arange(1, len(measured.rates) + 1)
    for name, values, hue, dash in (
        ("bound", measured.bound, colours.first, "solid"),
        ("from the distance", measured.distance, colours.second, "dash"),
        ("from the gradients", measured.noise, colours.third, "dot"),
    ):
        figure.add_scatter(x=steps, y=values, mode="lines", line={"width": 1.5, "color": hue, "dash": dash}, name=name)
    line = {"width": 1.5, "color": colours.muted}
    figure.add_scatter(x=steps, y=measured.rates, yaxis="y2", mode="lines", line=line, showlegend=False, name="rate")
    figure.update_layout(yaxis2={"rangemode": "tozero"})
    return figure
