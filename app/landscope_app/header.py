"""The top of the page: where one is, which run, how it fares, and the line that says what is happening."""

from __future__ import annotations

import dash_mantine_components as dmc
from dash import html
from dash.development.base_component import Component

from landscope_app import ids
from landscope_app.controls import action_button, icon

__all__ = ["banner", "finding_line", "lesson_card", "page_header"]


def page_header() -> Component:
    """Name, run picker, status, staleness; what a live training is told, theme and help."""
    return html.Header(
        [
            html.A(
                [icon("mark"), html.Span("Landscope", className="brand-name")],
                href="/",
                className="brand",
                title="All runs",
                **{"data-route": "/"},
            ),
            html.Nav(
                [
                    html.A(label, href=path, **{"data-route": path})
                    for label, path in (("Runs", "/"), ("Recipes", "/recipes"))
                ],
                className="places",
                **{"aria-label": "Pages"},
            ),
            html.Div(
                [
                    dmc.Select(
                        id=ids.RUN_PICKER,
                        data=[],
                        searchable=True,
                        allowDeselect=False,
                        size="xs",
                        placeholder="choose a run",
                        nothingFoundMessage="no such run",
                        maxDropdownHeight=420,
                        className="run-picker",
                        comboboxProps={"width": 420, "position": "bottom-start"},
                        **{"aria-label": "Run"},
                    ),
                    html.Span("", id="status", className="pill", role="status"),
                    html.Span("", id="staleness", className="staleness"),
                    html.Span("", id="kin", className="kin", hidden=True),
                    html.Span(
                        html.A("Compare with …", id="compare-with", href="/", **{"data-route": "/"}), className="kin"
                    ),
                ],
                className="run-only run-state",
            ),
            html.Div(className="spacer"),
            html.Div(
                [
                    action_button("pause", "Pause training", "pause", text="Pause"),
                    action_button("step", "Single step", "step", "."),
                    action_button("stop", "Stop training", "stop"),
                ],
                id="training",
                className="group run-only",
                hidden=True,
                role="group",
                **{"aria-label": "Training"},
            ),
            html.Div(action_button("layout", "Choose and arrange panels", "layout"), className="run-only"),
            html.Div(
                [
                    action_button("control", "Control of the training", "control", "C", text="Control"),
                    action_button("lab", "Laboratory: measure on demand", "lab", "M", text="Lab"),
                ],
                className="group run-only",
            ),
            html.Div(
                [
                    html.Span("", id="report-words", className="words", role="status"),
                    action_button("report", "Report of this run, as one page to keep", "export"),
                ],
                className="group run-only",
            ),
            action_button("theme", "Light or dark", "theme", "D"),
            html.Button(
                icon("help"),
                id=ids.about("page"),
                type="button",
                title="Help and keys (?)",
                className="button",
                **{"aria-label": "Help and keys", "data-help": "true"},
            ),
        ],
        className="page-header",
    )


def banner() -> Component:
    """Shown while the server does not answer, or when something went wrong."""
    return html.Div("", id="banner", className="banner", role="alert", hidden=True)


def finding_line() -> Component:
    """What is happening at the shown step, in plain words, and all that was found; see assets/61-findings.js."""
    return html.Div(
        [
            html.P("", id="finding", className="finding", role="status"),
            html.Div(
                action_button("lesson", "A lesson on this recipe, step by step", "lesson", text="Lesson"),
                id="lesson-open",
                hidden=True,
            ),
            html.Button(
                "", id="findings-open", type="button", className="button quiet", hidden=True, title="All that was found"
            ),
        ],
        className="finding-line",
    )


def lesson_card() -> Component:
    """Where a recipe's lesson is told, over the panels; see assets/65-lessons.js."""
    return html.Aside(
        [
            html.Header(
                [
                    html.H2("", id="lesson-title"),
                    html.Span("", id="lesson-place", className="words"),
                    action_button("lesson-close", "End the lesson", "close", quiet=True),
                ]
            ),
            html.P("", id="lesson-text", role="status"),
            html.P("", id="lesson-note", className="words"),
            html.Div(
                [
                    action_button("lesson-back", "Back to the stop before", "back", text="Back"),
                    action_button("lesson-next", "On to the next stop", "forward", text="Next"),
                ],
                className="row",
            ),
        ],
        id="lesson",
        className="lesson",
        hidden=True,
        **{"aria-label": "Lesson"},
    )
