"""Where training converges in a plane of two hyperparameters, and the box counts of that region's boundary."""

from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from landscope.figures.scales import log_axis, number
from landscope.figures.theme import Theme, template
from landscope.measurements import TrainabilityMap

__all__ = ["trainability_colours", "trainability_figure"]

_GAP = 0.2  # between the slowest convergence and the slowest divergence, of a scale from -1 to 1
_SCALE = [
    (0.0, "#06254f"),
    (0.2, "#0b5394"),
    (0.4 - 1e-6, "#b5dbf2"),
    (0.4, "#b5dbf2"),
    (0.6, "#fde0b8"),
    (0.8, "#d55e00"),
    (1.0, "#5c1a02"),
]
"""Blue converges and orange diverges, which every kind of colour vision tells apart; the slower, the paler."""
_MOST_EDGES = 1000
_DEEP = 1e-3  # of a coordinate: ranges narrower than that are labelled by the distance from their middle


def trainability_figure(measured: TrainabilityMap, colours: Theme, *, style: str = "map") -> go.Figure:
    """The map itself, or the fit by which its boundary got a dimension.

    Args:
        measured: The map.
        colours: The theme.
        style: "map" or "dimension".

    Raises:
        ValueError: if `style` is neither.
    """
    if style not in ("map", "dimension"):
        raise ValueError(f'style must be "map" or "dimension", got {style!r}')
    return _map(measured, colours) if style == "map" else _dimension(measured, colours)


def trainability_colours(measured: TrainabilityMap) -> NDArray[np.uint8]:
    """The colours of the map's points, (B, A, 3) red, green and blue: rows from the top of the second axis down."""
    places, hexes = zip(*_SCALE, strict=True)
    scale = np.array([[int(colour[k : k + 2], 16) for k in (1, 3, 5)] for colour in hexes])
    height = (_equalised(measured).T[::-1] + 1) / 2
    return np.stack([np.interp(height, places, channel) for channel in scale.T], axis=-1).round().astype(np.uint8)


def _map(measured: TrainabilityMap, colours: Theme) -> go.Figure:
    (x, across), (y, up) = (
        _axis(coordinates, name) for coordinates, name in zip((measured.x, measured.y), measured.axes, strict=True)
    )
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": _caption(measured)},
            "xaxis": {"title": {"text": across}, "showgrid": False, "range": _ends(x)},
            "yaxis": {"title": {"text": up}, "showgrid": False, "range": _ends(y)},
            "showlegend": False,
            "margin": {"t": 56},
        }
    )
    figure.add_heatmap(
        x=x,
        y=y,
        z=_equalised(measured).T,
        zmin=-1,
        zmax=1,
        colorscale=_SCALE,
        colorbar={
            "tickvals": [-1, -_GAP, _GAP, 1],
            "ticktext": ["converges<br>fast", "slowly", "slowly", "diverges<br>fast"],
        },
        customdata=np.stack([measured.loss_ratio.T, np.where(measured.converged, "converged", "diverged").T], axis=-1),
        hovertemplate="%{x:.6g}, %{y:.6g}<br>%{customdata[1]}, final loss %{customdata[0]:.3g} of the first"
        "<extra></extra>",
        name="score",
    )
    edges = _edges(measured.converged, x, y)
    if edges.shape[1] <= 3 * _MOST_EDGES:  # of more, lines would hide the colours, which show the boundary as well
        line = {"color": "#1c2128", "width": 0.8}
        figure.add_scatter(x=edges[0], y=edges[1], mode="lines", line=line, hoverinfo="skip", name="boundary")
    return figure


def _dimension(measured: TrainabilityMap, colours: Theme) -> go.Figure:
    """Boxes that the boundary goes through over their size, both logarithmic, and the line whose slope is -D.

    Raises:
        ValueError: if the map has no boundary.
    """
    sizes, counts = measured.box_sizes.astype(float), measured.box_counts.astype(float)
    if not counts.all():
        raise ValueError("the map has no boundary: everything converged, or nothing did; there is nothing to fit")
    figure = go.Figure(
        layout={
            "template": template(colours),
            "title": {"text": f"box-counting dimension {_with_error(measured)}"},
            "xaxis": {
                "title": {"text": "side of a box (steps of the grid)"},
                **log_axis(sizes.min(), sizes.max()),
                "tickvals": sizes,
                "ticktext": [number(size) for size in sizes],
            },
            "yaxis": {"title": {"text": "boxes on the boundary"}, **log_axis(counts.min(), counts.max())},
            "showlegend": False,
        }
    )
    if math.isfinite(measured.dimension):
        centre = np.log(counts).mean() + measured.dimension * np.log(sizes).mean()
        figure.add_scatter(
            x=sizes,
            y=np.exp(centre - measured.dimension * np.log(sizes)),
            mode="lines",
            line={"width": 1.2, "color": colours.second, "dash": "dash"},
            hoverinfo="skip",
            name="fit",
        )
    figure.add_scatter(
        x=sizes,
        y=counts,
        mode="markers",
        marker={"size": 8, "color": colours.first},
        hovertemplate="side %{x}<br>%{y} boxes<extra></extra>",
        name="boxes",
    )
    return figure


def _equalised(measured: TrainabilityMap) -> NDArray[np.float64]:
    """Ranks within each side instead of scores: -1 for the fastest convergence, 1 for the fastest divergence."""
    height = np.full(measured.score.shape, np.nan)
    for chosen, sign in ((measured.converged, -1.0), (~measured.converged, 1.0)):
        slowness = np.abs(measured.score[chosen])
        ordered = np.sort(slowness)
        places = np.searchsorted(ordered, slowness, "left") + np.searchsorted(ordered, slowness, "right") - 1
        height[chosen] = sign * (1 - (1 - _GAP) * places / max(2 * len(ordered) - 2, 1))
    return height


def _edges(converged: NDArray[np.bool_], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 3 E) the E sides of cells with unlike cells on either side: both ends of each, and a NaN to part them."""
    dx, dy = x[1] - x[0], y[1] - y[0]
    i, j = np.nonzero(converged[1:] != converged[:-1])
    upright = np.stack([x[i] + dx / 2, y[j] - dy / 2, x[i] + dx / 2, y[j] + dy / 2])
    i, j = np.nonzero(converged[:, 1:] != converged[:, :-1])
    level = np.stack([x[i] - dx / 2, y[j] + dy / 2, x[i] + dx / 2, y[j] + dy / 2])
    ends = np.concatenate([upright, level], axis=1)
    return np.stack([ends[:2], ends[2:], np.full_like(ends[:2], np.nan)], axis=-1).reshape(2, -1)


def _caption(measured: TrainabilityMap) -> str:
    share = f"{100 * measured.converged.mean():.0f} % converge"
    boundary = measured.boundary
    rough = f"; boundary of dimension {_with_error(measured)}" if boundary.any() else "; no boundary here"
    lines = [f"{measured.training or 'training'}, {measured.steps} steps", share + rough]
    if measured.exhausted:
        lines.append(
            f"float64 is exhausted: neighbouring points are {measured.separation:.0f} numbers apart, "
            f"{measured.FEWEST_BETWEEN:.0f} are needed"
        )
    return "<br>".join(lines)


def _with_error(measured: TrainabilityMap) -> str:
    if not math.isfinite(measured.dimension):
        return "unknown on so few points"
    error = f" ± {measured.dimension_error:.2f}" if math.isfinite(measured.dimension_error) else ""
    return f"{measured.dimension:.2f}{error}"


def _ends(coordinates: NDArray[np.float64]) -> list[float]:
    """Where the first cell begins and the last one ends."""
    step = coordinates[1] - coordinates[0]
    return [float(coordinates[0] - step / 2), float(coordinates[-1] + step / 2)]


def _axis(coordinates: NDArray[np.float64], name: str) -> tuple[NDArray[np.float64], str]:
    """Coordinates to draw at, and the axis's name; of a deep zoom, steps away from its middle in powers of ten."""
    middle, half = (coordinates[0] + coordinates[-1]) / 2, (coordinates[-1] - coordinates[0]) / 2
    if half > _DEEP * max(abs(middle), 1e-300):
        return coordinates, name
    power = math.floor(math.log10(half))
    digits = max(math.ceil(math.log10(abs(middle) / half)), 0) + 1
    origin = f"{middle:.{digits}g}"
    return (coordinates - float(origin)) / 10.0**power, f"{name}: {origin} + {number(10.0**power)} ×"
