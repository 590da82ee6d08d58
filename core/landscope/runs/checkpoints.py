"""Where a run keeps full checkpoints: files beside its database, one for each step, written and read by trainers."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["CHECKPOINTS", "checkpoint_path", "checkpoint_steps"]

CHECKPOINTS = "checkpoints"
_NAME = re.compile(r"step-(\d+)\.pt")


def checkpoint_path(folder: Path, step: int) -> Path:
    """The file of a step's checkpoint in the run in `folder`, whether it is there or not."""
    return folder / CHECKPOINTS / f"step-{step}.pt"


def checkpoint_steps(folder: Path) -> list[int]:
    """The steps of which the run in `folder` has a checkpoint, ascending."""
    found = (_NAME.fullmatch(path.name) for path in (folder / CHECKPOINTS).glob("step-*.pt"))
    return sorted(int(match[1]) for match in found if match)
