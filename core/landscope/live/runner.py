"""Running the probes: each when there is time for it, in parts if it takes long, and off once it has failed."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from landscope.live.budget import Budget
from landscope.live.chronicle import Chronicle
from landscope.live.probes import Probe, Result, Watched
from landscope.measurements import Measurement
from landscope.runs import RunWriter

__all__ = ["Runner"]

logger = logging.getLogger(__name__)

_PATIENCE = 10.0  # seconds for which a picture of earlier weights may sharpen before a new one is begun


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


class Runner:
    """Runs probes, records what they find and charges their cost; one that fails is switched off.

    Args:
        watched: What they look at.
        probes: The probes.
        budget: That they are paid from.
        writer: Of the run.
        chronicle: Where their scalars go.
    """

    def __init__(
        self, watched: Watched, probes: Sequence[Probe], budget: Budget, writer: RunWriter, chronicle: Chronicle
    ) -> None:
        self._watched = watched
        self._probes = {probe.name: probe for probe in probes}
        self._budget = budget
        self._writer = writer
        self._chronicle = chronicle
        self._underway: dict[str, _Underway] = {}

    def first_picture(self) -> None:
        """One result of every probe, the cheapest first, as far as the budget allows it."""
        for name in self._budget.first_picture():
            while not self._run(name):
                pass

    def run_due(self, training: float, now: float) -> None:
        """Runs what is affordable after `training` seconds of training, `now` on a monotonic clock."""
        for name in self._budget.affordable(training, now):
            self._run(name)

    def run_all(self) -> None:
        """Measures everything at the present weights, to the end, whatever the budget."""
        for name in list(self._probes):
            self._underway.pop(name, None)  # of earlier weights
            while name in self._probes and (not self._run(name) or name in self._underway):
                pass

    def _run(self, name: str) -> bool:
        """Runs one probe, or what is next of it, records what it found and charges its cost.

        Returns:
            Whether it is done, or has a result to show.
        """
        if name != "evaluate" and self._chronicle.diverged:
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
            self._chronicle.record(watched.step, {f"{name}/{key}": value for key, value in result.scalars().items()})
        elif result is not None:
            self._chronicle.record(watched.step, result)
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
