"""The checkpoints of a run: those asked for, and a few over the whole training, to go back to without having asked."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import torch

from landscope.live.training_state import TrainingState
from landscope.runs import checkpoint_path

__all__ = ["Checkpoints"]

logger = logging.getLogger(__name__)

_BYTES = 2**29  # that automatic checkpoints of a run may take on the disk
_MOST = 32
_INTERVAL = 1.0  # seconds of training between two of them, at first
_SHARE = 0.2  # of the time for measuring that they may take
_RATE = 1e8  # bytes a second, until one was written


class Checkpoints:
    """Full states of a training, in its run's folder.

    Automatic ones are evenly spread over the time of training: when there are 32 of them, or 512 MiB, every other one
    is dropped and the distance doubles. They are written when a fifth of the time that may be spent measuring pays for
    it. The first one is written before training begins, if it takes no more than a fifth of what the first picture may.
    Those asked for are never dropped.

    Attributes:
        off: Why there are no automatic ones, or no more; empty as long as there are.

    Args:
        state: Of what is in training.
        overhead: Seconds of measuring for each second of training.
    """

    def __init__(self, state: TrainingState, overhead: float) -> None:
        self.off = ""
        self._state = state
        self._allowed = _SHARE * overhead
        self._paths: dict[int, Path] = {}
        self._automatic: list[int] = []
        self._gap = _INTERVAL
        self._at = 0.0
        self._cost = 0.0
        self._folder = Path()

    @property
    def steps(self) -> list[int]:
        """The steps that can be gone back to, ascending."""
        return sorted(self._paths)

    def begin(self, folder: Path, step: int, first_picture: float) -> None:
        """Keeps what comes in the folder of a run that begins now, and its beginning if that is quick.

        Args:
            folder: Of the run. What was kept before of earlier steps can still be gone back to.
            step: At which it begins.
            first_picture: Seconds of training whose share may be spent at once.
        """
        self._paths = {at: path for at, path in self._paths.items() if at <= step}
        self._folder, self._automatic, self._at, self._gap = folder, [], 0.0, _INTERVAL
        self._cost = self._state.nbytes / _RATE
        if self._cost <= self._allowed * first_picture:
            self._keep_automatic(step)

    def keep_due(self, step: int, training: float) -> None:
        """Keeps the present state if it is time for it after `training` seconds of training; never raises."""
        if training - self._at >= max(self._gap, self._cost / self._allowed):
            self._at = training
            self._keep_automatic(step)

    def complete(self, step: int) -> None:
        """Writes the checkpoint of this step again, if there is one, because there is more to a state by now."""
        if self._paths.get(step) == checkpoint_path(self._folder, step) and not self.off:
            self._paths.pop(step)
            self._automatic.remove(step)
            self._keep_automatic(step)

    def keep(self, step: int) -> None:
        """Keeps the present state for good.

        Raises:
            OSError: if the disk refuses it.
            RuntimeError: if torch cannot write it.
        """
        path = checkpoint_path(self._folder, step)
        if self._paths.get(step) != path:
            self._write(path, step)
        if step in self._automatic:
            self._automatic.remove(step)

    def load(self, step: Any) -> tuple[Path, dict[str, Any]]:
        """The run's folder that a step's checkpoint lies in, and the state in it.

        Raises:
            ValueError: if there is no checkpoint of that step.
            OSError: if its file is gone.
        """
        if step not in self._paths:
            raise ValueError(
                f"there is no checkpoint of step {step!r}, only of {', '.join(map(str, self.steps)) or 'none'}"
            )
        path = self._paths[step]
        return path.parent.parent, torch.load(path, map_location="cpu", weights_only=True)

    def _keep_automatic(self, step: int) -> None:
        if self.off or checkpoint_path(self._folder, step) in self._paths.values():
            return
        try:
            self._write(checkpoint_path(self._folder, step), step)
        except Exception as failure:  # noqa: BLE001 whatever the disk or the state is like, training goes on
            self.off = f"checkpoints are kept no more: {failure}"
            logger.warning("%s", self.off)
            return
        self._automatic.append(step)
        while len(self._automatic) >= _MOST or self._bytes() > _BYTES:
            self._thin()

    def _thin(self) -> None:
        if len(self._automatic) == 1:
            self.off = f"a checkpoint takes more than {_BYTES // 2**20} MiB, so that they are kept only when asked for"
            dropped, self._automatic = self._automatic, []
        else:
            dropped, self._automatic = self._automatic[1::2], self._automatic[::2]
        self._gap *= 2
        for step in dropped:
            self._paths.pop(step).unlink(missing_ok=True)

    def _bytes(self) -> int:
        paths = (self._paths[step] for step in self._automatic)
        return sum(path.stat().st_size for path in paths if path.exists())

    def _write(self, path: Path, step: int) -> None:
        began = time.perf_counter()
        temporary = path.with_name(f".{path.name}")
        try:
            path.parent.mkdir(exist_ok=True)
            torch.save(self._state.taken(step), temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        self._paths[step] = path
        self._cost = time.perf_counter() - began
