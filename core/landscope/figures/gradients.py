"""Gradients: their noise by layer and group, their conflicts, their turns, and what a step does to the gap."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from landscope.figures.lines import DASHES, numbers_figure, series_layout
from landscope.figures.pairs import pairs_figure
from landscope.figures.scales import log_axis, number
from landscope.figures.theme import ABOVE, Theme, blend, categories, template
from landscope.measurements import GapChange, GradientConflict, GradientStatistics, UpdatePath

__all__ = ["conflict_figure", "gap_figure", "gradient_figure", "path_figure"]

_SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up", "x")


def gradient_figure(measured: GradientStatistics, colours: Theme, *, style: str = "noise") -> go.Figure:
    """The noise scale by layer and group; or, with style "batches", how batches agree with all examples.

    Raises:
        ValueError: if the style is another.
    """
    if style == "noise":
        return _noise_figure(measured, colours)
    if style == "batches":
        return _batches_figure(measured, colours)
    raise ValueError(f'style must be "noise" or "batches", got {style!r}')


def _noise_figure(measured: GradientStatistics, colours: Theme) -> go.Figure:
    finite = measured.noise_scales[np.isfinite(measured.noise_scales) & (measured.noise_scales > 0)]
    if not finite.size:
        raise ValueError("no noise scale is finite: the mean gradient is hidden by noise; measure more examples")
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": _noise_words(measured)},
            "xaxis": {"title": {"text": "layer"}, "type": "category"},
            "yaxis": {
                "title": {"text": "noise scale tr Σ / |G|² (examples)"},
                **log_axis(float(finite.min()), float(finite.max())),
            },
            "margin": {"t": 56},
        }
    )
    hues = [colours.text, *categories(len(measured.groups) - 1, colours)]
    for row, (group, hue) in enumerate(zip(measured.groups, hues, strict=True)):
        values, errors = measured.noise_scales[row], measured.noise_scale_errors[row]
        figure.add_scatter(
            x=list(measured.layers),
            y=np.where(np.isfinite(values), values, np.nan),
            mode="markers",
            marker={"size": 10 if row == 0 else 7, "color": hue, "symbol": _SYMBOLS[row % len(_SYMBOLS)]},
            error_y={"array": np.nan_to_num(errors), "thickness": 1.2, "width": 4} if row == 0 else None,
            customdata=np.stack([errors, measured.norms[row], measured.traces[row]], axis=1),
            hovertemplate="%{y:.4g} ± %{customdata[0]:.2g}<br>|mean gradient| %{customdata[1]:.4g}<br>"
            "tr Σ %{customdata[2]:.4g}",
            name=f"{group} ({measured.counts[row]})",
        )
    return figure


def _noise_words(measured: GradientStatistics) -> str:
    scale, error = measured.critical_batch_size, float(measured.noise_scale_errors[0, 0])
    if not np.isfinite(scale):
        return f"noise hides the mean gradient of {measured.counts[0]} examples"
    spread = f" ± {number(error)}" if np.isfinite(error) else ""
    return f"critical batch size about {number(scale)}{spread} examples"


def _batches_figure(measured: GradientStatistics, colours: Theme) -> go.Figure:
    sizes, cosines, spread = measured.batch_sizes, measured.batch_cosines, measured.batch_cosine_deviations
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": f"batches of {measured.counts[0]} examples"},
            "xaxis": {"title": {"text": "batch size (examples)"}, **log_axis(1, max(2, float(sizes[-1])))},
            "yaxis": {"title": {"text": "agreement of gradients (no unit)"}, "rangemode": "tozero"},
            "legend": ABOVE,
            "margin": {"t": 64},
        }
    )
    figure.add_scatter(
        x=np.concatenate([sizes, sizes[::-1]]),
        y=np.concatenate([cosines + spread, (cosines - spread)[::-1]]),
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=blend(colours.first, colours.surface, 0.22),
        hoverinfo="skip",
        showlegend=False,
        name="± one standard deviation",
    )
    lines = (
        ("cosine with all examples", cosines, colours.first),
        ("direction variance", measured.direction_variances, colours.second),
    )
    for index, (name, values, hue) in enumerate(lines):
        line = {"width": 1.5, "color": hue, "dash": DASHES[index]}
        figure.add_scatter(x=sizes, y=values, mode="lines+markers", line=line, name=name)
    return figure


def conflict_figure(measured: GradientConflict, colours: Theme, *, layer: str = "all") -> go.Figure:
    """The cosines of the parts' gradients over one layer, or over all.

    Raises:
        ValueError: if there is no such layer.
    """
    if layer not in measured.layers:
        raise ValueError(f"layer must be one of {', '.join(measured.layers)}, got {layer!r}")
    shares = measured.scalars()
    words = f"{100 * shares['conflicts']:.0f} % of pairs in conflict" if shares else "no gradient"
    return pairs_figure(
        measured.parts,
        measured.cosines[measured.layers.index(layer)],
        colours,
        title=words if layer == "all" else f"layer {layer}; over all layers {words}",
        axis="part",
        quantity="cosine of gradients",
    )


def path_figure(measured: UpdatePath, colours: Theme) -> go.Figure:
    """Lengths of the updates above, the cosines of successive ones below."""
    layout = series_layout([("update length (parameter)", True), ("cosine with the update before", False)], colours)
    straight = measured.directness[0]
    words = f"distance over length of the path: {straight:.3g}" if np.isfinite(straight) else "nothing moved"
    figure = go.Figure(layout=layout | {"title": {"text": words}, "showlegend": len(measured.layers) > 1})
    hues = [colours.text, *categories(len(measured.layers) - 1, colours)]
    for index, (layer, hue) in enumerate(zip(measured.layers, hues, strict=True)):
        line = {"width": 2 if index == 0 else 1.2, "color": hue, "dash": DASHES[index % len(DASHES)]}
        lengths = measured.lengths[:, index]
        figure.add_scatter(
            x=measured.steps[1:],
            y=np.where(lengths > 0, lengths, np.nan),
            mode="lines",
            line=line,
            name=layer,
            legendgroup=layer,
        )
        figure.add_scatter(
            x=measured.steps[2:],
            y=measured.cosines[:, index],
            yaxis="y2",
            mode="lines",
            line=line,
            name=layer,
            legendgroup=layer,
            showlegend=False,
        )
    positive = measured.lengths[measured.lengths > 0]
    if positive.size:
        figure.update_layout(yaxis=log_axis(float(positive.min()), float(positive.max())))
    return figure.update_layout(yaxis2={"range": [-1.05, 1.05]})


def gap_figure(measured: GapChange, colours: Theme) -> go.Figure:
    """The change of the gap as the covariance and both gradients predict it, and as it is."""
    found = {
        "lr tr Σ / N<br>covariance": (measured.covariance, measured.covariance_error),
        "−lr G·(G′ − G)<br>first order": (measured.first_order, 0.0),
        "measured": (measured.measured, measured.measured_error),
    }
    values, errors = (list(column) for column in zip(*found.values(), strict=True))
    return numbers_figure(list(found), values, errors, "change of the gap by one step (loss)", colours)
