"""The list of runs, and what to do when there is none."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

__all__ = ["SNIPPET", "runs_page"]

SNIPPET = """import landscope as ls

scope = ls.watch(model, loss_fn, train=train_set, test=test_set, optimizer=optimizer)
for batch in loader:
    ...
    optimizer.step()
    scope.step(loss)
"""


def runs_page() -> Component:
    """A table that assets/52-runs.js fills, and the way to a first run."""
    return html.Main(
        [
            html.Header(
                [
                    html.H1("Runs"),
                    html.P("looking for runs", id="runs-note", className="summary", role="status"),
                    html.Div(id="runs-search"),
                    html.Button(
                        html.Span("Compare", className="button-text"),
                        id="runs-compare",
                        type="button",
                        className="button",
                        disabled=True,
                        title="Tick two to six runs",
                    ),
                ],
                className="runs-head",
            ),
            html.Table([html.Thead(id="runs-columns"), html.Tbody(id="runs-body")], id="runs-table", className="runs"),
            html.P("No run matches.", id="runs-none", className="words", hidden=True),
            html.P(id="runs-undo", className="refusal", role="status", hidden=True),
            html.Details(
                [
                    html.Summary("Trash", id="trash-summary"),
                    html.Ul(id="trash-list", **{"aria-labelledby": "trash-summary"}),
                ],
                id="runs-trash",
                className="trash",
                hidden=True,
            ),
            html.Section(
                [
                    html.H2("No runs yet"),
                    html.P("Add two lines to a PyTorch training loop:"),
                    html.Pre(SNIPPET, className="snippet", tabIndex=0),
                    html.P(
                        [
                            "or watch one of the built-in experiments: start it from the ",
                            html.A("recipes", href="/recipes", **{"data-route": "/recipes"}),
                            ", or with",
                        ]
                    ),
                    html.Pre("landscope demo\n", className="snippet", tabIndex=0),
                    html.P("It appears here as soon as it has started."),
                ],
                id="runs-empty",
                className="empty",
                hidden=True,
            ),
        ],
        id="runs-page",
        hidden=True,
        **{"data-shown-on": "runs"},
    )
