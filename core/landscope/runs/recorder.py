"""The disk side of a writer: one batch, one transaction."""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from landscope.runs.backlog import Batch
from landscope.runs.blobs import BLOB_THRESHOLD, remove_blob, write_blob
from landscope.runs.retention import Retention
from landscope.runs.schema import BLOBS, DATABASE, open_for_writing
from landscope.runs.status import RunStatus

__all__ = ["Pulse", "Recorder"]


@dataclass(frozen=True)
class Pulse:
    """The trainer's state, written with every commit.

    Attributes:
        step: Its newest step.
        total: How many steps it means to take; None when it did not say.
        status: What it is doing.
        heartbeat: The time now, in seconds since the epoch.
        dropped: Records lost so far because the disk was too slow or full.
    """

    step: int
    total: int | None
    status: RunStatus
    heartbeat: float
    dropped: int


class Recorder:
    """Writes batches into the run in `folder`; a batch is there as a whole or not at all.

    Attributes:
        seq: The last number committed.

    Args:
        folder: The run's.
        journal: The journal to go back to, in a run that was closed.
    """

    def __init__(self, folder: Path, journal: str | None = None) -> None:
        self._folder = folder
        self._connection = open_for_writing(folder / DATABASE, journal)
        self._identity = _identity(folder / DATABASE)
        self.seq: int = self._connection.execute("SELECT seq FROM head").fetchone()[0]
        rows = self._connection.execute("SELECT id, names FROM series")
        self._series: dict[tuple[str, ...], int] = {tuple(json.loads(names)): number for number, names in rows}
        self._retention = Retention()

    def commit(self, batch: Batch, pulse: Pulse | None) -> None:
        """Write a batch and the trainer's pulse, and thin what has become more than a run keeps.

        Without a pulse the run's head has the new number, and is otherwise as it was.

        Raises:
            OSError: if the folder is gone or the disk refuses a blob. Nothing was recorded.
            sqlite3.Error: if the disk refuses the rows. Nothing was recorded.
        """
        # SQLite would go on writing into a deleted file without a word.
        if _identity(self._folder / DATABASE) != self._identity:
            raise FileNotFoundError(f"{self._folder / DATABASE} was deleted or replaced")
        shas = [
            write_blob(self._folder / BLOBS, frame.data) if len(frame.data) > BLOB_THRESHOLD else None
            for frame in batch.frames
        ]
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            series, seq = self._insert(batch, shas)
            numbers = self._series | series
            self._retention.thin_scalars(self._connection, (numbers[record.names] for record in batch.scalars))
            unused = self._retention.thin_frames(self._connection, {frame.name for frame in batch.frames})
            self._connection.execute("UPDATE head SET seq = ?", (seq,))
            if pulse is not None:
                self._connection.execute(
                    "UPDATE head SET step = ?, total = ?, status = ?, heartbeat = ?, dropped = ?",
                    (pulse.step, pulse.total, pulse.status.value, pulse.heartbeat, pulse.dropped),
                )
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self.seq = seq
        self._series.update(series)
        for sha in unused:
            remove_blob(self._folder / BLOBS, sha)

    def close(self) -> None:
        """Fold the write-ahead log into the database and let go of it."""
        try:
            # One self-contained file that opens anywhere, also where nothing may be written beside it.
            self._connection.execute("PRAGMA busy_timeout = 200")
            self._connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError:
            pass  # someone is reading: the log stays, and readers manage
        finally:
            self._connection.close()

    def _insert(self, batch: Batch, shas: list[str | None]) -> tuple[dict[tuple[str, ...], int], int]:
        """Insert the rows; returns the series that are new and the last number given out."""
        fresh: dict[tuple[str, ...], int] = {}
        for record in batch.scalars:
            if record.names not in self._series and record.names not in fresh:
                fresh[record.names] = len(self._series) + len(fresh) + 1
        seqs = itertools.count(self.seq + 1)
        scalars = [
            (next(seqs), step, fresh.get(names) or self._series[names], data, wall)
            for step, wall, names, data in batch.scalars
        ]
        frames = [
            (next(seqs), frame.step, frame.name, frame.kind, len(frame.data), *(frame.span or (None, None)), frame.wall)
            + ((sha, None) if sha else (None, frame.data))
            for frame, sha in zip(batch.frames, shas, strict=True)
        ]
        events = [(next(seqs), event.step, event.kind, event.text, event.data, event.wall) for event in batch.events]
        insert = self._connection.executemany
        insert(
            "INSERT INTO series (id, names) VALUES (?, ?)", [(id_, json.dumps(names)) for names, id_ in fresh.items()]
        )
        insert("INSERT INTO scalar (seq, step, series, data, wall) VALUES (?, ?, ?, ?, ?)", scalars)
        insert(
            "INSERT INTO frame (seq, step, name, kind, nbytes, lo, hi, wall, sha, data) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            frames,
        )
        insert("INSERT INTO event (seq, step, kind, text, data, wall) VALUES (?, ?, ?, ?, ?, ?)", events)
        return fresh, self.seq + len(scalars) + len(frames) + len(events)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        stat = os.stat(path)
    except FileNotFoundError:
        return None
    return stat.st_dev, stat.st_ino
