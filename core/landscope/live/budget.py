"""Keeping measuring within its share of the time."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterator, Mapping

__all__ = ["FIRST_PICTURE", "Budget"]

FIRST_PICTURE = 50.0

# No probe is worth repeating faster than a page can show it.
_SHORTEST_INTERVAL = 0.2
# A first measurement also pays for imports, full caches and a solver's cold start; the next one is much cheaper.
_WARM = 0.25
# A measurement in parts has a dear first one, which the cheap ones after it must not let be forgotten.
_FADE = 0.98
# How far a share may be raised or lowered because what is measured changes fast or slowly.
_MOST_RAISED = 2.0


class Budget:
    """Gives each probe its own part of the time that may be spent measuring.

    Each second of training earns `overhead` seconds, of which probe i gets its share, and it may run once it has earned
    the run's cost: what the last one cost, or a dearer one of late. A dear probe never makes a cheap one wait. What
    watching costs besides (snapshots, bookkeeping) is taken off what all may spend.

    Shares go by weight, raised or lowered by what is worth following. Where probe i costs c_i seconds and what it
    measures changes at the relative rate v_i, it runs every c_i / s_i seconds for a share s_i, and has changed by
    v_i c_i / s_i in between. The weighted sum of those changes is least for shares in proportion to sqrt(v_i c_i), so
    weights are multiplied by that, relative to its median over the probes, within a factor of two.

    The first picture, one result of every probe, is on top of that: it is allowed as much as `FIRST_PICTURE` seconds of
    training would have earned. So is what has no share because it runs only when asked. Both are part of `spent`, but
    nothing waits for them to be paid back.

    Args:
        overhead: Seconds that may be spent measuring for each second of training; infinite, nothing ever waits.
        weights: The probes' relative weights by name.
        scheduled: Names of those that are due at steps of their own, however soon one follows the other.

    Raises:
        ValueError: if the overhead or a weight is not positive.
    """

    def __init__(self, overhead: float, weights: Mapping[str, float], scheduled: Collection[str] = ()) -> None:
        if not overhead > 0:
            raise ValueError(f"overhead must be positive, got {overhead}; 0.1 spends a tenth of the training time")
        for name, weight in weights.items():
            if not weight > 0:
                raise ValueError(f"weight of probe {name!r} must be positive, got {weight}")
        self.overhead = overhead
        self._weights = dict(weights)
        self._scheduled = frozenset(scheduled)
        self._earned = dict.fromkeys(weights, math.inf if math.isinf(overhead) else 0.0)
        self._shared_out = 0.0
        self._drift: dict[str, float] = {}  # v_i c_i
        self._changed: dict[str, float] = {}  # seconds of training at the last known change
        self._shares = self._shared()
        self._first = self._asked = self._besides = 0.0
        self._fresh = set(weights)  # without a result yet
        self._spent = dict.fromkeys(weights, 0.0)
        self._cost = dict.fromkeys(weights, 0.0)  # expected
        self._last = dict.fromkeys(weights, float("-inf"))

    @property
    def spent(self) -> float:
        """Seconds spent on watching, the first picture included."""
        return self._first + self._asked + self._besides + sum(self._spent.values())

    @property
    def first(self) -> float:
        """Seconds spent on the first picture."""
        return self._first

    def renewed(self) -> Budget:
        """The same, with nothing spent yet, for another run; what probes cost is known by now."""
        fresh = Budget(self.overhead, self._weights, self._scheduled)
        fresh._cost |= self._cost
        return fresh

    def drop(self, name: str) -> None:
        """Takes a probe out; its share, and what it has left, go to the others."""
        del self._weights[name]
        self._shares = self._shared()
        if not math.isinf(self.overhead):
            for other, share in self._shares.items():
                self._earned[other] += share * (self._earned[name] - self._spent[name])

    def expect(self, name: str, seconds: float) -> None:
        """Sets what the next run of a probe is expected to cost, before it has ever run."""
        self._cost[name] = seconds

    def first_picture(self) -> Iterator[str]:
        """The probes to run before training begins, the cheapest first, as long as the next one is likely to fit."""
        for name in sorted(self._weights, key=self._cost.__getitem__):
            if self._belongs_to_first_picture(name):
                yield name

    def affordable(self, training: float, now: float, due: Collection[str] | None = None) -> list[str]:
        """The probes that may run after `training` seconds of training, longest waiting first.

        Args:
            training: Seconds of training so far.
            now: The time on any monotonic clock, in seconds.
            due: The names of those that want to; all of them if left out.
        """
        self._share_out(training)
        ready = [
            name
            for name in (self._weights if due is None else due)
            if (name in self._scheduled or math.isinf(self.overhead) or now - self._last[name] >= _SHORTEST_INTERVAL)
            and (self._spent[name] + self._cost[name] <= self._earned[name] or self._belongs_to_first_picture(name))
        ]
        return sorted(ready, key=self._last.__getitem__)

    def charge(self, name: str, seconds: float, now: float, *, measured: bool = True) -> None:
        """Notes that a probe ran for `seconds` and ended at `now`, and whether it had a result."""
        if name not in self._weights:
            self._asked += seconds
            return
        if self._belongs_to_first_picture(name):
            self._first += seconds
        else:
            self._spent[name] += seconds
        if name not in self._fresh:
            self._cost[name] = max(seconds, _FADE * self._cost[name])
        elif measured:
            self._cost[name] = _WARM * seconds
            self._fresh.discard(name)
        self._last[name] = now

    def charge_besides(self, seconds: float) -> None:
        """Notes that watching took `seconds` beside the probes."""
        self._besides += seconds

    def changed(self, name: str, change: float, training: float) -> None:
        """Notes how much, relative to its size, what a probe measures has changed since it was last asked.

        Args:
            name: The probe.
            change: As `relative_change` gives it.
            training: Seconds of training so far.
        """
        seconds = training - self._changed.get(name, training)
        self._changed[name] = training
        if seconds > 0:
            drift = change / seconds * self._cost[name]
            self._drift[name] = (self._drift.get(name, drift) + drift) / 2
            self._shares = self._shared()

    def share(self, name: str) -> float:
        """The part of all that may be spent that a probe gets at present."""
        return self._shares[name]

    def _shared(self) -> dict[str, float]:
        drifts = {name: math.sqrt(drift) for name, drift in self._drift.items() if name in self._weights}
        typical = statistics.median(drifts.values()) if drifts else 0.0
        raised = dict(self._weights)
        if typical > 0:
            for name, drift in drifts.items():
                raised[name] *= min(max(drift / typical, 1 / _MOST_RAISED), _MOST_RAISED)
        total = sum(raised.values())
        return {name: weight / total for name, weight in raised.items()}

    def _share_out(self, training: float) -> None:
        """Credits each probe with its share of what was earned since the last time."""
        if math.isinf(self.overhead):
            return
        earned = self.overhead * training - self._besides
        gain, self._shared_out = earned - self._shared_out, earned
        for name, share in self._shares.items():
            self._earned[name] += share * gain

    def _belongs_to_first_picture(self, name: str) -> bool:
        return name in self._fresh and self._first + self._cost[name] <= self.overhead * FIRST_PICTURE
