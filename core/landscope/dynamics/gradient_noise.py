"""How much the gradients of single examples differ, and which batch size that calls for."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from landscope.dynamics.example_gradients import example_grams
from landscope.dynamics.groups import Groups, masks_of
from landscope.measurements import GradientStatistics
from landscope.objective import Objective

__all__ = ["gradient_statistics", "two_batch_estimates"]

_ROUNDS = 8  # random divisions of the examples into batches of each size
_BATCHES = 32  # at most so many batches of each division

Numbers = TypeVar("Numbers", float, NDArray[np.float64])


def two_batch_estimates(small: Numbers, big: Numbers, small_size: float, big_size: float) -> tuple[Numbers, Numbers]:
    """Unbiased estimates of |G|^2 and tr Sigma from the gradients of batches of two sizes.

    A batch of B independent examples has E|g_B|^2 = |G|^2 + tr(Sigma) / B, so that

        |G|^2     = (B |g_B|^2 - b |g_b|^2) / (B - b)
        tr Sigma  = (|g_b|^2 - |g_B|^2) / (1/b - 1/B)

    (McCandlish, Kaplan, Amodei et al. 2018, arXiv 1812.06162, appendix A.1). Their ratio, averaged over steps above and
    below before it is taken, is the noise scale. In data-parallel training b is a device's share of the batch B.

    Args:
        small: |g_b|^2, or its mean over batches.
        big: |g_B|^2.
        small_size: b.
        big_size: B.

    Raises:
        ValueError: if not 0 < b < B.
    """
    if not 0 < small_size < big_size:
        raise ValueError(f"batch sizes must be 0 < small < big, got {small_size} and {big_size}")
    squared = (big_size * big - small_size * small) / (big_size - small_size)
    return squared, (small - big) / (1 / small_size - 1 / big_size)


def gradient_statistics(
    objective: Objective, n: int = 256, *, theta: Tensor | None = None, groups: Groups | None = None, seed: int = 0
) -> GradientStatistics:
    """Norm, covariance, signal-to-noise, noise scale and directions of the gradients g_i of single examples.

    All follows from the inner products of n of them, which stand for the N of the objective:

        |G|^2 = mean of g_i . g_j over i != j          tr Sigma = mean |g_i|^2 - |G|^2          B = tr Sigma / |G|^2

    The noise scale B estimates the critical batch size: far below it, twice the batch is as good as two steps; far
    above, it is no better than one (McCandlish et al. 2018, arXiv 1812.06162, where this is B_simple, exact if the
    Hessian is a multiple of the identity). Batches are compared by their cosine with the full gradient and by the
    direction variance of Liu et al. 2023 ("Dropout Reduces Underfitting", arXiv 2303.01500).

    Args:
        objective: The training data.
        n: Examples measured, a subset that is the same at every call; n^2 numbers for each layer.
        theta: Where, (P,); the model's weights at this moment if left out.
        groups: Groups of the objective's examples, as masks or positions by name; by default its classes.
        seed: Chooses the subset and the batches.

    Raises:
        ValueError: if n is below 3, a group does not fit the examples, or the gradients of single examples are not
            defined (see `example_grams`).
        TypeError: if the model's output is not a tensor.
    """
    if min(n, objective.examples) < 3:
        raise ValueError(f"gradient statistics need at least 3 examples, got {min(n, objective.examples)}")
    probe = objective.sample(n, seed=seed)
    chosen = objective.sampled(n, seed=seed)
    masks = {name: mask[chosen].numpy() for name, mask in masks_of(objective, groups).items()}
    members = {"all": np.ones(len(chosen), bool)} | {name: mask for name, mask in masks.items() if mask.any()}
    with probe.measuring() as meter:
        layers = example_grams(probe, theta)
        grams = np.stack([gram.numpy() for gram in layers.values()])
        moments = [_moments(grams[:, mask][:, :, mask]) for mask in members.values()]
        columns = (np.stack(column) for column in zip(*moments, strict=True))
        norms, squared, squared_errors, traces, trace_errors, scales, scale_errors = columns
        sizes, cosines, deviations, variances = _batches(grams[0], np.random.default_rng(seed))
        return GradientStatistics(
            provenance=meter.provenance("inner products of single examples' gradients", seed=seed),
            groups=tuple(members),
            counts=np.array([mask.sum() for mask in members.values()]),
            layers=tuple(layers),
            norms=norms,
            squared_norms=squared,
            squared_norm_errors=squared_errors,
            traces=traces,
            trace_errors=trace_errors,
            noise_scales=scales,
            noise_scale_errors=scale_errors,
            batch_sizes=sizes,
            batch_cosines=cosines,
            batch_cosine_deviations=deviations,
            direction_variances=variances,
        )


def _moments(grams: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Of Gram matrices (L, m, m): norms, |G|^2, tr Sigma and their ratio, each (L,), the last three with errors."""
    own, rows = np.diagonal(grams, axis1=1, axis2=2), grams.sum(2)
    m, unknown = grams.shape[1], np.full(len(grams), np.nan)
    norms = np.sqrt(np.maximum(rows.sum(1), 0)) / m
    if m < 2:
        return norms, *[unknown] * 6
    squared, trace = two_batch_estimates(own.mean(1), rows.sum(1) / m**2, 1, m)
    found = (squared, trace, _ratio(trace, squared))
    errors = [unknown] * 3
    if m > 2:  # without each example in turn
        totals = rows.sum(1, keepdims=True) - 2 * rows + own
        diagonals = own.sum(1, keepdims=True) - own
        left, left_trace = two_batch_estimates(diagonals / (m - 1), totals / (m - 1) ** 2, 1, m - 1)
        errors = [_jackknife(values) for values in (left, left_trace, _ratio(left_trace, left))]
    return norms, *(part for pair in zip(found, errors, strict=True) for part in pair)


def _ratio(trace: NDArray[np.float64], squared: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.divide(trace, squared, out=np.full(trace.shape, np.inf), where=squared > 0)
    return ratio


def _jackknife(left: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard errors (L,) of estimates, from their values (L, m) without each of m examples."""
    m = left.shape[1]
    with np.errstate(invalid="ignore"):
        errors: NDArray[np.float64] = np.sqrt((m - 1) * left.var(1))
    return np.where(np.isfinite(errors), errors, np.nan)


def _batches(gram: NDArray[np.float64], rng: np.random.Generator) -> tuple[NDArray[np.float64], ...]:
    """Batch sizes, mean and deviation of the cosines with the full gradient, and direction variances, each (m,)."""
    n = len(gram)
    sizes = [2**power for power in range(n.bit_length()) if 2**power <= n // 2]
    full, length = gram.mean(1), np.sqrt(max(gram.mean(), 0.0))
    found = []
    for size in sizes:
        along, apart = [], []
        for _ in range(_ROUNDS):
            batches = rng.permutation(n)[: min(n // size, _BATCHES) * size].reshape(-1, size)
            products = gram[batches].mean(1)[:, batches].mean(2)
            lengths = np.sqrt(np.maximum(np.diagonal(products), 0))
            with np.errstate(divide="ignore", invalid="ignore"):
                along.append(full[batches].mean(1) / (lengths * length))
                cosines = products / np.outer(lengths, lengths)
            apart.append((1 - cosines[np.triu_indices(len(batches), 1)]) / 2)
        found.append([np.mean(along), np.std(along), np.mean(apart)])
    return np.array(sizes), *np.array(found).T
