"""The tables of a run, and how to open them: for its one writer, and for readers who change nothing."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from landscope.runs.status import Process

__all__ = ["BLOBS", "DATABASE", "SCHEMA", "create_database", "open_for_writing", "reading"]

logger = logging.getLogger(__name__)

SCHEMA = 1
DATABASE = "run.sqlite"
BLOBS = "blobs"
_BUSY_S = 5.0

# `seq` counts the rows of scalar, frame and event together, in the order of commits; gaps are what was thinned out of a
# long run (see retention). What is said in one call is one row: `data` holds a little-endian float64 for each of the
# series' names (a JSON list). That is a tenth of the rows, a third of the bytes, and NaN, which SQLite would make NULL,
# stays.
_TABLES = f"""
CREATE TABLE series (id INTEGER PRIMARY KEY, names TEXT NOT NULL UNIQUE);
CREATE TABLE scalar (
    seq INTEGER PRIMARY KEY, step INTEGER NOT NULL, series INTEGER NOT NULL, data BLOB NOT NULL, wall REAL NOT NULL
);
CREATE INDEX scalar_by_series ON scalar (series);
CREATE TABLE frame (
    seq INTEGER PRIMARY KEY, step INTEGER NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, nbytes INTEGER NOT NULL,
    lo REAL, hi REAL, wall REAL NOT NULL, sha TEXT, data BLOB
);
CREATE INDEX frame_by_name ON frame (name, step);
CREATE TABLE event (
    seq INTEGER PRIMARY KEY, step INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, data TEXT,
    wall REAL NOT NULL
);
CREATE TABLE head (
    id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, step INTEGER NOT NULL, total INTEGER,
    status TEXT NOT NULL, heartbeat REAL NOT NULL, dropped INTEGER NOT NULL,
    machine TEXT NOT NULL, pid INTEGER NOT NULL, started INTEGER
);
PRAGMA user_version = {SCHEMA};
"""


def create_database(path: Path, journal: str, *, heartbeat: float, trainer: Process) -> None:
    """Make the empty database of a run that starts now.

    Args:
        path: Where it will be.
        journal: "WAL", or "TRUNCATE" where readers on other machines may be.
        heartbeat: The time now, in seconds since the epoch.
        trainer: The process that will write it.
    """
    with closing(sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.executescript(f"BEGIN;{_TABLES}COMMIT;")
        connection.execute(
            "INSERT INTO head VALUES (1, 0, 0, NULL, 'running', ?, 0, ?, ?, ?)",
            (heartbeat, trainer.machine, trainer.pid, trainer.started),
        )


def open_for_writing(path: Path, journal: str | None = None) -> sqlite3.Connection:
    """The writer's connection. It neither makes a database that is not there nor begins transactions by itself.

    Args:
        path: The database.
        journal: The journal to go over to, if nobody reads at this moment; otherwise, and with None, it stays.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    # Survives the death of the process at any instant; a power failure may cost the last commits, never the file.
    connection.execute("PRAGMA synchronous = NORMAL")
    if journal is not None:
        with suppress(sqlite3.OperationalError):
            connection.execute(f"PRAGMA journal_mode = {journal}")
    return connection


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that sees one state of the database throughout, and cannot change it.

    Raises:
        FileNotFoundError: if there is no database.
        ValueError: if it has another schema.
        sqlite3.DatabaseError: if it is damaged.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path.name} is missing from {path.parent}")
    with closing(_open_read_only(path)) as connection:
        connection.execute("BEGIN")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != SCHEMA:
            remedy = "upgrade landscope to read it" if version > SCHEMA else "read it with the version that wrote it"
            raise ValueError(f"run {path.parent.name} has store schema {version}, expected {SCHEMA}; {remedy}")
        yield connection


def _open_read_only(path: Path) -> sqlite3.Connection:
    uri = path.absolute().as_uri()
    try:
        return _connect(f"{uri}?mode=ro")
    except sqlite3.OperationalError as error:
        # A write-ahead log without its shared memory in a folder that cannot be written, or a transaction cut off
        # that only a writer may undo. Both need a trainer that is gone, so the files will not change under us.
        if getattr(error, "sqlite_errorname", "").split("_")[1:2] not in (["CANTOPEN"], ["READONLY"]):
            raise
    if not any(_size(journal) for journal in _journals(path)):
        return _connect(f"{uri}?immutable=1")
    return _connect(f"{_recovered_copy(path).as_uri()}?mode=ro")


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema")  # opening is lazy: errors come with the first read
    except sqlite3.Error:
        connection.close()
        raise
    return connection


_copies: dict[tuple[str, tuple[int, ...]], tempfile.TemporaryDirectory[str]] = {}
_copies_lock = threading.Lock()


def _recovered_copy(path: Path) -> Path:
    """The database after recovery, in a folder of our own that lasts as long as this process."""
    files = [path, *_journals(path)]
    key = (str(path), tuple(stamp for file in files if file.exists() for stamp in _stamp(file)))
    with _copies_lock:
        if key not in _copies:
            logger.warning("%s was left in the middle of a write: reading a recovered copy", path)
            folder = tempfile.TemporaryDirectory(prefix="landscope-", ignore_cleanup_errors=True)
            for file in files:
                if file.exists():
                    shutil.copyfile(file, Path(folder.name) / file.name)
            with closing(sqlite3.connect(Path(folder.name) / path.name)) as connection:
                connection.execute("SELECT count(*) FROM sqlite_schema")
            _copies[key] = folder
        return Path(_copies[key].name) / path.name


def _journals(path: Path) -> tuple[Path, Path]:
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-journal")


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
