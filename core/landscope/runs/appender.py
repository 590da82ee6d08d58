"""Adding to a run whose training has ended: measurements that were asked for afterwards."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from landscope.measurements import Measurement
from landscope.runs.backlog import Batch, PendingEvent, PendingFrame
from landscope.runs.filesystem import journal_mode
from landscope.runs.manifest import plain
from landscope.runs.reader import Run
from landscope.runs.recorder import Recorder

__all__ = ["RunAppender"]

_LOCK = "appender.lock"


class RunAppender:
    """The one writer of a run whose training has ended.

    What is said is on the disk when a method returns. It gets the numbers after the run's last one; the run's status,
    its step and its heartbeat stay those of the training. Its methods may be called from several threads.

    Args:
        path: The run's folder.

    Raises:
        FileNotFoundError: if there is no run.
        ValueError: if it has another version's schema.
        BlockingIOError: if another process adds to it.
        RuntimeError: if its training goes on.
    """

    def __init__(self, path: Path) -> None:
        run = Run(path)
        status = run.head().status
        if status.live:
            raise RuntimeError(
                f"run {run.id} is {status}: its trainer measures it; ask on its page, or wait for its end"
            )
        self._claim = _claimed(path / _LOCK, run.id)
        try:
            self._recorder = Recorder(path, journal=journal_mode(path))
        except BaseException:
            self._claim.close()
            raise
        self._mutex = threading.Lock()

    def measurement(self, step: int, name: str, measurement: Measurement) -> None:
        """Records a measurement as a frame.

        Raises:
            OSError: if the folder is gone or the disk refuses it.
            sqlite3.Error: if the disk refuses it.
        """
        frame = PendingFrame(int(step), time.time(), name, measurement.kind, measurement.span(), measurement.to_bytes())
        self._commit(Batch(frames=[frame]))

    def event(self, step: int, kind: str, text: str, data: dict[str, Any] | None = None) -> None:
        """Records that something happened. Raises what `measurement` does."""
        encoded = None if data is None else json.dumps(plain(data), allow_nan=False)
        self._commit(Batch(events=[PendingEvent(int(step), time.time(), kind, text, encoded)]))

    def close(self) -> None:
        """Lets go of the run."""
        with self._mutex:
            self._recorder.close()
            self._claim.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _commit(self, batch: Batch) -> None:
        with self._mutex:
            self._recorder.commit(batch, None)


def _claimed(path: Path, run: str) -> sqlite3.Connection:
    """A lock that ends with this process, however it ends: the one that SQLite takes on an empty database."""
    connection = sqlite3.connect(path, timeout=0.0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        if "locked" not in str(error):
            raise
        raise BlockingIOError(f"run {run} is being measured by another process; wait until it is done") from None
    return connection
