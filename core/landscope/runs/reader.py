"""Reading a run, while it is written or long after."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
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

__all__ = ["Event", "FrameRef", "Head", "Increment", "Run", "StoredHead", "read_head"]

Rows = list[tuple[Any, ...]]


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
class StoredHead:
    """A head as the trainer wrote it: its opinion of itself, at the time of `heartbeat` (seconds since the epoch)."""

    seq: int
    step: int
    total: int | None
    status: RunStatus
    heartbeat: float
    dropped: int
    trainer: Process

    def observed(self) -> Head:
        """What to believe of it now."""
        age = max(0.0, time.time() - self.heartbeat)
        status = observed_status(self.status, age, self.trainer)
        return Head(self.seq, self.step, self.total, status, age, self.dropped)


def read_head(source: sqlite3.Connection) -> StoredHead:
    """The head in a run's database.

    Raises:
        ValueError: if there is none.
    """
    row = source.execute(
        "SELECT seq, step, total, status, heartbeat, dropped, machine, pid, started FROM head"
    ).fetchone()
    if row is None:
        raise ValueError("the run is damaged: its head is missing")
    seq, step, total, status, heartbeat, dropped, *trainer = row
    return StoredHead(seq, step, total, RunStatus(status), heartbeat, dropped, Process(*trainer))


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
            return read_head(source).observed()

    def since(self, seq: int, limit: int = 20_000) -> Increment:
        """What came after number `seq`, oldest first: at most `limit` calls for scalars, frames and events.

        Raises:
            ValueError: if `limit` is not positive.
        """
        if limit < 1:
            raise ValueError(f"limit must be positive, got {limit}")
        with self._reading() as source:
            newest = source.execute("SELECT seq FROM head").fetchone()[0]
            upto = min(newest, seq + limit)  # every row has a number of its own
            names = _names(source)
            between = (seq, upto)
            scalars = source.execute(
                "SELECT series, seq, step, data FROM scalar WHERE seq > ? AND seq <= ? ORDER BY seq", between
            ).fetchall()
            frames = source.execute(
                "SELECT name, seq, step, lo, hi FROM frame WHERE seq > ? AND seq <= ? ORDER BY seq", between
            ).fetchall()
            events = source.execute(
                "SELECT seq, step, kind, text, data FROM event WHERE seq > ? AND seq <= ? ORDER BY seq", between
            ).fetchall()
        return Increment(
            seq=max(seq, upto),
            scalars=_curves(scalars, names),
            frames={
                name: (_ints(seqs), _ints(steps), _floats(lo), _floats(hi))
                for name, (seqs, steps, lo, hi) in _columns(frames).items()
            },
            events=[_event(*row) for row in events],
            more=upto < newest,
        )

    def scalar_names(self) -> list[str]:
        """The names of all scalars so far, in alphabetical order."""
        with self._reading() as source:
            return sorted({name for names in _names(source).values() for name in names})

    def scalars(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Steps (n,) and values (n,) of a scalar, in the order they were recorded.

        Raises:
            KeyError: if the run has no scalar of that name.
        """
        with self._reading() as source:
            series = {number: names for number, names in _names(source).items() if name in names}
            query = "SELECT series, seq, step, data FROM scalar WHERE series = ? ORDER BY seq"
            rows = [row for number in series for row in source.execute(query, (number,))]
        if not series:
            known = ", ".join(self.scalar_names()) or "none"
            raise KeyError(f"run {self.id} has no scalar {name!r}; it has: {known}")
        return _curves(rows, series)[name]

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

    def span(self, name: str) -> tuple[float, float] | None:
        """The least and greatest height of all stored measurements of that name; None where there is none."""
        with self._reading() as source:
            low, high = source.execute("SELECT min(lo), max(hi) FROM frame WHERE name = ?", (name,)).fetchone()
        return None if low is None or high is None else (float(low), float(high))

    def events(self, kind: str | None = None) -> list[Event]:
        """All that happened, or all of one kind, oldest first."""
        query = "SELECT seq, step, kind, text, data FROM event WHERE ? IS NULL OR kind = ? ORDER BY seq"
        with self._reading() as source:
            return [_event(*row) for row in source.execute(query, (kind, kind))]

    def findings(self) -> list[Event]:
        """What was found to be going on, in plain words, oldest first."""
        return self.events("finding")

    def phases(self) -> list[Event]:
        """States of the training that began or ended, oldest first; `data` has "kind", "begins" and "evidence".

        With a beginning come the words of the rule that found it: "title", "criterion", "meaning", "caution" and
        "sources".
        """
        return self.events("phase")

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


def _names(source: sqlite3.Connection) -> dict[int, list[str]]:
    """The names of every series."""
    return {number: json.loads(names) for number, names in source.execute("SELECT id, names FROM series")}


def _curves(rows: Rows, names: dict[int, list[str]]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Rows (series, seq, step, data) as the steps and values of each name, in the order of `seq`."""
    parts: dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
    for series, (seqs, steps, data) in _columns(rows).items():
        values = np.frombuffer(b"".join(data), dtype="<f8").reshape(len(data), -1)
        numbers, at = _ints(seqs), _ints(steps)
        for name, column in zip(names[series], values.T, strict=True):
            parts.setdefault(name, []).append((numbers, at, column))
    curves = {}
    for name, found in parts.items():
        numbers, at, column = (np.concatenate(columns) for columns in zip(*found, strict=True))
        order = np.argsort(numbers) if len(found) > 1 else slice(None)
        curves[name] = at[order], column[order]
    return curves


def _columns(rows: Rows) -> dict[Any, list[tuple[Any, ...]]]:
    """Rows (key, a, b, ...) as columns [(a, ...), (b, ...), ...] of each key, in the order keys first appear."""
    groups: dict[Any, list[tuple[Any, ...]]] = {}
    for row in rows:
        groups.setdefault(row[0], []).append(row)
    return {key: list(zip(*group, strict=True))[1:] for key, group in groups.items()}


def _ints(column: Sequence[int]) -> np.ndarray:
    return np.array(column, dtype=np.int64)


def _floats(column: Sequence[float | None]) -> np.ndarray:
    return np.array(column, dtype=np.float64)  # NULL becomes NaN
