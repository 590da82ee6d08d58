"""The column beside the panels: control of a live training, and measuring on demand."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from landscope_app.controls import action_button, information_button
from landscope_app.laboratory import lab_tab
from landscope_app.steering import control_tab

__all__ = ["TABS", "dock"]

TABS = (("control", "Control"), ("lab", "Lab"))
"""Its tabs, by their names in the address."""


def dock() -> Component:
    """One tab at a time, closed unless the address says otherwise; see assets/55-dock.js."""
    tabs = [
        html.Button(
            title,
            type="button",
            id=f"tab-{name}",
            role="tab",
            className="tab",
            **{"aria-selected": "false", "aria-controls": f"dock-{name}", "data-dock": name},
        )
        for name, title in TABS
    ]
    contents = {"control": control_tab, "lab": lab_tab}
    return html.Aside(
        [
            html.Header(
                [
                    html.Div(tabs, role="tablist", className="tabs", **{"aria-label": "Beside the panels"}),
                    information_button("steering", "Explain: control and laboratory"),
                    action_button("undock", "Close", "close"),
                ]
            ),
            *(
                html.Div(
                    contents[name](),
                    id=f"dock-{name}",
                    role="tabpanel",
                    className="dock-body",
                    hidden=True,
                    **{"aria-labelledby": f"tab-{name}"},
                )
                for name, _ in TABS
            ),
        ],
        id="dock",
        className="dock run-only",
        hidden=True,
        **{"aria-label": "Control and laboratory"},
    )
