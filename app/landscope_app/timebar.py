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
                    html.Button(
                        "1×",
                        type="button",
                        title="Speed of playing ([ slower, ] faster)",
                        className="button quiet speed",
                        **{"data-action": "speed", "aria-label": "Speed of playing: 1×"},
                    ),
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
                    *(
                        html.Span(letter.upper(), className="pin", hidden=True, **{"data-pin": letter})
                        for letter in "ab"
                    ),
                ],
                className="track-area",
            ),
            html.Div(
                [_pin_button("a"), _pin_button("b")], className="transport", role="group", **{"aria-label": "Pins"}
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


def _pin_button(letter: str) -> Component:
    return html.Button(
        letter.upper(),
        type="button",
        className="button pin-button",
        **{"data-action": f"pin-{letter}", "aria-label": f"Pin this step as {letter.upper()}"},
    )
