"""Two components in the losses of single examples, by which wrong labels show."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from landscope.measurements import ExampleScores, LossMixture
from landscope.measurements.examples import log_density

__all__ = ["label_noise"]

Array = NDArray[np.float64]

_INSIDE = 1e-4  # distance of scaled losses from 0 and 1, where a beta density may be infinite
_LEAST_WIDTH = 1e-3  # of a component, in scaled losses
_ITERATIONS = 200
_TOLERANCE = 1e-6  # of the mean log-likelihood


_FAMILIES = ("beta", "gaussian")


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
    upper = (values > (values.min() + values.max()) / 2).astype(np.float64)
    noisy, before = 0.05 + 0.9 * upper, -np.inf
    for iterations in range(1, _ITERATIONS + 1):  # noqa: B007 told at the end
        weights = np.stack([1 - noisy, noisy])
        shares = np.clip(weights.mean(1), 1e-12, 1)
        parameters = np.stack([_matched(family, values, weight) for weight in weights])
        logs = np.stack([log_density(family, one, values) for one in parameters]) + np.log(shares)[:, None]
        totals = np.logaddexp(*logs)
        noisy = np.exp(logs[1] - totals)
        if abs(totals.mean() - before) < _TOLERANCE:
            break
        before = totals.mean()
    single = log_density(family, _matched(family, values, np.ones_like(values)), values).mean()
    means = parameters[:, 0] / parameters.sum(1) if family == "beta" else parameters[:, 0]
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


def _matched(family: str, values: Array, weights: Array) -> Array:
    """The parameters of the distribution with the weighted mean and variance."""
    mean = float(np.average(values, weights=weights))
    variance = max(float(np.average((values - mean) ** 2, weights=weights)), _LEAST_WIDTH**2)
    if family == "gaussian":
        return np.array([mean, variance**0.5])
    total = mean * (1 - mean) / min(variance, 0.99 * mean * (1 - mean)) - 1
    return np.array([mean * total, (1 - mean) * total])
