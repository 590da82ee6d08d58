"""Carrying out a request: a measurement that goes on step by step, says how far it is, and can be ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from torch import Tensor

from landscope.lab.engines import ENGINES
from landscope.lab.entries import Entry, chosen
from landscope.lab.progress import Progress
from landscope.lab.subjects import Subject
from landscope.measurements import Measurement
from landscope.objective import Objective

__all__ = ["begin"]

_PULSE = 0.05  # seconds between two reports from within a step
_VALUE = 1 / 3  # of the time of a gradient


def begin(
    what: str,
    subject: Subject | Objective,
    parameters: Mapping[str, Any] | None = None,
    *,
    report: Callable[[Progress], None] | None = None,
) -> Iterator[Progress]:
    """A measurement of the weights that the model has now, to be advanced step by step.

    Nothing is measured before the first step, which says how long it will take. The model is the user's again whenever
    this yields, and may be trained on: what was begun stays with the weights of its beginning. The last step, and no
    other, has `done` 1 and the result; earlier ones may have coarser ones. Stop iterating to end it.

    Args:
        what: One of `ENTRIES`.
        subject: What to measure.
        parameters: The entry's, as JSON or a command line gives them; what is left out has its default.
        report: Called with how far it is from within a step, before batches and derivatives, at most twenty times a
            second. What it raises ends the measurement (use `Cancelled`, which nothing on the way handles): so what is
            in one piece can be ended too.

    Raises:
        ValueError: if there is no such entry or parameter, a value is out of range, or the weights are not finite.
    """
    entry, asked = chosen(what, parameters)
    subject = Subject(subject) if isinstance(subject, Objective) else subject
    theta = subject.objective.theta()
    if not bool(theta.isfinite().all()):
        raise ValueError("the weights are not finite: the training had diverged by then; ask for an earlier step")
    clock = _Clock(report)
    return _steps(entry, subject.pinned(clock.beat), theta, asked, clock)


def _steps(entry: Entry, subject: Subject, theta: Tensor, asked: Any, clock: _Clock) -> Iterator[Progress]:
    with clock.running():
        clock.expected = entry.gradients(asked) * _gradient_seconds(subject.objective, theta)
    found = clock.progress()
    for ahead in clock.timed(ENGINES[entry.name](subject, theta, asked)):
        yield found
        if isinstance(ahead, Progress):
            clock.counted = replace(ahead, result=None)
        found = ahead if isinstance(ahead, Progress) else replace(clock.progress(), result=ahead)
        if found.result is not None:
            found = replace(found, result=_timed(found.result, clock.spent))
        if found.done is not None:
            found = replace(found, done=min(found.done, 0.99))  # there is more, as far as anyone knows
    yield replace(found, done=1.0, seconds_left=0.0)


def _timed(result: Measurement, seconds: float) -> Measurement:
    return result.replaced(provenance=replace(result.provenance, seconds=seconds))


def _gradient_seconds(objective: Objective, theta: Tensor) -> float:
    """Seconds that a gradient takes, or three values where there are no derivatives."""
    measured, share = (objective.value, _VALUE) if objective.batch_norm == "recompute" else (objective.gradient, 1.0)
    measured(theta)  # the first one also fills caches
    began = time.perf_counter()
    measured(theta)
    return (time.perf_counter() - began) / share


class _Clock:
    """The time that a measurement takes, what is done between its steps left out, beside what it was to take.

    Attributes:
        expected: Seconds in all; None before anything is known.
        counted: How far it last was by what is done and what is to come; None where nobody counts.
    """

    def __init__(self, report: Callable[[Progress], None] | None) -> None:
        self.expected: float | None = None
        self.counted: Progress | None = None
        self._report = report
        self._before = 0.0
        self._entered: float | None = None
        self._reported = float("-inf")

    @property
    def spent(self) -> float:
        """Seconds within steps so far."""
        return self._before + (0.0 if self._entered is None else time.perf_counter() - self._entered)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Within, time counts."""
        self._entered = time.perf_counter()
        try:
            yield
        finally:
            self._before, self._entered = self.spent, None

    def timed(self, steps: Iterator[Any]) -> Iterator[Any]:
        """The same steps, each of whose time counts."""
        end = object()
        while True:
            with self.running():
                found = next(steps, end)
            if found is end:
                return
            yield found

    def progress(self) -> Progress:
        """By what was counted, or else by what was expected."""
        if self.counted is not None:
            return self.counted
        if self.expected is None or self.spent >= self.expected:
            return Progress(None, None)
        return Progress(self.spent / self.expected, self.expected - self.spent)

    def beat(self) -> None:
        """Reports from within a step, if that is due."""
        now = time.perf_counter()
        if self._report is not None and now - self._reported >= _PULSE:
            self._reported = now
            self._report(self.progress())
