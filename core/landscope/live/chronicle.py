"""What a run says while it goes on: scalars, the losses of single steps, the finding, and a line in the terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from landscope.dynamics import Finding, Series, diagnose
from landscope.live.progress import ProgressLine
from landscope.runs import RunWriter

__all__ = ["Chronicle"]

# Losses of single steps are read from the device this often, so that no step waits for it.
_LOSS_INTERVAL = 0.1
_FINDING_INTERVAL = 1.0


class Chronicle:
    """Writes the scalars of a run, and looks at them from time to time for a finding.

    Args:
        writer: Of the run.
        total_steps: Steps planned, if known.
        progress: The line in the terminal, if there is to be one.
    """

    def __init__(self, writer: RunWriter, total_steps: int | None, progress: ProgressLine | None) -> None:
        self._writer = writer
        self._total_steps = total_steps
        self._progress = progress
        self._losses: list[tuple[int, Tensor | float]] = []
        self._history: dict[str, tuple[list[int], list[float]]] = {}
        self._said = time.perf_counter()
        self._finding: Finding | None = None
        self._found_at = float("-inf")

    @property
    def diverged(self) -> bool:
        """Whether the last measured training loss is not finite."""
        losses = self._history.get("train/loss")
        return losses is not None and not np.isfinite(losses[1][-1])

    def record(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes measured scalars, and keeps them for findings."""
        self._writer.scalars(step, scalars)
        for name, value in scalars.items():
            steps, values = self._history.setdefault(name, ([], []))
            steps.append(step)
            values.append(value)

    def loss(self, step: int, loss: Tensor | float) -> None:
        """Notes the loss of a step's batch; it may stay on the device."""
        self._losses.append((step, loss.detach() if isinstance(loss, Tensor) else float(loss)))

    def due(self, now: float) -> bool:
        """Whether `say` was last called long enough ago."""
        return now - self._said > _LOSS_INTERVAL

    def say(self, step: int, overhead: float | None) -> None:
        """Brings the losses of single steps, the finding and the progress line up to date.

        Args:
            step: The present one.
            overhead: Seconds of measuring for each second of training, once there was training.
        """
        self._said = time.perf_counter()
        for at, loss in self._read_losses():
            self._writer.scalars(at, {"step/loss": loss})
        share = {} if overhead is None else {"overhead/share": overhead}
        if self._said - self._found_at > _FINDING_INTERVAL:
            self._found_at = self._said
            if share:
                self._writer.scalars(step, share)
            finding = diagnose({name: Series(np.array(s), np.array(v)) for name, (s, v) in self._history.items()})
            if finding != self._finding:
                self._finding = finding
                self._writer.event(step, "finding", finding.text, {"kind": finding.kind})
        if self._progress is not None:
            latest = {name: values[-1] for name, (_, values) in self._history.items()}
            self._progress.show(step, self._total_steps, latest | share)

    def end(self, step: int, overhead: float | None) -> None:
        """Says all that is still to be said, and leaves the last line standing."""
        self._found_at = float("-inf")
        self.say(step, overhead)
        if self._progress is not None:
            self._progress.end()
            self._progress = None

    def _read_losses(self) -> list[tuple[int, float]]:
        """The losses passed since the last time, read from the device in one go."""
        waiting, self._losses = self._losses, []
        tensors = [loss.reshape(()).double() for _, loss in waiting if isinstance(loss, Tensor)]
        read = iter(torch.stack(tensors).tolist() if tensors else [])
        return [(step, next(read) if isinstance(loss, Tensor) else loss) for step, loss in waiting]
