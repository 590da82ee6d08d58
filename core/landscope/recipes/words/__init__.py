"""What is said of the recipes: a lesson of each, and the words behind its exhibits. A file for each, without torch."""

from landscope.recipes.words import (
    chaos,
    collapse,
    digits,
    fractal,
    grokking,
    harmonic,
    imbalance,
    lazy_rich,
    modes,
    plasticity,
    sam,
    schedule,
    skip,
    stepwise,
    width,
)
from landscope.recipes.words.forms import Exhibit, Stop

__all__ = ["EXHIBITS", "LESSONS", "Exhibit", "Stop", "explained"]

LESSONS: dict[str, tuple[Stop, ...]] = {
    "grokking": grokking.LESSON,
    "digits": digits.LESSON,
    "lazy-rich": lazy_rich.LESSON,
    "collapse": collapse.LESSON,
    "skip": skip.LESSON,
    "imbalance": imbalance.LESSON,
    "sam": sam.LESSON,
    "chaos": chaos.LESSON,
    "stepwise": stepwise.LESSON,
    "modes": modes.LESSON,
    "plasticity": plasticity.LESSON,
    "harmonic": harmonic.LESSON,
    "schedule": schedule.LESSON,
    "width": width.LESSON,
    "fractal": fractal.LESSON,
}
"""The lesson of every recipe."""

EXHIBITS: dict[str, dict[str, Exhibit]] = {
    "lazy-rich": lazy_rich.EXHIBITS,
    "collapse": collapse.EXHIBITS,
    "skip": skip.EXHIBITS,
    "imbalance": imbalance.EXHIBITS,
    "sam": sam.EXHIBITS,
    "chaos": chaos.EXHIBITS,
    "stepwise": stepwise.EXHIBITS,
    "modes": modes.EXHIBITS,
    "plasticity": plasticity.EXHIBITS,
    "harmonic": harmonic.EXHIBITS,
    "schedule": schedule.EXHIBITS,
    "width": width.EXHIBITS,
    "fractal": fractal.EXHIBITS,
}
"""The words behind the exhibits of those recipes that have some, by name; one that ends in `*` stands for several."""


def explained(recipe: str | None, name: str) -> Exhibit | None:
    """The words behind an exhibit of a recipe; None where there are none, as for exhibits of a user's own."""
    known = EXHIBITS.get(recipe or "", {})
    starred = (words for stem, words in known.items() if stem.endswith("*") and name.startswith(stem[:-1]))
    return known.get(name) or next(starred, None)
