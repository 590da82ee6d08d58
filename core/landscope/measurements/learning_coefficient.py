"""The local learning coefficient, with what is needed to see whether its sampler can be believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement

__all__ = ["CoefficientCalibration", "LearningCoefficient"]

_MIXED = 1.1  # potential scale reduction up to which chains are said to agree (Gelman and Rubin's usual limit)


@dataclass(frozen=True, kw_only=True, eq=False)
class LearningCoefficient(Measurement):
    """The local learning coefficient n beta (E[L] - L*) by stochastic gradient Langevin dynamics.

    On a quadratic with curvatures h_i it is sum_i n beta h_i / (2 (n beta h_i + gamma)): half the number of directions
    that are stiffer than gamma / (n beta).

    Attributes:
        value: The estimate over the draws after burn-in.
        stderr: Standard error between chains.
        mixing: Potential scale reduction between and within chains (Gelman and Rubin 1992); 1 where they agree.
        start: L*, the loss where the chains began.
        losses: (chains, steps) the loss at every step, burn-in included.
        distances: (chains, steps) distance from the first weights.
        burn_in: Steps at the beginning that do not count.
        step_size: epsilon of the dynamics.
        nbeta: n beta, the inverse temperature times the examples.
        pull: gamma, strength of the spring to the first weights.
    """

    kind: ClassVar[str] = "learning-coefficient"
    value: float
    stderr: float
    mixing: float
    start: float
    losses: np.ndarray
    distances: np.ndarray
    burn_in: int
    step_size: float
    nbeta: float
    pull: float

    @property
    def reliable(self) -> bool:
        """Whether the chains agree, and went up from where they began."""
        return self.mixing <= _MIXED and self.value > 0

    def scalars(self) -> dict[str, float]:
        """The estimate, its error, and how far the chains agree."""
        return {"value": self.value, "stderr": self.stderr, "mixing": self.mixing}


@dataclass(frozen=True, kw_only=True, eq=False)
class CoefficientCalibration(Measurement):
    """The local learning coefficient over its sampler's settings: to be believed only where it does not depend on them.

    Attributes:
        step_shares: (S,) step sizes, as shares of 1 / (n beta lambda_max + gamma).
        pull_shares: (G,) pulls, as shares of n beta lambda_max.
        values: (S, G) estimates; NaN where the dynamics diverged.
        stderrs: (S, G) their standard errors.
        mixing: (S, G) potential scale reductions.
    """

    kind: ClassVar[str] = "coefficient-calibration"
    step_shares: np.ndarray
    pull_shares: np.ndarray
    values: np.ndarray
    stderrs: np.ndarray
    mixing: np.ndarray

    @property
    def believable(self) -> np.ndarray:
        """(S, G) whether the chains agree and went up from where they began."""
        with np.errstate(invalid="ignore"):
            believable: np.ndarray = (self.mixing <= _MIXED) & (self.values > 0)
        return believable

    def span(self) -> tuple[float, float] | None:
        """Least and greatest finite estimate."""
        finite = self.values[np.isfinite(self.values)]
        return (float(finite.min()), float(finite.max())) if finite.size else None
