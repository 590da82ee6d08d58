"""Keeping measuring within its share of the time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

__all__ = ["FIRST_PICTURE", "Budget"]

FIRST_PICTURE = 50.0

# No probe is worth repeating faster than a page can show it.
_SHORTEST_INTERVAL = 0.2
# A first measurement also pays for imports, full caches and a solver's cold start; the next one is much cheaper.
_WARM = 0.25
# A measurement in parts has a dear first one, which the cheap ones after it must not let be forgotten.
_FADE = 0.98


class Budget:
    """Gives each probe its own part of the time that may be spent measuring.

    After T seconds of training, probe i may have spent overhead * share_i * T seconds, the run about to start
    included, with its last cost as the estimate, or a dearer one of late. A dear probe never makes a cheap one wait.
    What watching costs besides (snapshots, bookkeeping) is taken off what all may spend.

    The first picture, one result of every probe, is on top of that: it is allowed as much as `FIRST_PICTURE` seconds of
    training would have earned. It is part of `spent`, but nothing waits for it to be paid back.

    Args:
        overhead: Seconds that may be spent measuring for each second of training.
        weights: The probes' relative weights by name.

    Raises:
        ValueError: if the overhead or a weight is not positive.
    """

    def __init__(self, overhead: float, weights: Mapping[str, float]) -> None:
        if not overhead > 0:
            raise ValueError(f"overhead must be positive, got {overhead}; 0.1 spends a tenth of the training time")
        for name, weight in weights.items():
            if not weight > 0:
                raise ValueError(f"weight of probe {name!r} must be positive, got {weight}")
        self.overhead = overhead
        self._weights = dict(weights)
        self._first = self._besides = 0.0
        self._fresh = set(weights)  # without a result yet
        self._spent = dict.fromkeys(weights, 0.0)
        self._cost = dict.fromkeys(weights, 0.0)  # expected
        self._last = dict.fromkeys(weights, float("-inf"))

    @property
    def spent(self) -> float:
        """Seconds spent on watching, the first picture included."""
        return self._first + self._besides + sum(self._spent.values())

    def drop(self, name: str) -> None:
        """Takes a probe out; its share goes to the others."""
        del self._weights[name]

    def expect(self, name: str, seconds: float) -> None:
        """Sets what the next run of a probe is expected to cost, before it has ever run."""
        self._cost[name] = seconds

    def first_picture(self) -> Iterator[str]:
        """The probes to run before training begins, the cheapest first, as long as the next one is likely to fit."""
        for name in sorted(self._weights, key=self._cost.__getitem__):
            if self._belongs_to_first_picture(name):
                yield name

    def affordable(self, training: float, now: float) -> list[str]:
        """The probes that may run after `training` seconds of training, longest waiting first.

        Args:
            training: Seconds of training so far.
            now: The time on any monotonic clock, in seconds.
        """
        earned = (self.overhead * training - self._besides) / sum(self._weights.values(), 1e-12)
        ready = [
            name
            for name, weight in self._weights.items()
            if now - self._last[name] >= _SHORTEST_INTERVAL
            and (self._spent[name] + self._cost[name] <= weight * earned or self._belongs_to_first_picture(name))
        ]
        return sorted(ready, key=self._last.__getitem__)

    def charge(self, name: str, seconds: float, now: float, *, measured: bool = True) -> None:
        """Notes that a probe ran for `seconds` and ended at `now`, and whether it had a result."""
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

    def _belongs_to_first_picture(self, name: str) -> bool:
        return name in self._fresh and self._first + self._cost[name] <= self.overhead * FIRST_PICTURE
