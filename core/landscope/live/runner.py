"""Running the probes: each when there is time for it, in parts if it takes long, and off once it has failed."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from landscope.live.background import Background
from landscope.live.budget import Budget
from landscope.live.chronicle import Chronicle
from landscope.live.memory import give_back, is_out_of_memory
from landscope.live.placement import Pace, Placement
from landscope.live.probes import Probe, Result, Watched
from landscope.live.replica import Replicator, UnsharedError
from landscope.live.schedule import next_due, relative_change
from landscope.measurements import Measurement
from landscope.runs import RunWriter

__all__ = ["Runner"]

logger = logging.getLogger(__name__)

_LOOK = 0.005  # seconds after which something may have become affordable where nothing was
_LASTING = ("slice/random", "slice/trajectory")  # planes that can be built again where their centre is kept
_PATIENCE = 10.0  # seconds for which a picture of earlier weights may sharpen before a new one is begun


@dataclass
class _Underway:
    """A measurement that is not finished yet.

    Attributes:
        step: Whose weights it measures.
        results: What is still to come.
        began: When it began.
        shown: Whether it has had a result.
        seconds: What it took so far.
    """

    step: int
    results: Iterator[Result]
    began: float = field(default_factory=time.perf_counter)
    shown: bool = False
    seconds: float = 0.0

    def stale(self, step: int) -> bool:
        """Whether something can be seen of it, and weights of now are worth more than its last sharpness."""
        return self.shown and step > self.step and time.perf_counter() - self.began > _PATIENCE


class Runner:
    """Runs probes, records what they find and charges their cost; one that fails is switched off.

    One that runs out of memory is tried once more, on half of its examples, which it keeps to from then on. Weights
    that are not finite are no failure of a probe's: it waits until they are again.

    Args:
        watched: What they look at.
        probes: The probes.
        budget: That they are paid from.
        writer: Of the run.
        chronicle: Where their scalars go.
        background: Whether probes may run in the background.
    """

    def __init__(
        self,
        watched: Watched,
        probes: Sequence[Probe],
        budget: Budget,
        writer: RunWriter,
        chronicle: Chronicle,
        *,
        background: bool = True,
    ) -> None:
        self.slowed = 0.0
        self._watched = watched
        self._probes = {probe.name: probe for probe in probes}
        self._budget = budget
        self._writer = writer
        self._chronicle = chronicle
        self._underway: dict[str, _Underway] = {}
        self._due: dict[str, float] = {name: 0 for name, probe in self._probes.items() if probe.every != "asked"}
        self._found: dict[str, Mapping[str, float]] = {}  # the last numbers of each
        self._halves: dict[str, dict[str, Any]] = {}  # the fewer examples of what ran out of memory
        self._training = self._next_look = self._next_step = 0.0
        self._pace = Pace()
        self._kept: set[int] = set()
        self._placements = {probe.name: Placement() for probe in probes if background and probe.background}
        self._replicator: Replicator | None = None
        self._aside: Background | None = None

    @property
    def probes(self) -> list[Probe]:
        """Those that are not switched off."""
        return list(self._probes.values())

    def first_picture(self) -> None:
        """One result of every probe, the cheapest first, as far as the budget allows it."""
        for name in self._budget.first_picture():
            while not self._run(name):
                pass

    def wants(self, training: float, now: float) -> bool:
        """Whether there may be something to run: told at every step, and little work.

        Args:
            training: Seconds of training so far.
            now: The time on a monotonic clock.
        """
        self._pace.add(training - self._training, beside=self._aside is not None)
        self._training = training
        return now >= self._next_look or self._watched.step >= self._next_step or self._aside is not None

    def run_due(self, now: float) -> None:
        """Runs what is due and affordable, `now` on a monotonic clock."""
        self._collect()
        step = self._watched.step
        due = [name for name, at in self._due.items() if at <= step or name in self._underway]
        affordable = self._budget.affordable(self._training - self.slowed, now, due)
        for name in affordable:
            if name not in self._underway and self._in_background(name):
                self._begin_aside(name)
            else:
                self._run(name)
        self._next_look = now if affordable else now + _LOOK
        self._next_step = min((at for at in self._due.values() if at > step), default=math.inf)

    def end(self) -> None:
        """Ends what runs in the background."""
        if self._aside is not None:
            self._aside.end()
            self._collect()

    def run(self, names: Collection[str] = ()) -> None:
        """Measures at the present weights, to the end, whatever the budget: some, or all.

        Raises:
            ValueError: if there is no probe of a name, or it was switched off.
        """
        unknown = [name for name in names if name not in self._probes]
        if unknown:
            raise ValueError(f"no probe is called {', '.join(unknown)}; there are: {', '.join(self._probes) or 'none'}")
        self.end()
        for name in list(names or self._probes):
            self._underway.pop(name, None)  # of earlier weights
            while name in self._probes and (not self._run(name) or name in self._underway):
                pass

    def restart(self) -> None:
        """Forgets what is underway, whose parameters are others than the model's from now on."""
        self.end()
        self._replicator = None
        self._underway.clear()
        self._halves.clear()

    def _run(self, name: str) -> bool:
        """Runs one probe, or what is next of it, records what it found and charges its cost.

        Returns:
            Whether it is done, or has a result to show.
        """
        if name != "evaluate" and self._chronicle.diverged:
            return True
        began = time.perf_counter()
        failure: Exception | None = None
        try:
            step, result, ended = self._advance(name)
        except Exception as raised:  # noqa: BLE001 whatever a probe does, training goes on
            failure = raised.with_traceback(None)  # whose frames hold what the probe had in memory
        if failure is not None:
            return self._recover(name, failure)
        self._record(name, step, result)
        now = time.perf_counter()
        self._budget.charge(name, now - began, now, measured=result is not None)
        self._count(name, now - began, ended=ended)
        return ended or result is not None

    def _record(self, name: str, step: int, result: Result, *, background: bool = False) -> None:
        if result is None:
            return
        if isinstance(result, Measurement):
            result = result.replaced(provenance=replace(result.provenance, step=step, background=background))
            self._watched.latest[name] = self._watched.bounded(result)
            self._writer.measurement(step, name, result)
            scalars: Mapping[str, float] = {f"{name}/{key}": value for key, value in result.scalars().items()}
        else:
            scalars = result
        self._chronicle.record(step, scalars)
        change = relative_change(self._found.get(name, {}), scalars)
        self._found[name] = scalars
        if change is not None:
            self._budget.changed(name, change, self._training)

    def _advance(self, name: str) -> tuple[int, Result, bool]:
        """The step whose weights a probe measures, its next result, and whether it has come to its end."""
        if name in self._underway and self._underway[name].stale(self._watched.step):
            self._count(name, self._underway.pop(name).seconds, ended=True)
        if name not in self._underway:
            probe, watched = self._probes[name], replace(self._watched, **self._halves.get(name, {}))
            if name in self._due:
                self._due[name] = next_due(probe.every, watched.step)
            result = probe.measure(watched)
            if not isinstance(result, Iterator):
                return self._watched.step, result, True
            self._keep_centre(name)
            self._underway[name] = _Underway(self._watched.step, result)
        underway = self._underway[name]
        try:
            result = next(underway.results)
        except StopIteration:
            self._count(name, self._underway.pop(name).seconds, ended=True)
            return underway.step, None, True
        underway.shown |= result is not None
        return underway.step, result, False

    def _keep_centre(self, name: str) -> None:
        """Keeps the present weights if a plane is laid through them, so that places on it can be measured afterwards.

        As the path does: not at all where only a few of such weights can be held.
        """
        step, trajectory = self._watched.step, self._watched.trajectory
        if name not in _LASTING or not trajectory.capacity or step in self._kept or step in trajectory.steps:
            return
        self._kept.add(step)
        self._writer.measurement(step, "snapshot", self._watched.snapshot())

    def _count(self, name: str, seconds: float, *, ended: bool) -> None:
        """Adds up what a probe takes inline, and notes the sum once it has come to its end."""
        if name in self._underway:
            self._underway[name].seconds += seconds
        elif ended and name in self._placements:
            self._placements[name].took("inline", seconds)

    def _in_background(self, name: str) -> bool:
        placement = self._placements.get(name)
        return (
            placement is not None
            and not self._chronicle.diverged
            and name not in self._halves
            and placement.where(self._pace.typical) == "background"
        )

    def _begin_aside(self, name: str) -> None:
        """Begins a probe in the background, unless another one runs there or has only just ended."""
        if self._aside is not None or not self._pace.rested:
            return
        probe, began = self._probes[name], time.perf_counter()
        try:
            self._replicator = self._replicator or Replicator(self._watched)
            self._aside = Background(probe, self._watched, self._replicator)
            self._keep_centre(name)
        except Exception as reason:  # noqa: BLE001 then it runs inline
            self._keep_inline(f"probes run inline, between steps: {_said(reason)}")
            return
        self._due[name] = next_due(probe.every, self._watched.step)
        now = time.perf_counter()
        self._budget.charge(name, now - began, now, measured=False)

    def _collect(self) -> None:
        """Records what the background has found; at its end, charges by how much it has lengthened training."""
        aside = self._aside
        if aside is None:
            return
        for outcome in aside.outcomes():
            self._record(aside.name, aside.step, outcome.result, background=True)
            if outcome.ended:
                self._aside = None
                self._finish_aside(aside, outcome.failure)

    def _finish_aside(self, aside: Background, failure: Exception | None) -> None:
        lost, name = self._pace.lost(), aside.name
        self.slowed += lost
        self._budget.charge(name, lost, time.perf_counter())
        if failure is not None and not aside.ending and self._finite():
            self._keep_inline(f"{name} runs inline, between steps: {_said(failure)} in the background", name)
        elif failure is None:
            placement = self._placements[name]
            before = placement.background
            placement.took("background", aside.seconds + lost)
            if before is None and placement.background is not None:
                where = placement.where(self._pace.typical)
                numbers = {"inline_s": placement.inline, "background_s": placement.background}
                inline = "" if placement.inline is None else f"{placement.inline:.2g} s inline and by "
                text = (
                    f"{name} runs {'inline' if where == 'inline' else 'in the background'}: it delays training by "
                    f"{inline}{placement.background:.2g} s in the background"
                )
                self._writer.event(self._watched.step, "probe-placed", text, {"probe": name, "where": where} | numbers)

    def _keep_inline(self, text: str, *names: str) -> None:
        """Says why probes, or some of them, do not run in the background from now on."""
        for name in names or tuple(self._placements):
            self._placements.pop(name, None)
        logger.info("%s", text)
        data = {"where": "inline"} | ({"probe": names[0]} if names else {})
        self._writer.event(self._watched.step, "probe-placed", text, data)

    def _recover(self, name: str, failure: Exception) -> bool:
        """Tries again on fewer examples, waits for finite weights, or switches off; whether it is done, as `_run`."""
        watched, reason = self._watched, _said(failure)
        self._underway.pop(name, None)
        if is_out_of_memory(failure):
            give_back()
            if name not in self._halves:
                self._halves[name] = watched.halves()
                text = f"{name} ran out of memory and goes on with half of its examples ({reason})"
                self._writer.event(watched.step, "probe-halved", text, {"probe": name})
                return self._run(name)
            reason += "; also with half of its examples: watch with fewer examples=, or leave it out of probes="
        elif not self._finite():
            self._budget.charge(name, 0.0, time.perf_counter(), measured=False)
            return True
        self._switch_off(name, reason)
        return True

    def _finite(self) -> bool:
        """Whether the weights are: where not, that a measurement fails is no fault of its own."""
        return bool(torch.isfinite(self._watched.focus.theta()).all())

    def _switch_off(self, name: str, reason: str) -> None:
        del self._probes[name]
        if name in self._due:
            del self._due[name]
            self._budget.drop(name)
        logger.warning("probe %s is switched off at step %d: %s", name, self._watched.step, reason)
        self._writer.event(self._watched.step, "probe-off", reason, {"probe": name})


def _said(failure: Exception) -> str:
    return str(failure) if isinstance(failure, UnsharedError) else f"{type(failure).__name__}: {failure}"
