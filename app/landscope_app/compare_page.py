"""Runs side by side: what differs between them, and a picture for each kind of measurement over one time bar."""

from __future__ import annotations

from dataclasses import dataclass

from dash import html
from dash.development.base_component import Component

from landscope_app.controls import action_button

__all__ = ["PICTURES", "compare_page"]


@dataclass(frozen=True)
class Shown:
    """One picture of the page.

    Attributes:
        name: What it is called in the address of the server's answers.
        title: What it is called on the page.
        summary: How to read it, in one sentence.
        wide: Whether it takes the whole width.
    """

    name: str
    title: str
    summary: str
    wide: bool = False


PICTURES = (
    Shown("curves", "Curves", "Each run in its own colour and dash pattern; a click in the legend hides one.", True),
    Shown("curve_difference", "Difference of curves", "One run's curves less another's, at the steps of both.", True),
    Shown("planes", "Loss landscapes", "At the same step, in the same axes, with one scale of colours.", True),
    Shown("difference", "Difference of landscapes", "One landscape less another: blue where the first is lower."),
    Shown(
        "densities", "Hessian spectra", "Densities of all eigenvalues; dots are the leading ones, thin lines limits."
    ),
    Shown("kernels", "Tangent kernels", "Eigenvalues by rank: a flatter line means more directions that are learnt."),
    Shown(
        "embeddings",
        "Feature geometry",
        "Laid over the first run's by rotation, reflection and scale, where the examples are the same.",
        True,
    ),
)


def compare_page() -> Component:
    """The frame that assets/67-compare-page.js fills."""
    return html.Main(
        [
            html.Header(
                [
                    html.H1("Compare"),
                    html.P("", id="compare-note", className="words", role="status"),
                    html.A("Other runs …", id="compare-others", href="/", **{"data-route": "/"}),
                    html.A(
                        "With the reference",
                        id="compare-reference",
                        href="/",
                        hidden=True,
                        title="Beside the run of this recipe as it was recorded once",
                        **{"data-route": "/"},
                    ),
                ],
                className="compare-head",
            ),
            html.Section(
                [
                    html.H2("Two to twelve runs side by side"),
                    html.P("Tick them in the list of runs, then press Compare there."),
                ],
                id="compare-empty",
                className="empty",
                hidden=True,
            ),
            html.Div(
                [
                    html.Div(
                        html.Table(id="compare-table", **{"aria-label": "What differs between the runs"}),
                        className="compare-settings panel",
                        tabIndex=0,
                        role="region",
                        **{"aria-label": "Runs and the settings in which they differ"},
                    ),
                    html.Div(id="compare-exhibits", className="compare-exhibits"),
                    *(_panel(shown) for shown in PICTURES),
                    html.P("", id="compare-absent", className="words compare-wide", role="note", hidden=True),
                ],
                id="compare-body",
                className="compare-body",
                hidden=True,
            ),
            _time(),
        ],
        id="compare-page",
        hidden=True,
        **{"data-shown-on": "compare"},
    )


def _panel(shown: Shown) -> Component:
    heading = f"compare-title-{shown.name}"
    return html.Section(
        [
            html.Header(
                [
                    html.H2(shown.title, id=heading),
                    html.Div(_CONTROLS.get(shown.name, []), className="panel-controls"),
                ]
            ),
            html.P(shown.summary, className="summary", title=shown.summary),
            html.Div(
                [
                    html.Div(className="compare-graph", **{"data-graph": shown.name}),
                    html.Div("loading", className="cover", role="status", **{"data-cover": f"compare-{shown.name}"}),
                ],
                className="plot",
            ),
            html.P("", className="words", hidden=True, role="note", **{"data-notes": shown.name}),
            html.Div(
                [
                    html.Pre("", className="line", tabIndex=0, **{"data-line": shown.name}),
                    action_button("copy", "Copy the code", "copy", text="Copy"),
                ],
                className="code result-code",
            ),
        ],
        id=f"compare-{shown.name}",
        className="panel compare-wide" if shown.wide else "panel",
        **{"aria-labelledby": heading, "data-picture": shown.name},
    )


def _select(name: str, label: str) -> Component:
    """A choice that the script fills."""
    return html.Label([label, html.Div(**{"data-select": name})], className="inline")


_CONTROLS: dict[str, list[Component]] = {
    "curves": [_select("bands", "seeds")],
    "curve_difference": [_select("first", ""), _select("second", "less")],
    "planes": [_select("plane", "plane")],
    "difference": [_select("first", ""), _select("second", "less")],
}


def _time() -> Component:
    return html.Footer(
        [
            html.Div(id="compare-slider", className="track-area"),
            html.Output("", id="compare-step", className="shown-step"),
            html.Button(
                html.Span("Log steps", className="button-text"),
                id="compare-log",
                type="button",
                className="button",
                title="Logarithmic steps (L)",
                **{"aria-pressed": "false"},
            ),
            html.Button(
                html.Span("Follow", className="button-text"),
                id="compare-follow",
                type="button",
                className="button",
                title="Follow the newest step that all runs have reached (F)",
                **{"aria-pressed": "true"},
            ),
        ],
        id="compare-time",
        className="timebar compare-time",
        hidden=True,
        **{"aria-label": "Time"},
    )
