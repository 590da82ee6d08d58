"""Recording a run: a trainer says what it measured and goes on at once; a thread brings it to the disk."""

from __future__ import annotations

import atexit
import dataclasses
import json
import logging
import os
import shutil
import sqlite3
import struct
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from landscope.measurements import Measurement
from landscope.runs.backlog import Backlog, Batch, PendingEvent, PendingFrame, PendingScalars
from landscope.runs.commands import Command, Inbox
from landscope.runs.filesystem import journal_mode
from landscope.runs.manifest import Manifest, Parent, describe, plain, write_manifest
from landscope.runs.recorder import Pulse, Recorder
from landscope.runs.schema import BLOBS, DATABASE, SCHEMA, create_database
from landscope.runs.status import RunStatus, this_process

__all__ = ["RunWriter"]

logger = logging.getLogger(__name__)

COMMIT_INTERVAL_S = 0.1
HEARTBEAT_S = 0.9
RETRY_S = 1.0
CLOSE_LIMIT_S = 10.0
LOCK_LIMIT_S = 0.5


class RunWriter:
    """The one writer of a run, for the process that trains.

    All methods return at once; what they were given is on the disk about a tenth of a second later. Nothing here
    raises because of the disk: when it is full or the folder is gone, recording pauses with one logged message,
    what came meanwhile is kept as far as it fits in memory, and recording resumes when the disk allows.

    Example:
        >>> with RunWriter.create("runs", name="digits") as writer:  # doctest: +SKIP
        ...     writer.scalars(0, {"train/loss": 2.3})

    Attributes:
        path: The run's folder.
        manifest: What was written to its run.json.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._recorder = Recorder(path)
        self._inbox = Inbox(path)
        self._lock = threading.RLock()
        self._backlog = Backlog()
        self._commands: list[Command] = []
        self._step = 0
        self._total: int | None = None
        self._status = RunStatus.RUNNING
        self._recording = True
        self._paused_since = 0.0
        self._written: tuple[int, int | None, RunStatus] | None = None
        self._last_attempt = 0.0
        self._closed = False
        self._stop = threading.Event()
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._work, name=f"landscope-{self.id}", daemon=True)
        self._thread.start()
        atexit.register(self._close_at_exit)

    @classmethod
    def create(
        cls,
        root: str | Path,
        *,
        name: str,
        recipe: str | None = None,
        config: dict[str, Any] | None = None,
        panels: dict[str, Any] | None = None,
        parent: Parent | None = None,
    ) -> Self:
        """Start a run in a new folder under `root`, named by the time and by `name`.

        Args:
            root: The folder of runs; made when it is not there.
            name: Any text; kept as it is in the manifest.
            recipe: The built-in experiment this is, if any.
            config: Settings worth keeping.
            panels: What the page should show.
            parent: Where it goes on from, if it is a branch of another run.

        Raises:
            OSError: if the folder cannot be made.
            sqlite3.OperationalError: if the database cannot be made, e.g. on a full disk.
        """
        folder = Path(root)
        folder.mkdir(parents=True, exist_ok=True)
        manifest = describe(name, schema=SCHEMA, recipe=recipe, config=config, panels=panels, parent=parent)
        return cls(*_new_folder(folder, manifest))

    def branch(self, parent: Parent) -> Self:
        """Start another run beside this one, of the same training, that goes on from `parent`.

        Raises:
            OSError: if its folder cannot be made.
            sqlite3.OperationalError: if its database cannot be made.
        """
        known = self.manifest
        return self.create(
            self.path.parent,
            name=known.name,
            recipe=known.recipe,
            config=known.config,
            panels=known.panels,
            parent=parent,
        )

    @property
    def id(self) -> str:
        """The run's id: its folder's name."""
        return self.manifest.id

    @property
    def recording(self) -> bool:
        """Whether what is said reaches the disk; False while it is full or the folder is gone, and after closing."""
        return self._recording and not self._closed

    @property
    def committed(self) -> int:
        """The last `seq` that survives whatever happens to this process."""
        return self._recorder.seq

    @property
    def dropped(self) -> int:
        """Records lost because the disk could not keep up."""
        return self._backlog.dropped

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Record numbers of a step. NaN and infinities are kept.

        Raises:
            RuntimeError: if the run is closed.
            TypeError: if a value is not a number.
        """
        if not values:
            return
        numbers = [float(value) for value in values.values()]
        record = PendingScalars(
            int(step), time.time(), tuple(map(str, values)), struct.pack(f"<{len(numbers)}d", *numbers)
        )
        with self._lock:
            self._check_open()
            self._step = max(self._step, record.step)
            self._backlog.add_scalars(record)

    def measurement(self, step: int, name: str, measurement: Measurement) -> None:
        """Record a measurement as a frame. It is serialised here, so that its arrays may change afterwards.

        Raises:
            RuntimeError: if the run is closed.
        """
        frame = PendingFrame(int(step), time.time(), name, measurement.kind, measurement.span(), measurement.to_bytes())
        with self._lock:
            self._check_open()
            self._step = max(self._step, frame.step)
            self._backlog.add_frame(frame)

    def event(self, step: int, kind: str, text: str, data: dict[str, Any] | None = None) -> None:
        """Record that something happened. An event of kind "status" also sets the status in the run's head.

        Raises:
            RuntimeError: if the run is closed.
            ValueError: if the kind is "status" and the text neither "running" nor "paused".
        """
        status = None
        if kind == "status":
            if text not in (RunStatus.RUNNING, RunStatus.PAUSED):
                raise ValueError(f"status of a run must be 'running' or 'paused', got {text!r}; end it with close()")
            status = RunStatus(text)
        encoded = None if data is None else json.dumps(plain(data), allow_nan=False)
        with self._lock:
            self._check_open()
            self._step = max(self._step, int(step))
            self._status = status or self._status
            self._backlog.add_event(PendingEvent(int(step), time.time(), kind, text, encoded))

    def progress(self, step: int, total: int | None = None) -> None:
        """Tell where the training is, for the head; `total` is how many steps it means to take."""
        self._step, self._total = int(step), None if total is None else int(total)

    def commands(self) -> list[Command]:
        """Commands from the dashboard that were not handed out before, oldest first; cheap enough for every step."""
        if not self._commands:
            return []
        with self._lock:
            found, self._commands = self._commands, []
        return found

    def close(self, status: str = "finished") -> None:
        """Write what is left and end the run. A second call does nothing.

        Args:
            status: How it ended: "finished", "stopped" or "failed".

        Raises:
            ValueError: if `status` is not one of these.
        """
        if status not in (RunStatus.FINISHED, RunStatus.STOPPED, RunStatus.FAILED):
            raise ValueError(f"status must be 'finished', 'stopped' or 'failed', got {status!r}")
        if os.getpid() != self._pid:  # a forked child, e.g. a data loader's worker: the run is its parent's
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._status = RunStatus(status)
        atexit.unregister(self._close_at_exit)
        self._stop.set()
        self._thread.join(CLOSE_LIMIT_S)
        if self._thread.is_alive():
            logger.warning(
                "run %s: the disk did not answer for %.0f s, its last records may be lost", self.id, CLOSE_LIMIT_S
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(_ending(error))

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"run {self.id} is closed: start another with RunWriter.create")

    def _close_at_exit(self) -> None:
        self.close(_ending(getattr(sys, "last_value", None)))

    def _work(self) -> None:
        try:
            while not self._stop.wait(COMMIT_INTERVAL_S):
                self._poll_commands()
                self._commit(time.monotonic())
            self._commit(time.monotonic(), last=True)
        finally:
            self._recording = False
            self._recorder.close()

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """The lock, for the thread that writes.

        A signal handler may call `close` in the midst of a method that holds the lock. That method then waits for
        its handler, and the handler for us: nothing moves, and we need not wait for the lock.
        """
        held = self._lock.acquire(timeout=LOCK_LIMIT_S)
        while not (held or self._stop.is_set()):
            held = self._lock.acquire(timeout=LOCK_LIMIT_S)
        try:
            yield
        finally:
            if held:
                self._lock.release()

    def _poll_commands(self) -> None:
        found = self._inbox.poll()
        if found:
            with self._quiet():
                self._commands = self._commands + found

    def _commit(self, now: float, *, last: bool = False) -> None:
        """Write what waits, if there is anything to write and the disk is not being given a rest."""
        if not (self._recording or last) and now - self._last_attempt < RETRY_S:
            return
        with self._quiet():
            state = (self._step, self._total, self._status)
            batch = self._backlog.take()
        if not (batch or last) and state == self._written and now - self._last_attempt < HEARTBEAT_S:
            return
        self._last_attempt = now
        try:
            self._recorder.commit(batch, Pulse(*state, time.time(), self._backlog.dropped))
        except (OSError, sqlite3.Error) as error:
            self._pause(batch, error)
        else:
            self._written = state
            if not self._recording:
                self._resume()

    def _pause(self, batch: Batch, error: Exception) -> None:
        with self._quiet():
            self._backlog.put_back(batch)
        if self._recording:
            self._recording = False
            self._paused_since = time.monotonic()
            logger.warning("recording of run %s is paused: %s; training goes on", self.id, error)

    def _resume(self) -> None:
        seconds = time.monotonic() - self._paused_since
        text = f"recording was paused for {seconds:.0f} s because the disk refused it"
        logger.warning("recording of run %s goes on: %s", self.id, text)
        self._recording = True
        with self._quiet():
            self._backlog.add_event(PendingEvent(self._step, time.time(), "message", text, None))


def _ending(error: BaseException | None) -> str:
    if error is None or (isinstance(error, SystemExit) and not error.code):
        return RunStatus.FINISHED.value
    return (RunStatus.STOPPED if isinstance(error, KeyboardInterrupt) else RunStatus.FAILED).value


def _new_folder(root: Path, manifest: Manifest) -> tuple[Path, Manifest]:
    """Make the run's folder under a hidden name and rename it, so that nobody ever lists half a run."""
    building = root / f".{manifest.id}-{os.getpid()}-{threading.get_ident()}"
    building.mkdir()
    try:
        (building / BLOBS).mkdir()
        create_database(building / DATABASE, journal_mode(root), heartbeat=time.time(), trainer=this_process())
        base, number = manifest.id, 1
        while True:
            write_manifest(building, manifest)
            try:
                building.rename(root / manifest.id)
            except OSError:
                if not (root / manifest.id).exists():
                    raise
            else:
                return root / manifest.id, manifest
            number += 1
            manifest = dataclasses.replace(manifest, id=f"{base}-{number}")
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
