"""Runs that are thrown away go to a hidden folder beside the others, and come back from there."""

from __future__ import annotations

from pathlib import Path

from landscope.runs.catalogue import open_run

__all__ = ["TRASH", "discard", "restore"]

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


def _moved(folder: Path, target: Path) -> Path:
    if target.exists():
        raise FileExistsError(f"{target} is there already: remove or rename it first")
    return folder.rename(target)
