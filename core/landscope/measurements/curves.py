"""Laws of a loss curve, what they forecast, and what convex theory bounds of a learning-rate schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement

__all__ = ["Forecast", "LossLaw", "ScheduleBound"]


@dataclass(frozen=True, kw_only=True, eq=False)
class LossLaw(Measurement):
    """A law fitted to a loss curve: L = floor + scale x^-exponent - annealing S2.

    Of the power law x is the number of steps and there is no last term. Of the annealing law x = S1 is the sum of the
    learning rates so far and S2 their annealing area (`landscope.dynamics.annealing_areas`).

    Attributes:
        law: "power-law" or "annealing".
        floor: What the loss tends to at a learning rate that stays.
        scale: Factor of the power.
        exponent: Of the decay.
        annealing: Factor C of the annealing area; 0 of a power law, or where the rate never changed.
        memory: Share of the momentum of annealing that is left a step later; 0 of a power law.
        covariance: (4, 4) of floor, scale, exponent and annealing; rows of what was held fixed are 0.
        steps: (n,) centres of the bins that were fitted.
        losses: (n,) mean loss in each.
        fitted: (n,) the law there.
        spread: Standard deviation of the relative residuals (loss - law) / law.
        rates: (T,) learning rate of each step up to the last one fitted; None of a power law.
    """

    kind: ClassVar[str] = "loss-law"
    law: str
    floor: float
    scale: float
    exponent: float
    annealing: float
    memory: float
    covariance: np.ndarray
    steps: np.ndarray
    losses: np.ndarray
    fitted: np.ndarray
    spread: float
    rates: np.ndarray | None = None

    @property
    def last(self) -> int:
        """The last step it was fitted to."""
        return int(np.ceil(self.steps.max()))

    def scalars(self) -> dict[str, float]:
        """The constants."""
        constants = {"floor": self.floor, "scale": self.scale, "exponent": self.exponent}
        return constants if self.law == "power-law" else {**constants, "annealing": self.annealing}


@dataclass(frozen=True, kw_only=True, eq=False)
class Forecast(Measurement):
    """What a law says of the steps ahead, and, once they have come, how right it was.

    Attributes:
        law: Which law.
        made_at: The last step it knew.
        steps: (m,) the steps ahead.
        expected: (m,) the law's loss.
        low: (m,) two standard errors below: of the constants and of the losses' scatter together.
        high: (m,) two above.
        observed: (m,) what came, NaN where nothing did; None before.
        error: Mean of |observed - expected| / observed; None before.
        coverage: Share of what came that lay between low and high, 0.95 if the law and its errors are right; None
            before.
    """

    kind: ClassVar[str] = "forecast"
    law: str
    made_at: int
    steps: np.ndarray
    expected: np.ndarray
    low: np.ndarray
    high: np.ndarray
    observed: np.ndarray | None = None
    error: float | None = None
    coverage: float | None = None

    @property
    def deviation(self) -> float | None:
        """(observed - expected) / standard error at the last step that came, a fourth of the band; None before."""
        came = np.flatnonzero(np.isfinite(self.observed)) if self.observed is not None else np.array([], dtype=int)
        if self.observed is None or not len(came):
            return None
        last = came[-1]
        width = max((self.high[last] - self.low[last]) / 4, np.finfo(np.float64).tiny)
        return float((self.observed[last] - self.expected[last]) / width)

    def scalars(self) -> dict[str, float]:
        """The loss at the end, and the scores once there are any."""
        scores = {"error": self.error, "coverage": self.coverage, "deviation": self.deviation}
        return {"final": float(self.expected[-1])} | {name: s for name, s in scores.items() if s is not None}


@dataclass(frozen=True, kw_only=True, eq=False)
class ScheduleBound(Measurement):
    """A bound on the suboptimality of (sub)gradient descent on a convex function, for a schedule of learning rates.

    Stopped after t steps, f(x_t) - f* <= distance / gamma + gamma * noise for the schedule times gamma.

    Attributes:
        rates: (T,) the schedule eta_1 ... eta_T.
        distance: (T,) D^2 / (2 sum eta).
        noise: (T,) what the squared gradients contribute.
        gradients: (T,) norms of the gradients, as assumed or measured.
        start: D, the distance of the first weights from the minimiser.
    """

    kind: ClassVar[str] = "schedule-bound"
    rates: np.ndarray
    distance: np.ndarray
    noise: np.ndarray
    gradients: np.ndarray
    start: float

    @property
    def bound(self) -> np.ndarray:
        """The bound at every step for the schedule as it is, (T,)."""
        bound: np.ndarray = self.distance + self.noise
        return bound

    @property
    def best_factor(self) -> float:
        """The factor by which to multiply the schedule for the least bound at its end."""
        return float(np.sqrt(self.distance[-1] / self.noise[-1]))

    @property
    def best_bound(self) -> float:
        """The bound at the end with that factor."""
        return float(2 * np.sqrt(self.distance[-1] * self.noise[-1]))

    def scalars(self) -> dict[str, float]:
        """The bound at the end, the best factor and the bound with it."""
        return {"bound": float(self.bound[-1]), "best_factor": self.best_factor, "best_bound": self.best_bound}
