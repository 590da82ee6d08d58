"""Attaching to a training loop: `watch` before it, `scope.step(loss)` in it."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from landscope.dynamics import Finding, Series, diagnose
from landscope.evaluation import Forward, Loss, default_target
from landscope.isolation import BatchNormPolicy
from landscope.live.budget import Budget
from landscope.live.cross_check import cross_check
from landscope.live.preparation import FEWEST, affordable, collected, described, gradient_seconds
from landscope.live.probes import Probe, Result, Watched, default_probes
from landscope.live.progress import ProgressLine
from landscope.live.trajectory import Trajectory
from landscope.measurements import Measurement, Snapshot
from landscope.objective import Objective
from landscope.runs import RunWriter

__all__ = ["Scope", "watch"]

logger = logging.getLogger(__name__)

# Losses of single steps are read from the device this often, so that no step waits for it.
_LOSS_INTERVAL = 0.1
_FINDING_INTERVAL = 1.0
_PAUSE_POLL = 0.05
_PATIENCE = 10.0  # seconds for which a picture of earlier weights may sharpen before a new one is begun


def watch(
    model: nn.Module,
    loss_fn: Loss,
    train: Any,
    test: Any = None,
    optimizer: Optimizer | None = None,
    *,
    forward: Forward | None = None,
    target: Callable[[Any], Any] = default_target,
    batch_norm: BatchNormPolicy = "eval",
    overhead: float = 0.1,
    examples: int | None = None,
    probes: Sequence[Probe] | None = None,
    total_steps: int | None = None,
    name: str | None = None,
    recipe: str | None = None,
    config: Mapping[str, Any] | None = None,
    runs: str | Path | None = None,
    progress: bool | None = None,
) -> Scope:
    """Watches a training: measures the model as it learns, and records what it finds as a run.

    Everything is measured once before training begins, and then as often as `overhead` allows. Measuring changes
    nothing: the same seed gives the same weights, bit for bit on the CPU, watched or not. A measurement that fails is
    switched off, with its reason on the page; training goes on.

    Args:
        model: The network in training.
        loss_fn: `loss_fn(output, target)`, a scalar, the mean over the batch.
        train: Training data in any form `Objective` takes. A part is kept in memory: 4,096 examples or 256 MiB.
        test: Held-out data, likewise.
        optimizer: The optimiser, to know the largest sharpness at which it is stable.
        forward: `forward(model, batch)`, for models that are not called as `model(x)`.
        target: `target(batch)`, what the loss compares with.
        batch_norm: Policy for batch normalisation while measuring: "eval", "batch" or "recompute".
        overhead: Seconds that may be spent measuring for each second of training, after the first picture.
        examples: How many training examples curvature, kernel and embedding use, by default between 32 and 1,024, as
            many as are quick; losses use four times as many, slices a quarter.
        probes: What to measure instead of the default.
        total_steps: Steps planned, for progress.
        name: The run's name; by default the recipe's, or the program's.
        recipe: The built-in experiment this is, if any.
        config: Settings worth keeping with the run.
        runs: The folder of runs; by default $LANDSCOPE_RUNS, or "runs".
        progress: Whether to keep a line in the terminal; by default whether $LANDSCOPE_PROGRESS is set.

    Returns:
        The scope whose `step` belongs after `optimizer.step()`.

    Raises:
        ValueError: for objectives that cannot be measured (see `Objective`), or an overhead that is not positive.
    """
    options = {"forward": forward, "target": target, "batch_norm": batch_norm, "batch_size": FEWEST}
    everything = collected(model, loss_fn, train, examples, options)
    count = affordable(everything) if examples is None else examples
    held_out = None
    if test is not None:
        held_out = Objective(model, loss_fn, test, examples=4 * count, split="test", **options)  # type: ignore[arg-type]
        held_out = held_out.sample(4 * count)
    whole, focus = everything.sample(4 * count), everything.sample(count)
    trajectory = Trajectory(whole.layout.size, whole.layout.dtype.itemsize)
    few = max(FEWEST, count // 4)
    test_sketch = None if held_out is None else held_out.sample(few)
    watched = Watched(whole, held_out, focus, focus.sample(few), test_sketch, optimizer, trajectory)
    probes = default_probes() if probes is None else probes
    budget = Budget(overhead, {probe.name: probe.weight for probe in probes})
    seconds = gradient_seconds(focus)
    for probe in probes:
        budget.expect(probe.name, probe.gradients * seconds)
    writer = RunWriter.create(
        runs or os.environ.get("LANDSCOPE_RUNS", "runs"),
        name=name or recipe or Path(sys.argv[0]).stem or "run",
        recipe=recipe,
        config={**described(whole, held_out, optimizer), **(config or {})},
        panels={"probes": [probe.name for probe in probes]},
    )
    shown = bool(os.environ.get("LANDSCOPE_PROGRESS")) if progress is None else progress
    return Scope(watched, writer, probes, budget, total_steps, ProgressLine() if shown else None)


@dataclass
class _Underway:
    """A measurement that is not finished yet.

    Attributes:
        step: Whose weights it measures.
        results: What is still to come.
        began: When it began.
        shown: Whether it has had a result.
    """

    step: int
    results: Iterator[Result]
    began: float = field(default_factory=time.perf_counter)
    shown: bool = False

    def stale(self, step: int) -> bool:
        """Whether something can be seen of it, and weights of now are worth more than its last sharpness."""
        return self.shown and step > self.step and time.perf_counter() - self.began > _PATIENCE


class Scope:
    """A watched training. Use `watch` to make one.

    As a context manager it ends the run as "finished", or as "failed" or "stopped" after an exception; without, the
    end of the program does.

    Attributes:
        stopped: Whether the page has asked the training to stop; a loop that looks at it can end itself.
    """

    def __init__(
        self,
        watched: Watched,
        writer: RunWriter,
        probes: Sequence[Probe],
        budget: Budget,
        total_steps: int | None,
        progress: ProgressLine | None,
    ) -> None:
        self.stopped = False
        self._watched = watched
        self._writer = writer
        self._probes = {probe.name: probe for probe in probes}
        self._budget = budget
        self._total_steps = total_steps
        self._progress = progress
        self._underway: dict[str, _Underway] = {}
        self._paused = self._closed = False
        self._training_seconds = 0.0
        self._losses: list[tuple[int, Tensor | float]] = []
        self._losses_read = self._left = time.perf_counter()
        self._history: dict[str, tuple[list[int], list[float]]] = {}
        self._finding: Finding | None = None
        self._found_at = float("-inf")
        atexit.register(self._flush)
        self._remember()
        for probe_name in budget.first_picture():
            while not self._run(probe_name):
                pass
        self._say()
        self._left = time.perf_counter()

    @property
    def step_number(self) -> int:
        """Optimiser steps taken so far."""
        return self._watched.step

    @property
    def path(self) -> Path:
        """The folder of the run."""
        return self._writer.path

    @property
    def overhead(self) -> float:
        """Seconds spent here for each second of training, so far."""
        return self._budget.spent / max(self._training_seconds, 1e-9)

    def step(self, loss: Tensor | float | None = None) -> None:
        """Tells that the optimiser has taken a step; measures what is due.

        Args:
            loss: The loss of the step's batch, to be shown beside the measured ones. It may stay on the device.
        """
        entered = time.perf_counter()
        self._training_seconds += entered - self._left
        measured = self._budget.spent
        self._watched.step += 1
        if loss is not None:
            self._losses.append((self._watched.step, loss.detach() if isinstance(loss, Tensor) else float(loss)))
        self._remember()
        for probe_name in self._budget.affordable(self._training_seconds, entered):
            self._run(probe_name)
        if entered - self._losses_read > _LOSS_INTERVAL:
            self._say()
        self._writer.progress(self._watched.step, self._total_steps)
        self._budget.charge_besides(time.perf_counter() - entered - (self._budget.spent - measured))
        self._obey()
        self._left = time.perf_counter()

    def measure(self) -> None:
        """Measures everything now, whatever the budget."""
        began, measured = time.perf_counter(), self._budget.spent
        self._training_seconds += began - self._left
        for probe_name in list(self._probes):
            self._underway.pop(probe_name, None)  # of earlier weights
            while probe_name in self._probes and (not self._run(probe_name) or probe_name in self._underway):
                pass
        self._say()
        self._left = time.perf_counter()
        self._budget.charge_besides(self._left - began - (self._budget.spent - measured))

    def close(self, status: str = "finished") -> None:
        """Ends the run: "finished", "stopped" or "failed". A second call does nothing."""
        atexit.unregister(self._flush)
        if not self._closed:
            self._closed = True
            self._flush()
            self._writer.close(status)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close("stopped" if self.stopped else "finished")
        else:
            self.close("stopped" if isinstance(error, KeyboardInterrupt) else "failed")

    def _run(self, name: str) -> bool:
        """Runs one probe, or what is next of it, records what it found and charges its cost.

        A probe that fails is switched off.

        Returns:
            Whether it is done, or has a result to show.
        """
        if name != "evaluate" and self._diverged():
            return True
        watched = self._watched
        began = time.perf_counter()
        try:
            step, result, ended = self._advance(name)
        except Exception as failure:  # noqa: BLE001 whatever a probe does, training goes on
            self._switch_off(name, failure)
            return True
        if isinstance(result, Measurement):
            result = result.at(step)
            watched.latest[name] = result
            self._writer.measurement(step, name, result)
            self._record({f"{name}/{key}": value for key, value in result.scalars().items()})
        elif result is not None:
            self._record(result)
        now = time.perf_counter()
        self._budget.charge(name, now - began, now, measured=result is not None)
        return ended or result is not None

    def _advance(self, name: str) -> tuple[int, Result, bool]:
        """The step whose weights a probe measures, its next result, and whether it has come to its end."""
        if name in self._underway and self._underway[name].stale(self._watched.step):
            del self._underway[name]
        if name not in self._underway:
            result = self._probes[name].measure(self._watched)
            if not isinstance(result, Iterator):
                return self._watched.step, result, True
            self._underway[name] = _Underway(self._watched.step, result)
        underway = self._underway[name]
        try:
            result = next(underway.results)
        except StopIteration:
            del self._underway[name]
            return underway.step, None, True
        underway.shown |= result is not None
        return underway.step, result, False

    def _switch_off(self, name: str, failure: Exception) -> None:
        del self._probes[name]
        self._underway.pop(name, None)
        self._budget.drop(name)
        reason = f"{type(failure).__name__}: {failure}"
        logger.warning("probe %s is switched off at step %d: %s", name, self._watched.step, reason)
        self._writer.event(self._watched.step, "probe-off", reason, {"probe": name})

    def _diverged(self) -> bool:
        latest = self._history.get("train/loss")
        return latest is not None and not np.isfinite(latest[1][-1])

    def _record(self, scalars: Mapping[str, float]) -> None:
        step = self._watched.step
        self._writer.scalars(step, scalars)
        for name, value in scalars.items():
            steps, values = self._history.setdefault(name, ([], []))
            steps.append(step)
            values.append(value)

    def _remember(self) -> None:
        """Keeps a snapshot of the weights where the path wants one."""
        watched = self._watched
        if not watched.trajectory.wants(watched.step):
            return
        with watched.train.measuring() as meter:
            theta = watched.train.theta()
            watched.trajectory.add(watched.step, theta, watched.sketch.value(theta))
            layout = watched.train.layout
            snapshot = Snapshot(
                theta=theta.cpu().numpy(),
                names=layout.names,
                sizes=layout.sizes,
                provenance=meter.provenance("snapshot of the weights"),
            )
        self._writer.measurement(watched.step, "snapshot", snapshot.at(watched.step))

    def _say(self) -> None:
        """Brings the losses of single steps, the finding and the progress line up to date."""
        self._losses_read = time.perf_counter()
        for step, loss in self._read_losses():
            self._writer.scalars(step, {"step/loss": loss})
        latest = {name: values[-1] for name, (_, values) in self._history.items()}
        if self._training_seconds > 0:
            latest["overhead/share"] = self.overhead
        if self._losses_read - self._found_at > _FINDING_INTERVAL:
            self._found_at = self._losses_read
            if self._training_seconds > 0:
                self._writer.scalars(self._watched.step, {"overhead/share": self.overhead})
            finding = diagnose({name: Series(np.array(s), np.array(v)) for name, (s, v) in self._history.items()})
            if finding != self._finding:
                self._finding = finding
                self._writer.event(self._watched.step, "finding", finding.text, {"kind": finding.kind})
        if self._progress is not None:
            self._progress.show(self._watched.step, self._total_steps, latest)

    def _read_losses(self) -> list[tuple[int, float]]:
        """The losses passed since the last time, read from the device in one go."""
        waiting, self._losses = self._losses, []
        tensors = [loss.reshape(()).double() for _, loss in waiting if isinstance(loss, Tensor)]
        read = iter(torch.stack(tensors).tolist() if tensors else [])
        return [(step, next(read) if isinstance(loss, Tensor) else loss) for step, loss in waiting]

    def _obey(self) -> None:
        """Carries out what the page asked for; while paused, waits here."""
        while True:
            for command in self._writer.commands():
                if command.kind in ("pause", "resume"):
                    self._paused = command.kind == "pause"
                    self._writer.event(self._watched.step, "status", "paused" if self._paused else "running")
                elif command.kind == "stop":
                    self.stopped, self._paused = True, False
                elif command.kind == "cross-check":
                    self._cross_check()
                else:
                    logger.warning("the page asked for %r, which this version cannot do", command.kind)
                    continue
                self._writer.event(self._watched.step, "command", command.kind, {"seq": command.seq})
            if not self._paused:
                return
            time.sleep(_PAUSE_POLL)

    def _cross_check(self) -> None:
        try:
            text, numbers = cross_check(self._watched)
        except Exception as failure:  # noqa: BLE001 whatever a measurement does, training goes on
            text, numbers = f"PyHessian could not check this: {failure}", {}
        self._writer.event(self._watched.step, "cross-check", text, numbers)

    def _flush(self) -> None:
        self._found_at = float("-inf")
        self._say()
        if self._progress is not None:
            self._progress.end()
            self._progress = None
