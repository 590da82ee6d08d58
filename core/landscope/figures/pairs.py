"""How every two of a few things agree, between -1 and 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from numpy.typing import ArrayLike

from landscope.figures.theme import SIGNED, Theme, template

__all__ = ["pairs_figure", "square_layout"]


def square_layout(colours: Theme, *, title: str, across: str, down: str) -> dict[str, Any]:
    """Axes of one thing or two, with cells that are squares, the first on top."""
    axis = {"type": "category", "constrain": "domain", "showgrid": False}
    return {
        "template": template(colours),
        "title": {"text": title},
        "xaxis": axis | {"title": {"text": across}},
        "yaxis": axis | {"title": {"text": down}, "autorange": "reversed", "scaleanchor": "x"},
    }


def pairs_figure(
    names: Sequence[str], values: ArrayLike, colours: Theme, *, title: str, axis: str, quantity: str
) -> go.Figure:
    """A square of cosines or correlations, blue where two agree and red where they are opposed.

    Args:
        names: (K,) of the things.
        values: (K, K).
        colours: The theme.
        title: Above.
        axis: What a thing is.
        quantity: Name of the values.
    """
    figure = go.Figure(layout=square_layout(colours, title=title, across=axis, down=axis))
    figure.add_heatmap(
        x=list(names),
        y=list(names),
        z=values,
        zmin=-1,
        zmax=1,
        colorscale=SIGNED,
        colorbar={"title": {"text": quantity, "side": "right"}},
        hovertemplate="%{x} and %{y}<br>%{z:.3f}<extra></extra>",
        name=quantity,
    )
    return figure
