"""Runs that are thrown away go to a hidden folder beside the others, and come back from there."""

from __future__ import annotations

import shutil
from pathlib import Path

from landscope.runs.catalogue import RunSummary, list_runs, open_run, run_folder

__all__ = ["TRASH", "discard", "erase", "restore", "trashed"]

TRASH = ".trash"


def discard(run_id: str, root: str | Path) -> Path:
    """Move a run's folder to the trash; where it is then is returned.

    Args:
        run_id: Its id.
        root: The folder of runs.

    Raises:
        FileNotFoundError: if there is no such run.
        RuntimeError: if a training still writes it.
        FileExistsError: if one of that id is in the trash already.
    """
    run = open_run(run_id, root)
    status = run.head().status
    if status.live:
        raise RuntimeError(f"run {run_id} is {status}: stop it before it is thrown away")
    trash = Path(root) / TRASH
    trash.mkdir(exist_ok=True)
    return _moved(run.path, trash / run_id)


def restore(run_id: str, root: str | Path) -> Path:
    """Move a run's folder back from the trash; where it is then is returned.

    Args:
        run_id: Its id.
        root: The folder of runs.

    Raises:
        FileNotFoundError: if it is not in the trash.
        FileExistsError: if there is another run of that id by now.
    """
    run = open_run(run_id, Path(root) / TRASH)
    return _moved(run.path, Path(root) / run_id)


def trashed(root: str | Path) -> list[RunSummary]:
    """All runs in the trash of a folder of runs, newest first; one that cannot be read is listed with its error."""
    return list_runs(Path(root) / TRASH)


def erase(run_id: str, root: str | Path) -> Path:
    """Delete a run in the trash for good; where it was is returned.

    Args:
        run_id: Its id.
        root: The folder of runs.

    Raises:
        FileNotFoundError: if it is not in the trash.
        OSError: if the trash is a link to elsewhere, or something cannot be deleted.
    """
    trash = Path(root) / TRASH
    if trash.is_symlink():
        raise OSError(f"{trash} is a link: delete what it leads to by hand")
    folder = run_folder(trash, run_id)
    shutil.rmtree(folder)
    return folder


def _moved(folder: Path, target: Path) -> Path:
    if target.exists():
        raise FileExistsError(f"{target} is there already: remove or rename it first")
    return folder.rename(target)
