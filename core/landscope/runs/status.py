"""What a run is doing, and how a reader can tell that its trainer died."""

from __future__ import annotations

import os
import platform
from enum import StrEnum
from pathlib import Path

__all__ = ["RunStatus", "machine", "observed_status"]

HEARTBEAT_LIMIT_S = 5.0
# A living process of the right number is stronger evidence than a late heartbeat: compiled code may hold the
# interpreter for longer than a few seconds. The number may be another process's by now, so not for ever.
LIVING_LIMIT_S = 60.0


class RunStatus(StrEnum):
    """The states of a run. A trainer writes all but `CRASHED`, which readers derive."""

    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    CRASHED = "crashed"

    @property
    def live(self) -> bool:
        """Whether a trainer is there to write more and to take commands."""
        return self in (RunStatus.RUNNING, RunStatus.PAUSED)


def machine() -> str:
    """Where process numbers mean the same as here: the host's name and, on Linux, the process namespace."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return platform.node() + namespace


def observed_status(stored: RunStatus, age_s: float, *, pid: int, trainer_machine: str) -> RunStatus:
    """The status a reader should believe.

    Args:
        stored: What the trainer wrote last.
        age_s: Seconds since its last heartbeat.
        pid: Its process number.
        trainer_machine: Its `machine()`.

    Returns:
        `stored`, or `CRASHED` for a run that claims to be live while its process is gone or its heartbeat is late.
    """
    if not stored.live:
        return stored
    if age_s > HEARTBEAT_LIMIT_S and trainer_machine != machine():
        return RunStatus.CRASHED
    if trainer_machine == machine() and not (_is_alive(pid) and age_s <= LIVING_LIMIT_S):
        return RunStatus.CRASHED
    return stored


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return True
    return state != "Z"  # dead, and its parent has not asked how
