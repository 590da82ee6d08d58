"""Single examples: their scores, the example x step matrix, the mixture of their losses, and a shared order."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from landscope.figures.lines import DASHES
from landscope.figures.pairs import pairs_figure
from landscope.figures.scales import height_scale, log_ticks, number
from landscope.figures.theme import HEIGHT, Theme, template
from landscope.measurements import ExampleHistory, ExampleScores, LearningOrder, LossMixture
from landscope.measurements.examples import log_density

__all__ = ["history_figure", "mixture_figure", "order_figure", "scores_figure"]

_NAMES = {
    "losses": "loss",
    "margins": "margin (output)",
    "confidences": "probability of the label",
    "el2n": "EL2N, |p − y| (probability)",
    "logit_norms": "norm of the outputs (output)",
    "grand": "GraNd, norm of the gradient (loss / parameter)",
}
_BINS = 40
_ROWS = 500  # rows of the matrix that are drawn: more than a screen has


def scores_figure(scores: ExampleScores, colours: Theme, *, score: str = "losses") -> go.Figure:
    """How many examples have which value of a score, right and wrong ones apart.

    Raises:
        ValueError: if there is no such score, or it was not taken.
    """
    found = {name: values for name, values in scores.columns().items() if name in _NAMES}
    if score not in found:
        raise ValueError(f"score must be one of {', '.join(found)}, got {score!r}")
    values = found[score]
    finite = values[np.isfinite(values)]
    edges = np.histogram_bin_edges(finite, bins=_BINS)
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": f"{scores.correct.mean():.1%} right"},
            "xaxis": {"title": {"text": _NAMES[score]}},
            "yaxis": {"title": {"text": "examples"}, "rangemode": "tozero"},
            "barmode": "stack",
            "bargap": 0.02,
        }
    )
    _add_sides(figure, values, scores.correct, edges, colours)
    return figure


def _add_sides(
    figure: go.Figure, values: np.ndarray, correct: np.ndarray, edges: np.ndarray, colours: Theme, **axes: Any
) -> None:
    """Bars of right and wrong examples, one on the other."""
    for name, chosen, hue, pattern in (
        ("right", correct, colours.first, ""),
        ("wrong", ~correct, colours.second, "/"),
    ):
        counts, _ = np.histogram(values[chosen & np.isfinite(values)], bins=edges)
        figure.add_bar(
            x=(edges[1:] + edges[:-1]) / 2,
            y=counts,
            width=np.diff(edges),
            marker={"color": hue, "pattern": {"shape": pattern}},
            hovertemplate="about %{x:.3g}<br>%{y} examples",
            name=name,
            **axes,
        )


def _margins_figure(history: ExampleHistory, colours: Theme) -> go.Figure:
    """The margins of the newest frame beside those of the first, and EL2N below them where it is known."""
    margins, finite = history.margins[:, -1], history.margins[np.isfinite(history.margins)]
    edges = np.histogram_bin_edges(np.append(finite, 0.0), bins=_BINS)
    words = f"{(margins > 0).mean():.1%} right, median margin {number(float(np.median(margins)))}"
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": words},
            "xaxis": {"title": {"text": _NAMES["margins"]}},
            "yaxis": {"title": {"text": "examples"}, "rangemode": "tozero"},
            "barmode": "stack",
            "bargap": 0,
        }
    )
    _add_sides(figure, margins, margins > 0, edges, colours)
    counts, _ = np.histogram(history.margins[:, 0], bins=edges)
    line = {"shape": "hvh", "width": 1.2, "color": colours.muted, "dash": "dot"}
    middles = (edges[1:] + edges[:-1]) / 2
    figure.add_scatter(x=middles, y=counts, mode="lines", line=line, name=f"at step {history.steps[0]:,}")
    if history.el2n is not None:
        figure.update_layout(
            yaxis={"domain": [0.6, 1]},
            xaxis2={"title": {"text": _NAMES["el2n"]}, "anchor": "y2"},
            yaxis2={"title": {"text": "examples"}, "rangemode": "tozero", "domain": [0, 0.36], "anchor": "x2"},
        )
        bins = np.linspace(0, np.sqrt(2), _BINS + 1)
        below = {"xaxis": "x2", "yaxis": "y2", "showlegend": False}
        _add_sides(figure, history.el2n, margins > 0, bins, colours, **below)
    return figure


def history_figure(history: ExampleHistory, colours: Theme, *, style: str = "matrix") -> go.Figure:
    """The losses of the examples over the steps, in the order in which they were learned.

    Or, with style "map", each example's confidence over its variability, and with "scores" how many examples have which
    margin and EL2N in the newest frame.

    Raises:
        ValueError: if the style is another.
    """
    if style == "matrix":
        return _matrix_figure(history, colours)
    if style == "map":
        return _map_figure(history, colours)
    if style == "scores":
        return _margins_figure(history, colours)
    raise ValueError(f'style must be "matrix", "map" or "scores", got {style!r}')


def _matrix_figure(history: ExampleHistory, colours: Theme) -> go.Figure:
    order = history.order()
    drawn = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), _ROWS)).round().astype(int))]
    height, low, high, logarithmic = height_scale(history.losses[drawn], history.span())
    if logarithmic:
        low = max(low, high - 6)  # losses that are as good as nothing do not use up the scale
    ticks = log_ticks(10**low, 10**high) if logarithmic else []
    shares = history.scalars()
    words = f"{shares['learned']:.1%} learned, {shares['forgotten']:.1%} forgotten at least once,<br>"
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": words + f"{shares['never']:.1%} never right, in {history.frames} frames"},
            "margin": {"t": 56},
            "xaxis": {"title": {"text": "training (steps)"}, "type": "category", "nticks": 8, "showgrid": False},
            "yaxis": {
                "title": {"text": "examples, first learned on top"},
                "autorange": "reversed",
                "showticklabels": False,
                "showgrid": False,
            },
        }
    )
    figure.add_heatmap(
        x=[f"{step:,}" for step in history.steps],
        z=height,
        zmin=low,
        zmax=high,
        colorscale=HEIGHT,
        customdata=np.stack([np.broadcast_to(drawn[:, None], height.shape), history.losses[drawn]], axis=2),
        colorbar={
            "title": {"text": "loss", "side": "right"},
            **({"tickvals": np.log10(ticks), "ticktext": [number(tick) for tick in ticks]} if logarithmic else {}),
        },
        hovertemplate="example %{customdata[0]}, step %{x}<br>loss %{customdata[1]:.4g}<extra></extra>",
        name="loss",
    )
    return figure


def _map_figure(history: ExampleHistory, colours: Theme) -> go.Figure:
    most = max(1, int(history.forgotten.max()))
    figure = go.Figure(
        layout={
            "template": template(colours),
            "xaxis": {"title": {"text": "deviation of the label's probability over the frames"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": "mean probability of the label"}, "range": [-0.02, 1.02]},
        }
    )
    figure.add_scatter(
        x=history.variability,
        y=history.confidences,
        mode="markers",
        marker={
            "size": 5,
            "color": history.forgotten,
            "colorscale": HEIGHT,
            "cmin": 0,
            "cmax": most,
            "colorbar": {
                "title": {"text": "times forgotten", "side": "right", "font": {"size": 11, "color": colours.muted}},
                "tickfont": {"size": 11, "color": colours.muted},
                "thickness": 10,
                "outlinewidth": 0,
            },
        },
        customdata=np.stack([np.arange(len(history.labels)), history.labels, history.aum, history.learned], axis=1),
        hovertemplate="example %{customdata[0]}, class %{customdata[1]}<br>area under the margin "
        "%{customdata[2]:.3g}<br>right since step %{customdata[3]}<extra></extra>",
        name="examples",
    )
    return figure


def mixture_figure(mixture: LossMixture, colours: Theme) -> go.Figure:
    """The distribution of the losses, and the two components."""
    words = f"second component: {mixture.shares[1]:.1%} ± {mixture.share_error:.1%} of examples, "
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": words + f"separation {number(mixture.separation)}"},
            "xaxis": {"title": {"text": "loss of an example"}},
            "yaxis": {"title": {"text": "density (per unit of loss)"}, "rangemode": "tozero"},
            "bargap": 0.02,
        }
    )
    density, edges = np.histogram(mixture.values, bins=_BINS, range=(0, 1), density=True)
    losses = mixture.shift + mixture.scale * (edges[1:] + edges[:-1]) / 2
    figure.add_bar(x=losses, y=density / mixture.scale, marker={"color": colours.axis}, name="examples")
    where = np.linspace(0.002, 0.998, 250)
    looks = (("smaller losses", colours.first), ("larger losses", colours.second))
    for index, (name, hue) in enumerate(looks):
        heights = np.exp(log_density(mixture.family, mixture.parameters[index], where))
        line = {"width": 1.8, "color": hue, "dash": DASHES[index]}
        figure.add_scatter(
            x=mixture.shift + mixture.scale * where,
            y=mixture.shares[index] * heights / mixture.scale,
            mode="lines",
            line=line,
            name=name,
        )
    # A beta density may be infinite at an end: the histogram says how high the axis is.
    return figure.update_yaxes(range=[0, 1.2 * density.max() / mixture.scale])


def order_figure(order: LearningOrder, colours: Theme, *, by: str = "learned") -> go.Figure:
    """The rank correlations between runs.

    Raises:
        ValueError: if `by` is neither "learned" nor "aum".
    """
    if by not in ("learned", "aum"):
        raise ValueError(f'by must be "learned" or "aum", got {by!r}')
    what = "step learned" if by == "learned" else "area under the margin"
    return pairs_figure(
        order.runs,
        order.learned if by == "learned" else order.aum,
        colours,
        title=f"by {what}; unrelated orders: 0 ± {number(order.chance)}",
        axis="run",
        quantity="rank correlation",
    )
