"""Many seeds as one object: bands of curves, and how much of the spread between runs is the test set's alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement

__all__ = ["SeedBands", "SeedVariance", "at_common_steps"]


def at_common_steps(curves: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Several curves at the steps of all of them within what every one covers, linear between their own steps.

    Args:
        curves: Ascending steps (n,) and values (n,) of each of R curves.

    Returns:
        Steps (m,), none where the curves do not overlap, and values (R, m).
    """
    first, last = max(steps[0] for steps, _ in curves), min(steps[-1] for steps, _ in curves)
    common = np.unique(np.concatenate([steps for steps, _ in curves]))
    common = common[(common >= first) & (common <= last)]
    return common, np.stack([np.interp(common, steps, values) for steps, values in curves])


@dataclass(frozen=True, kw_only=True, eq=False)
class SeedBands(Measurement):
    """A quantity of many runs at common steps.

    Attributes:
        quantity: Its name, e.g. "test/loss".
        steps: (n,) common steps.
        values: (R, n) of each run.
    """

    kind: ClassVar[str] = "seed-bands"
    quantity: str
    steps: np.ndarray
    values: np.ndarray

    @property
    def runs(self) -> int:
        """Number R of runs."""
        return len(self.values)

    @property
    def mean(self) -> np.ndarray:
        """Over the runs, (n,)."""
        mean: np.ndarray = self.values.mean(axis=0)
        return mean

    @property
    def deviation(self) -> np.ndarray:
        """Standard deviation between runs, (n,)."""
        deviation: np.ndarray = self.values.std(axis=0, ddof=1)
        return deviation

    def quantile(self, share: float) -> np.ndarray:
        """The value that a share of the runs is below, (n,)."""
        quantile: np.ndarray = np.quantile(self.values, share, axis=0)
        return quantile

    def scalars(self) -> dict[str, float]:
        """Mean and deviation at the last step."""
        return {"mean": float(self.mean[-1]), "deviation": float(self.deviation[-1])}


@dataclass(frozen=True, kw_only=True, eq=False)
class SeedVariance(Measurement):
    """How accuracy varies between runs that differ by chance alone, on a test set and on what it was drawn from.

    If runs erred independently of one another at each example, the accuracy on n examples with rates p_i of being
    right would have variance sum p_i (1 - p_i) / n^2 (Jordan 2023, "Calibrated Chaos", section 3). What the observed
    variance has beyond that is common to examples: networks that are better throughout, on the distribution too.

    Attributes:
        condition: What varied between the runs, e.g. "all", "order" or "one bit".
        accuracies: (R,) of each run on the test set.
        rates: (n,) share of the runs that are right on each example.
        observed: Variance of the accuracy between runs.
        observed_error: Its standard error, by the jackknife over runs.
        independent: Variance predicted of independent errors, without bias from the rates' own estimation.
        distribution: Variance of the accuracy on the distribution: the mean covariance between being right at two
            different examples. Unbiased, so that it may come out negative where the truth is about 0.
        distribution_error: Its standard error, by the jackknife over runs.
        predicted: (n + 1,) probability of each number of right answers if errors are independent.
    """

    kind: ClassVar[str] = "seed-variance"
    condition: str
    accuracies: np.ndarray
    rates: np.ndarray
    observed: float
    observed_error: float
    independent: float
    distribution: float
    distribution_error: float
    predicted: np.ndarray

    @property
    def runs(self) -> int:
        """Number R of runs."""
        return len(self.accuracies)

    @property
    def examples(self) -> int:
        """Number n of test examples."""
        return len(self.rates)

    def scalars(self) -> dict[str, float]:
        """Standard deviations: observed, predicted, and on the distribution."""
        return {
            "observed": float(np.sqrt(self.observed)),
            "independent": float(np.sqrt(self.independent)),
            "distribution": float(np.sqrt(max(self.distribution, 0.0))),
        }
