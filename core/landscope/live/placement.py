"""Inline or in the background: where a probe costs the training less, found by trying both."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass
from typing import Literal

__all__ = ["Pace", "Placement", "Where"]

Where = Literal["inline", "background"]

# A probe that takes so many steps' time, and as long as a person notices, is worth a thread.
_DEAR_STEPS, _DEAR_SECONDS = 10, 0.02
# What is known of a way is forgotten after so many runs of the other, since machines change.
_FORGET = 50
# A thread has to be cheaper by this much to be worth its risk of being mistaken.
_CLEARLY = 0.8
_STEPS = 64  # whose seconds are remembered
_FEWEST = 8  # without a thread beside them, before the next one


class Pace:
    """How long training steps take, with and without a thread beside them."""

    def __init__(self) -> None:
        self._alone: deque[float] = deque(maxlen=_STEPS)
        self._beside: list[float] = []
        self._since = 0

    def add(self, seconds: float, *, beside: bool) -> None:
        """Notes what a step took."""
        if beside:
            self._beside.append(seconds)
        else:
            self._alone.append(seconds)
            self._since += 1

    @property
    def typical(self) -> float | None:
        """Seconds of a step alone, the median of late; None while too few are known."""
        return statistics.median(self._alone) if len(self._alone) >= _FEWEST else None

    @property
    def rested(self) -> bool:
        """Whether enough steps have been alone since the last thread for the next one to be held against."""
        return self._since >= _FEWEST

    def lost(self) -> float:
        """Seconds by which a thread has lengthened the steps beside it, and forgets them.

        Their number times the difference of the medians, which other causes of a long step (a validation, a checkpoint)
        hardly move.
        """
        beside, self._beside, self._since = self._beside, [], 0
        if not beside or not self._alone:
            return 0.0
        return len(beside) * max(0.0, statistics.median(beside) - statistics.median(self._alone))


@dataclass
class Placement:
    """What is known of where one probe runs best.

    Attributes:
        inline: Seconds that its last whole run inline took; None if there was none of late.
        background: Seconds by which its last run in the background delayed training; likewise.
        refused: Why it may not run in the background; empty if it may.
    """

    inline: float | None = None
    background: float | None = None
    refused: str = ""
    _cold: bool = True
    _runs: int = 0

    def where(self, step: float | None) -> Where:
        """Where to run next.

        Args:
            step: Seconds of a training step, as `Pace.typical` knows it.
        """
        if self.refused or step is None or self.inline is None:
            return "inline"
        if self.inline < max(_DEAR_STEPS * step, _DEAR_SECONDS):
            return "inline"
        if self.background is None:
            return "background"
        return "background" if self.background < _CLEARLY * self.inline else "inline"

    def took(self, where: Where, seconds: float) -> None:
        """Notes what a run cost training, and forgets the other way's once that is long ago.

        The first run is no measure: it fills caches, and a solver starts from nothing.
        """
        if self._cold:
            self._cold = False
            return
        known = self.inline if where == "inline" else self.background
        self._runs = self._runs + 1 if known is not None else 0
        if where == "inline":
            self.inline = seconds
            self.background = None if self._runs >= _FORGET else self.background
        else:
            self.background = seconds
            self.inline = None if self._runs >= _FORGET else self.inline
        self._runs %= _FORGET
