"""The frame of a panel: head with its choices, legend with values, graph, small print."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from landscope_app import ids
from landscope_app.controls import action_button, choice, information_button
from landscope_app.views import Panel

__all__ = ["SEGMENTS", "panel_section"]

SEGMENTS = 3
"""Views of a panel up to which they stand side by side in its head; of more, one is picked from a list."""


def panel_section(panel: Panel, controls: list[Component]) -> Component:
    """The panel's frame: title, controls, legend with values, graph, small print."""
    name, first = panel.name, panel.views[0]
    heading = f"title-{name}"
    return html.Section(
        [
            html.Header(
                [
                    html.H2(panel.title, id=heading),
                    html.Div([*controls, *_view_choice(panel)], className="panel-controls"),
                    information_button(name, f"Explain: {panel.title}"),
                ]
            ),
            html.P(first.summary, className="summary", title=first.summary, **{"data-summary": name}),
            html.Div(className="readout", **{"data-readout": name}),
            html.Div(
                [
                    html.Div(className="table", hidden=True, tabIndex=0, role="region", **_table(panel)),
                    html.Div(
                        [
                            html.Div(html.Div(), id=ids.graph(name), className="graph"),
                            html.Div(className="cursor", hidden=True, **{"data-cursor": name}),
                            html.Div(className="caution", hidden=True, role="note", **{"data-caution": name}),
                        ],
                        className="stage",
                    ),
                    html.Div("waiting for the first measurement", className="cover", **{"data-cover": name}),
                ],
                className="plot",
            ),
            html.P(className="notice", hidden=True, role="note", **{"data-notice": name}),
            html.Div(
                [
                    html.P(" ", className="provenance", **{"data-provenance": name}),
                    action_button("export", f"Export: {panel.title}", "export", quiet=True),
                    action_button("enlarge", f"Enlarge: {panel.title}", "enlarge", quiet=True),
                ],
                className="foot",
            ),
        ],
        id=ids.panel(name),
        className="panel panel-wide" if panel.wide else "panel",
        **{"aria-labelledby": heading},
    )


def _table(panel: Panel) -> dict[str, str]:
    return {"data-table": panel.name, "aria-label": f"Table: {panel.title}"}


def _view_choice(panel: Panel) -> list[Component]:
    """What assets/49-views.js fills with the views that a run has."""
    if len(panel.views) == 1:
        return []
    options = [(view.name, view.label or view.name) for view in panel.views]
    control = choice(ids.view(panel.name), f"View: {panel.title}", options) if len(options) <= SEGMENTS else None
    return [html.Div(control, hidden=True, **{"data-views": panel.name})]
