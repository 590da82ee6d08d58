"""Figures of measurements as files of other programs."""

from __future__ import annotations

import importlib.util
from typing import Any

from landscope.figures import figure
from landscope.measurements import Measurement

__all__ = ["to_json", "to_png", "to_svg"]

_WIDTH, _HEIGHT, _SCALE = 900, 600, 2


def to_json(measurement: Measurement, *, dark: bool = False, **options: Any) -> bytes:
    """The figure of a measurement as plotly's JSON, which `plotly.io.from_json` and plotly.js read.

    Raises:
        TypeError: if measurements of that kind have no picture.
    """
    return str(figure(measurement, dark=dark, **options).to_json()).encode()


def to_png(measurement: Measurement, *, dark: bool = False, **options: Any) -> bytes:
    """The figure of a measurement as an image of 1800 × 1200 points.

    Raises:
        TypeError: if measurements of that kind have no picture.
        ModuleNotFoundError: if kaleido is not installed, which makes images of plotly's figures.
    """
    return _image(measurement, "png", dark, options)


def to_svg(measurement: Measurement, *, dark: bool = False, **options: Any) -> bytes:
    """The figure of a measurement as a vector image.

    Raises:
        TypeError: if measurements of that kind have no picture.
        ModuleNotFoundError: if kaleido is not installed, which makes images of plotly's figures.
    """
    return _image(measurement, "svg", dark, options)


def _image(measurement: Measurement, form: str, dark: bool, options: dict[str, Any]) -> bytes:
    drawing = figure(measurement, dark=dark, **options)
    if importlib.util.find_spec("kaleido") is None:
        raise ModuleNotFoundError(
            f"a .{form} file needs kaleido, which is not installed: pip install kaleido, or write an .html file, or "
            "use Export in the head of a panel of the page, where the browser makes the image",
            name="kaleido",
        )
    return bytes(drawing.to_image(format=form, width=_WIDTH, height=_HEIGHT, scale=_SCALE))
