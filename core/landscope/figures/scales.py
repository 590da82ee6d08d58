"""Axes that read as the quantity itself: logarithmic colour bars, and a signed logarithm with labels in eigenvalues."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["height_scale", "log_axis", "log_ticks", "number", "signed_log", "signed_log_ticks"]

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float) -> str:
    """`value` in at most three significant digits, as powers of ten where it is very large or small."""
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{float(f'{value:.3g}'):g}"
    exponent = math.floor(math.log10(abs(value)))
    mantissa = value / 10.0**exponent
    power = "10" + str(exponent).translate(_SUPERSCRIPT)
    lead = f"{mantissa:.2g}"
    return {"1": power, "-1": "−" + power}.get(lead, f"{lead}·{power}")


def log_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round values between `low` and `high`, at most `most`: decades, 1-2-5 within them, or even steps.

    Raises:
        ValueError: if not 0 < low < high.
    """
    if not 0 < low < high:
        raise ValueError(f"log_ticks needs 0 < low < high, got low={low}, high={high}")
    if high < 3 * low:
        return _even_ticks(low, high, most)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for leads in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        ticks = [lead * 10.0**power for power in range(first, last + 1) for lead in leads]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= most:
            return ticks
    stride = math.ceil(len(ticks) / most)
    return ticks[::stride]


def log_axis(low: float, high: float) -> dict[str, Any]:
    """A logarithmic axis between two positive limits, with round labels of one size and some room at both ends."""
    high = max(high, low * 1.1)
    ticks = log_ticks(low, high)
    room = 0.04 * math.log10(high / low)
    return {
        "type": "log",
        "range": [math.log10(low) - room, math.log10(high) + room],
        "tickvals": ticks,
        "ticktext": [number(tick) for tick in ticks],
    }


def _even_ticks(low: float, high: float, most: int) -> list[float]:
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(lead for lead in (1, 2, 5, 10) if lead * power >= raw)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def height_scale(
    loss: NDArray[np.floating], span: tuple[float, float] | None
) -> tuple[NDArray[np.float64], float, float, bool]:
    """What to draw for a loss, and between which limits: log10 where all are positive, else the loss itself.

    Args:
        loss: Losses of any shape; what is not finite becomes NaN.
        span: Limits in losses to keep over a whole run; None for this array's own.

    Returns:
        Heights, their lower and upper limit, and whether they are logarithms.
    """
    finite = np.isfinite(loss)
    height = np.where(finite, loss, np.nan).astype(np.float64)
    if not finite.any():
        return height, 0.0, 1.0, False
    low, high = span if span is not None else (float(np.nanmin(height)), float(np.nanmax(height)))
    logarithmic = low > 0 and bool((height[finite] > 0).all())
    if logarithmic:
        height = np.where(finite, np.log10(np.where(finite, loss, 1.0)), np.nan)
        low, high = math.log10(low), math.log10(high)
    if high - low < 1e-9 * max(abs(low), abs(high), 1.0):
        low, high = low - 0.5, high + 0.5
    return height, low, high, logarithmic


def signed_log(value: NDArray[np.floating] | float, scale: float) -> NDArray[np.float64]:
    """U = asinh(value / scale): linear below `scale`, logarithmic above, odd."""
    return np.arcsinh(np.asarray(value, dtype=np.float64) / scale)


def signed_log_ticks(low: float, high: float, scale: float, most: int = 7) -> list[float]:
    """Zero and powers of ten of either sign between `low` and `high`, none closer to zero than `scale`."""
    ticks = [0.0] if low <= 0 <= high else []
    largest = max(abs(low), abs(high))
    if largest <= scale:
        return sorted({low, *ticks, high})
    first, last = math.ceil(math.log10(scale) - 1e-9), math.floor(math.log10(largest) + 1e-9)
    stride = max(1, math.ceil((last - first + 1) * (2 if low < -scale else 1) / most))
    for power in range(last, first - 1, -stride):
        ticks += [tick for tick in (10.0**power, -(10.0**power)) if low <= tick <= high]
    return sorted(ticks)
