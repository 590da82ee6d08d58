"""What is kept of a recipe's run as its reference: curves, the last pictures, and what a study exhibits."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from landscope.comparison import CURVES, ascending
from landscope.measurements import NTK, Measurement
from landscope.measurements.precision import in_single_precision
from landscope.recipes.pictures import thinned
from landscope.recipes.references import REFERENCES
from landscope.runs import Event, Run, RunStatus
from landscope.runs.backlog import Batch, PendingEvent, PendingFrame, PendingScalars
from landscope.runs.manifest import write_manifest
from landscope.runs.recorder import Pulse, Recorder
from landscope.runs.schema import DATABASE, create_database
from landscope.runs.status import Process

__all__ = ["keep_reference"]

_STEPS = 200  # of a curve
_POINTS = 100  # of an exhibit's line
_PICTURES = ("slice/random", "density", "ntk")
_MOST_BYTES = 16 * 1024  # of a measurement; a larger one is left out
_PAGE = 1024  # of the database, whose tables are small


def keep_reference(name: str, run: Run, machine: str, folder: Path = REFERENCES) -> Path:
    """Records the reference of a recipe anew.

    Args:
        name: The recipe's.
        run: A finished run of it.
        machine: Where it ran, in words.
        folder: Of the references.

    Returns:
        The reference's folder.
    """
    path, head = folder / name, run.head()
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    write_manifest(
        path,
        replace(run.manifest, id=name, name=f"{name}, reference", host=machine, pid=0, program="", reference=True),
    )
    create_database(path / DATABASE, "DELETE", heartbeat=0.0, trainer=Process("", 0, None))
    recorder = Recorder(path)
    events = [*run.events("exhibit"), *run.findings()[-1:], *run.events("verdict")[-1:]]
    recorder.commit(
        Batch([*_scalars(run)], [*_frames(run)], [_pending(event) for event in events]),
        Pulse(head.step, head.total, RunStatus.FINISHED, 0.0, 0),
    )
    recorder.close()
    with closing(sqlite3.connect(path / DATABASE)) as connection:
        connection.execute(f"PRAGMA page_size = {_PAGE}")
        connection.execute("VACUUM")
    return path


def _scalars(run: Run) -> Iterator[PendingScalars]:
    """The curves that runs are compared by, those of the same steps together."""
    known = set(run.scalar_names())
    together: dict[bytes, list[str]] = {}
    curves = {name: ascending(*run.scalars(name)) for names in CURVES.values() for name in names if name in known}
    for name, (steps, _) in curves.items():
        together.setdefault(steps.tobytes(), []).append(name)
    for names in together.values():
        steps = curves[names[0]][0]
        table = np.stack([curves[name][1] for name in names], axis=1).astype("<f8")
        for at in np.unique(np.linspace(0, len(steps) - 1, _STEPS).round().astype(int)):
            yield PendingScalars(int(steps[at]), 0.0, tuple(names), table[at].tobytes())


def _frames(run: Run) -> Iterator[PendingFrame]:
    """The last of each exhibit, and of the pictures that runs are compared by, as far as they are small."""
    newest = {
        frame.name: frame for frame in run.frames() if frame.name.startswith("exhibit/") or frame.name in _PICTURES
    }
    for name, frame in newest.items():
        measured = thinned(Measurement.from_bytes(run.frame_bytes(frame.seq)), _POINTS)
        if isinstance(measured, NTK):
            measured = measured.replaced(cosines=None)  # of pairs of examples, which no two runs are compared by
        data = in_single_precision(measured.to_bytes())
        if len(data) <= _MOST_BYTES:
            yield PendingFrame(frame.step, 0.0, name, frame.kind, measured.span(), data)


def _pending(event: Event) -> PendingEvent:
    data = None if event.data is None else json.dumps(event.data)
    return PendingEvent(event.step, 0.0, event.kind, event.text, data)
