"""The Python that reproduces a view: from the run, and anew from a model."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from landscope.recipes.catalogue import CATALOGUE
from landscope_app.views import View

__all__ = ["exhibit_snippet", "shown_path", "snippet"]

_ON_DEMAND = re.compile(r"lab/\d+/slice2d")


def snippet(
    view: View,
    run: str,
    *,
    step: int | None = None,
    frame: str | None = None,
    like: str | None = None,
    beside: Sequence[str] | None = None,
    options: Mapping[str, str | int] | None = None,
    selection: Mapping[str, Any] | None = None,
) -> str:
    """Python that reads what a view shows out of its run and draws it, and that measures it anew.

    Args:
        view: The view.
        run: The run's folder.
        step: The shown step; None for the newest.
        frame: Which of the view's measurements, if it has several, or a plane that was asked for; the first unless it
            is one of these.
        like: For such a plane, the one of them that it is measured anew as.
        beside: Further ones of them that are drawn beside it, on one scale.
        options: What the figure takes besides, e.g. {"style": "surface"}.
        selection: Selected examples: their "positions" among the "available" ones that the run measures.
    """
    on_demand = frame is not None and bool(_ON_DEMAND.fullmatch(frame))
    name = frame if frame is not None and (on_demand or frame in view.frames) else next(iter(view.frames), "")
    together = [other for other in (name, *(beside or ())) if other in view.frames]
    if len(together) > 1:
        drawing: Iterable[str] = _beside(together, step, options or {})
    elif view.series:
        drawing = _lines(view)
    else:
        drawing = _through(view) if view.through else _frame(name, step, options or {})
    anew_as = (like if like in view.frames else view.frames[0]) if on_demand else name
    anew = view.live[view.frames.index(anew_as) if len(view.live) > 1 else 0]
    return "\n".join(
        [
            "import landscope as ls",
            "",
            f"run = ls.open({_text(run)})",
            *drawing,
            "",
            "# anew, of a model of yours",
            "objective = ls.Objective(model, loss_fn, (x, y))",
            anew,
            *(_selected(**selection) if selection else ()),
        ]
    )


def exhibit_snippet(name: str, run: str, *, recipe: str | None = None, step: int | None = None) -> str:
    """Python that reads an exhibit out of its run and draws it, and that has its recipe make it anew.

    Args:
        name: The exhibit's name.
        run: The run's folder.
        recipe: The recipe that makes it; None for a user's own program.
        step: The shown step; None for the newest.
    """
    anew = [
        "",
        "# anew, with these settings or others",
        "from pathlib import Path",
        f"from landscope.recipes.{recipe.replace('-', '_')} import Config, train",
        "",
        'train(Config(**run.manifest.config), Path("runs"))',
    ] if recipe in CATALOGUE else []  # fmt: skip
    opened = ["import landscope as ls", "", f"run = ls.open({_text(run)})"]
    return "\n".join([*opened, *_frame(f"exhibit/{name}", step, {}), *anew])


def shown_path(folder: Path) -> str:
    """A folder as one types it: from the working directory if it is below that, else in full."""
    whole = folder.absolute()
    return os.path.relpath(whole) if whole.is_relative_to(Path.cwd()) else str(whole)


def _frame(name: str, step: int | None, options: Mapping[str, str | int]) -> list[str]:
    return [f"measured = run.measurement({_text(name)}{_at(step)})", f"measured.figure({_taken(options)})"]


def _beside(names: Sequence[str], step: int | None, options: Mapping[str, str | int]) -> list[str]:
    """Planes as maps beside each other; each has units of its own."""
    taken = "".join(f", {key}={_text(value)}" for key, value in options.items() if key == "show")
    return [
        f"names = {_texts(tuple(name.removeprefix('slice/') for name in names))}",
        f'planes = {{name: run.measurement(f"slice/{{name}}"{_at(step)}) for name in names}}',
        f"ls.figures.planes_figure(planes, ls.figures.theme(dark=False), same_axes=False{taken})",
    ]


def _at(step: int | None) -> str:
    return "" if step is None else f", step={step}"


def _taken(options: Mapping[str, str | int]) -> str:
    return ", ".join(f"{key}={_text(value)}" for key, value in options.items() if key.isidentifier())


def _through(view: View) -> list[str]:
    name = _text(view.frames[0])
    return [
        f"measured = [run.measurement({name}, step=frame.step) for frame in run.frames({name})]",
        f"ls.figures.{view.through}(measured, ls.figures.theme(dark=False))",
    ]


def _selected(available: int, positions: Sequence[int]) -> list[str]:
    """The selected examples as an objective; `sample` takes the same ones as the recorder did."""
    return [
        "",
        "# of the selected examples alone, where these are the run's training data",
        f"chosen = objective.sample({int(available)}).subset({[int(position) for position in positions]})",
        "chosen.metrics(chosen.theta().unsqueeze(0))",
        "ls.curvature.sharpness(chosen).figure()",
    ]


def _lines(view: View) -> Iterator[str]:
    """A figure for each row of lines, of those that the run has."""
    yield "names = run.scalar_names()"
    for row, (axis, scale) in enumerate(view.rows, start=1):
        drawn = [line for line in view.series if line.row == row]
        whole = tuple(line.name for line in drawn if not line.name.endswith("*"))
        starred = tuple(line.name.removesuffix("*") for line in drawn if line.name.endswith("*"))
        tests = [f"name in {_texts(whole)}"] if whole else []
        tests += [f"name.startswith({_texts(starred)})"] if starred else []
        errors = {line.name: line.error for line in drawn if line.error}
        options = (", logarithmic=True" if scale == "log" else "") + (", errors=errors" if errors else "")
        yield f"lines = {{name: run.scalars(name) for name in names if {' or '.join(tests)}}}"
        if errors:
            pairs = ", ".join(f"{_text(line)}: {_text(error)}" for line, error in errors.items())
            yield f"errors = {{line: run.scalars(name) for line, name in {{{pairs}}}.items() if name in names}}"
        yield f"ls.figures.series_figure(lines, {_text(axis)}, ls.figures.theme(dark=False){options})"


def _text(value: str | int) -> str:
    """A string as Python writes it, in double quotes; or a number."""
    return json.dumps(value, ensure_ascii=False)


def _texts(values: tuple[str, ...]) -> str:
    inside = ", ".join(_text(value) for value in values)
    return f"({inside},)" if len(values) == 1 else f"({inside})"
