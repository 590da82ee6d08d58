"""Commands to a trainer: a second small database, written by the dashboard alone and read by the trainer alone."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from landscope.runs.manifest import plain

__all__ = ["CONTROL", "Command", "Inbox", "send_command"]

logger = logging.getLogger(__name__)

CONTROL = "control.sqlite"
_KIND = re.compile(r"[a-z][a-z0-9-]{0,39}")
_TABLE = """
CREATE TABLE IF NOT EXISTS command (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, params TEXT NOT NULL, wall REAL NOT NULL
)
"""


@dataclass(frozen=True)
class Command:
    """Something the page asks of a trainer.

    Attributes:
        seq: Its number, increasing from 1 in a run.
        kind: What to do, e.g. "pause", "resume" or "stop".
        params: Its arguments.
    """

    seq: int
    kind: str
    params: dict[str, Any] = field(default_factory=dict)


def send_command(folder: Path, kind: str, params: dict[str, Any]) -> int:
    """Leave a command for the trainer of the run in `folder`; its number is returned.

    Raises:
        ValueError: if the kind is not a short lower-case word.
        sqlite3.OperationalError: if the folder cannot be written.
    """
    if not _KIND.fullmatch(kind):
        raise ValueError(f"command must be a lower-case word of at most 40 letters, got {kind!r}")
    # The plain rollback journal, not a write-ahead log: works on any file system, and commands are few.
    with closing(sqlite3.connect(folder / CONTROL, timeout=5.0)) as connection, connection:
        connection.execute(_TABLE)
        cursor = connection.execute(
            "INSERT INTO command (kind, params, wall) VALUES (?, ?, ?)",
            (kind, json.dumps(plain(params), allow_nan=False), time.time()),
        )
        return int(cursor.lastrowid or 0)


class Inbox:
    """The trainer's side: hands out each command once."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / CONTROL
        self._seen = 0
        self._complained = False

    def poll(self) -> list[Command]:
        """Commands that came since the last call. A file that cannot be read now is tried again the next time."""
        if not self._path.exists():
            return []
        try:
            with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=0.5)) as source:
                rows = source.execute(
                    "SELECT seq, kind, params FROM command WHERE seq > ? ORDER BY seq", (self._seen,)
                ).fetchall()
            commands = [Command(seq, kind, json.loads(params)) for seq, kind, params in rows]
        except (sqlite3.Error, ValueError) as error:
            # Between the file's creation and its first commit there is no table yet: nothing to complain about.
            if not self._complained and "no such table" not in str(error):
                self._complained = True
                logger.warning("commands from the dashboard cannot be read from %s: %s", self._path, error)
            return []
        if commands:
            self._seen = commands[-1].seq
        return commands
