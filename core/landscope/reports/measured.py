"""The pictures of a run: a frame for each step that is shown, of every measurement that has a figure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go

from landscope.figures import figure
from landscope.formats.web_pages import Frame, plain, provenance_words
from landscope.measurements import Measurement, Slice2D
from landscope.reports.grounds import colours_of, dark_colours, recoloured
from landscope.reports.steadiness import hold_still
from landscope.runs import FrameRef, Run
from landscope.runs.retention import spread

__all__ = ["MOST", "TITLES", "chosen_frames", "picture_frames", "title_and_summary"]

MOST = 40
"""Frames of one measurement in a report, at most."""

TITLES = {
    "slice/trajectory": "Loss landscape on the plane of the training's path",
    "slice/random": "Loss landscape on a random plane",
    "slice/hessian": "Loss landscape along the sharpest directions",
    "slice/gradient": "Loss landscape along gradient and update",
    "sharpness": "Sharpness",
    "sharpness/measures": "Measures of sharpness",
    "quadratic": "Where the quadratic model holds",
    "density": "Hessian spectrum",
    "ntk": "Tangent kernel",
    "modes": "Residual along the kernel's modes",
    "linearised": "The linearised network",
    "embedding": "Features",
    "embedding/umap": "Features by UMAP",
    "geometry": "Geometry of the features",
    "similarity/layers": "How alike the layers are",
    "similarity/steps": "How alike the steps are",
    "tokens": "Spectrum of the tokens",
    "examples/history": "Losses of the examples",
    "examples/mixture": "Two groups of losses",
    "outputs/calibration": "Calibration",
    "outputs/change": "Change of the outputs",
    "forecast": "Forecast of the loss",
    "gradients": "Gradient noise",
    "gradients/conflict": "Conflict of gradients",
    "weights": "Weights of the layers",
    "units": "Units",
    "plasticity": "Plasticity",
}
"""What the usual measurements are called, in the order in which a report shows them."""

_EXHIBIT = "exhibit/"


def chosen_frames(run: Run, most: int = MOST) -> dict[str, list[FrameRef]]:
    """The frames that a report shows, by the measurement's name: at most `most` of each, its first and last among them.

    Exhibits come first, in the order in which they were first shown, then the usual measurements, then others.

    Args:
        run: The run.
        most: How many of each; from 2.
    """
    newest: dict[str, dict[int, FrameRef]] = {}
    for frame in run.frames():
        newest.setdefault(frame.name, {})[frame.step] = frame  # coarse pictures are replaced by finer ones
    chosen = {}
    for name in sorted(newest, key=_place):  # stable: first shown, first
        frames = [newest[name][step] for step in sorted(newest[name])]
        chosen[name] = [frames[at] for at in spread(np.array([frame.step for frame in frames]), most)]
    return chosen


def picture_frames(run: Run, frames: list[FrameRef]) -> list[Frame]:
    """The picture of a measurement at each of some steps, with ranges that hold still; empty where it has no figure.

    Args:
        run: The run.
        frames: Stored measurements of one name, by ascending step.
    """
    found = list(_read(run, frames))
    span = run.span(frames[0].name)

    def build(measured: Measurement, *, dark: bool) -> go.Figure:
        options = {} if span is None or not isinstance(measured, Slice2D) else {"span": span}
        return figure(measured, dark=dark, **options)

    try:
        light = [build(measured, dark=False) for _, measured in found]
    except TypeError:  # measurements of that kind have none: snapshots, thumbnails
        return []
    hold_still(light)
    plain_light = [plain(one) for one in light]

    def built_dark(places: Iterable[int]) -> dict[int, Any]:
        built = {at: build(found[at][1], dark=True) for at in places}
        hold_still(light, list(built.values()))  # which has found its ranges
        return {at: plain(one) for at, one in built.items()}

    dark = built_dark({0, len(found) - 1} if found else ())
    colours = dark_colours((plain_light[at], one) for at, one in dark.items())
    if colours is not None and all(colours.keys() >= set(colours_of(one)) for one in plain_light):
        theme = dark[0]["layout"].get("template") if dark else None
        dark = {at: recoloured(one, colours, theme) for at, one in enumerate(plain_light)} | dark
    else:
        dark |= built_dark(at for at in range(len(found)) if at not in dark)
    return [
        Frame(frame.step, provenance_words(measured), plain_light[at], dark[at])
        for at, (frame, measured) in enumerate(found)
    ]


def title_and_summary(run: Run, name: str) -> tuple[str, str]:
    """What a measurement of a run is called, and a sentence on how to read it, where one is known."""
    told = [event.data for event in run.events("exhibit") if event.data and f"{_EXHIBIT}{event.data['name']}" == name]
    if told:
        return str(told[-1].get("title") or name), str(told[-1].get("summary") or "")
    return TITLES.get(name, name), ""


def _read(run: Run, frames: list[FrameRef]) -> Iterator[tuple[FrameRef, Measurement]]:
    for frame in frames:
        try:
            measured = Measurement.from_bytes(run.frame_bytes(frame.seq))
        except KeyError:  # a run that goes on thins what it keeps
            continue
        source = measured.provenance
        yield (
            frame,
            measured if source.step is not None else measured.replaced(provenance=replace(source, step=frame.step)),
        )


def _place(name: str) -> int:
    if name.startswith(_EXHIBIT):
        return -1
    return list(TITLES).index(name) if name in TITLES else len(TITLES)
