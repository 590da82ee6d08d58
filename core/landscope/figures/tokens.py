"""The Fourier spectrum of an embedding of residues, and its tokens on the circles of the key frequencies."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from landscope.figures.scales import number
from landscope.figures.theme import Theme, cyclic, template
from landscope.measurements import TokenSpectrum

__all__ = ["tokens_figure"]

_CIRCLES = 5  # shown side by side


def tokens_figure(measured: TokenSpectrum, colours: Theme) -> go.Figure:
    """Above, the spectrum with the key frequencies hatched; below, the tokens on the circles of the strongest of them.

    A token's colour is its place on the circle that it would have were it pure: hues in order mean a circle.
    """
    planes = measured.circles[:_CIRCLES]
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": _caption(measured)},
            "xaxis": {"title": {"text": "frequency (turns around the residues)"}, "anchor": "y"},
            "yaxis": {"title": {"text": "norm"}, "domain": [0.55 if len(planes) else 0.0, 1.0], "rangemode": "tozero"},
            "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"},
            "barmode": "overlay",
            "margin": {"t": 72 + 16 * len(measured.splits)},
        }
    )
    is_key = np.isin(measured.frequencies, measured.key)
    for name, chosen, hue, pattern in (("other", ~is_key, colours.first, ""), ("key", is_key, colours.second, "/")):
        figure.add_bar(
            x=measured.frequencies[chosen],
            y=measured.norms[chosen],
            width=0.8,
            marker={"color": hue, "pattern": {"shape": pattern}},
            hovertemplate="frequency %{x}<br>norm %{y:.4g}<extra>%{fullData.name}</extra>",
            name=name,
        )
    lightness = 0.62 if colours.name == "light" else 0.74
    for index, (k, plane) in enumerate(zip(measured.key, planes, strict=False)):
        _circle(figure, index, len(planes), int(k), plane, lightness)
    return figure


def _circle(figure: go.Figure, index: int, count: int, k: int, plane: np.ndarray, lightness: float) -> None:
    p = len(plane)
    hues = np.array(cyclic(p, lightness=lightness))[k * np.arange(p) % p]
    axis, width = index + 2, 1 / count
    bare = {"showgrid": False, "constrain": "domain", "nticks": 4}
    figure.update_layout(
        {
            f"xaxis{axis}": {
                "domain": [(index + 0.3) * width, (index + 1) * width],
                "anchor": f"y{axis}",
                "title": {"text": f"cos, frequency {k}"},
                **bare,
            },
            f"yaxis{axis}": {
                "domain": [0.0, 0.4],
                "anchor": f"x{axis}",
                "title": {"text": "sin"},
                "scaleanchor": f"x{axis}",
                **bare,
            },
        }
    )
    figure.add_scatter(
        x=plane[:, 0],
        y=plane[:, 1],
        mode="markers",
        marker={"size": 5, "color": hues},
        customdata=np.arange(p),
        hovertemplate="token %{customdata}<extra></extra>",
        name=f"frequency {k}",
        showlegend=False,
        xaxis=f"x{axis}",
        yaxis=f"y{axis}",
    )


def _caption(measured: TokenSpectrum) -> str:
    count = len(measured.key)
    keys = f"{count} key {'frequency' if count == 1 else 'frequencies'} with {100 * measured.share:.3g} % of its square"
    caption = f"{measured.weight}: Gini {measured.gini:.2f}, {keys if count else 'no key frequency'}"
    if measured.full is None or measured.restricted is None or measured.excluded is None:
        return caption
    losses = zip(measured.splits, measured.full, measured.restricted, measured.excluded, strict=True)
    told = [f"{split}: loss {number(a)}, restricted {number(b)}, excluded {number(c)}" for split, a, b, c in losses]
    return "<br>".join([caption, *told])
