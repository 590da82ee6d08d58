"""When a probe is due again, by the steps that were asked for, and how much what it measures has changed since."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Literal

__all__ = ["Every", "next_due", "relative_change"]

Every = int | Literal["log", "asked"] | None

_LOG_SPACING = 1.1  # 24 measurements a decade


def next_due(every: Every, step: int) -> float:
    """The first step after one measured at `step` at which a probe is due again.

    Args:
        every: A number n of steps: at multiples of n. "log": at the next step, or 1.1 times as late, which makes 24
            measurements a decade. "asked": never by itself. None: at once.
        step: The step measured last.

    Raises:
        ValueError: if `every` is none of these.
    """
    if every is None:
        return step
    if every == "asked":
        return math.inf
    if every == "log":
        return max(step + 1, math.ceil(_LOG_SPACING * step))
    if not isinstance(every, int) or every < 1:
        raise ValueError(f"every must be a positive number of steps, 'log', 'asked' or None, got {every!r}")
    return (step // every + 1) * every


def relative_change(before: Mapping[str, float], after: Mapping[str, float]) -> float | None:
    """The median over the numbers in both of |after - before| / max(|after|, |before|), between 0 and 2.

    None where no finite number is in both.
    """
    pairs = [(before[name], value) for name, value in after.items() if name in before]
    finite = [(old, new) for old, new in pairs if math.isfinite(old) and math.isfinite(new)]
    if not finite:
        return None
    return statistics.median(abs(new - old) / max(abs(new), abs(old), 1e-300) for old, new in finite)
