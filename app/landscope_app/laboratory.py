"""Measuring on demand: what can be asked for, by which form, and the answers as pictures."""

from __future__ import annotations

import json
from typing import Any

from dash import html
from dash.development.base_component import Component

from landscope import lab
from landscope.figures import CONFIG, figure
from landscope.formats.web_pages import provenance_words
from landscope.measurements import Measurement
from landscope.runs import Run
from landscope_app.controls import action_button, icon

__all__ = ["ON_DEMAND", "WORDS", "cost", "lab_tab", "on_demand_block", "picture", "result_section"]

WORDS = {
    "what": "What is computed, anew and with its own settings, beside what the run measures by itself.",
    "objective": "Whose mean loss: of all examples that are trained on or held out, of one class, or of selected ones.",
    "step": "Of which weights: the newest, those that were kept nearest below the shown step, or a place on the plane.",
}
"""What the three choices that every measurement has are about, in one sentence each."""


ON_DEMAND = {
    **{f"slice/{plane}": "slice2d" for plane in ("trajectory", "random", "hessian", "gradient")},
    "sharpness": "sharpness",
    "density": "density",
    "quadratic": "quadratic",
    "ntk": "ntk",
    "embedding": "project",
    "embedding/umap": "project",
    "geometry": "geometry",
}
"""What the laboratory measures anew for a panel, by the measurement that the panel draws."""


def on_demand_block(what: str) -> Component:
    """The way from a panel's explanation to the form that measures the same with other settings."""
    return html.Section(
        html.Header(
            [
                html.H3("With other settings, or elsewhere"),
                html.Button(
                    [icon("lab"), html.Span("Measure now", className="button-text")],
                    type="button",
                    className="button",
                    title="Choose settings, data and step in the laboratory",
                    **{"data-action": "demand", "data-measure": what},
                ),
            ]
        ),
        className="code",
    )


def lab_tab() -> list[Component]:
    """The form of a measurement and the queue; assets/58-lab.js and assets/59-jobs.js fill them."""
    return [
        html.P("", className="words", role="status", **{"data-words": "lab"}),
        html.Section([html.H3("Measure now"), html.Div(className="knobs", **{"data-form": ""})]),
        html.Div(
            [
                action_button("measure", "Measure", "lab", text="Measure"),
                html.Span("", className="words", role="status", **{"data-words": "estimate"}),
            ],
            className="row",
        ),
        html.Section(
            [
                html.H3("Asked for"),
                html.P("Nothing yet.", className="words", **{"data-words": "jobs"}),
                html.Ul(className="jobs", **{"data-jobs": ""}),
            ]
        ),
    ]


def result_section() -> Component:
    """The picture of a measurement that was asked for, over the panels; see assets/60-result.js."""
    return html.Section(
        [
            html.Header(
                [
                    html.H2("", id="result-title"),
                    html.Span("", className="words", id="result-words"),
                    action_button("unresult", "Close the picture", "close"),
                ]
            ),
            html.Div(id="result-graph", className="result-graph"),
            html.P("", id="result-note", className="cover", role="status", hidden=True),
            html.Div(
                [
                    html.Pre("", className="line", tabIndex=0, id="result-code"),
                    action_button("copy", "Copy the code", "copy", text="Copy"),
                ],
                className="code result-code",
            ),
        ],
        id="result",
        className="result panel",
        hidden=True,
        **{"aria-labelledby": "result-title"},
    )


def cost(what: str, parameters: dict[str, Any]) -> float:
    """About how many gradients of the whole objective a measurement takes as long as.

    Raises:
        ValueError: if there is no such measurement, or a parameter is none of its own or out of range.
    """
    entry, asked = lab.chosen(what, parameters)
    return float(entry.gradients(asked))


def picture(run: Run, folder: str, seq: int, *, dark: bool) -> str:
    """A frame as JSON: its plotly figure, how plotly is to draw it, its Python, its kind and its words.

    Args:
        run: The run.
        folder: Its folder, as one types it.
        seq: The frame's number.
        dark: Whether on a dark ground.

    Raises:
        KeyError: if the number is no frame's.
        TypeError: if measurements of that kind have no picture.
    """
    measurement = Measurement.from_bytes(run.frame_bytes(seq))
    words = {"kind": measurement.kind} | {key: getattr(measurement, key, "") for key in ("title", "summary")}
    name = next(frame.name for frame in run.frames() if frame.seq == seq)
    drawn = figure(measurement, dark=dark).to_json()
    code = f"ls.open({json.dumps(folder)}).measurement({json.dumps(name)}).figure()"
    besides = {"config": CONFIG, "code": code, "provenance": provenance_words(measurement), **words}
    return f'{{"figure": {drawn}, {json.dumps(besides)[1:]}'
