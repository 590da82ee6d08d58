"""What a run is doing, and how a reader can tell that its trainer died."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

__all__ = ["Process", "RunStatus", "observed_status", "this_process"]

HEARTBEAT_LIMIT_S = 5.0


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


@dataclass(frozen=True)
class Process:
    """A process, told apart from all others.

    Attributes:
        machine: Where its number means something: the host's name and, on Linux, the process namespace.
        pid: Its number.
        started: Clock ticks from boot to its start, as numbers are used again; None where that is unknown.
    """

    machine: str
    pid: int
    started: int | None


def this_process() -> Process:
    """The process that runs this."""
    return Process(_machine(), os.getpid(), _start(os.getpid()))


def observed_status(stored: RunStatus, age_s: float, trainer: Process) -> RunStatus:
    """The status a reader should believe.

    A living process is stronger evidence than a late heartbeat (compiled code may hold the interpreter for long, and
    a full disk takes no heartbeats), so the heartbeat decides only where the process cannot be seen.

    Args:
        stored: What the trainer wrote last.
        age_s: Seconds since its last heartbeat.
        trainer: The process that wrote it.

    Returns:
        `stored`, or `CRASHED` for a run that claims to be live while nobody is there.
    """
    if not stored.live:
        return stored
    if trainer.machine != _machine():
        alive = age_s <= HEARTBEAT_LIMIT_S
    elif trainer.started is not None:
        alive = _start(trainer.pid) == trainer.started
    else:
        alive = age_s <= HEARTBEAT_LIMIT_S and _exists(trainer.pid)
    return stored if alive else RunStatus.CRASHED


def _machine() -> str:
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return platform.node() + namespace


def _start(pid: int) -> int | None:
    """When a process started, from /proc/<pid>/stat (fields 3, its state, and 22); None if it is gone or dead."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    # A zombie is dead, and its parent has not asked how.
    return None if after_name[0] in "ZX" else int(after_name[19])


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
