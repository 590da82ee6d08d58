"""A scalar over the steps of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

__all__ = ["History", "Series"]


@dataclass(frozen=True)
class Series:
    """A scalar over time: `steps` (n,) ascending and `values` (n,)."""

    steps: np.ndarray
    values: np.ndarray

    @property
    def first(self) -> float:
        """The oldest value."""
        return float(self.values[0])

    @property
    def last(self) -> float:
        """The newest value."""
        return float(self.values[-1])

    def first_step_above(self, level: float) -> int | None:
        """The first step at which the value reached `level`; None if it never has."""
        reached = np.flatnonzero(self.values >= level)
        return int(self.steps[reached[0]]) if reached.size else None

    def at(self, steps: np.ndarray) -> np.ndarray:
        """The newest value known at each of some steps, (n,); the first one before there is any."""
        return self.values[np.maximum(np.searchsorted(self.steps, steps, side="right") - 1, 0)]

    def value_at(self, step: int) -> float:
        """The newest value known at a step; the first one before there is any."""
        return float(self.at(np.array([step]))[0])

    def since(self, step: int) -> Series:
        """What came at that step and after."""
        kept = self.steps >= step
        return Series(self.steps[kept], self.values[kept])

    def holds_since(self, condition: np.ndarray) -> int | None:
        """The step from which a condition (n,) has been true without interruption; None if it is not true now."""
        if not len(condition) or not condition[-1]:
            return None
        broken = np.flatnonzero(~condition)
        return int(self.steps[broken[-1] + 1 if broken.size else 0])


History = Mapping[str, Series]
"""Scalars of a run by their name, e.g. "train/loss"."""
