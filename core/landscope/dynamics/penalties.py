"""Penalties that keep weights like those of a network that has not learned anything yet."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["spectral_penalty", "wasserstein_penalty"]


def wasserstein_penalty(parameters: Mapping[str, Tensor], start: Mapping[str, Tensor]) -> Tensor:
    """Sum over parameters of sum_i (w_(i) - v_(i))^2, the elements w and those v at the start both sorted.

    That is each parameter's squared 2-Wasserstein distance from its distribution at the start, times its size: weights
    may change places at no cost, which a pull to the initial weights would not let them (Lewandowski et al. 2024,
    "Learning Continually by Spectral Regularization", arXiv 2406.06811).

    Args:
        parameters: By name.
        start: What they were, by the same names.
    """
    gaps = [weight.flatten().sort().values - start[name].flatten().sort().values for name, weight in parameters.items()]
    return torch.stack([gap.square().sum() for gap in gaps]).sum()


def spectral_penalty(parameters: Mapping[str, Tensor]) -> Tensor:
    """Sum over matrices of (sigma_1^2 - 1)^2, with sigma_1 the largest singular value, and over biases b of |b|^4.

    It keeps the largest singular value of every layer near one, where initialisations have it and gradients of
    different examples differ (Lewandowski et al. 2024, arXiv 2406.06811). Kernels of a convolution are matrices with a
    row for each filter. Gains of normalisation layers would be driven to zero: leave them out.

    Args:
        parameters: Weights and biases, by name.
    """
    terms = [
        (torch.linalg.matrix_norm(weight.flatten(1), 2).square() - 1).square()
        if weight.ndim > 1
        else weight.square().sum().square()
        for weight in parameters.values()
    ]
    return torch.stack(terms).sum()
