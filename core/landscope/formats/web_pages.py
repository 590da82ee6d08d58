"""Pages that stand alone: one HTML file with its pictures, which needs no server and asks nothing of the internet."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from landscope.figures import CONFIG, figure
from landscope.formats.packing import packed
from landscope.measurements import Measurement

__all__ = ["Frame", "document", "picture_part", "plain", "provenance_words", "to_html"]

_FOLDER = Path(__file__).parent
_SETTINGS = CONFIG | {"displayModeBar": "hover", "doubleClick": "reset"}
# Nothing is fetched, by whatever the page's names and texts say.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)
_WITHOUT_SCRIPTS = "The pictures of this page are drawn by a script; allow scripts to see them."


@dataclass(frozen=True)
class Frame:
    """A picture at one step.

    Attributes:
        step: The step; None for a picture of no step.
        words: What is said below it.
        light: The figure on a light ground, as plain JSON.
        dark: The same on a dark one.
    """

    step: int | None
    words: str
    light: dict[str, Any]
    dark: dict[str, Any]


def provenance_words(measurement: Measurement) -> str:
    """Where a measurement comes from, in a line."""
    source = measurement.provenance
    data = f"{source.examples:,} {source.split} examples".replace("  ", " ") if source.examples else ""
    step = "" if source.step is None else f"step {source.step:,}"
    taken = f"{source.seconds:.2g} s" if source.seconds else ""
    method = "" if source.method == getattr(measurement, "title", "") else source.method
    return " · ".join(part for part in (step, method, data, taken) if part)


def to_html(measurement: Measurement, **options: Any) -> bytes:
    """A page with the figure of a measurement and where it comes from; light or dark as the reader's system is.

    Args:
        measurement: What to draw.
        **options: What its figure takes, e.g. `style="surface"` for a `Slice2D`.

    Raises:
        TypeError: if measurements of that kind have no picture.
    """
    title = getattr(measurement, "title", "") or measurement.kind
    light, dark = (plain(figure(measurement, dark=ground, **options)) for ground in (False, True))
    frame = Frame(None, provenance_words(measurement), light, dark)
    part = picture_part(title, [frame], summary=getattr(measurement, "summary", ""))
    return "".join(document(title, ['<main class="alone">', part, "</main>"])).encode()


def document(title: str, parts: Iterable[str], steps: Sequence[int] = ()) -> Iterator[str]:
    """A whole page, piece by piece.

    Args:
        title: Its title; escaped here.
        parts: What its body holds, as HTML.
        steps: Steps to choose from, ascending; the slider is there where there are two or more.
    """
    styles, script = ((_FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    yield (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><style>{styles}</style></head>\n<body>'
        f"<noscript><p>{_WITHOUT_SCRIPTS}</p></noscript>\n"
    )
    yield from parts
    if len(steps) > 1:
        yield (
            '<div class="scrubber"><button type="button" id="play">Play</button>'
            '<input type="range" id="step" min="0" step="1" aria-label="Step"><output id="step-told"></output></div>\n'
        )
    data = json.dumps({"config": _SETTINGS, "steps": list(steps)})
    yield f'<script type="application/json" id="page-data">{data}</script>\n<script>'
    yield get_plotlyjs()
    yield f"</script>\n<script>\n{script}</script>\n</body></html>\n"


def picture_part(
    title: str, frames: Iterable[Frame], *, summary: str = "", wide: bool = False, over_steps: bool = False
) -> str:
    """One picture with its heading, as HTML.

    Args:
        title: The heading; escaped here.
        frames: The picture at each step, ascending.
        summary: A sentence on how to read it; escaped here.
        wide: Whether it takes the page's whole width.
        over_steps: Whether its horizontal axis is the step, so that the chosen one is marked there.
    """
    told = packed(vars(frame) for frame in frames)
    kind = f'class="picture{" wide" if wide else ""}"{" data-over-steps" if over_steps else ""}'
    return (
        f'<section {kind}><h3>{html.escape(title)}</h3><p class="summary">{html.escape(summary)}</p>'
        f'<div class="graph"></div><p class="words"></p>'
        f'<script type="text/plain" class="frames">{told}</script></section>\n'
    )


def plain(drawing: go.Figure) -> dict[str, Any]:
    """A figure's data and layout, as JSON has them."""
    found: dict[str, Any] = json.loads(drawing.to_json())
    return {"data": found["data"], "layout": found["layout"]}
