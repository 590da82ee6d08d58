"""What a run says while it goes on: scalars, the losses of single steps, the finding, and a line in the terminal."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from landscope.dynamics import RULES, Finding, Phase, Series, Timeline
from landscope.live.progress import ProgressLine
from landscope.runs import RunWriter
from landscope.runs.retention import spread

__all__ = ["Chronicle"]

# Losses of single steps are read from the device this often, so that no step waits for it.
_LOSS_INTERVAL = 0.1
_FINDING_INTERVAL = 1.0
# What is found goes on being so for long, and only its numbers change: it is said anew when the run is so much longer.
_LONGER = 1.01
_FEW_POINTS, _POINTS = 64, 4096  # of each number, kept for findings: room at first, and at most


class _Curve:
    """A number over the steps, thinned as a run's scalars are (`spread`), but sooner."""

    def __init__(self) -> None:
        self._steps, self._values = np.empty(_FEW_POINTS, dtype=np.int64), np.empty(_FEW_POINTS)
        self._length = 0

    def append(self, step: int, value: float) -> None:
        if self._length == _POINTS:
            kept = spread(self._steps, _POINTS // 2)
            self._length = len(kept)
            self._steps[: self._length], self._values[: self._length] = self._steps[kept], self._values[kept]
        elif self._length == len(self._steps):
            self._steps, self._values = np.tile(self._steps, 2), np.tile(self._values, 2)
        self._steps[self._length], self._values[self._length] = step, value
        self._length += 1

    @property
    def series(self) -> Series:
        return Series(self._steps[: self._length], self._values[: self._length])


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
        self._history: dict[str, _Curve] = {}
        self._said = time.perf_counter()
        self._timeline = Timeline()
        self._finding: Finding | None = None
        self._found_at = float("-inf")
        self._found_step = 0

    def branched(self, writer: RunWriter, step: int) -> Chronicle:
        """The chronicle of a run that goes on from a step of this one, knowing what was measured until then."""
        branch = Chronicle(writer, self._total_steps, self._progress)
        for name, curve in self._history.items():
            for at, value in zip(curve.series.steps.tolist(), curve.series.values.tolist(), strict=True):
                if at <= step:
                    branch._history.setdefault(name, _Curve()).append(at, value)
        return branch

    @property
    def diverged(self) -> bool:
        """Whether the last measured training loss is not finite."""
        losses = self._history.get("train/loss")
        return losses is not None and not np.isfinite(losses.series.last)

    def record(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes measured scalars, and keeps them for findings."""
        self._writer.scalars(step, scalars)
        for name, value in scalars.items():
            self._history.setdefault(name, _Curve()).append(step, value)

    def loss(self, step: int, loss: Tensor | float) -> None:
        """Notes the loss of a step's batch; it may stay on the device.

        Raises:
            ValueError: if it is not one number.
        """
        if isinstance(loss, Tensor):
            if loss.numel() != 1:
                raise ValueError(
                    f"loss must be one number, got a tensor of shape {tuple(loss.shape)}: pass loss.mean()"
                )
            self._losses.append((step, loss.detach().clone()))  # captured graphs write to the same one at every step
        else:
            self._losses.append((step, float(loss)))

    def due(self, now: float) -> bool:
        """Whether `say` was last called long enough ago."""
        return now - self._said > _LOSS_INTERVAL

    def say(
        self,
        step: int,
        overhead: float | None,
        every_step: Iterable[tuple[int, Mapping[str, float]]] = (),
        *,
        last: bool = False,
    ) -> None:
        """Brings the numbers of single steps, the finding and the progress line up to date.

        Args:
            step: The present one.
            overhead: Seconds of measuring for each second of training, once there was training.
            every_step: What was measured of every step since the last time, beside its loss.
            last: Whether nothing more will be said.
        """
        self._said = time.perf_counter()
        numbers = {at: {"step/loss": loss} for at, loss in self._read_losses()}
        for at, measured in every_step:
            numbers.setdefault(at, {}).update(measured)
        for at in sorted(numbers):
            self.record(at, numbers[at])
        share = {} if overhead is None else {"overhead/share": overhead}
        if last or self._said - self._found_at > _FINDING_INTERVAL:
            self._found_at = self._said
            if share:
                self._writer.scalars(step, share)
            self._find(step, last)
        if self._progress is not None:
            latest = {name: curve.series.last for name, curve in self._history.items()}
            self._progress.show(step, self._total_steps, latest | share)

    def end(
        self, step: int, overhead: float | None, every_step: Iterable[tuple[int, Mapping[str, float]]] = ()
    ) -> None:
        """Says all that is still to be said, and leaves the last line standing."""
        self.say(step, overhead, every_step, last=True)
        if self._progress is not None:
            self._progress.end(self._timeline.phases)
            self._progress = None

    def _find(self, step: int, last: bool) -> None:
        history = {name: curve.series for name, curve in self._history.items()}
        for phase in self._timeline.look(history, step):
            self._writer.event(phase.step, "phase", phase.finding.text, _told(phase))
        finding, before = self._timeline.headline, self._finding
        same = before is not None and finding.kind == before.kind
        if finding != before and (last or not same or step >= _LONGER * self._found_step):
            self._finding, self._found_step = finding, step
            self._writer.event(step, "finding", finding.text, {"kind": finding.kind})

    def _read_losses(self) -> list[tuple[int, float]]:
        """The losses passed since the last time, read from the device in one go."""
        waiting, self._losses = self._losses, []
        by_device: dict[torch.device, list[Tensor]] = {}
        for _, loss in waiting:
            if isinstance(loss, Tensor):
                by_device.setdefault(loss.device, []).append(loss.reshape(()).double())
        read = {device: iter(torch.stack(losses).tolist()) for device, losses in by_device.items()}
        return [(step, next(read[loss.device]) if isinstance(loss, Tensor) else loss) for step, loss in waiting]


def _told(phase: Phase) -> dict[str, Any]:
    """With a beginning go the words of the rule by which it was found, as they were then."""
    told = {"kind": phase.finding.kind, "begins": phase.begins, "evidence": list(phase.finding.evidence)}
    rule = next((rule for rule in RULES if rule.kind == phase.finding.kind), None)
    if rule is None or not phase.begins:
        return told
    return told | {name: getattr(rule, name) for name in ("title", "criterion", "meaning", "caution", "sources")}
