"""Quantities over the steps of a training, and single numbers with their errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from landscope.figures.scales import log_axis
from landscope.figures.theme import Theme, blend, template
from landscope.measurements import Collapse, Sharpness, SpectralCriteria, Trace

__all__ = [
    "add_band",
    "collapse_figure",
    "criteria_figure",
    "numbers_figure",
    "series_figure",
    "series_layout",
    "sharpness_figure",
    "trace_figure",
]

DASHES = ("solid", "dash", "dot", "dashdot")


def series_layout(rows: Sequence[tuple[str, bool]], colours: Theme) -> dict[str, Any]:
    """Empty axes, one above the other, that share their steps.

    Args:
        rows: Name with unit of each row's vertical axis, and whether it is logarithmic; the first is on top.
        colours: The theme.
    """
    gap = 0.06
    share = (1 - gap * (len(rows) - 1)) / len(rows)
    layout: dict[str, Any] = {"template": template(colours), "showlegend": False, "hovermode": "x"}
    for index, (name, logarithmic) in enumerate(rows):
        tail = "" if index == 0 else str(index + 1)
        top = 1 - index * (share + gap)
        layout[f"yaxis{tail}"] = {
            "title": {"text": name},
            "type": "log" if logarithmic else "linear",
            "domain": [max(top - share, 0.0), top],
        }
    anchor = "y" if len(rows) == 1 else f"y{len(rows)}"
    layout["xaxis"] = {"title": {"text": "training (steps)"}, "anchor": anchor}
    return layout


def series_figure(
    series: Mapping[str, tuple[ArrayLike, ArrayLike]],
    name: str,
    colours: Theme,
    *,
    logarithmic: bool = False,
    errors: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
) -> go.Figure:
    """Several quantities over the steps: a colour and a dash pattern each.

    Args:
        series: Steps and values by the series' name.
        name: Name of the vertical axis, with its unit.
        colours: The theme.
        logarithmic: Whether that axis is.
        errors: Steps and standard errors of some of them: a band of two either way, at the steps that have both.
    """
    figure = go.Figure(layout=series_layout([(name, logarithmic)], colours) | {"showlegend": len(series) > 1})
    hues = (colours.first, colours.second, colours.third, colours.muted)
    for index, (label, (steps, values)) in enumerate(series.items()):
        line = {"width": 1.5, "color": hues[index % 4], "dash": DASHES[index % 4]}
        figure.add_scatter(x=np.asarray(steps), y=np.asarray(values), mode="lines", line=line, name=label)
        if errors and label in errors:
            common, at, of = np.intersect1d(np.asarray(steps), np.asarray(errors[label][0]), return_indices=True)
            middle, width = np.asarray(values)[at], 2 * np.asarray(errors[label][1])[of]
            figure.add_scatter(
                x=np.concatenate([common, common[::-1]]),
                y=np.concatenate([middle + width, (middle - width)[::-1]]),
                mode="lines",
                line={"width": 0},
                fill="toself",
                fillcolor=blend(hues[index % 4], colours.surface, 0.22),
                hoverinfo="skip",
                showlegend=False,
                name=f"{label} ± 2 standard errors",
            )
    return figure


def sharpness_figure(sharpness: Sharpness, colours: Theme) -> go.Figure:
    """The sharpness with its bound or, where that is larger, its sampling error, and the optimiser's limit dashed."""
    operator = "preconditioned Hessian" if sharpness.preconditioned else "Hessian"
    error = max(sharpness.residual, sharpness.stderr or 0.0)
    figure = numbers_figure(["λ_max"], [sharpness.lambda_max], [error], f"eigenvalue of the {operator}", colours)
    if sharpness.threshold is not None:
        figure.add_hline(
            sharpness.threshold,
            line={"dash": "dash", "width": 1.2, "color": colours.muted},
            annotation={"text": f"stability limit: {sharpness.rule}", "font": {"size": 11, "color": colours.muted}},
        )
    return figure


def trace_figure(trace: Trace, colours: Theme) -> go.Figure:
    """The trace and, where known, the Frobenius norm, with their standard errors over the probes."""
    found = {"trace": (trace.value, trace.stderr)}
    if trace.frobenius is not None:
        found["Frobenius norm"] = (trace.frobenius, trace.frobenius_stderr or 0.0)
    values, errors = (list(column) for column in zip(*found.values(), strict=True))
    name = f"of the {trace.operator} (loss / parameter²)"
    how = "exact" if trace.method == "exact" else f"{trace.method}, {trace.probes} probes"
    return numbers_figure(list(found), values, errors, name, colours).update_layout(title={"text": how})


def criteria_figure(criteria: SpectralCriteria, colours: Theme) -> go.Figure:
    """r_e and K_H with their standard errors, and the settings that K_H for n = 1/2 depends on."""
    found = {
        "r_e": (criteria.extreme_ratio, 0.0),
        "K_H, n = 1": (criteria.k_h_1, criteria.k_h_1_stderr),
        "K_H, n = ½": (criteria.k_h_half, criteria.k_h_half_stderr),
    }
    values, errors = (list(column) for column in zip(*found.values(), strict=True))
    name = f"negative over positive curvature of the {criteria.operator} (no unit)"
    how = f"{criteria.probes} probes × {criteria.steps} steps, {criteria.deflated} vectors taken out"
    return numbers_figure(list(found), values, errors, name, colours).update_layout(title={"text": how})


def collapse_figure(collapse: Collapse, colours: Theme) -> go.Figure:
    """The quantities of neural collapse on one logarithmic axis, where zero has no place; all tend to it."""
    found = {
        "NC1<br>variability": collapse.nc1,
        "NC2<br>lengths": collapse.nc2_norms,
        "NC2<br>angles": collapse.nc2_angles,
        "NC3<br>duality": collapse.nc3,
        "NC4<br>nearest mean": collapse.nc4,
    }
    known = {name: value for name, value in found.items() if value is not None}
    figure = numbers_figure(
        list(known), list(known.values()), None, f"distance from collapse at {collapse.layer} (no unit)", colours
    )
    positive = [value for value in known.values() if value > 0]
    return figure.update_yaxes(log_axis(min(positive), max(positive)), rangemode="normal") if positive else figure


def numbers_figure(
    names: list[str], values: list[float], errors: list[float] | None, axis: str, colours: Theme
) -> go.Figure:
    """Single numbers side by side, with their errors where they have any."""
    figure = go.Figure(
        layout={
            "template": template(colours),
            "xaxis": {"title": {"text": "quantity"}, "type": "category"},
            "yaxis": {"title": {"text": axis}, "rangemode": "tozero"},
            "showlegend": False,
        }
    )
    figure.add_scatter(
        x=names,
        y=values,
        mode="markers",
        marker={"size": 9, "color": colours.first},
        error_y=None if errors is None else {"array": errors, "thickness": 1.2, "width": 5},
        hovertemplate="%{y:.5g}<extra></extra>",
        name=axis,
    )
    return figure


def add_band(figure: go.Figure, x: ArrayLike, low: ArrayLike, high: ArrayLike, name: str, colours: Theme) -> None:
    """Shades what lies between two lines, under one name in the legend."""
    edge: dict[str, Any] = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    shade = blend(colours.first, colours.surface, 0.22)
    figure.add_scatter(x=x, y=low, showlegend=False, name="low", **edge)
    figure.add_scatter(x=x, y=high, fill="tonexty", fillcolor=shade, name=name, **edge)
