"""Several runs side by side: their curves, planes, spectra and pictures of points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from landscope.figures.cells import beside
from landscope.figures.reliefs import escaped, quantities_of
from landscope.figures.scales import log_axis, number, signed_log, signed_log_ticks
from landscope.figures.scatter import embedding_figure
from landscope.figures.spectra import density_layout, per_unit
from landscope.figures.surfaces import landscape_figure, plane_layout
from landscope.figures.theme import ABOVE, SIGNED, Theme, template, veil
from landscope.measurements import NTK, Projection, Slice2D, SpectralDensity

__all__ = [
    "Curve",
    "Pen",
    "curves_figure",
    "densities_figure",
    "difference_figure",
    "embeddings_figure",
    "kernels_figure",
    "planes_figure",
]

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
FLOOR = 1e-5
"""Of the largest density: what is below is drawn there."""
_FINE = 32  # intervals drawn along each axis of a plane, which is a small picture here
_WIDE = 20.0  # a positive quantity that spans such a factor has a logarithmic axis


@dataclass(frozen=True)
class Pen:
    """How one of several runs is drawn, the same in every picture.

    Attributes:
        hue: Its place in the palette, from 0.
        dash: Its place among the dash patterns, from 0: the second way to tell it apart.
    """

    hue: int
    dash: int

    def line(self, colours: Theme, width: float = 1.6) -> dict[str, Any]:
        """The line as plotly takes it."""
        return {"width": width, "color": self.colour(colours), "dash": DASHES[self.dash % len(DASHES)]}

    def colour(self, colours: Theme) -> str:
        """Its colour in a theme."""
        return colours.palette[self.hue % len(colours.palette)]


@dataclass(frozen=True)
class Curve:
    """A quantity of one run, or the mean of several, over the steps.

    Attributes:
        label: Whose.
        pen: How it is drawn.
        steps: (n,) ascending.
        values: (n,).
        band: (n,) lower and upper edge of the runs that it is the mean of; None where it is one run's.
        limit: Whether it is what bounds another curve of that label: drawn thin, in steps.
    """

    label: str
    pen: Pen
    steps: NDArray[Any]
    values: NDArray[np.float64]
    band: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    limit: bool = False


def curves_figure(
    cells: Mapping[str, Sequence[Curve]], colours: Theme, *, logarithmic_steps: bool = False, signed: bool = False
) -> go.Figure:
    """A cell for each quantity, in two columns; one legend for all, in which a click hides a run everywhere.

    Args:
        cells: The curves by the quantity's name, with its unit.
        colours: The theme.
        logarithmic_steps: Whether the axis of the steps is logarithmic, without step 0.
        signed: Whether they are differences, with a line at zero; they stand in three columns.
    """
    drawn = [_curves(name, curves, colours, logarithmic_steps, signed) for name, curves in cells.items()]
    last = max([2.0, *(float(curve.steps[-1]) for curves in cells.values() for curve in curves if len(curve.steps))])
    axis = log_axis(1.0, last) | {"range": [0, float(np.log10(last))]} if logarithmic_steps else {"range": [0, last]}
    figure = beside(drawn, [""] * len(drawn), colours, columns=3 if signed else 2).update_xaxes(axis)
    seen: set[str] = set()
    for trace in figure.data:
        named = trace.legendgroup not in seen and trace.line.width > 1
        trace.showlegend = named
        if named:
            seen.add(trace.legendgroup)
    return figure.update_layout(showlegend=True, legend={**ABOVE, "y": 1.01}, margin={"t": 40})


def planes_figure(
    planes: Mapping[str, Slice2D],
    colours: Theme,
    *,
    show: str = "loss",
    span: tuple[float, float] | None = None,
    same_axes: bool = True,
) -> go.Figure:
    """Planes side by side, with one scale of colours.

    Args:
        planes: Each run's plane by its label.
        colours: The theme.
        show: "loss", "accuracy" or the name of a metric of them all.
        span: Values between which the colours run; None for those of these planes together.
        same_axes: Whether axes reach equally far, where a unit is the same length on all of these planes.
    """
    if span is None:
        span = _common_span(planes.values(), show)
    drawn = [landscape_figure(plane, colours, show=show, span=span, fine=_FINE) for plane in planes.values()]
    figure = beside(drawn, [_told(label, plane) for label, plane in planes.items()], colours)
    if not same_axes:
        for index, plane in enumerate(planes.values()):
            unit = "length" if plane.normalisation == "none" else f"{escaped(plane.normalisation)} norms"
            for letter, sign in zip("xy", "αβ", strict=True):
                figure.layout[f"{letter}axis{index + 1 if index else ''}"].title.text = f"{sign} ({unit})"
        return _one_bar(figure).update_layout(margin={"t": 48})
    units = []
    for axis, sign in enumerate("αβ"):  # said once, as names of units are longer than the axes
        ends = [plane.coordinates()[axis][[0, -1]] for plane in planes.values()]
        reach = [min(float(low) for low, _ in ends), max(float(high) for _, high in ends)]
        (figure.update_yaxes if axis else figure.update_xaxes)(range=reach, title={"text": sign})
        units.append(f"{sign}: {escaped(', '.join(dict.fromkeys(plane.axes[axis] for plane in planes.values())))}")
    told = {"text": "; ".join(units), "font": {"size": 11, "color": colours.muted}, "y": 0.99, "yanchor": "top"}
    figure.update_layout(title={**told, "yref": "container"}, margin={"t": 76})
    return _one_bar(figure)


def _common_span(planes: Iterable[Slice2D], show: str) -> tuple[float, float] | None:
    """Least and greatest finite value on all planes; None without one, and for shares, whose scale is that of all."""
    if show.endswith("accuracy"):
        return None
    values = [np.asarray(quantities_of(plane)[show]).ravel() for plane in planes if show in quantities_of(plane)]
    finite = [one for one in values if np.isfinite(one).any()]
    if not finite:
        return None
    together = np.concatenate(finite)
    together = together[np.isfinite(together)]
    return float(together.min()), float(together.max())


def _one_bar(figure: go.Figure) -> go.Figure:
    contours = [trace for trace in figure.data if trace.type == "contour" and trace.showscale is not False]
    for trace in contours[1:]:
        trace.showscale = False
    return figure


def difference_figure(
    coordinates: tuple[NDArray[np.float64], NDArray[np.float64]],
    difference: NDArray[np.float64],
    axes: tuple[str, ...],
    title: str,
    colours: Theme,
) -> go.Figure:
    """One plane less another, on colours that are even about zero: blue below, red above.

    Args:
        coordinates: (A,) and (B,) along both axes.
        difference: (A, B) of the losses.
        axes: What one unit along each axis is, in words.
        title: Of what; escaped.
        colours: The theme.
    """
    figure = go.Figure(layout=plane_layout(axes, colours))
    finite = np.where(np.isfinite(difference), difference, np.nan)
    largest = float(np.nanmax(np.abs(finite))) if np.isfinite(finite).any() else 1.0
    figure.add_contour(
        x=coordinates[0],
        y=coordinates[1],
        z=finite.T,
        zmin=-largest,
        zmax=largest,
        colorscale=SIGNED,
        reversescale=True,
        contours={"coloring": "heatmap"},
        line={"width": 0.5},
        colorbar={"title": {"text": "difference of the loss"}},
        hovertemplate="α %{x:.3g}, β %{y:.3g}<br>difference %{z:.4g}<extra></extra>",
        name="difference",
    )
    return figure.update_layout(title={"text": title, "font": {"size": 11}}, margin={"t": 56})


def densities_figure(densities: Mapping[str, SpectralDensity], pens: Mapping[str, Pen], colours: Theme) -> go.Figure:
    """Densities of eigenvalues on one signed-log axis; dots are leading eigenvalues, thin lines stability limits.

    Each density is per unit of asinh(lambda / s) with a scale s of its own; all are drawn with the smallest one.

    Args:
        densities: Each run's density by its label.
        pens: How each is drawn.
        colours: The theme.
    """
    scale = min(density.scale for density in densities.values())
    low = min(float(density.grid[0]) for density in densities.values())
    high = max(float(density.grid[-1]) for density in densities.values())
    heights = {label: per_unit(density, density.grid, scale) for label, density in densities.items()}
    top = max(float(height.max()) for height in heights.values())
    figure = go.Figure(layout=density_layout(colours) | {"showlegend": True, "legend": ABOVE})
    for row, (label, density) in enumerate(densities.items()):
        pen, hue = pens[label], pens[label].colour(colours)
        figure.add_scatter(
            x=signed_log(density.grid, scale),
            y=np.maximum(heights[label], FLOOR * top),
            mode="lines",
            line=pen.line(colours),
            customdata=density.grid,
            hovertemplate="λ %{customdata:.3g}<br>density %{y:.3g}",
            legendgroup=label,
            name=escaped(label),
        )
        figure.add_scatter(
            x=signed_log(density.spikes, scale),
            y=np.full(len(density.spikes), FLOOR * top * 2.0 ** (1 + row)),  # a row of dots for each
            mode="markers",
            marker={"size": 6, "color": hue, "symbol": row % 8},
            customdata=density.spikes,
            hovertemplate="λ %{customdata:.4g}",
            legendgroup=label,
            showlegend=False,
            name=escaped(label),
        )
        if density.threshold is not None:
            line = {"width": 1, "color": hue, "dash": "dot"}
            at = np.repeat(signed_log(density.threshold, scale), 2)
            figure.add_scatter(
                x=at,
                y=[FLOOR * top, 2 * top],
                mode="lines",
                line=line,
                hovertemplate=f"stability limit {number(density.threshold)}",
                legendgroup=label,
                showlegend=False,
                name=escaped(label),
            )
    ticks = signed_log_ticks(low, high, max(scale, 1e-6 * max(abs(low), abs(high))))
    figure.update_xaxes(tickvals=signed_log(np.array(ticks), scale), ticktext=[number(tick) for tick in ticks])
    return figure.update_yaxes(log_axis(FLOOR * top, 2 * top))


def kernels_figure(kernels: Mapping[str, NTK], pens: Mapping[str, Pen], colours: Theme) -> go.Figure:
    """Eigenvalues of tangent kernels over their ranks, both logarithmic.

    Args:
        kernels: Each run's kernel by its label.
        pens: How each is drawn.
        colours: The theme.
    """
    drawn = {label: kernel.eigenvalues[kernel.eigenvalues > 0] for label, kernel in kernels.items()}
    every = np.concatenate([np.empty(0), *drawn.values()])
    up = log_axis(float(every.min()), float(every.max())) if len(every) else {"type": "log"}
    ranks = max([2, *map(len, drawn.values())])
    figure = go.Figure(
        layout={
            "template": template(colours),
            "xaxis": {"title": {"text": "rank"}, **log_axis(1.0, float(ranks))},
            "yaxis": {"title": {"text": "kernel eigenvalue (output² / parameter²)"}, **up},
            "showlegend": True,
            "legend": ABOVE,
        }
    )
    for label, positive in drawn.items():
        figure.add_scatter(
            x=np.arange(1, len(positive) + 1),
            y=positive,
            mode="lines",
            line=pens[label].line(colours),
            hovertemplate="rank %{x}<br>%{y:.4g}",
            name=escaped(label),
        )
    return figure


def embeddings_figure(
    projections: Mapping[str, Projection], told: Mapping[str, str], colours: Theme, *, colour: str = "class"
) -> go.Figure:
    """Pictures of points side by side, in the same axes.

    Args:
        projections: Each run's points by its label.
        told: What is said of each, by its label; `<br>` begins a line.
        colours: The theme.
        colour: What colours the points, see `embedding_figure`.
    """
    drawn = [embedding_figure(projection, colours, colour=colour) for projection in projections.values()]
    titles = [f"{_told(label, points)}<br>{told[label]}" for label, points in projections.items()]
    figure = beside(drawn, titles, colours, rise=0.26).update_layout(margin={"t": 72})
    for axis in (0, 1):
        ends = [(each.points[:, axis].min(), each.points[:, axis].max()) for each in projections.values()]
        low, high = min(float(low) for low, _ in ends), max(float(high) for _, high in ends)
        reach = {"range": [low - 0.05 * (high - low), high + 0.05 * (high - low)]}
        (figure.update_yaxes if axis else figure.update_xaxes)(**reach)
    return figure


def _told(label: str, measured: Slice2D | Projection) -> str:
    step = measured.provenance.step
    return f"<b>{escaped(label)}</b>" + ("" if step is None else f"<br>step {step:,}")


def _curves(name: str, curves: Sequence[Curve], colours: Theme, logarithmic_steps: bool, signed: bool) -> go.Figure:
    values = np.concatenate([np.empty(0), *(curve.values for curve in curves)])
    finite = values[np.isfinite(values)]
    share = name.endswith("(share)")
    wide = bool(finite.size) and not (share or signed) and finite.min() > 0 and finite.max() > _WIDE * finite.min()
    figure = go.Figure(
        layout={
            "xaxis": {"title": {"text": "training (steps)"}},
            "yaxis": {
                "title": {"text": name},
                **(log_axis(float(finite.min()), float(finite.max())) if wide else {}),
                **({"zeroline": True, "zerolinecolor": colours.muted, "zerolinewidth": 1.5} if signed else {}),
                **({"rangemode": "tozero"} if signed else {}),
            },
        }
    )
    for curve in curves:
        common = {"legendgroup": curve.label, "name": escaped(curve.label)}
        kept = curve.steps > 0 if logarithmic_steps else np.ones(len(curve.steps), dtype=bool)
        if curve.band is not None:
            low, high = (edge[kept] for edge in curve.band)
            figure.add_scatter(
                x=np.concatenate([curve.steps[kept], curve.steps[kept][::-1]]),
                y=np.concatenate([high, low[::-1]]),
                mode="lines",
                line={"width": 0},
                fill="toself",
                fillcolor=veil(curve.pen.colour(colours), 0.2),
                hoverinfo="skip",
                **common,
            )
        line = {"width": 1, "color": curve.pen.colour(colours), "dash": "dot", "shape": "hv"}
        figure.add_scatter(
            x=curve.steps[kept],
            y=curve.values[kept],
            mode="lines" if kept.sum() > 1 else "markers",
            line=line if curve.limit else curve.pen.line(colours),
            marker={"size": 5},
            hovertemplate=f"step %{{x:,}}<br>{'limit ' if curve.limit else ''}%{{y:.4g}}",
            **common,
        )
    return figure
