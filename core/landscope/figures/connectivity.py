"""The loss along a curve between two minima, and the barrier between two runs while they train."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from landscope.figures.lines import DASHES, series_layout
from landscope.figures.scales import log_axis
from landscope.figures.theme import ABOVE, Theme
from landscope.measurements import Barriers, Connection
from landscope.measurements.connectivity import chord_excess

__all__ = ["barriers_figure", "connection_figure"]

_WIDE = 20.0  # ratio of the greatest loss to the least from which on a linear axis hides the lower ones


def connection_figure(connection: Connection, colours: Theme) -> go.Figure:
    """Loss and, for classification, accuracy along the curve; the straight line between its ends beside it, dotted.

    Args:
        connection: The measured curve or line.
        colours: The theme.
    """
    rows = [("loss", _series(connection, "loss", connection.loss, colours))]
    if connection.accuracy is not None:
        rows.append(("accuracy", _series(connection, "accuracy", connection.accuracy, colours)))
    losses = np.concatenate([values for _, values, _ in rows[0][1]])
    losses = losses[np.isfinite(losses)]
    logarithmic = bool(losses.size) and 0 < _WIDE * losses.min() < losses.max()
    figure = go.Figure(layout=series_layout([(name, False) for name, _ in rows], colours))
    for row, (quantity, series) in enumerate(rows):
        for label, values, line in series:
            figure.add_scatter(
                x=connection.t,
                y=values,
                yaxis="y" if row == 0 else f"y{row + 1}",
                mode="lines",
                line=line,
                name=label,
                legendgroup=label,
                showlegend=row == 0,
                hovertemplate=f"t %{{x:.3g}}<br>{quantity} %{{y:.4g}}<extra>{label}</extra>",
            )
    if logarithmic:
        figure.update_layout(
            yaxis=log_axis(float(losses.min()), float(losses.max())) | {"title": {"text": "loss (log)"}}
        )
    detour = (
        ""
        if connection.curve == "line"
        else f"; {connection.length / connection.distance:.2f} times as long as the line"
    )
    figure.update_layout(showlegend=True, legend=ABOVE)
    figure.update_xaxes(title={"text": f"t: from the first end (0) to the second (1){detour}"}, range=[0, 1])
    return figure


def barriers_figure(barriers: Barriers, colours: Theme) -> go.Figure:
    """The straight-line barrier between two runs over their training, with two standard errors, and their distance.

    Args:
        barriers: The measured moments.
        colours: The theme.
    """
    rows: list[tuple[str, dict[str, NDArray[np.float64]]]] = [
        ("barrier (loss)", {barriers.provenance.split or "data": barriers.barrier})
    ]
    for name, values in barriers.metrics.items():
        if name.endswith("/loss"):
            rows[0][1][name.removesuffix("/loss")] = chord_excess(barriers.t, values).max(axis=1)
    if barriers.error_barrier is not None:
        rows.append(("error barrier", {barriers.provenance.split or "data": barriers.error_barrier}))
    rows.append(("distance", {"distance": barriers.distance}))
    figure = go.Figure(layout=series_layout([(name, False) for name, _ in rows], colours))
    hues = (colours.first, colours.second, colours.third, colours.muted)
    for row, (_, series) in enumerate(rows):
        for index, (label, values) in enumerate(series.items()):
            figure.add_scatter(
                x=barriers.steps,
                y=values,
                yaxis="y" if row == 0 else f"y{row + 1}",
                mode="lines",
                line={"width": 1.5, "color": hues[index % 4], "dash": DASHES[index % 4]},
                name=label,
                showlegend=row == 0,
            )
    if barriers.barrier_errors is not None:
        figure.data[0].error_y = {"array": 2 * barriers.barrier_errors, "thickness": 1, "width": 3}
    figure.update_yaxes(rangemode="tozero")
    return figure.update_layout(showlegend=len(rows[0][1]) > 1, legend=ABOVE)


def _series(
    connection: Connection, quantity: str, values: NDArray[np.float64], colours: Theme
) -> list[tuple[str, NDArray[np.float64], dict[str, Any]]]:
    """Label, values and line of every series of one quantity: a colour for each data set, the straight line dotted."""
    data = {connection.provenance.split or "data": (quantity, values)} | {
        name.removesuffix(f"/{quantity}"): (name, other)
        for name, other in connection.metrics.items()
        if name.endswith(f"/{quantity}")
    }
    hues = (colours.first, colours.second, colours.third)
    found: list[tuple[str, NDArray[np.float64], dict[str, Any]]] = []
    for index, (label, (name, along)) in enumerate(data.items()):
        line = {"width": 1.8, "color": hues[index % 3], "dash": DASHES[min(index, 1)]}
        found.append((label if connection.curve == "line" else f"{label}, {connection.curve}", along, line))
        if name in connection.straight:
            found.append((f"{label}, straight line", connection.straight[name], line | {"width": 1.3, "dash": "dot"}))
    return found
