"""What a panel of the page can show: its views, their lines, and what the scripts need to draw them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from landscope.figures.lines import series_layout
from landscope.figures.theme import LIGHT, Theme, template

__all__ = ["Panel", "Series", "View", "lines", "plain_layout"]


@dataclass(frozen=True)
class Series:
    """One line over the steps.

    Attributes:
        name: The scalar's name in the run; with a final `*`, every scalar that matches, ordered by its number.
        label: What the legend calls it.
        colour: Role in the theme ("first", "second", ...), or "sequential" for ordered lines.
        dash: Plotly's dash pattern, the second channel beside colour.
        row: Which of the stacked axes, from 1.
        error: Name of the scalar with its standard error, drawn as a band of two either way; empty for none.
        faint: Whether it stays in the background.
        markers: Whether its few points are marked.
        hold: Whether it keeps its value until the next one.
    """

    name: str
    label: str
    colour: str
    dash: str = "solid"
    row: int = 1
    error: str = ""
    faint: bool = False
    markers: bool = False
    hold: bool = False


@dataclass(frozen=True)
class View:
    """One picture of a panel: lines over the steps, or what a drawer in assets/ makes of a measurement.

    A view is added by declaring it here, by a drawer of that name in assets/ unless it is of lines, and by its words in
    `explanations`.

    Attributes:
        name: Short name, its value in the address.
        subject: What is being measured while there is nothing to see yet: "measuring ...".
        summary: One sentence: what is to be seen.
        axes: Builds the empty layout in a theme.
        label: What the panel's chooser calls it; its name where not given.
        drawer: Name of the script that draws it; empty for lines over the steps.
        through: Name in `landscope.figures` of what draws all its frames over the steps; empty where one is drawn.
        ranked: Whether that drawing has another horizontal axis than the steps.
        frames: Names of the measurements it draws, or takes its provenance from.
        live: Python that measures it anew, of `objective`: one call, or one for each of its frames.
        probes: Names of the probes behind it, as in `probe-off` events; those of its frames where not given.
        series: Lines over the steps.
        checked: Whether a running training can be asked to hold it against PyHessian.
        rows: Stacked axes of the lines: name with unit, and whether logarithmic ("auto" decides by the data's range).
    """

    name: str
    subject: str
    summary: str
    axes: Callable[[Theme], dict[str, Any]]
    label: str = ""
    drawer: str = ""
    through: str = ""
    ranked: bool = False
    frames: tuple[str, ...] = ()
    live: tuple[str, ...] = ()
    probes: tuple[str, ...] = ()
    series: tuple[Series, ...] = ()
    checked: bool = False
    rows: tuple[tuple[str, str], ...] = ()

    def drawing(self) -> dict[str, Any]:
        """What the scripts need to know of this view."""
        return {
            "name": self.name,
            "label": self.label or self.name,
            "subject": self.subject,
            "summary": self.summary,
            "layout": {key: value for key, value in self.axes(LIGHT).items() if key != "template"},
            "drawer": self.drawer,
            "through": bool(self.through),
            "overSteps": not self.drawer or (bool(self.through) and not self.ranked),
            "frames": list(self.frames),
            "probes": list(self.probes or self.frames),
            "series": [vars(line) for line in self.series],
            "rows": [scale for _, scale in self.rows],
        }


@dataclass(frozen=True)
class Panel:
    """One cell of the page.

    Attributes:
        name: Short name, part of its ids, and the key of its view in the address.
        title: A noun phrase.
        views: What it can show, one at a time; the first unless another is chosen.
        wide: Whether it spans two columns.
        controls: Names of the choices in its head, beside that of the view.
    """

    name: str
    title: str
    views: tuple[View, ...]
    wide: bool = False
    controls: tuple[str, ...] = ()

    def drawing(self) -> dict[str, Any]:
        """What the scripts need to know of this panel."""
        return {"name": self.name, "views": [view.drawing() for view in self.views]}


def lines(name: str, subject: str, summary: str, rows: tuple[tuple[str, str], ...], **rest: Any) -> View:
    """A view of lines, on stacked axes that share their steps; `rest` are other attributes of the view."""

    def axes(colours: Theme) -> dict[str, Any]:
        return series_layout([(axis, scale == "log") for axis, scale in rows], colours)

    return View(name, subject, summary, axes, rows=rows, **rest)


def plain_layout(across: str, up: str, colours: Theme) -> dict[str, Any]:
    """Two empty axes with their names."""
    return {
        "template": template(colours),
        "xaxis": {"title": {"text": across}},
        "yaxis": {"title": {"text": up}},
        "showlegend": False,
    }
