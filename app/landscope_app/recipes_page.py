"""The gallery of recipes: what each shows and claims, what became of that, and a form to start it."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from landscope.recipes.catalogue import CATALOGUE, Entry
from landscope.recipes.claims import overall
from landscope.recipes.records import read_checks
from landscope_app.controls import action_button

__all__ = ["checked_words", "recipes_page"]


def recipes_page(*, read_only: bool = False) -> Component:
    """A card for each recipe; assets/64-recipes.js draws its picture, makes its form and starts it."""
    return html.Main(
        [
            html.H1("Recipes"),
            html.P(
                "Small experiments that show what a paper claims, each in one to five minutes on a laptop.",
                className="words",
            ),
            html.Div([_card(entry, read_only) for entry in CATALOGUE.values()], className="cards"),
        ],
        id="recipes-page",
        hidden=True,
        **{"data-shown-on": "recipes"},
    )


def checked_words(name: str) -> tuple[str, str]:
    """What became of a recipe's claims when it was last checked: an outcome, and a sentence."""
    checks = read_checks(name)
    if not checks:
        return "", "Not checked yet."
    outcomes = [overall(one.claims) for one in checks]
    counts = {outcome: outcomes.count(outcome) for outcome in dict.fromkeys(outcomes)}
    outcome = next(iter(counts)) if len(counts) == 1 else "partly"
    told = ", ".join(f"{outcome} with {count} of {len(checks)} seeds" for outcome, count in counts.items())
    seconds = sum(one.seconds for one in checks) / len(checks)
    return outcome, f"When last checked: {told}, {seconds:.0f} processor seconds each on {checks[0].machine}."


def _card(entry: Entry, read_only: bool) -> Component:
    outcome, words = checked_words(entry.name)
    heading = f"recipe-{entry.name}"
    pill = [html.Span(outcome, className="pill outcome", **{"data-outcome": outcome})] if outcome else []
    start = action_button("start", f"Start {entry.name}", "play", text="Start")
    start.disabled = read_only
    if read_only:
        start.title = "This server is read-only: it was started with --read-only"
    return html.Section(
        [
            html.Div(className="card-picture", **{"data-picture": entry.name, "aria-hidden": "true"}),
            html.Header([html.H2(entry.name, id=heading), html.Span(entry.duration, className="words"), *pill]),
            html.P(entry.summary, className="card-summary"),
            html.P([html.B("Claim: "), entry.claim, " ", html.Span(entry.paper, className="measured")]),
            html.P(words, className="words"),
            html.Details(
                [html.Summary("Settings"), html.Div(className="knobs", **{"data-settings": entry.name})],
                className="card-settings",
            ),
            html.Div(
                [
                    start,
                    html.Pre(f"landscope demo {entry.name}", className="line", tabIndex=0),
                ],
                className="row",
            ),
            html.P("", className="words", role="status", **{"data-starting": entry.name}),
        ],
        className="card panel",
        **{"aria-labelledby": heading, "data-recipe": entry.name},
    )
