"""The bar at the bottom: which step of the training every panel shows."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from landscope_app import ids
from landscope_app.controls import action_button, choice

__all__ = ["time_bar"]


def time_bar() -> Component:
    """Play, step, drag, follow; the track itself is drawn by assets/50-timebar.js."""
    return html.Footer(
        [
            html.Div(
                [
                    action_button("back", "Back to the measurement before", "back", "←"),
                    action_button("play", "Play", "play", "space"),
                    action_button("forward", "On to the next measurement", "forward", "→"),
                ],
                className="transport",
                role="group",
                **{"aria-label": "Playback"},
            ),
            html.Div(
                [
                    html.Div(
                        [html.Div(className="rail"), html.Div(className="fill"), html.Div(className="thumb")],
                        id="track",
                        className="track",
                        role="slider",
                        tabIndex=0,
                        **{"aria-label": "Step", "aria-valuemin": "0", "aria-valuemax": "0", "aria-valuenow": "0"},
                    ),
                    html.Div(className="marks"),
                ],
                className="track-area",
            ),
            html.Output("", id="shown-step", className="shown-step"),
            choice(ids.X_SCALE, "Step axis", [("linear", "linear"), ("log", "log")]),
            html.Div(
                action_button("branch", "Branch from here", "branch"),
                id="branch-slot",
                hidden=True,
            ),
            action_button("follow", "Follow the newest step", "follow", "F", text="Follow"),
        ],
        className="timebar run-only",
        **{"aria-label": "Time"},
    )
