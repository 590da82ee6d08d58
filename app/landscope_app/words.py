"""What can be said of a picture, and the drawer's text that is made of it."""

from __future__ import annotations

from dataclasses import dataclass

from dash import html
from dash.development.base_component import Component

__all__ = ["Explanation"]


@dataclass(frozen=True)
class Explanation:
    """The words behind one view of a panel, or behind an exhibit.

    Attributes:
        title: The panel's title, or the view's.
        what: What one is looking at.
        formula: The definition, in plain text.
        reading: How to read it, one remark each.
        sources: The papers it comes from.
        choices: What can be chosen, and what each of that is.
        meaning: What it is known to mean; empty where the remarks say it.
        caution: What it does not mean, likewise.
    """

    title: str
    what: str
    formula: str
    reading: tuple[str, ...]
    sources: tuple[str, ...]
    choices: tuple[tuple[str, str], ...] = ()
    meaning: str = ""
    caution: str = ""

    def body(self) -> list[Component]:
        """All of it but the title."""
        found: list[Component] = [html.P(self.what)]
        if self.formula:
            found.append(html.Pre(self.formula, className="formula"))
        found += [html.H3("How to read it"), html.Ul([html.Li(remark) for remark in self.reading])]
        if self.choices:
            meanings = [part for name, meaning in self.choices for part in (html.Dt(name), html.Dd(meaning))]
            found += [html.H3("What can be chosen"), html.Dl(meanings)]
        for heading, text in (("What it means", self.meaning), ("What it does not mean", self.caution)):
            if text:
                found += [html.H3(heading), html.P(text)]
        if self.sources:
            sources = html.Ul([html.Li(source) for source in self.sources], className="sources")
            found += [html.H3("Where it comes from"), sources]
        return found
