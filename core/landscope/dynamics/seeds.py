"""Many seeds as one object.

Jordan 2023, "Calibrated Chaos: Variance Between Runs of Neural Network Training is Harmless and Inevitable".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landscope.dynamics.series import Series
from landscope.measurements import Provenance, SeedBands, SeedVariance
from landscope.measurements.seeds import at_common_steps

__all__ = ["seed_bands", "seed_variance"]

Array = NDArray[np.float64]


def seed_bands(curves: Sequence[Series], quantity: str) -> SeedBands:
    """A quantity of many runs at common steps: those of all of them within what every run covers.

    Between its own steps a run is interpolated linearly.

    Args:
        curves: One for each run.
        quantity: Its name.

    Raises:
        ValueError: if there are fewer than two runs, or they have no step in common.
    """
    if len(curves) < 2:
        raise ValueError(f"bands need two runs at least, got {len(curves)}")
    steps, values = at_common_steps([(curve.steps, curve.values) for curve in curves])
    if not len(steps):
        first, last = max(curve.steps[0] for curve in curves), min(curve.steps[-1] for curve in curves)
        raise ValueError(f"the runs' steps do not overlap: one begins at {first:,}, another ends at {last:,}")
    return SeedBands(
        provenance=Provenance(method=f"{quantity} of {len(curves)} runs"), quantity=quantity, steps=steps, values=values
    )


def seed_variance(correct: ArrayLike, *, condition: str = "all") -> SeedVariance:
    """How accuracy varies between runs, against independent errors, and on the distribution behind the test set.

    With V the unbiased variance of the accuracy and v_i that of being right at example i, the mean covariance between
    different examples is (n^2 V - sum v_i) / (n (n - 1)): the mean, over all ways to split the test set in halves, of
    the covariance between the accuracies on both.

    Args:
        correct: (R, n) whether each run is right on each example.
        condition: What varied between the runs.

    Raises:
        ValueError: if there are fewer than three runs or two examples, or values other than 0 and 1.
    """
    right = np.asarray(correct, dtype=np.float64)
    if right.ndim != 2 or right.shape[0] < 3 or right.shape[1] < 2:
        raise ValueError(f"correct must be (runs, examples) with 3 runs and 2 examples at least, got {right.shape}")
    if not np.isin(right, (0.0, 1.0)).all():
        raise ValueError("correct must hold 0 and 1, or False and True, alone")
    runs, examples = right.shape
    rates = right.mean(axis=0)
    return SeedVariance(
        provenance=Provenance(method=f"accuracy of {runs} runs", examples=examples, split="test"),
        condition=condition,
        accuracies=right.mean(axis=1),
        rates=rates,
        observed=_observed(right),
        observed_error=_jackknife(_observed, right),
        independent=float(right.var(axis=0, ddof=1).sum()) / examples**2,
        distribution=_distribution(right),
        distribution_error=_jackknife(_distribution, right),
        predicted=_poisson_binomial(rates),
    )


def _observed(right: Array) -> float:
    return float(right.mean(axis=1).var(ddof=1))


def _distribution(right: Array) -> float:
    examples = right.shape[1]
    alone = float(right.var(axis=0, ddof=1).sum())
    return float((examples**2 * _observed(right) - alone) / (examples * (examples - 1)))


def _jackknife(estimate: Callable[[Array], float], right: Array) -> float:
    """Standard error over the runs: sqrt((R - 1) / R sum (estimate without run r - their mean)^2)."""
    runs = len(right)
    without = np.array([estimate(np.delete(right, run, axis=0)) for run in range(runs)])
    return float(np.sqrt((runs - 1) / runs * ((without - without.mean()) ** 2).sum()))


def _poisson_binomial(rates: Array) -> Array:
    """Distribution of the number of successes of independent trials, (n + 1,), one trial after the other."""
    probability = np.zeros(len(rates) + 1)
    probability[0] = 1.0
    for rate in rates:
        probability[1:] = probability[1:] * (1 - rate) + probability[:-1] * rate
        probability[0] *= 1 - rate
    return probability
