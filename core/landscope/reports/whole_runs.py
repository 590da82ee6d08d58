"""The report of a run, written piece by piece."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from landscope.comparison import flattened, text
from landscope.formats.web_pages import document, picture_part
from landscope.recipes.catalogue import CATALOGUE
from landscope.reports.curves import curve_frames
from landscope.reports.measured import MOST, chosen_frames, picture_frames, title_and_summary
from landscope.runs import Event, Run, open_run

__all__ = ["pieces", "report"]

_WIDE_KINDS = ("slice-set", "slice-2d-set")


def report(
    run: Run | str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    most: int = MOST,
    progress: Callable[[str], None] = lambda name: None,
) -> Path:
    """Writes a run as one HTML file, which is read without a server and without the internet.

    It holds the settings, what was found, what became of the claims of a recipe, the curves, and a picture of every
    measurement at up to `most` steps, through which a slider goes.

    Args:
        run: The run, its folder, or its id in "runs".
        path: The file; one that is there is replaced when the new one is whole.
        most: Frames of each measurement, from 2.
        progress: Told the name of each measurement before it is drawn.

    Returns:
        The path.

    Raises:
        FileNotFoundError: if there is no such run.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.part")
    opened = run if isinstance(run, Run) else open_run(os.fspath(run))
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines(pieces(opened, most=most, progress=progress))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def pieces(run: Run, *, most: int = MOST, progress: Callable[[str], None] = lambda name: None) -> Iterator[str]:
    """The report of a run as HTML, in pieces, for whoever hands it on while it is written. See `report`."""
    chosen = {name: frames for name, frames in chosen_frames(run, most).items() if name not in ("snapshot", "examples")}
    steps = sorted({frame.step for frames in chosen.values() for frame in frames})
    return document(f"{run.manifest.name} · Landscope", _body(run, chosen, progress), steps)


def _body(run: Run, chosen: Mapping[str, Any], progress: Callable[[str], None]) -> Iterator[str]:
    yield "<main>"
    yield _heading(run)
    yield _verdict(run)
    yield _findings(run)
    curves = [picture_part(group.title, [frame], over_steps=True) for group, frame in curve_frames(run)]
    yield from _section("Curves", curves)
    yield from _section("Measurements", _measured(run, chosen, progress))
    yield _settings(run)
    yield "</main>\n"


def _section(title: str, parts: Any) -> Iterator[str]:
    first = True
    for part in parts:
        if first:
            yield f'<h2>{title}</h2>\n<div class="pictures">'
        first = False
        yield part
    if not first:
        yield "</div>\n"


def _measured(run: Run, chosen: Mapping[str, Any], progress: Callable[[str], None]) -> Iterator[str]:
    for name, frames in chosen.items():
        progress(name)
        title, summary = title_and_summary(run, name)
        try:
            pictures = picture_frames(run, frames)
        except (ValueError, OSError) as failure:  # of one that is damaged, or from a later version; others may be fine
            told = html.escape(f"It cannot be read: {failure}")
            yield f'<section class="unread"><h3>{html.escape(title)}</h3><p>{told}</p></section>\n'
            continue
        if pictures:
            yield picture_part(title, pictures, summary=summary, wide=frames[-1].kind in _WIDE_KINDS)


def _heading(run: Run) -> str:
    manifest, head = run.manifest, run.head()
    of = "" if head.total is None else f" of {head.total:,}"
    words = [
        f"recipe {manifest.recipe}" if manifest.recipe else "",
        f"{head.status} at step {head.step:,}{of}",
        f"begun {manifest.created.replace('T', ' ')[:16]} UTC",
        f"branched off {manifest.parent.run} at step {manifest.parent.step:,}" if manifest.parent else "",
        ", ".join(f"{name} {version}" for name, version in manifest.versions.items()),
    ]
    told = html.escape(" · ".join(word for word in words if word))
    latest = run.findings()
    finding = f"<p>{html.escape(latest[-1].text)}</p>" if latest else ""
    return f'<h1>{html.escape(manifest.name)}</h1><p class="muted">{told}</p>{finding}\n'


def _verdict(run: Run) -> str:
    """What the paper behind a recipe claims, and what became of it."""
    verdicts = run.events("verdict")
    entry = CATALOGUE.get(run.manifest.recipe or "")
    if not verdicts and entry is None:
        return ""
    said = f'<p>{html.escape(entry.claim)} <span class="muted">{html.escape(entry.paper)}</span></p>' if entry else ""
    if not verdicts:
        return f'<h2>Claim</h2>{said}<p class="muted">This run was not judged.</p>\n'
    data = verdicts[-1].data or {}
    claims = "".join(
        f"<li>{_outcome(str(one['outcome']))} {html.escape(str(one['text']))} "
        f'<span class="muted">{html.escape(str(one["measured"]))}</span></li>'
        for one in data.get("claims", [])
    )
    judged = f"<ul>{claims}</ul>" if claims else f"<p>{html.escape(verdicts[-1].text)}</p>"
    whole = _outcome(str(data["outcome"])) if data.get("outcome") else ""
    return f"<h2>Claim {whole}</h2>{said}{judged}\n"


def _outcome(outcome: str) -> str:
    shown = html.escape(outcome)
    return f'<span class="outcome" data-outcome="{shown}">{shown}</span>'


def _findings(run: Run) -> str:
    """States of the training that began and ended, with the words of the rules that found them."""
    states: list[tuple[Event, Event | None]] = []
    for event in run.phases():
        data = event.data or {}
        if data.get("begins"):
            states.append((event, None))
            continue
        open_ones = [at for at, (begun, end) in enumerate(states) if end is None and _kind(begun) == data.get("kind")]
        if open_ones:
            states[open_ones[-1]] = (states[open_ones[-1]][0], event)
    return "<h2>What was found</h2>" + "".join(_state(*state) for state in states) + "\n" if states else ""


def _kind(event: Event) -> str:
    return str((event.data or {}).get("kind", ""))


def _state(begun: Event, ended: Event | None) -> str:
    words = begun.data or {}
    title = html.escape(str(words.get("title") or _kind(begun).replace("-", " ")))
    when = f"since step {begun.step:,}" if ended is None else f"steps {begun.step:,} to {ended.step:,}"
    parts = [
        ("How it is told", words.get("criterion")),
        ("What it means", words.get("meaning")),
        ("What it does not mean", words.get("caution")),
        ("Evidence", ", ".join(map(str, words.get("evidence") or ()))),
        ("Sources", "; ".join(map(str, words.get("sources") or ()))),
    ]
    told = "".join(f"<dt>{name}</dt><dd>{html.escape(str(value))}</dd>" for name, value in parts if value)
    last = html.escape((ended or begun).text)
    return (
        f'<details><summary>{title} <span class="muted">{when}</span></summary><p>{last}</p><dl>{told}</dl></details>'
    )


def _settings(run: Run) -> str:
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(text(value))}</td></tr>"
        for name, value in flattened(run.manifest.config).items()
    )
    return f"<h2>Settings</h2><table>{rows}</table>\n" if rows else ""
