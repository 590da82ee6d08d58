"""Views of lines over the steps as pages of their own."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from landscope.reports.curves import Group, curves_page
from landscope.runs import Run
from landscope_app.explanations import explanation
from landscope_app.panels import PANELS
from landscope_app.views import Series, View

__all__ = ["line_groups", "line_page", "line_views"]


def line_views() -> dict[str, View]:
    """All views of lines, by the name of their panel and their own, as in "curves/history"."""
    return {f"{panel.name}/{view.name}": view for panel in PANELS for view in panel.views if view.series}


def line_page(run: Run, name: str, *, only: Collection[str] = (), log_steps: bool = False) -> Iterator[str]:
    """A page with the lines of a view, piece by piece.

    Args:
        run: The run.
        name: Which view, as "curves/history".
        only: Those of its scalars that are drawn; all that the run has where none is given.
        log_steps: Whether steps are on a logarithmic axis.

    Raises:
        ValueError: if there is no such view of lines, or the run has none of its lines.
    """
    views = line_views()
    if name not in views:
        raise ValueError(f"there are no lines {name!r}; views of lines are {', '.join(views)}")
    title, _ = explanation(*name.split("/"))
    known = [scalar for scalar in run.scalar_names() if not only or scalar in only]
    groups = line_groups(views[name], known)
    return curves_page(run, title, groups, summary=views[name].summary, log_steps=log_steps)


def line_groups(view: View, known: Collection[str]) -> list[Group]:
    """The rows of a view of lines, each as the curves that share its axis, of the scalars that are known."""
    groups = []
    for row, (axis, scale) in enumerate(view.rows, start=1):
        drawn = {name: label for line in view.series if line.row == row for name, label in _spread(line, known)}
        errors = tuple((line.name, line.error) for line in view.series if line.error and line.name in drawn)
        groups.append(Group(axis, axis, tuple(drawn), errors, scale, tuple(drawn.values())))
    return groups


def _spread(line: Series, known: Collection[str]) -> list[tuple[str, str]]:
    """Names and labels of a line, or of all that one with a star stands for, by number."""
    if not line.name.endswith("*"):
        return [(line.name, line.label)] if line.name in known else []
    stem = line.name[:-1]
    numbers = sorted(int(name.removeprefix(stem)) for name in known if name.startswith(stem))
    return [(f"{stem}{number}", f"{stem.rpartition('/')[2].rstrip('.')} {number}") for number in numbers]
