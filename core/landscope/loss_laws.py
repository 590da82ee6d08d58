"""Laws of a loss curve, and forecasts from them with a band, to be scored when the run has come to its end.

Power law            L(s) = L0 + A s^-alpha
Learning-rate annealing law (Tissue, Wang and Wang 2024, "Scaling Law with Learning Rate Annealing", section 3)

    L(s) = L0 + A S1^-alpha - C S2,    S1 = sum_i eta_i,    S2 = sum_i m_i,    m_i = lambda m_(i-1) + eta_(i-1) - eta_i

It was found on language models with lambda = 0.999; on other networks it is a conjecture, which `score_forecast`
puts to the test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar, nnls

from landscope.measurements import Forecast, LossLaw, Provenance

__all__ = [
    "annealing_areas",
    "fit_annealing_law",
    "fit_annealing_law_jointly",
    "fit_power_law",
    "forecast",
    "score_forecast",
]

Array = NDArray[np.float64]

_BINS = 200
_EXPONENTS = (0.02, 5.0)
_GRID = 60
_FEWEST = 8  # bins below which four constants are not worth fitting


def annealing_areas(rates: ArrayLike, *, memory: float = 0.999) -> tuple[Array, Array]:
    """The forward area S1 and the annealing area S2 after each step, (T,) each.

    Args:
        rates: (T,) learning rate of each step.
        memory: lambda, the share of the momentum of annealing that is left a step later.

    Raises:
        ValueError: if a rate is negative or not finite, all are 0, or memory is not in [0, 1).
    """
    eta = np.asarray(rates, dtype=np.float64)
    if eta.ndim != 1 or not np.isfinite(eta).all() or (eta < 0).any() or not eta.any():
        raise ValueError(f"rates must be finite, not negative and not all 0, one for each step, got shape {eta.shape}")
    if not 0 <= memory < 1:
        raise ValueError(f"memory must be at least 0 and below 1, got {memory}")
    drops = -np.diff(eta, prepend=eta[0])
    remembered = np.fromiter(accumulate(drops, lambda before, drop: memory * before + drop), np.float64, len(drops))
    return np.cumsum(eta), np.cumsum(remembered)


def fit_power_law(steps: ArrayLike, losses: ArrayLike, *, skip: float = 0.1) -> LossLaw:
    """Fits L(s) = L0 + A s^-alpha with L0, A >= 0 to a loss curve.

    Losses are averaged in up to 200 bins, half of them even in the steps and half in their logarithm; squared relative
    residuals are least. Standard errors are those of a non-linear fit, enlarged for residuals that hang together.

    Args:
        steps: (n,) ascending, from 1.
        losses: (n,) positive.
        skip: Share of the steps at the beginning that the law need not describe.

    Raises:
        ValueError: if there are too few losses, some are not positive and finite, or steps do not ascend from 1.
    """
    at, loss = _curve(steps, losses, skip)
    centres, means = _binned(at, at), _binned(at, loss)
    method = f"power law fitted to steps {int(at[0]):,} to {int(at[-1]):,}"
    return _fit("power-law", method, centres, means, centres, np.zeros_like(centres), 0.0)


def fit_annealing_law(
    steps: ArrayLike, losses: ArrayLike, rates: ArrayLike, *, skip: float = 0.1, memory: float = 0.999
) -> LossLaw:
    """Fits L(s) = L0 + A S1^-alpha - C S2 with L0, A, C >= 0 to a loss curve and its schedule.

    Args:
        steps: (n,) ascending, from 1.
        losses: (n,) positive.
        rates: (T,) learning rate of step 1, 2, ..., at least up to the last of `steps`.
        skip: Share of the steps at the beginning that the law need not describe, such as a warm-up.
        memory: lambda of the annealing area.

    Raises:
        ValueError: as `fit_power_law`, and if rates end before the losses or are not rates.
    """
    fitted = fit_annealing_law_jointly([(steps, losses, rates)], skip=skip, memory=memory)
    return fitted.replaced(rates=np.array(rates, dtype=np.float64)[: int(np.asarray(steps)[-1])])


def fit_annealing_law_jointly(
    curves: Sequence[tuple[ArrayLike, ArrayLike, ArrayLike]], *, skip: float = 0.1, memory: float = 0.999
) -> LossLaw:
    """One annealing law for the loss curves of several runs that differ in their schedules alone.

    A schedule that anneals and one that does not tell S1 from S2, which both rise along a single one.

    Args:
        curves: Steps (n,), losses (n,) and rates (T,) of each run, as of `fit_annealing_law`.
        skip: Share of each run's steps that the law need not describe.
        memory: lambda of the annealing area.

    Raises:
        ValueError: as `fit_annealing_law`, and without curves.
    """
    if not curves:
        raise ValueError("a law needs curves to be fitted to, got none")
    parts = [_areas(*curve, skip, memory) for curve in curves]
    centres, means, forward, annealed = (np.concatenate(part) for part in zip(*parts, strict=True))
    of = "" if len(curves) == 1 else f" of {len(curves)} runs"
    last = max(int(np.asarray(steps)[-1]) for steps, *_ in curves)
    method = f"annealing law fitted to steps {int(centres[0]):,} to {last:,}{of}, memory {memory:g}"
    return _fit("annealing", method, centres, means, forward, annealed, memory)


def forecast(law: LossLaw, steps: int, rates: ArrayLike | None = None, *, first: int | None = None) -> Forecast:
    """What a law says of the steps from the last one it was fitted to up to `steps`, or of those of another run.

    Args:
        law: The fitted law.
        steps: The last step to forecast.
        rates: (T,) of the annealing law, the schedule up to there, drawn by hand or planned. It may differ from what
            was fitted to even before: then it tells of a run that never was.
        first: The first step to tell of; the one after the last fitted by default. 1 for the whole of another run.

    Raises:
        ValueError: if there is nothing ahead, or a schedule is missing or too short.
    """
    known = law.last if first is None else first - 1
    ahead = np.arange(known + 1, steps + 1)
    if not len(ahead) or known < 0:
        raise ValueError(f"steps must be beyond {known:,}, the last one known, which is 0 or more, got {steps:,}")
    if law.law == "power-law":
        forward, annealed = ahead.astype(np.float64), np.zeros(len(ahead))
    else:
        if rates is None or len(np.asarray(rates)) < steps:
            raise ValueError(
                f"an annealing law forecasts with the learning rates of all steps 1 to {steps:,}; pass rates"
            )
        forward, annealed = (area[ahead - 1] for area in annealing_areas(rates, memory=law.memory))
    expected = _law(forward, annealed, law.floor, law.scale, law.exponent, law.annealing)
    slopes = _slopes(forward, annealed, law.scale, law.exponent)
    variance = np.einsum("ni,ij,nj->n", slopes, law.covariance, slopes) + (law.spread * expected) ** 2
    band = 2 * np.sqrt(variance)
    return Forecast(
        provenance=replace(law.provenance, method=f"forecast of {law.law} from step {known:,}"),
        law=law.law,
        made_at=known,
        steps=ahead,
        expected=expected,
        low=expected - band,
        high=expected + band,
    )


def score_forecast(made: Forecast, steps: ArrayLike, losses: ArrayLike) -> Forecast:
    """The forecast with what came: the mean relative error, and the share within the band.

    Args:
        made: The forecast.
        steps: (n,) ascending.
        losses: (n,) what was measured there.

    Raises:
        ValueError: if no loss is at a step that was forecast.
    """
    at, loss = np.asarray(steps), np.asarray(losses, dtype=np.float64)
    _, ours, theirs = np.intersect1d(made.steps, at, return_indices=True)
    seen = np.isfinite(loss[theirs])
    if not seen.any():
        raise ValueError(f"no loss is at a step from {made.steps[0]:,} to {made.steps[-1]:,}, which were forecast")
    ours, came = ours[seen], loss[theirs][seen]
    observed = np.full(len(made.steps), np.nan)
    observed[ours] = came
    return made.replaced(
        observed=observed,
        error=float(np.mean(np.abs(came - made.expected[ours]) / np.abs(came))),
        coverage=float(np.mean((came >= made.low[ours]) & (came <= made.high[ours]))),
    )


def _curve(steps: ArrayLike, losses: ArrayLike, skip: float) -> tuple[Array, Array]:
    at, loss = np.asarray(steps, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if at.ndim != 1 or at.shape != loss.shape:
        raise ValueError(f"steps and losses must be one-dimensional and as long, got {at.shape} and {loss.shape}")
    if not 0 <= skip < 1:
        raise ValueError(f"skip must be at least 0 and below 1, got {skip}")
    if len(at) == 0 or at[0] < 1 or (np.diff(at) <= 0).any():
        raise ValueError("steps must ascend from 1 or later")
    kept = at > skip * at[-1]
    at, loss = at[kept], loss[kept]
    if len(at) < _FEWEST:
        raise ValueError(f"a law needs {_FEWEST} losses after those skipped, got {len(at)}")
    if not (np.isfinite(loss) & (loss > 0)).all():
        raise ValueError("losses must be positive and finite; a curve that diverged follows no such law")
    return at, loss


def _areas(
    steps: ArrayLike, losses: ArrayLike, rates: ArrayLike, skip: float, memory: float
) -> tuple[Array, Array, Array, Array]:
    """Steps, losses, forward and annealing areas of a curve, in bins."""
    at, loss = _curve(steps, losses, skip)
    forward, annealed = annealing_areas(rates, memory=memory)
    last = int(at[-1])
    if len(forward) < last:
        raise ValueError(f"rates must reach step {last:,}, the last with a loss, got {len(forward):,} of them")
    here = at.astype(np.int64) - 1
    if forward[here[0]] == 0:
        raise ValueError("rates must be positive before the first loss that is fitted; raise skip")
    return _binned(at, at), _binned(at, loss), _binned(at, forward[here]), _binned(at, annealed[here])


def _binned(at: Array, values: Array) -> Array:
    """Means of `values` in bins of the steps `at`; the same bins for every `values`."""
    if len(at) <= _BINS:
        return values
    even = np.linspace(at[0], at[-1], _BINS // 2 + 1)
    edges = np.union1d(even, np.geomspace(at[0], at[-1], _BINS // 2 + 1))
    bins = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, len(edges) - 2)
    counts = np.bincount(bins)
    means: Array = np.bincount(bins, values)[counts > 0] / counts[counts > 0]
    return means


def _fit(
    law: str, method: str, centres: Array, means: Array, forward: Array, annealed: Array, memory: float
) -> LossLaw:
    """Variable projection: for each exponent the other constants are a linear fit without negative ones."""
    unit = float(np.exp(np.log(forward).mean()))  # of the forward area, so that columns are alike in size
    tilt = float(np.abs(annealed).max())
    width = 3 if tilt > 0 else 2

    def columns(exponent: float) -> Array:
        stacked = [np.ones_like(means), (forward / unit) ** -exponent, -annealed / (tilt or 1.0)]
        return np.stack(stacked[:width], axis=1) / means[:, None]

    def misfit(log_exponent: float) -> float:
        return float(nnls(columns(float(np.exp(log_exponent))), np.ones_like(means))[1])

    best = _least(misfit, *np.log(_EXPONENTS))
    exponent = float(np.exp(best))
    constants = np.zeros(3)
    constants[:width] = nnls(columns(exponent), np.ones_like(means))[0]
    floor, scale, slope = constants[0], constants[1] * unit**exponent, constants[2] / (tilt or 1.0)
    fitted = _law(forward, annealed, floor, scale, exponent, slope)
    residuals = (means - fitted) / fitted
    free = np.array([floor > 0, scale > 0, scale > 0, slope > 0])
    freedom = max(1, len(means) - int(free.sum()))
    spread = float(np.sqrt((residuals**2).sum() / freedom))
    slopes = _slopes(forward, annealed, scale, exponent) / fitted[:, None]
    covariance = np.zeros((4, 4))
    if free.any():
        inverse = np.linalg.pinv(slopes[:, free].T @ slopes[:, free])
        covariance[np.ix_(free, free)] = spread**2 * _clumping(residuals) * inverse
    return LossLaw(
        provenance=Provenance(method=method),
        law=law,
        floor=float(floor),
        scale=float(scale),
        exponent=exponent,
        annealing=float(slope),
        memory=memory,
        covariance=covariance,
        steps=centres.copy(),
        losses=means.copy(),
        fitted=fitted,
        spread=spread,
    )


def _least(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function is least: a grid, then Brent's method between the neighbours of its least point."""
    grid = np.linspace(low, high, _GRID)
    index = int(np.argmin([function(float(x)) for x in grid]))
    around = float(grid[max(index - 1, 0)]), float(grid[min(index + 1, _GRID - 1)])
    return float(minimize_scalar(function, bounds=around, method="bounded", options={"xatol": 1e-9}).x)


def _law(forward: Array, annealed: Array, floor: float, scale: float, exponent: float, slope: float) -> Array:
    value: Array = floor + scale * forward**-exponent - slope * annealed
    return value


def _slopes(forward: Array, annealed: Array, scale: float, exponent: float) -> Array:
    """Derivatives of the law by floor, scale, exponent and annealing, (n, 4)."""
    power = forward**-exponent
    return np.stack([np.ones_like(power), power, -scale * power * np.log(forward), -annealed], axis=1)


def _clumping(residuals: Array) -> float:
    """How many times fewer the residuals count for because neighbours are alike: (1 + r) / (1 - r), r of lag one."""
    power = float((residuals**2).sum())
    lag = float((residuals[1:] * residuals[:-1]).sum()) / power if power > 0 else 0.0
    lag = min(max(lag, 0.0), 0.98)
    return (1 + lag) / (1 - lag)
