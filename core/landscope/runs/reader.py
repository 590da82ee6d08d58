"""Reading a run, while it is written or long after."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from landscope.measurements import Measurement
from landscope.runs.blobs import read_blob
from landscope.runs.commands import send_command
from landscope.runs.manifest import Manifest, read_manifest
from landscope.runs.schema import BLOBS, DATABASE, reading
from landscope.runs.status import Process, RunStatus, observed_status

__all__ = ["Event", "FrameRef", "Head", "Increment", "Run"]


@dataclass(frozen=True)
class Head:
    """Where a run is now.

    Attributes:
        seq: The last number given out: there is news for whoever has seen less.
        step: The trainer's newest step.
        total: How many steps it means to take; None when it did not say.
        status: What it is doing; `CRASHED` is a reader's conclusion.
        heartbeat_age_s: Seconds since the trainer last wrote.
        dropped: Records lost because the disk could not keep up.
    """

    seq: int
    step: int
    total: int | None
    status: RunStatus
    heartbeat_age_s: float
    dropped: int


@dataclass(frozen=True)
class Event:
    """Something that happened in a run; `data` belongs to the kind."""

    seq: int
    step: int
    kind: str
    text: str
    data: dict[str, Any] | None = None


@dataclass(frozen=True)
class FrameRef:
    """A stored measurement, without its bytes."""

    seq: int
    step: int
    name: str
    kind: str
    nbytes: int


@dataclass(frozen=True)
class Increment:
    """What a run gained after some number.

    Attributes:
        seq: The number up to which this goes; ask for what is after it next.
        scalars: Name to (steps, values), in the order they were recorded.
        frames: Name to (seqs, steps, lo, hi): the span of each frame's height, NaN where it has none.
        events: What happened.
        more: Whether there was more than the limit.
    """

    seq: int
    scalars: dict[str, tuple[np.ndarray, np.ndarray]]
    frames: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]
    events: list[Event]
    more: bool


class Run:
    """A run in a folder. Reading never changes it, and every call sees one consistent state of it.

    Example:
        >>> run = Run(Path("runs/20261121-004512-digits"))  # doctest: +SKIP
        >>> steps, losses = run.scalars("train/loss")  # doctest: +SKIP

    Attributes:
        path: The run's folder.
        manifest: What its run.json says.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest: Manifest = read_manifest(path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def id(self) -> str:
        """The run's id: its folder's name."""
        return self.manifest.id

    def head(self) -> Head:
        """Where the run is now."""
        with self._reading() as source:
            row = source.execute(
                "SELECT seq, step, total, status, heartbeat, dropped, machine, pid, started FROM head"
            ).fetchone()
        if row is None:
            raise ValueError(f"run {self.id} is damaged: its head is missing")
        seq, step, total, status, heartbeat, dropped, *trainer = row
        age = max(0.0, time.time() - heartbeat)
        observed = observed_status(RunStatus(status), age, Process(*trainer))
        return Head(seq, step, total, observed, age, dropped)

    def since(self, seq: int, limit: int = 20_000) -> Increment:
        """What came after number `seq`, oldest first, at most `limit` records.

        Raises:
            ValueError: if `limit` is not positive.
        """
        if limit < 1:
            raise ValueError(f"limit must be positive, got {limit}")
        with self._reading() as source:
            newest = source.execute("SELECT seq FROM head").fetchone()[0]
            upto = min(newest, seq + limit)  # numbers have no gaps, so this counts records
            names = dict(source.execute("SELECT id, name FROM name"))
            between = (seq, upto)
            scalars = source.execute(
                "SELECT name, step, value FROM scalar WHERE seq > ? AND seq <= ? ORDER BY seq", between
            ).fetchall()
            frames = source.execute(
                "SELECT name, seq, step, lo, hi FROM frame WHERE seq > ? AND seq <= ? ORDER BY seq", between
            ).fetchall()
            events = source.execute(
                "SELECT seq, step, kind, text, data FROM event WHERE seq > ? AND seq <= ? ORDER BY seq", between
            ).fetchall()
        return Increment(
            seq=max(seq, upto),
            scalars={names[name]: (_ints(steps), _floats(values)) for name, (steps, values) in _columns(scalars, 2)},
            frames={
                name: (_ints(seqs), _ints(steps), _floats(lo), _floats(hi))
                for name, (seqs, steps, lo, hi) in _columns(frames, 4)
            },
            events=[_event(*row) for row in events],
            more=upto < newest,
        )

    def scalar_names(self) -> list[str]:
        """The names of all scalars so far, in alphabetical order."""
        with self._reading() as source:
            return [name for (name,) in source.execute("SELECT name FROM name ORDER BY name")]

    def scalars(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Steps (n,) and values (n,) of a scalar, in the order they were recorded.

        Raises:
            KeyError: if the run has no scalar of that name.
        """
        with self._reading() as source:
            number = source.execute("SELECT id FROM name WHERE name = ?", (name,)).fetchone()
            if number is None:
                names = ", ".join(known for (known,) in source.execute("SELECT name FROM name ORDER BY name"))
                raise KeyError(f"run {self.id} has no scalar {name!r}, expected one of: {names}")
            rows = source.execute("SELECT step, value FROM scalar WHERE name = ? ORDER BY seq", number).fetchall()
        steps, values = zip(*rows, strict=True)
        return _ints(steps), _floats(values)

    def frames(self, name: str | None = None) -> list[FrameRef]:
        """All stored measurements, or those of one name, oldest first."""
        query = "SELECT seq, step, name, kind, nbytes FROM frame WHERE ? IS NULL OR name = ? ORDER BY seq"
        with self._reading() as source:
            return [FrameRef(*row) for row in source.execute(query, (name, name))]

    def frame_bytes(self, seq: int) -> bytes:
        """The safetensors file of the frame with that number.

        Raises:
            KeyError: if the number is no frame's.
            FileNotFoundError: if its file is missing.
            ValueError: if its file is damaged.
        """
        with self._reading() as source:
            row = source.execute("SELECT sha, data FROM frame WHERE seq = ?", (seq,)).fetchone()
        if row is None:
            raise KeyError(f"run {self.id} has no frame {seq}")
        sha, data = row
        return read_blob(self.path / BLOBS, sha) if sha is not None else bytes(data)

    def measurement(self, name: str, step: int | None = None) -> Measurement:
        """The newest measurement of that name, at or before `step` if it is given.

        Raises:
            KeyError: if there is none.
        """
        query = "SELECT seq FROM frame WHERE name = ? AND (? IS NULL OR step <= ?) ORDER BY step DESC, seq DESC LIMIT 1"
        with self._reading() as source:
            row = source.execute(query, (name, step, step)).fetchone()
            if row is None:
                names = ", ".join(known for (known,) in source.execute("SELECT DISTINCT name FROM frame ORDER BY name"))
                when = "" if step is None else f" at or before step {step}"
                raise KeyError(f"run {self.id} has no measurement {name!r}{when}; it has: {names or 'none'}")
        return Measurement.from_bytes(self.frame_bytes(row[0]))

    def events(self, kind: str | None = None) -> list[Event]:
        """All that happened, or all of one kind, oldest first."""
        query = "SELECT seq, step, kind, text, data FROM event WHERE ? IS NULL OR kind = ? ORDER BY seq"
        with self._reading() as source:
            return [_event(*row) for row in source.execute(query, (kind, kind))]

    def findings(self) -> list[Event]:
        """What was found to be going on, in plain words, oldest first."""
        return self.events("finding")

    def send(self, kind: str, **params: Any) -> int:
        """Leave a command for the trainer, e.g. "pause", "resume" or "stop"; its number is returned.

        Raises:
            RuntimeError: if there is no trainer any more.
            ValueError: if the kind is not a short lower-case word.
        """
        status = self.head().status
        if not status.live:
            raise RuntimeError(f"run {self.id} has {status}: nobody is there to {kind} it")
        return send_command(self.path, kind, params)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with reading(self.path / DATABASE) as source:
            yield source


def _event(seq: int, step: int, kind: str, text: str, data: str | None) -> Event:
    return Event(seq, step, kind, text, None if data is None else json.loads(data))


def _columns(rows: list[tuple[Any, ...]], width: int) -> Iterator[tuple[Any, list[list[Any]]]]:
    """Rows (key, a, b, ...) as columns ([a...], [b...], ...) of each key, in the order keys first appear."""
    groups: dict[Any, list[tuple[Any, ...]]] = {}
    for row in rows:
        groups.setdefault(row[0], []).append(row)
    for key, group in groups.items():
        columns = list(zip(*group, strict=True))
        yield key, [list(column) for column in columns[1 : width + 1]]


def _ints(column: Any) -> np.ndarray:
    return np.array(column, dtype=np.int64)


def _floats(column: Any) -> np.ndarray:
    return np.array(column, dtype=np.float64)  # None, as SQLite returns a NaN, becomes NaN
