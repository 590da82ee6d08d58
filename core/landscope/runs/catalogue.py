"""Finding runs: a folder of runs is its own index."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from landscope.runs.manifest import MANIFEST, Manifest, Parent, read_manifest
from landscope.runs.reader import Run, StoredHead, read_head
from landscope.runs.schema import DATABASE, reading
from landscope.runs.status import RunStatus

__all__ = ["RunSummary", "Stamp", "latest_id", "list_runs", "open_run", "run_folder", "stamp_of"]

Stamp = tuple[int, int] | None

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """A line in the list of runs; of a folder that cannot be read only `id`, `path` and `error` mean something."""

    id: str
    path: Path
    name: str = ""
    recipe: str | None = None
    created: str = ""
    status: RunStatus | None = None
    step: int = 0
    total: int | None = None
    finding: str | None = None
    parent: Parent | None = None
    error: str | None = None


def open_run(path_or_id: str | Path, root: str | Path | None = None) -> Run:
    """A run, by its folder or by its id.

    Args:
        path_or_id: A run's folder, or its id in `root`. With a root given it can only be an id.
        root: The folder of runs; "runs" when None.

    Raises:
        FileNotFoundError: if there is no such run; with a root, whatever is not a folder directly in it is none.
        ValueError: if its manifest is damaged.
    """
    if root is None:
        folder = Path(path_or_id)
        if folder.is_dir() or isinstance(path_or_id, Path) or not _ID.fullmatch(path_or_id):
            return Run(folder)
        root = "runs"
    return Run(run_folder(Path(root), str(path_or_id)))


def list_runs(root: str | Path) -> list[RunSummary]:
    """All runs in a folder, newest first; one that cannot be read is listed with its error.

    A folder that does not exist has no runs. Hidden folders, files and links are passed over.
    """
    summaries = [_summary(folder) for folder in _folders(Path(root))]
    return sorted(summaries, key=lambda summary: (summary.created, summary.id), reverse=True)


def latest_id(root: str | Path) -> str:
    """The id of the newest run.

    Raises:
        FileNotFoundError: if there is none.
    """
    newest: tuple[str, str] | None = None
    for folder in _folders(Path(root)):
        try:
            created = _manifest(folder, stamp_of(folder / MANIFEST)).created
        except (OSError, ValueError):  # list_runs says what is wrong with it
            continue
        newest = max(newest or ("", ""), (created, folder.name))
    if newest is None:
        raise FileNotFoundError(f"no runs in {root} yet")
    return newest[1]


def run_folder(root: Path, run_id: str) -> Path:
    """The folder of a run directly in another one.

    Raises:
        FileNotFoundError: if there is none; a link is none, nor is what has no run's name.
    """
    if not _ID.fullmatch(run_id):
        raise FileNotFoundError(f"no run {run_id!r}: a run's id is of letters, digits, '.', '_' and '-'")
    folder = root / run_id
    if folder.is_symlink():
        raise FileNotFoundError(f"no run {run_id!r} in {root}, only a link: open the folder it leads to instead")
    if not folder.is_dir():
        raise FileNotFoundError(f"no run {run_id!r} in {root}")
    return folder


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return [folder for folder in root.iterdir() if _ID.fullmatch(folder.name) and _is_folder(folder)]


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _summary(folder: Path) -> RunSummary:
    try:
        manifest = _manifest(folder, stamp_of(folder / MANIFEST))
        database = folder / DATABASE
        stored, finding = _contents(database, stamp_of(database), stamp_of(folder / f"{DATABASE}-wal"))
        head = stored.observed()
    except (OSError, ValueError, TypeError, sqlite3.Error) as error:
        return RunSummary(id=folder.name, path=folder, error=str(error))
    return RunSummary(
        id=folder.name,
        path=folder,
        name=manifest.name,
        recipe=manifest.recipe,
        created=manifest.created,
        status=head.status,
        step=head.step,
        total=head.total,
        finding=finding,
        parent=manifest.parent,
    )


# Read again when a file has another stamp, which for most runs is never.


@lru_cache(maxsize=4096)
def _manifest(folder: Path, stamp: Stamp) -> Manifest:
    return read_manifest(folder)


@lru_cache(maxsize=4096)
def _contents(database: Path, stamp: Stamp, log_stamp: Stamp) -> tuple[StoredHead, str | None]:
    with reading(database) as source:
        found = source.execute(
            "SELECT text FROM event WHERE kind = 'finding' ORDER BY step DESC, seq DESC LIMIT 1"
        ).fetchone()
        return read_head(source), found[0] if found else None


def stamp_of(path: Path) -> Stamp:
    """Time of change and size of a file; None where there is none."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_size
