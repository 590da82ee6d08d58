"""Learning-rate schedules, and what convex theory bounds of them.

Schaipp, Hägele, Taylor, Simsekli and Bach 2025, "The Surprising Agreement Between Convex Optimization Theory and
Learning-Rate Scheduling for Large Model Training", theorem 1 (from Defazio et al. 2023, arXiv:2310.07831, theorem 10).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landscope.measurements import Provenance, ScheduleBound

__all__ = ["constant_schedule", "cosine_schedule", "linear_schedule", "schedule_bound", "wsd_schedule"]

Array = NDArray[np.float64]

_MOST = 1024  # steps at which the bound is computed, beside the early ones; between them it is interpolated
_EARLY = 64


def constant_schedule(steps: int, *, warmup: int = 0) -> Array:
    """Ones, (steps,), after a linear warm-up of `warmup` steps."""
    return _warm(np.ones(_positive(steps)), warmup)


def linear_schedule(steps: int, *, warmup: int = 0) -> Array:
    """From 1 straight down, to 0 a step after the last one, (steps,)."""
    return _warm(1 - np.arange(_positive(steps)) / steps, warmup)


def cosine_schedule(steps: int, *, final: float = 0.0, warmup: int = 0) -> Array:
    """Half a cosine from 1 down to `final` a step after the last one, (steps,)."""
    return _warm(final + (1 - final) * 0.5 * (1 + np.cos(math.pi * np.arange(_positive(steps)) / steps)), warmup)


def wsd_schedule(steps: int, *, cooldown: float = 0.2, warmup: int = 0) -> Array:
    """Warm-up, stable, decay: 1, and straight down to 0 over the last share `cooldown` of the steps, (steps,).

    Raises:
        ValueError: if cooldown is not in (0, 1].
    """
    if not 0 < cooldown <= 1:
        raise ValueError(f"cooldown must be above 0 and at most 1, got {cooldown}")
    left = _positive(steps) - np.arange(steps)
    return _warm(np.minimum(1.0, left / max(1, round(cooldown * steps))), warmup)


def schedule_bound(rates: ArrayLike, *, gradients: ArrayLike = 1.0, start: float = 1.0) -> ScheduleBound:
    """A bound on f(x_t) - f* of subgradient descent on a convex function, stopped after each of the steps.

    With S_k = sum_(i=k..t) eta_i and V_k = sum_(i=k..t) eta_i^2 G_i^2,

        f(x_t) - f* <= D^2 / (2 S_1) + V_1 / (2 S_1) + 1/2 sum_(k=1..t-1) (eta_k / S_(k+1)) (V_k / S_k)

    Neural networks are not convex; the paper finds that its shape agrees with their loss curves all the same.

    Args:
        rates: (T,) the schedule, positive except perhaps at its end.
        gradients: G, expected norm of the gradients: one number, or (T,) as measured.
        start: D, distance of the first weights from the minimiser.

    Raises:
        ValueError: if rates or gradients are not finite or negative, the first rate is 0, or start is not positive.
    """
    eta = np.asarray(rates, dtype=np.float64)
    if eta.ndim != 1 or len(eta) == 0 or not np.isfinite(eta).all() or (eta < 0).any() or eta[0] == 0:
        raise ValueError(f"rates must be finite, not negative, and the first one positive, got shape {eta.shape}")
    norms = np.broadcast_to(np.asarray(gradients, dtype=np.float64), eta.shape).copy()
    if not np.isfinite(norms).all() or (norms < 0).any():
        raise ValueError("gradients must be finite norms, one or as many as rates")
    if not start > 0:
        raise ValueError(f"start must be positive, got {start}")
    sums = np.concatenate([[0.0], np.cumsum(eta)])
    powers = np.concatenate([[0.0], np.cumsum((eta * norms) ** 2)])
    total = len(eta)
    chosen = np.union1d(np.linspace(1, total, min(total, _MOST)).round(), np.arange(1, min(total, _EARLY) + 1)).astype(
        int
    )
    noise = np.interp(np.arange(1, total + 1), chosen, [_noise(eta, sums, powers, int(t)) for t in chosen])
    return ScheduleBound(
        provenance=Provenance(method=f"convex bound of a schedule of {total:,} steps"),
        rates=eta.copy(),
        distance=start**2 / (2 * sums[1:]),
        noise=noise,
        gradients=norms,
        start=start,
    )


def _noise(eta: Array, sums: Array, powers: Array, t: int) -> float:
    """The second and the third term at step t; steps of rate 0 at the end change nothing."""
    moving = eta[: t - 1] > 0
    after = (sums[t] - sums[1:t])[moving]
    whole = (sums[t] - sums[: t - 1])[moving]
    squares = (powers[t] - powers[: t - 1])[moving]
    tail = after > 0  # the last step that moves has nothing after it
    third = (eta[: t - 1][moving] / np.where(tail, after, 1.0) * squares / whole)[tail].sum()
    return float(powers[t] / (2 * sums[t]) + third / 2)


def _positive(steps: int) -> int:
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    return steps


def _warm(schedule: Array, warmup: int) -> Array:
    if not 0 <= warmup < len(schedule):
        raise ValueError(f"warmup must be at least 0 and below the {len(schedule)} steps, got {warmup}")
    rising = np.arange(1, warmup + 1) / (warmup + 1)
    return np.concatenate([np.minimum(rising, schedule[:warmup]), schedule[warmup:]])
