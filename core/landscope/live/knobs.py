"""The knobs of a training: what can be turned, what it stands at, and between which values it makes sense."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from landscope.live.minibatches import Batches
from landscope.live.steered import SteeredOptimizer

__all__ = ["Knob", "Knobs", "Turn"]

_LABELS = {
    "lr": "learning rate",
    "weight_decay": "weight decay",
    "momentum": "momentum",
    "rho": "radius of the ascent",
    "batch_size": "batch size",
}
_NOTICEABLE = 0.02  # of a value; a schedule's smaller changes are not announced


@dataclass(frozen=True)
class Knob:
    """What the page may offer to turn.

    Attributes:
        name: By which it is set.
        label: What it is called.
        value: What it stands at.
        low: The lowest value that a slider should reach.
        high: The highest one. Values beyond are taken too, where they make sense.
        scale: How a slider should be divided.
        group: Number of the parameter group, counted over all optimisers; None where it is all of them.
        unit: Of the value; empty for a plain number.
    """

    name: str
    label: str
    value: float
    low: float
    high: float
    scale: Literal["log", "linear", "integer"]
    group: int | None = None
    unit: str = ""

    def resembles(self, other: Knob) -> bool:
        """Whether nobody would notice the difference."""
        near = abs(self.value - other.value) <= _NOTICEABLE * max(abs(self.value), abs(other.value))
        return near and replace(self, value=other.value) == other


@dataclass(frozen=True)
class Turn:
    """A knob that was turned.

    Attributes:
        name: Of the knob.
        before: What it stood at.
        after: What it stands at.
        group: Number of the parameter group; None for all of them.
    """

    name: str
    before: float
    after: float
    group: int | None

    @property
    def text(self) -> str:
        """What was done, in words."""
        whose = "" if self.group is None else f" of group {self.group}"
        return f"{_LABELS[self.name]}{whose} {self.before:g} → {self.after:g}"


class Knobs:
    """All knobs of a training.

    Args:
        optimizers: The loop's optimisers.
    """

    def __init__(self, optimizers: Sequence[SteeredOptimizer]) -> None:
        self.batches: Batches | None = None
        self._optimizers = optimizers
        self._divided: set[str] = set()  # once groups differ in a value, each keeps a knob of its own
        self._ranges: dict[tuple[str, int | None], tuple[float, float]] = {}

    def all(self) -> list[Knob]:
        """The knobs as they stand."""
        knobs = []
        for name in ("lr", "weight_decay", "momentum", "rho"):
            values = {group: optimizer.value(name, index) for group, optimizer, index in self._groups(name)}
            if len(set(values.values())) > 1 or (values and len(values) < self._count()):
                self._divided.add(name)
            if name in self._divided:
                knobs += [self._knob(name, value, group) for group, value in values.items()]
            elif values:
                knobs.append(self._knob(name, next(iter(values.values())), None))
        if self.batches is not None:
            size, most = self.batches.batch_size, self.batches.examples
            knobs.append(Knob("batch_size", _LABELS["batch_size"], size, 1, most, "integer", None, "examples"))
        return knobs

    def turn(self, name: Any, value: Any, group: Any = None) -> Turn:
        """Sets a knob; without a group, those of all groups.

        Raises:
            ValueError: if there is no such knob, or the value makes no sense for it.
        """
        number = _checked(name, value)
        if name == "batch_size" and self.batches is not None:
            before, self.batches.batch_size = self.batches.batch_size, int(number)
            return Turn(name, before, self.batches.batch_size, None)
        chosen = [found for found in self._groups(name) if group is None or found[0] == group]
        if not chosen:
            known = sorted({knob.name for knob in self.all()})
            whose = "" if group is None else f" for group {group!r}"
            raise ValueError(f"there is no knob {name!r}{whose} in this training, only {', '.join(known) or 'none'}")
        befores = [optimizer.value(name, index) for _, optimizer, index in chosen]
        for _, optimizer, index in chosen:
            optimizer.set(name, number, index)
        return Turn(name, befores[0], number, group)

    def renew_ranges(self) -> None:
        """Takes the sliders' ranges from the present values, as after a change of the optimiser."""
        self._ranges.clear()

    def _groups(self, name: str) -> list[tuple[int, SteeredOptimizer, int]]:
        """The groups that have a value of that name: number over all optimisers, optimiser, number within it."""
        found = [(optimizer, index) for optimizer in self._optimizers for index in range(optimizer.groups)]
        return [(group, *where) for group, where in enumerate(found) if where[0].has(name)]

    def _count(self) -> int:
        return sum(optimizer.groups for optimizer in self._optimizers)

    def _knob(self, name: str, value: float, group: int | None) -> Knob:
        known = self._ranges.get((name, group))
        if known is None or not (known[0] <= value <= known[1] or value == 0):
            known = self._ranges[name, group] = _range(name, value)
        scale: Literal["log", "linear"] = "log" if name in ("lr", "rho") else "linear"
        return Knob(name, _LABELS[name], value, *known, scale, group)


def _range(name: str, value: float) -> tuple[float, float]:
    """Where a slider should begin and end for a knob that stands at `value`."""
    if name == "momentum":
        return 0.0, 0.999
    decade = 10.0 ** math.floor(math.log10(value)) if value > 0 else {"lr": 1e-3, "rho": 0.01}.get(name, 0.01)
    return (0.0, 10 * decade) if name == "weight_decay" else (1e-3 * decade, 100 * decade)


def _checked(name: Any, value: Any) -> float:
    """The value as a number that makes sense for a knob.

    Raises:
        ValueError: if it does not.
    """
    if name not in _LABELS:
        raise ValueError(f"knob must be one of {', '.join(_LABELS)}, got {name!r}")
    label = _LABELS[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{label} must be a finite number, got {value!r}")
    if name == "batch_size":
        if value < 1 or value != int(value):
            raise ValueError(f"{label} must be a whole number of at least 1, got {value!r}")
    elif value < 0 or (name == "momentum" and value >= 1):
        raise ValueError(f"{label} must be {'in [0, 1)' if name == 'momentum' else 'at least 0'}, got {value!r}")
    return float(value)
