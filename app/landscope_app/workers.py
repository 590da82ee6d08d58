"""The processes that measure finished runs: started when something is asked for, looked after, ended by the server."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

__all__ = ["Workers"]

logger = logging.getLogger(__name__)

_STARTS = 4  # in a row that may end badly: a job is given up after it has ended two
_AGAIN = 75  # exit status of a worker that could end a job only by ending itself
_LATE = 2.0  # seconds before its end in which a worker may have missed what was asked for
_PATIENCE = 5.0


class Workers:
    """One process for each run that something is asked of, as long as there is something to do.

    What it is to do lies in the run's folder, and so does what comes of it. The processes are new ones, not forks of
    the server, and end when it does, however it does: they read from a pipe that nobody else writes to.

    Args:
        root: The folder of runs.
        trust: Users' programs that may be run to build the model of a run that they made.
    """

    def __init__(self, root: Path, trust: Sequence[Path] = ()) -> None:
        self._root = root
        self._trust = [str(path.absolute()) for path in trust]
        self._lock = threading.Lock()
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._woken: dict[str, float] = {}
        self._states: dict[str, str] = {}
        self._closed = False

    def wake(self, run_id: str) -> None:
        """Has the commands of a run carried out; returns at once."""
        with self._lock:
            self._woken[run_id] = time.monotonic()
            if self._closed or run_id in self._processes:
                return
            self._states[run_id] = "starting"
            process = self._start(run_id)
        threading.Thread(target=self._look_after, args=(run_id, process), daemon=True).start()

    def state(self, run_id: str) -> str:
        """What the run's worker does: "" without one, "starting", "working", or "failed: " and the reason."""
        return self._states.get(run_id, "")

    def close(self) -> None:
        """Ends all of them."""
        with self._lock:
            self._closed = True
            processes = list(self._processes.values())
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in processes:
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()

    def _start(self, run_id: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self._command(run_id),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is the server's, which ends it
        )
        self._processes[run_id] = process
        return process

    def _command(self, run_id: str) -> list[str]:
        trust = [argument for path in self._trust for argument in ("--trust", path)]
        return [sys.executable, "-m", "landscope.worker", str(self._root / run_id), *trust]

    def _look_after(self, run_id: str, process: subprocess.Popen[str]) -> None:
        """Waits for a worker's end, and starts another as long as that is worth while."""
        starts = 1
        while True:
            with process:
                last = self._listen(run_id, process)
            status = process.returncode
            ended = time.monotonic()
            with self._lock:
                missed = self._woken[run_id] > ended - _LATE
                again = status == _AGAIN or (missed if status == 0 else starts < _STARTS)
                if self._closed or not again or not (self._root / run_id).is_dir():
                    del self._processes[run_id]
                    self._states[run_id] = "" if status in (0, _AGAIN) else f"failed: {last or _in_words(status)}"
                    break
                starts = 1 if status in (0, _AGAIN) else starts + 1
                self._states[run_id] = "starting"
                process = self._start(run_id)
            if status not in (0, _AGAIN):
                logger.warning("the worker of run %s ended (%s); starting another", run_id, last or _in_words(status))

    def _listen(self, run_id: str, process: subprocess.Popen[str]) -> str:
        """Reads what a worker says until its end; its last line."""
        assert process.stderr is not None
        last = ""
        for line in process.stderr:
            text = line.strip()
            if text == "ready":
                self._states[run_id] = "working"
            elif text:
                last = text.removeprefix("landscope worker: ")
                logger.info("worker of run %s: %s", run_id, text)
        return last


def _in_words(status: int) -> str:
    return f"killed by signal {-status}" if status < 0 else f"exit status {status}"
