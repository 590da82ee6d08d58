"""What can be asked of a training, what each of it does in words, and where the page offers it."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from landscope_app.controls import action_button

__all__ = ["COMMANDS", "STEERING", "control_tab"]

COMMANDS: dict[str, frozenset[str]] = {
    "pause": frozenset(),
    "resume": frozenset(),
    "stop": frozenset(),
    "step": frozenset(),
    "set": frozenset({"name", "value", "group"}),
    "optimizer": frozenset({"name"}),
    "snapshot": frozenset(),
    "rewind": frozenset({"step"}),
    "cross-check": frozenset(),
    "measure": frozenset({"what", "objective", "class", "chosen", "step", "steps", "at", "examples", "parameters"}),
    "cancel": frozenset({"job"}),
}
"""The commands that a run is given, and the parameters that each may have."""

STEERING = {
    "pause": ("Pause", "Holds the training between two steps. It can be measured and changed meanwhile."),
    "step": ("Single step", "Lets exactly one step of the training through, then waits again."),
    "stop": ("Stop", "Ends the training for good. What was recorded stays."),
    "lr": ("Learning rate", "Scales every step. Plain descent is stable up to a sharpness of two over this number."),
    "weight_decay": ("Weight decay", "Pulls all weights towards zero at every step."),
    "momentum": (
        "Momentum",
        "The share of its velocity that a step keeps: more of it runs through noise and flat valleys, and overshoots.",
    ),
    "batch_size": ("Batch size", "Examples in a step: with fewer of them the gradient is noisier, and a step cheaper."),
    "optimizer": ("Optimiser", "Another rule for the steps from here on. Its averages begin anew."),
    "snapshot": ("Snapshot", "Keeps weights, buffers and the optimiser's state of this step, to come back to."),
    "rewind": ("Rewind", "Goes on from a kept step as a new run, a branch. This run ends, and stays as it is."),
}
"""Each control by what the trainer calls it: its name on the page, and what it changes, in one sentence."""


def control_tab() -> list[Component]:
    """The controls of a live training; assets/56-steering.js fills them from what the trainer says of itself."""
    return [
        html.P("", className="words", **{"data-words": "training"}),
        _section("Knobs", html.Div("", className="knobs", **{"data-knobs": ""})),
        _section(
            "Checkpoints",
            html.Div(
                [
                    action_button("snapshot", "Keep a snapshot", "snapshot", text="Snapshot"),
                    html.Label([html.Span("step"), html.Div(**{"data-checkpoints": ""})], className="inline"),
                    action_button("rewind", "Rewind to the chosen step", "rewind", text="Rewind"),
                ],
                className="row",
            ),
            html.P(STEERING["snapshot"][1], className="words", **{"data-words": "snapshot"}),
            html.P(STEERING["rewind"][1], className="words", **{"data-words": "rewind"}),
        ),
        _section(
            "What was done",
            html.P("Nothing yet.", className="words", **{"data-words": "acts"}),
            html.Ol(className="acts", **{"data-acts": ""}),
        ),
    ]


def _section(title: str, *children: Component) -> Component:
    return html.Section([html.H3(title), *children])
