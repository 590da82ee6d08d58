"""A slice between its computed points: the heights that are drawn, and what is said at each of them."""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landscope.figures.scales import height_scale, number
from landscope.measurements.landscape import Slice

__all__ = ["Relief", "escaped", "not_finite", "quantities_of", "relief_of"]

FINE = 64
"""Intervals that are drawn along each axis, at least."""

DOUBT = 2.0
"""Standard errors within which a loss is not told apart from the centre's."""

_ROUNDING = 1e-6  # of losses in single precision, relative
_FAR = 4.0  # beyond so many times DOUBT it matters no more by how much

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Relief:
    """One quantity of a slice on a grid fine enough to be drawn.

    Attributes:
        name: What it is, as an axis names it; escaped.
        share: Whether it is a share, from 0 to 1.
        coordinates: Drawn coordinates along each axis.
        values: (grid) the quantity; NaN where nothing is drawn.
        heights: (grid) what is drawn of it: logarithms to the base of ten, or the values.
        low: Lower limit of the heights.
        high: Upper limit of the heights.
        logarithmic: Whether heights are logarithms.
        error: (grid) standard error of the loss; None without one.
        doubt: (grid) distance from the centre's loss, in units of `DOUBT` standard errors of it; None without those.
        drawing_error: (grid) how far the drawn value may be from the true one, as a share; zero at computed points.
        typical_error: Its 95th percentile; NaN where it cannot be told.
        computed: Numbers of computed points along each axis.
    """

    name: str
    share: bool
    coordinates: tuple[Array, ...]
    values: Array
    heights: Array
    low: float
    high: float
    logarithmic: bool
    error: Array | None
    doubt: Array | None
    drawing_error: Array
    typical_error: float
    computed: tuple[int, ...]

    @property
    def title(self) -> str:
        """How much was computed, and how good the drawing between it is."""
        size = " × ".join(str(count) for count in self.computed)
        if not np.isfinite(self.typical_error):
            return f"{size} points"
        return f"{size} points, between them ±{number(float(f'{100 * self.typical_error:.2g}'))} %"

    def texts(self) -> NDArray[np.str_]:
        """(grid) what is said of each drawn point."""
        return np.array([self._text(index) for index in np.ndindex(self.values.shape)]).reshape(self.values.shape)

    def _text(self, index: tuple[int, ...]) -> str:
        value, drawing = float(self.values[index]), float(self.drawing_error[index])
        if not np.isfinite(value):
            return f"{self.name} is not finite"
        text = f"{self.name} {100 * value:.1f} %" if self.share else f"{self.name} {number(value)}"
        if self.error is not None:
            text += f" ± {number(float(f'{self.error[index]:.2g}'))}"
        if self.doubt is not None and self.doubt[index] < 1:
            text += "<br>not told apart from the centre"
        if drawing == 0:
            return text + "<br>computed"
        stated = f", ±{number(float(f'{100 * drawing:.2g}'))} %" if np.isfinite(drawing) and not self.share else ""
        return text + "<br>interpolated" + stated


def relief_of(measured: Slice, show: str = "loss", span: tuple[float, float] | None = None, fine: int = FINE) -> Relief:
    """What is drawn of a slice: splines between its computed points, `fine` intervals along each axis or more.

    Args:
        measured: The slice.
        show: "loss", "accuracy" or the name of one of its metrics.
        span: Values between which the colours run; None for this slice's own, and 0 to 1 for shares.
        fine: Intervals along each axis, at least.

    Raises:
        ValueError: if the slice has no such quantity.
    """
    # Here, as splines take half a second to import, and a server that only lays out the page never draws one.
    from landscope.measurements.interpolation import interpolated

    quantities = quantities_of(measured)
    if show not in quantities:
        raise ValueError(f"show must be one of {', '.join(map(repr, quantities))}, got {show!r}")
    values = np.asarray(quantities[show], dtype=np.float64)
    share = show.endswith("accuracy")
    # The drawing of a loss is the one whose error is estimated, so other quantities take its place.
    counts = tuple((count - 1) * max(1, -(-fine // max(count - 1, 1))) + 1 for count in values.shape)
    drawn = interpolated(measured.replaced(loss=values), counts)
    found = drawn.slice.loss
    if share:
        found = np.asarray(interpolated(measured.replaced(accuracy=values), counts).slice.accuracy)
    limits = span or ((0.0, 1.0) if share else _limits(values))
    heights, low, high, logarithmic = height_scale(found, limits)
    is_loss = show == "loss"
    return Relief(
        name=_named(measured, show),
        share=share,
        coordinates=drawn.slice.coordinates(),
        values=np.where(np.isfinite(found), found, np.nan),
        heights=heights,
        low=low,
        high=high,
        logarithmic=logarithmic and not share,
        error=drawn.slice.error if is_loss else None,
        doubt=_doubt(drawn.slice) if is_loss else None,
        drawing_error=drawn.error,
        typical_error=float("nan") if share else drawn.typical_error,
        computed=values.shape,
    )


def quantities_of(measured: Slice) -> dict[str, NDArray[np.floating]]:
    """What a slice has over its grid, by the names under which it is shown."""
    found = {"loss": measured.loss, **measured.metrics}
    return found if measured.accuracy is None else {**found, "accuracy": measured.accuracy}


def not_finite(
    values: NDArray[np.floating], coordinates: tuple[NDArray[np.floating], ...]
) -> list[NDArray[np.floating]]:
    """Coordinates, one array for each axis, of the points whose value is not finite."""
    places = np.nonzero(~np.isfinite(values))
    return [axis[place] for axis, place in zip(coordinates, places, strict=True)]


def escaped(text: str) -> str:
    """Text of anybody's as plotly shows it: it would read some tags."""
    return html.escape(text, quote=False)


def _limits(values: Array) -> tuple[float, float] | None:
    """Of the computed values: splines may overshoot."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def _named(measured: Slice, show: str) -> str:
    split = measured.provenance.split
    return escaped(f"{split} {show}" if show in ("loss", "accuracy") and split else show.replace("/", " "))


def _doubt(fine: Slice) -> Array | None:
    if fine.contrast_error is None:
        return None
    above = np.abs(fine.loss - fine.centre_loss)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = above / (DOUBT * fine.contrast_error)
    ratio = np.where(above < _ROUNDING * abs(fine.centre_loss), 0.0, np.minimum(ratio, _FAR))
    return np.asarray(np.where(np.isfinite(fine.loss), ratio, np.nan))
