"""The tangent kernel and what it says of a training: power laws, laziness, residuals by mode, other predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from landscope.figures.scales import log_axis
from landscope.figures.theme import HEIGHT, Theme, sequential, signed, template
from landscope.measurements import (
    NTK,
    Eigenmodes,
    KernelRegression,
    Laziness,
    Linearisation,
    PowerLaws,
    WidthScaling,
)

__all__ = [
    "eigenmodes_figure",
    "kernel_figure",
    "kernel_history_figure",
    "laziness_figure",
    "laziness_history_figure",
    "linearisation_figure",
    "power_laws_figure",
    "regression_figure",
    "width_scaling_figure",
]

_UNIT = "output² / parameter²"
_MOST_MODES = 12


def kernel_figure(ntk: NTK, colours: Theme, *, style: str = "spectrum") -> go.Figure:
    """The kernel's eigenvalues, its matrix, or its layers.

    Args:
        ntk: The kernel.
        colours: The theme.
        style: "spectrum" for the positive eigenvalues over their rank, both logarithmic; "matrix" for the Gram matrix,
            ordered by class; "cosines" for that of gradients of length one, by blocks of examples; "layers" for each
            layer's share of the trace.

    Raises:
        ValueError: if the style is none of these, or the kernel lacks what it shows.
    """
    builders = {"spectrum": _spectrum, "matrix": _matrix, "cosines": _cosines, "layers": _layers}
    if style not in builders:
        raise ValueError(f'style must be "spectrum", "matrix", "cosines" or "layers", got {style!r}')
    return builders[style](ntk, colours)


def _spectrum(ntk: NTK, colours: Theme) -> go.Figure:
    positive = ntk.eigenvalues[ntk.eigenvalues > 0]
    if not len(positive):
        raise ValueError(
            f"none of the kernel's {len(ntk.eigenvalues)} eigenvalues is positive: there is nothing to draw"
        )
    rank = np.arange(1, len(positive) + 1)  # they descend, so the positive ones come first
    alignment = "" if ntk.alignment is None else f", label alignment {ntk.alignment:.3f}"
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": f"effective rank {ntk.effective_rank:.1f}{alignment}"},
            "xaxis": {"title": {"text": "rank"}, **log_axis(1, len(rank))},
            "yaxis": {
                "title": {"text": f"eigenvalue of the {ntk.gram_kind} kernel ({_UNIT})"},
                **log_axis(float(positive.min()), float(positive.max())),
            },
        }
    )
    figure.add_scatter(
        x=rank,
        y=positive,
        mode="lines+markers",
        line={"width": 1.2, "color": colours.first},
        marker={"size": 4},
        hovertemplate="rank %{x}<br>%{y:.4g}<extra></extra>",
        name="eigenvalue",
    )
    return figure


def _layers(ntk: NTK, colours: Theme) -> go.Figure:
    if ntk.layer_shares is None:
        raise ValueError("the kernel was measured as a whole; measure it with by_layer=True")
    figure = go.Figure(
        layout={
            "template": template(colours),
            "xaxis": {"title": {"text": f"share of the {ntk.gram_kind} kernel's trace"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": "layer"}, "type": "category", "autorange": "reversed", "automargin": True},
            "showlegend": False,
        }
    )
    figure.add_bar(
        x=ntk.layer_shares,
        y=list(ntk.layer_names),
        orientation="h",
        marker={"color": colours.first},
        hovertemplate="%{y}: %{x:.4g}<extra></extra>",
    )
    return figure


def _matrix(ntk: NTK, colours: Theme) -> go.Figure:
    """The examples are ordered by class where there are classes; lines part them."""
    if ntk.gram is None:
        raise ValueError("the kernel has no Gram matrix, which is not kept in a run's store; measure it anew")
    each = len(ntk.gram) // len(ntk.labels) if ntk.labels is not None else 1
    labels = None if ntk.labels is None else np.repeat(ntk.labels, each)
    order = np.arange(len(ntk.gram)) if labels is None else np.argsort(labels, kind="stable")
    unit = "example" if each == 1 else "example and output"
    axis = {"title": {"text": unit + ("" if labels is None else " (by class)")}, "showgrid": False}
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": f"{ntk.gram_kind} kernel"},
            "xaxis": axis,
            "yaxis": {**axis, "autorange": "reversed", "scaleanchor": "x"},
        }
    )
    figure.add_heatmap(
        z=ntk.gram[np.ix_(order, order)],
        colorscale=HEIGHT,
        colorbar={"title": {"text": _UNIT, "side": "right"}},
        hovertemplate="%{x}, %{y}<br>%{z:.4g}<extra></extra>",
        name="kernel",
    )
    if labels is not None:
        for edge in np.flatnonzero(np.diff(labels[order])) + 0.5:
            line = {"color": colours.surface, "width": 1}
            figure.add_hline(edge, line=line)
            figure.add_vline(edge, line=line)
    return figure


def _cosines(ntk: NTK, colours: Theme) -> go.Figure:
    """Lines part the classes."""
    if ntk.cosines is None:
        raise ValueError("every gradient is zero, so that there is no cosine between two of them")
    axis = {"title": {"text": "block of examples" + (" (by class)" if ntk.borders else "")}, "showgrid": False}
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": f"cosine between gradients, {ntk.gram_kind} kernel"},
            "xaxis": axis,
            "yaxis": {**axis, "autorange": "reversed", "scaleanchor": "x"},
        }
    )
    figure.add_heatmap(
        z=ntk.cosines,
        zmin=-1,
        zmax=1,
        colorscale=signed(colours),
        colorbar={"title": {"text": "cosine (no unit)", "side": "right"}},
        hovertemplate="%{x}, %{y}<br>%{z:.3f}<extra></extra>",
        name="cosine",
    )
    for border in ntk.borders:
        line = {"color": colours.text, "width": 0.6}
        figure.add_hline(border - 0.5, line=line)
        figure.add_vline(border - 0.5, line=line)
    return figure


def power_laws_figure(laws: PowerLaws, colours: Theme) -> go.Figure:
    """Eigenvalues and coefficients over their rank, all logarithmic, and the two lines over the range fitted."""
    ranks = np.arange(1, len(laws.eigenvalues) + 1)
    shown = [values[values > 0] for values in (laws.eigenvalues, laws.coefficients)]
    title = f"α = {laws.capacity:.2f} ± {laws.capacity_error:.2f}, β = {laws.source:.2f} ± {laws.source_error:.2f}"
    if laws.optimal_ratio is not None:
        title += f"; best training error {100 * laws.optimal_ratio:.0f} % of the test error"
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": title},
            "xaxis": {"title": {"text": "rank"}, **log_axis(1, len(ranks))},
            "yaxis": {
                "title": {"text": f"eigenvalue of the {laws.gram_kind} kernel ({_UNIT}), squared coefficient"},
                **log_axis(min(float(v.min()) for v in shown), max(float(v.max()) for v in shown)),
            },
        }
    )
    series = (
        ("eigenvalue λ", laws.eigenvalues, laws.capacity, colours.first, "circle"),
        ("coefficient v²", laws.coefficients, laws.source, colours.second, "cross-thin-open"),
    )
    fitted = np.arange(laws.first, laws.last + 1, dtype=float)
    for name, values, exponent, colour, symbol in series:
        positive = values > 0
        marker = {"size": 5, "color": colour, "symbol": symbol}
        figure.add_scatter(x=ranks[positive], y=values[positive], mode="markers", marker=marker, name=name)
        inside = values[laws.first - 1 : laws.last]
        used = inside > 0
        if used.any():
            height = np.exp(np.mean(np.log(inside[used]) + exponent * np.log(fitted[used])))
            line = {"width": 1.5, "color": colour, "dash": "dash"}
            law = {"x": fitted, "y": height * fitted**-exponent, "mode": "lines", "line": line}
            figure.add_scatter(**law, name=f"rank^−{exponent:.2f}")
    return figure


def laziness_figure(laziness: Laziness, colours: Theme) -> go.Figure:
    """Every number on one axis from 0; all but the alignments are 0 in lazy training."""
    names = {
        "drift": "kernel<br>drift",
        "relative_drift": "kernel<br>movement",
        "weights": "weight<br>movement",
        "features": "feature<br>movement",
        "alignment": "label<br>alignment",
        "test_alignment": "held-out<br>alignment",
        "label_energy": "label<br>energy",
    }
    known = {names[name]: value for name, value in laziness.scalars().items() if name in names}
    figure = go.Figure(
        layout={
            "template": template(colours),
            "xaxis": {"title": {"text": "quantity"}, "type": "category"},
            "yaxis": {"title": {"text": f"share ({laziness.gram_kind} kernel, no unit)"}, "rangemode": "tozero"},
            "showlegend": False,
        }
    )
    figure.add_bar(
        x=list(known), y=list(known.values()), marker={"color": colours.first}, hovertemplate="%{y:.4g}<extra></extra>"
    )
    return figure


def laziness_history_figure(history: Sequence[Laziness], colours: Theme) -> go.Figure:
    """Movements, and below them alignments, over the steps of a training.

    Raises:
        ValueError: if there is none, or one does not know its step.
    """
    steps = _steps(history)
    figure = go.Figure(
        layout={
            "template": template(colours),
            "xaxis": {"title": {"text": "training (steps)"}, "anchor": "y2"},
            "yaxis": {
                "title": {"text": f"movement ({history[0].gram_kind} kernel, no unit)"},
                "domain": [0.54, 1],
                "rangemode": "tozero",
            },
            "yaxis2": {"title": {"text": "label alignment (no unit)"}, "domain": [0, 0.46]},
        }
    )
    rows = (
        ("y", ("drift", "relative_drift", "weights", "features")),
        ("y2", ("alignment", "test_alignment", "label_energy")),
    )
    for axis, names in rows:
        for name, dash, colour in zip(names, ("solid", "dash", "dot", "dashdot"), _hues(colours), strict=False):
            values = [one.scalars().get(name, np.nan) for one in history]
            if not np.isnan(values).all():
                line = {"width": 1.5, "color": colour, "dash": dash}
                label = name.replace("_", " ")
                # Held-out alignments are measured more rarely than the rest.
                known = {"x": steps, "y": values, "connectgaps": True}
                figure.add_scatter(**known, mode="lines", line=line, name=label, yaxis=axis)
    return figure


def kernel_history_figure(history: Sequence[NTK], colours: Theme) -> go.Figure:
    """The eigenvalues over their rank, one line for each moment of a training, the later the brighter.

    Raises:
        ValueError: if there is none, one does not know its step, or no eigenvalue is positive.
    """
    steps = _steps(history)
    positive = [kernel.eigenvalues[kernel.eigenvalues > 0] for kernel in history]
    if not all(len(values) for values in positive):
        raise ValueError("one of the kernels has no positive eigenvalue: there is nothing to draw")
    figure = go.Figure(
        layout={
            "template": template(colours),
            "xaxis": {"title": {"text": "rank"}, **log_axis(1, max(map(len, positive)))},
            "yaxis": {
                "title": {"text": f"eigenvalue of the {history[0].gram_kind} kernel ({_UNIT})"},
                **log_axis(min(float(v.min()) for v in positive), max(float(v.max()) for v in positive)),
            },
        }
    )
    for step, values, colour in zip(steps, positive, sequential(len(steps), colours), strict=True):
        line = {"width": 1.3, "color": colour}
        figure.add_scatter(x=np.arange(1, len(values) + 1), y=values, mode="lines", line=line, name=f"step {step}")
    return figure


def eigenmodes_figure(modes: Eigenmodes, colours: Theme) -> go.Figure:
    """|r_k| over time for modes spread over the spectrum: measured as markers, predicted as lines."""
    count = len(modes.eigenvalues)
    ranks = np.unique(np.geomspace(1, count, min(_MOST_MODES, count)).round().astype(int))
    sizes = np.abs(modes.residuals[:, ranks - 1])
    low, high = float(sizes[sizes > 0].min(initial=1.0)), float(sizes.max(initial=1e-12))
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": f"error of the prediction at the end: {100 * modes.error:.0f} %"},
            "xaxis": {"title": {"text": "time (learning rate × steps)"}},
            "yaxis": {"title": {"text": "residual along eigenvector (output)"}, **log_axis(min(low, high), high)},
        }
    )
    for rank, colour in zip(ranks, sequential(len(ranks), colours), strict=True):
        measured, foretold = (np.abs(values[:, rank - 1]) for values in (modes.residuals, modes.predicted))
        group = {"x": modes.times, "legendgroup": str(rank)}
        marker = {"size": 6, "color": colour}
        figure.add_scatter(**group, y=measured, mode="markers", marker=marker, name=f"rank {rank}")
        line = {"width": 1.3, "color": colour}
        figure.add_scatter(**group, y=foretold, mode="lines", line=line, name="predicted", showlegend=False)
    return figure


def linearisation_figure(pair: Linearisation, colours: Theme) -> go.Figure:
    """Each output of the linearised network over that of the network; on the diagonal they agree."""
    title = f"linearisation off by {100 * pair.error:.0f} % of the outputs' movement"
    return _against_diagonal(
        pair.actual, pair.linearised, ("output of the network", "output of its linearisation"), title, colours
    )


def regression_figure(regression: KernelRegression, colours: Theme) -> go.Figure:
    """Each prediction on held-out examples over its target."""
    accuracy = "" if regression.accuracy is None else f", accuracy {100 * regression.accuracy:.1f} %"
    title = f"{regression.gram_kind} kernel: held-out mean square error {regression.test_error:.3g}{accuracy}"
    return _against_diagonal(
        regression.targets, regression.predictions, ("target", "prediction by kernel regression"), title, colours
    )


def width_scaling_figure(scaling: WidthScaling, colours: Theme) -> go.Figure:
    """The quantity over the width, both logarithmic, with the fitted line and its slope."""
    means = np.exp(np.log(scaling.values).mean(1))
    expected = "" if scaling.expected is None else f", {scaling.expected:g} expected"
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": f"{scaling.label}: slope {scaling.slope:.2f} ± {scaling.slope_error:.2f}{expected}"},
            "xaxis": {"title": {"text": "width (units)"}, **log_axis(*map(float, scaling.widths[[0, -1]]))},
            "yaxis": {
                "title": {"text": scaling.quantity},
                **log_axis(float(scaling.values.min()), float(scaling.values.max())),
            },
        }
    )
    figure.add_scatter(
        x=np.repeat(scaling.widths, scaling.values.shape[1]),
        y=scaling.values.ravel(),
        mode="markers",
        marker={"size": 6, "color": colours.first},
        name="networks",
    )
    middle = np.log(scaling.widths).mean()
    line = np.exp(np.log(means).mean() + scaling.slope * (np.log(scaling.widths) - middle))
    style = {"width": 1.5, "color": colours.second, "dash": "dash"}
    figure.add_scatter(x=scaling.widths, y=line, mode="lines", line=style, name=f"width^{scaling.slope:.2f}")
    return figure


def _against_diagonal(x: np.ndarray, y: np.ndarray, axes: tuple[str, str], title: str, colours: Theme) -> go.Figure:
    across, up = axes
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": title},
            "xaxis": {"title": {"text": across}},
            "yaxis": {"title": {"text": up}},
            "showlegend": False,
        }
    )
    ends = [float(min(x.min(), y.min())), float(max(x.max(), y.max()))]
    style = {"width": 1.2, "color": colours.muted, "dash": "dash"}
    figure.add_scatter(x=ends, y=ends, mode="lines", line=style, hoverinfo="skip", name="equal")
    marker = {"size": 5, "color": colours.first, "opacity": 0.6}
    figure.add_scatter(x=x.ravel(), y=y.ravel(), mode="markers", marker=marker, name="outputs")
    return figure


def _steps(history: Sequence[Any]) -> list[int]:
    steps = [one.provenance.step for one in history]
    if not steps or any(step is None for step in steps):
        raise ValueError(f"a history needs measurements that know their steps, got steps {steps}; use .at(step)")
    return steps


def _hues(colours: Theme) -> tuple[str, ...]:
    return colours.first, colours.second, colours.third, colours.muted
