"""The look shared by every figure: two plotly templates, the palettes, and the settings of the drawing area."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.colors import sample_colorscale

__all__ = [
    "ABOVE",
    "CONFIG",
    "DARK",
    "LIGHT",
    "Theme",
    "blend",
    "categories",
    "cyclic",
    "sequential",
    "shades",
    "signed",
    "template",
    "theme",
    "veil",
]

CONFIG: dict[str, Any] = {
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "displaylogo": False,
    "displayModeBar": False,
    "doubleClick": False,
    "responsive": True,
}
"""Settings of every graph. Nothing is ever offered for upload."""

ABOVE: dict[str, Any] = {"orientation": "h", "yanchor": "bottom", "y": 1.0, "xanchor": "left", "x": 0}
"""A legend in one row above its figure."""

FONT = 'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'

HEIGHT = "Viridis"
SIGNED = "RdBu"


@dataclass(frozen=True)
class Theme:
    """Colours by their role, so that a series has the same colour in every panel.

    Attributes:
        name: "light" or "dark".
        surface: Background of a figure.
        text: Numbers and names.
        muted: Axis names and small print.
        grid: Grid lines.
        axis: Axis lines, and cells without a finite value.
        first: First series (training data, the leading quantity).
        second: Second series (test data); always drawn dashed as well.
        third: Third series.
        accent: The path of the training, the chosen step.
        palette: Colours of up to ten classes, Okabe and Ito's first.
    """

    name: str
    surface: str
    text: str
    muted: str
    grid: str
    axis: str
    first: str
    second: str
    third: str
    accent: str
    palette: tuple[str, ...]


LIGHT = Theme(
    name="light",
    surface="#ffffff",
    text="#1c2128",
    muted="#57606a",
    grid="#e9ecef",
    axis="#b4bcc5",
    first="#0072b2",
    second="#d55e00",
    third="#007d5c",
    accent="#d1246b",
    palette=(
        "#0072b2",
        "#d55e00",
        "#009e73",
        "#cc79a7",
        "#e69f00",
        "#56b4e9",
        "#1c2128",
        "#b8a900",
        "#8c6bb1",
        "#8c564b",
    ),
)

DARK = Theme(
    name="dark",
    surface="#14181f",
    text="#e6eaf0",
    muted="#98a3b0",
    grid="#232a34",
    axis="#465160",
    first="#56b4e9",
    second="#f0883e",
    third="#2fc79b",
    accent="#ff6fa8",
    palette=(
        "#56b4e9",
        "#f0883e",
        "#2fc79b",
        "#dd8fbb",
        "#e8b43a",
        "#4474e0",
        "#f4f6f8",
        "#f0e442",
        "#a78bda",
        "#c08a78",
    ),
)


def theme(dark: bool) -> Theme:
    """The dark or the light theme."""
    return DARK if dark else LIGHT


@cache
def template(colours: Theme) -> go.layout.Template:
    """The plotly template of a theme: type of 11 to 13 px, thin axes, a quiet grid."""
    axis = {
        "gridcolor": colours.grid,
        "linecolor": colours.axis,
        "zerolinecolor": colours.grid,
        "zeroline": False,
        "showline": True,
        "linewidth": 1,
        "ticks": "outside",
        "ticklen": 3,
        "tickcolor": colours.axis,
        "tickfont": {"size": 11, "color": colours.muted},
        "title": {"font": {"size": 11, "color": colours.muted}, "standoff": 6},
        "exponentformat": "power",
        "minexponent": 4,
    }
    scene_axis = {
        "backgroundcolor": colours.surface,
        "showbackground": False,
        "gridcolor": colours.axis,
        "linecolor": colours.axis,
        "zerolinecolor": colours.axis,
        "tickfont": {"size": 11, "color": colours.muted},
        "title": {"font": {"size": 11, "color": colours.muted}},
    }
    bar = {
        "thickness": 10,
        "outlinewidth": 0,
        "ticklen": 3,
        "tickcolor": colours.axis,
        "tickfont": {"size": 11, "color": colours.muted},
        "title": {"font": {"size": 11, "color": colours.muted}, "side": "right"},
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 12, "color": colours.text},
            "title": {"font": {"size": 13}, "x": 0, "xanchor": "left", "xref": "paper"},
            "paper_bgcolor": colours.surface,
            "plot_bgcolor": colours.surface,
            "colorway": list(colours.palette),
            "colorscale": {"sequential": HEIGHT, "diverging": SIGNED},
            "hovermode": "closest",
            "hoverlabel": {
                "bgcolor": colours.surface,
                "bordercolor": colours.axis,
                "font": {"family": FONT, "size": 12, "color": colours.text},
            },
            "margin": {"l": 64, "r": 16, "t": 36, "b": 48},
            "legend": {"font": {"size": 11}, "bgcolor": "rgba(0,0,0,0)"},
            "xaxis": axis,
            "yaxis": axis,
            "scene": {"xaxis": scene_axis, "yaxis": scene_axis, "zaxis": scene_axis},
            "coloraxis": {"colorbar": bar, "colorscale": HEIGHT},
        },
        data={
            "contour": [go.Contour(colorbar=bar, colorscale=HEIGHT)],
            "surface": [go.Surface(colorbar=bar, colorscale=HEIGHT)],
            "isosurface": [go.Isosurface(colorbar=bar, colorscale=HEIGHT)],
            "heatmap": [go.Heatmap(colorbar=bar)],
        },
    )


def blend(colour: str, background: str, opacity: float) -> str:
    """`colour` laid over `background` at `opacity`, both given as #rrggbb."""
    over, under = _channels(colour), _channels(background)
    return _hex(opacity * over + (1 - opacity) * under)


def veil(colour: str, opacity: float) -> str:
    """`colour`, given as #rrggbb, as one that is seen through."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def categories(count: int, colours: Theme) -> list[str]:
    """Colours of `count` classes: the palette for up to ten of them, hues around a circle for more.

    More than ten hues cannot be told apart one by one, but an order can be seen: with residues modulo 97,
    features that lie on a circle show as a rainbow.
    """
    if count <= len(colours.palette):
        return list(colours.palette[:count])
    return cyclic(count, lightness=0.62 if colours.name == "light" else 0.74)


def cyclic(count: int, *, lightness: float = 0.68, chroma: float = 0.125) -> list[str]:
    """`count` colours of equal lightness and chroma, evenly spaced in hue, in Ottosson's Oklab space (2020).

    Args:
        count: Number of colours, the last next to the first.
        lightness: Oklab lightness in [0, 1].
        chroma: Distance from grey; small enough that every hue is inside sRGB, or is clipped a little.
    """
    return [_oklch(lightness, chroma, 2 * math.pi * index / count) for index in range(count)]


def sequential(count: int, colours: Theme) -> list[str]:
    """`count` ordered line colours from viridis, leaving out the end that vanishes in the background."""
    low, high = (0.0, 0.82) if colours.name == "light" else (0.28, 1.0)
    where = np.linspace(low, high, max(count, 2))[:count]
    if colours.name == "dark":
        where = where[::-1]
    return [_hex(np.array(rgb) / 255) for rgb in (_triple(text) for text in sample_colorscale(HEIGHT, list(where)))]


def shades(colours: Theme) -> list[tuple[float, str]]:
    """A colour scale of one hue, from nothing to much: background, first series, text."""
    return [(0.0, colours.surface), (0.8, colours.first), (1.0, colours.text)]


def signed(colours: Theme) -> list[tuple[float, str]]:
    """A colour scale of two hues about zero: second series below, background, first series above, text at its end."""
    dark = blend(colours.second, colours.text, 0.6), blend(colours.first, colours.text, 0.6)
    return [(0.0, dark[0]), (0.25, colours.second), (0.5, colours.surface), (0.75, colours.first), (1.0, dark[1])]


def _triple(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text[text.index("(") + 1 : text.index(")")].split(","))


def _channels(colour: str) -> NDArray[np.float64]:
    return np.array([int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)])


def _hex(channels: NDArray[np.float64]) -> str:
    return "#" + "".join(f"{round(255 * float(value)):02x}" for value in np.clip(channels, 0, 1))


def _oklch(lightness: float, chroma: float, hue: float) -> str:
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    cone = np.array(
        [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
    )
    rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(rgb @ (cone @ np.array([lightness, a, b])) ** 3, 0, 1)
    return _hex(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))
