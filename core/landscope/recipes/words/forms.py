"""What can be said of a recipe: stops of its lesson, and the words behind an exhibit."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Exhibit", "Stop"]


@dataclass(frozen=True)
class Exhibit:
    """The words behind one of a recipe's exhibits.

    Attributes:
        what: What one is looking at.
        formula: The definition of what is drawn, in plain text.
        reading: How to read it, one remark each.
        meaning: What it is known to mean.
        caution: What it does not mean.
    """

    what: str
    formula: str
    reading: tuple[str, ...]
    meaning: str
    caution: str


@dataclass(frozen=True)
class Stop:
    """One stop of a lesson.

    Attributes:
        title: What it is about, in a few words.
        text: What a teacher would say.
        at: Where on the time bar: a share of the run from 0 to 1, or the kind of a finding, for where that begins.
        panel: The panel it points at; "exhibit/NAME" for one of a recipe's own; empty for none.
        view: Which of the panel's views, where another than the first.
    """

    title: str
    text: str
    at: float | str
    panel: str = ""
    view: str = ""
