"""What can be said of a view."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Explanation"]


@dataclass(frozen=True)
class Explanation:
    """The words behind one view of a panel.

    Attributes:
        title: The panel's title, or the view's.
        what: What one is looking at.
        formula: The definition, in plain text.
        reading: How to read it, one remark each.
        sources: The papers it comes from.
        choices: What can be chosen, and what each of that is.
    """

    title: str
    what: str
    formula: str
    reading: tuple[str, ...]
    sources: tuple[str, ...]
    choices: tuple[tuple[str, str], ...] = ()
