"""Runs side by side: what the page is told of them, and their common pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import landscope
from landscope.comparison import CURVES, DECILES, MOST, Comparison, Picture, compare
from landscope.figures import CONFIG
from landscope.recipes.references import reference, referenced
from landscope.runs import Run, open_run
from landscope_app.run_details import verdict_of
from landscope_app.snippets import shown_path

__all__ = ["PLANES", "common_picture", "opened", "overview"]

REFERENCE = "reference:"
"""What stands before a recipe's name to mean its recorded reference; no run's id has a colon."""

PLANES = ("random", "trajectory", "hessian", "gradient")
_FRAMES = {"densities": "density", "kernels": "ntk", "embeddings": "embedding"}


def opened(root: Path, ids: Sequence[str]) -> tuple[Comparison | None, list[str]]:
    """The comparison of those runs that are there, if they are two or more, and the ids of those that are gone.

    "reference:NAME" is the recorded reference of a recipe.

    Args:
        root: The folder of runs.
        ids: The runs' ids.

    Raises:
        ValueError: if there are more than six, or a run cannot be read.
    """
    wanted = list(dict.fromkeys(ids))
    if len(wanted) > MOST:
        raise ValueError(f"at most {MOST} runs are compared, got {len(wanted)}")
    runs, gone = [], []
    for run_id in wanted:
        try:
            name = run_id.removeprefix(REFERENCE)
            runs.append(open_run(run_id, root) if name == run_id else reference(name))
        except FileNotFoundError:
            gone.append(run_id)
    return (compare(*runs) if len(runs) > 1 else None), gone


def overview(root: Path, ids: Sequence[str], *, step: int | None, plane: str) -> dict[str, Any]:
    """What differs between runs, how each fares, and what a picture of each kind would be made of now.

    Args:
        root: The folder of runs.
        ids: Their ids.
        step: The shown step; None for the last that every run has reached.
        plane: The shown plane of the landscape.
    """
    compared, gone = opened(root, ids)
    if compared is None:
        return {"runs": [], "gone": gone}
    present = [run_id for run_id in dict.fromkeys(ids) if run_id not in gone]
    recipes = {run.manifest.recipe for run in compared.runs}
    heads = [run.head() for run in compared.runs]
    pens, shared = compared.pens(), compared.pens(by_group=True)
    frames = [run.frames() for run in compared.runs]
    names = {frame.name for found in frames for frame in found}
    drawn = {*_FRAMES.values(), f"slice/{plane}"}
    return {
        "runs": [
            {
                "id": run_id,
                "label": label,
                "reference": run.manifest.reference,
                "recorded": _recorded(run),
                "verdict": verdict_of(run),
                "status": head.status,
                "step": head.step,
                "total": head.total,
                "finding": next((event.text for event in reversed(run.findings())), None),
                "hue": pens[label].hue,
                "dash": pens[label].dash,
                "groupHue": shared[label].hue,
            }
            for run_id, run, label, head in zip(present, compared.runs, compared.labels, heads, strict=True)
        ],
        "settings": [{"name": setting.name, "values": setting.values} for setting in compared.settings],
        "grouped": any(len(members) > 1 for members in compared.groups),
        "deciles": any(len(members) >= DECILES for members in compared.groups),
        "common": compared.last_common_step,
        "last": max(head.step for head in heads),
        "stops": sorted({frame.step for found in frames for frame in found if frame.name in drawn}),
        "planes": [name for name in PLANES if f"slice/{name}" in names],
        "pictures": _pictured(compared, names),
        "exhibits": [{"name": name, "title": title} for name, title in compared.exhibits().items()],
        "stamps": _stamps(compared, [head.seq for head in heads], step, plane),
        "gone": gone,
        "references": [f"{REFERENCE}{name}" for name in referenced() if name in recipes],
    }


def common_picture(root: Path, ids: Sequence[str], what: str, chosen: Mapping[str, str], *, step: int | None) -> str:
    """A picture as JSON: its plotly figure, what is said of it, and the Python that makes it.

    Args:
        root: The folder of runs.
        ids: Their ids.
        what: "curves", "curve_difference", "planes", "difference", "densities", "kernels", "embeddings" or "exhibit".
        chosen: What the page has chosen: "theme", "plane", "bands", "x", "first", "second" and "exhibit".
        step: The shown step; None for the last that every run has reached.

    Raises:
        KeyError: if there is no such picture.
        FileNotFoundError: if fewer than two of the runs are there.
        ValueError: if a choice is none.
    """
    compared, gone = opened(root, ids)
    if compared is None:
        raise FileNotFoundError(f"two runs at least are compared; gone are {', '.join(gone) or 'none'}")
    picture, call = _pictures(compared, chosen, step, what)
    folders = ", ".join(_shown(run) for run in compared.runs)
    drawn = "null" if picture.draw is None else picture.figure(dark=chosen.get("theme") == "dark").to_json()
    besides = {
        "missing": picture.missing,
        "notes": picture.notes,
        "config": CONFIG,
        "code": f"ls.compare({folders}).{call}.figure()",
    }
    return f'{{"figure": {drawn}, {json.dumps(besides)[1:]}'


def _pictures(compared: Comparison, chosen: Mapping[str, str], step: int | None, what: str) -> tuple[Picture, str]:
    """The picture, and how it is called in Python."""
    plane = chosen.get("plane", PLANES[0])
    if plane not in PLANES:
        raise ValueError(f"plane must be one of {', '.join(PLANES)}, got {plane!r}")
    bands, logarithmic = chosen.get("bands") != "no", chosen.get("x") == "log"
    first, second = (_place(chosen.get(key, default), compared) for key, default in (("first", "0"), ("second", "1")))
    exhibit = chosen.get("exhibit", "")
    at = "" if step is None else f"step={step}"
    deciles, steps = chosen.get("bands") == "deciles", ["logarithmic_steps=True"] if logarithmic else []
    options = {
        "curves": [*([] if bands else ["bands=False"]), *(["deciles=True"] if deciles else []), *steps],
        "curve_difference": [str(first), str(second), *steps],
        "planes": [json.dumps(plane), *filter(None, [at])],
        "difference": [str(first), str(second), json.dumps(plane), *filter(None, [at])],
        "exhibit": [json.dumps(exhibit), *filter(None, [at])],
    }
    by_group = bands and any(len(members) > 1 for members in compared.groups)
    made: dict[str, Callable[[], Picture]] = {
        "curves": lambda: compared.curves(
            bands=None if bands else False, deciles=deciles, logarithmic_steps=logarithmic
        ),
        "curve_difference": lambda: compared.curve_difference(first, second, logarithmic_steps=logarithmic),
        "planes": lambda: compared.planes(plane, step),
        "difference": lambda: compared.difference(first, second, plane, step),
        "densities": lambda: compared.densities(step, by_group=by_group),
        "kernels": lambda: compared.kernels(step, by_group=by_group),
        "embeddings": lambda: compared.embeddings(step),
        "exhibit": lambda: compared.exhibit(exhibit, step),
    }
    if what not in made:
        raise KeyError(f"picture must be one of {', '.join(made)}, got {what!r}")
    grouped = ["by_group=True"] if by_group and what in ("densities", "kernels") else []
    return made[what](), f"{what}({', '.join(options.get(what, [*filter(None, [at]), *grouped]))})"


def _shown(run: Run) -> str:
    """A run in Python."""
    if run.manifest.reference:
        return f"ls.recipes.reference({json.dumps(run.manifest.recipe)})"
    return json.dumps(shown_path(run.path))


def _recorded(run: Run) -> str:
    """When, with what and where a run was recorded."""
    versions = (
        f"{name} {version}" for name, version in run.manifest.versions.items() if name in ("landscope", "torch")
    )
    return ", ".join(filter(None, [run.manifest.created[:10], *versions, run.manifest.host]))


def _place(text: str, compared: Comparison) -> int:
    if not text.isdecimal() or int(text) >= len(compared.runs):
        raise ValueError(f"a run's place must be from 0 to {len(compared.runs) - 1}, got {text!r}")
    return int(text)


def _pictured(compared: Comparison, names: set[str]) -> list[str]:
    """The pictures that at least one run has something for, given the names of the frames of all."""
    curves = {name for names in CURVES.values() for name in names}
    drawn = any(curves.intersection(run.scalar_names()) for run in compared.runs)
    planes = any(f"slice/{plane}" in names for plane in PLANES)
    there = {"curves": drawn, "curve_difference": drawn, "planes": planes, "difference": planes}
    return [what for what, found in (there | {what: name in names for what, name in _FRAMES.items()}).items() if found]


def _stamps(compared: Comparison, seqs: Sequence[int], step: int | None, plane: str) -> dict[str, str]:
    """Of every picture, what changes when it has to be drawn anew, and only then."""
    names = {"planes": f"slice/{plane}", "difference": f"slice/{plane}", **_FRAMES}
    names |= {f"exhibit/{name}": f"exhibit/{name}" for name in compared.exhibits()}
    made_of = {what: [frame and frame.seq for frame in compared.at(name, step)] for what, name in names.items()}
    curves = {"curves": list(seqs), "curve_difference": list(seqs)}
    return {what: _stamp(compared, parts) for what, parts in (curves | made_of).items()}


def _stamp(compared: Comparison, parts: Sequence[int | None]) -> str:
    text = repr((landscope.__version__, [run.id for run in compared.runs], list(parts)))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
