"""Two components in the losses of single examples, by which wrong labels show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm

from landscope.measurements import ExampleScores, LossMixture

__all__ = ["label_noise"]

Array = NDArray[np.float64]

_INSIDE = 1e-4  # distance of scaled losses from 0 and 1, where a beta density may be infinite
_LEAST_WIDTH = 1e-3  # of a component, in scaled losses
_ITERATIONS = 200
_TOLERANCE = 1e-6  # of the mean log-likelihood


@dataclass(frozen=True)
class _Family:
    """A distribution: its log density by two parameters, and the parameters that have a mean and a variance."""

    log_density: Callable[[Array, Array], Array]
    fitted: Callable[[float, float], Array]
    mean: Callable[[Array], float]


def _beta_of_moments(mean: float, variance: float) -> Array:
    variance = min(variance, 0.99 * mean * (1 - mean))
    total = mean * (1 - mean) / variance - 1
    return np.array([mean * total, (1 - mean) * total])


_FAMILIES = {
    "beta": _Family(
        lambda x, p: np.asarray(beta.logpdf(x, p[0], p[1])), _beta_of_moments, lambda p: float(p[0] / (p[0] + p[1]))
    ),
    "gaussian": _Family(
        lambda x, p: np.asarray(norm.logpdf(x, p[0], p[1])),
        lambda mean, variance: np.array([mean, variance**0.5]),
        lambda p: float(p[0]),
    ),
}


def label_noise(scores: ExampleScores, *, family: Literal["beta", "gaussian"] = "beta") -> LossMixture:
    """Fits a mixture of two distributions to the examples' losses, by expectation maximisation.

    Networks fit right labels before wrong ones, so that for a while the losses of the two lie apart; the probability
    of the component with the larger losses is then that of a wrong label (Arazo et al. 2019, "Unsupervised Label Noise
    Modeling and Loss Correction", arXiv 1904.11238, with beta distributions; Li, Socher and Hoi 2020, "DivideMix",
    arXiv 2002.07394, with Gaussian ones). Losses are scaled between their least and greatest. Each maximisation matches
    the weighted mean and variance, which for beta distributions is not the likeliest fit, but close to it. It starts
    from the losses below and above their middle.

    Two components fit any distribution better than one: a `gain` near 0 or a `separation` well below 1 says that there
    are no two groups. Nor is a group of large losses a group of wrong labels: hard and rare examples have them too.

    Args:
        scores: Of a training set, in the middle of a training.
        family: "beta" or "gaussian".

    Raises:
        ValueError: if there are fewer than 4 examples, their losses are all equal, or one is not finite, or the family
            is another.
    """
    if family not in _FAMILIES:
        raise ValueError(f"family must be one of {', '.join(_FAMILIES)}, got {family!r}")
    losses = np.asarray(scores.losses, np.float64)
    if len(losses) < 4 or not np.isfinite(losses).all() or np.ptp(losses) == 0:
        raise ValueError("a mixture needs at least 4 finite losses that are not all equal")
    shift, scale = float(losses.min()), float(np.ptp(losses))
    values = np.clip((losses - shift) / scale, _INSIDE, 1 - _INSIDE)
    shape = _FAMILIES[family]
    upper = (values > (values.min() + values.max()) / 2).astype(np.float64)
    noisy, before = 0.05 + 0.9 * upper, -np.inf
    for iterations in range(1, _ITERATIONS + 1):  # noqa: B007 told at the end
        weights = np.stack([1 - noisy, noisy])
        shares = np.clip(weights.mean(1), 1e-12, 1)
        parameters = np.stack([_matched(shape, values, weight) for weight in weights])
        logs = np.stack([shape.log_density(values, one) for one in parameters]) + np.log(shares)[:, None]
        totals = np.logaddexp(*logs)
        noisy = np.exp(logs[1] - totals)
        if abs(totals.mean() - before) < _TOLERANCE:
            break
        before = totals.mean()
    single = shape.log_density(values, _matched(shape, values, np.ones_like(values))).mean()
    means = np.array([shape.mean(one) for one in parameters])
    if means[0] > means[1]:
        shares, parameters, means, noisy = shares[::-1], parameters[::-1], means[::-1], 1 - noisy
    slopes = noisy / shares[1] - (1 - noisy) / shares[0]  # of each log-likelihood by the second share
    return LossMixture(
        provenance=replace(scores.provenance, method=f"mixture of two {family} distributions of losses"),
        values=values,
        scale=scale,
        shift=shift,
        family=family,
        shares=shares.copy(),
        parameters=parameters.copy(),
        means=shift + scale * means,
        share_error=float(1 / np.sqrt((slopes**2).sum())),
        noisy=noisy,
        gain=float(totals.mean() - single),
        iterations=iterations,
    )


def _matched(shape: _Family, values: Array, weights: Array) -> Array:
    """The parameters of the distribution with the weighted mean and variance."""
    mean = float(np.average(values, weights=weights))
    variance = float(np.average((values - mean) ** 2, weights=weights))
    return shape.fitted(mean, max(variance, _LEAST_WIDTH**2))
