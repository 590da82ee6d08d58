"""What the drawer says of an exhibit: the recipe's words, and how pictures of its kind are read."""

from __future__ import annotations

from dash.development.base_component import Component

from landscope.recipes.catalogue import CATALOGUE
from landscope.recipes.words import explained
from landscope.runs import Run
from landscope_app.controls import code_block
from landscope_app.snippets import exhibit_snippet
from landscope_app.words import Explanation

__all__ = ["EXHIBIT", "READING", "exhibit_explanation", "exhibit_words"]

EXHIBIT = "exhibit/"
"""What the names of exhibits begin with, among measurements and among what the drawer explains."""

_LEGEND = "A click on a name in the legend takes its line out, or back in."

READING = {
    "chart": (_LEGEND,),
    "matrix": ("Point at a cell for its row, its column and the number.",),
    "slice2d": (
        "The dot is the place that the plane was laid through. Between computed points cubic splines are drawn, and "
        "crosses are losses that are not finite.",
    ),
    "slice-set": ("Heights are logarithmic where every loss is positive. The dot is where each network is.",),
    "seed-variance": ("A standard deviation is known to about 1/√(2R) of itself from R runs: 7 % from a hundred.",),
    "seed-bands": ("Thin lines are single runs, the thick one is their mean.", _LEGEND),
    "class-spectra": (
        "Classes stand in the order of their number of examples, which is below their names. The axis is linear near "
        "zero and logarithmic further out; an error bar is what the iteration may be off.",
    ),
    "barriers": (
        "Error bars are two standard errors: the examples stand for all others. Below are the barrier in shares of "
        "wrong answers, and how far the weights of both ends are from each other.",
    ),
    "forecast": ("The band says nothing of the law being wrong.",),
    "trainability-map": (
        "The colours are ranks: each shade of blue, and of orange, covers as many points as the next.",
    ),
}
"""How to read what has the same form in all recipes, by the kind of the measurement."""


def exhibit_explanation(run: Run, name: str, folder: str, *, step: int | None = None) -> tuple[str, list[Component]]:
    """Title and body of the drawer about an exhibit of a run.

    Args:
        run: The run.
        name: The exhibit's name.
        folder: The run's folder, as the code in the drawer has it.
        step: The shown step; None for the newest.

    Raises:
        KeyError: if the run has no such exhibit.
    """
    words = exhibit_words(run, name)
    code = exhibit_snippet(name, folder, recipe=run.manifest.recipe, step=step)
    return words.title, [*words.body(), code_block("The Python that makes this figure", code)]


def exhibit_words(run: Run, name: str) -> Explanation:
    """All that is said of an exhibit; of one that is a user's own, what its recorder said of it.

    Raises:
        KeyError: if the run has no such exhibit.
    """
    measured = run.measurement(EXHIBIT + name)
    shown = next((event.data for event in run.events("exhibit") if event.data and event.data["name"] == name), {})
    title, summary = (str(shown.get(part) or getattr(measured, part, "")) for part in ("title", "summary"))
    recipe, reading = run.manifest.recipe, READING.get(measured.kind, ())
    words = explained(recipe, name)
    if recipe not in CATALOGUE or words is None:
        return Explanation(title or name, summary, "", reading, ())
    sources = tuple(CATALOGUE[recipe].paper.split("; "))
    return Explanation(
        title or name,
        words.what,
        words.formula,
        (*words.reading, *reading),
        sources,
        meaning=words.meaning,
        caution=words.caution,
    )
