"""Single examples: their scores, the example x step matrix, the mixture of their losses, and a shared order."""

from __future__ import annotations

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
    sides = (("right", scores.correct, colours.first, ""), ("wrong", ~scores.correct, colours.second, "/"))
    for name, chosen, hue, pattern in sides:
        counts, _ = np.histogram(values[chosen & np.isfinite(values)], bins=edges)
        figure.add_bar(
            x=(edges[1:] + edges[:-1]) / 2,
            y=counts,
            width=np.diff(edges),
            marker={"color": hue, "pattern": {"shape": pattern}},
            hovertemplate="about %{x:.3g}<br>%{y} examples",
            name=name,
        )
    return figure


def history_figure(history: ExampleHistory, colours: Theme, *, style: str = "matrix") -> go.Figure:
    """The losses of the examples over the steps, in the order in which they were learned; or a map of their confidence.

    Raises:
        ValueError: if the style is neither "matrix" nor "map".
    """
    if style == "matrix":
        return _matrix_figure(history, colours)
    if style == "map":
        return _map_figure(history, colours)
    raise ValueError(f'style must be "matrix" or "map", got {style!r}')


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
