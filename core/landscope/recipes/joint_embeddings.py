"""Learning from pairs of views: linear Barlow Twins with its closed form, and small encoders trained by SimCLR."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

__all__ = [
    "Encoders",
    "augmented",
    "contrastive_losses",
    "cross_moment",
    "half_times",
    "linear_twins",
    "logistic",
    "starting_sizes",
]


def augmented(images: Tensor, generator: torch.Generator, *, shift: int = 1, noise: float = 0.3) -> Tensor:
    """Views (n, h w) of images (n, 1, h, w): moved by up to `shift` pixels at random, with Gaussian noise added.

    What comes into view has the images' least value.
    """
    count, _, height, width = images.shape
    wider = nn.functional.pad(images[:, 0], (shift,) * 4, value=float(images.min()))
    moves = torch.randint(0, 2 * shift + 1, (2, count), generator=generator)
    rows, columns = (moves[0, :, None] + torch.arange(height), moves[1, :, None] + torch.arange(width))
    moved = wider[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    drawn = torch.randn(moved.shape, generator=generator, dtype=images.dtype)
    return (moved + noise * drawn).flatten(1).to(images.device)


def cross_moment(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Gamma = (X^T X' + X'^T X) / (2n) of n pairs of views X, X' (n, D), both less their common mean."""
    mean = (first.mean(axis=0) + second.mean(axis=0)) / 2
    product = (first - mean).T @ (second - mean) / len(first)
    symmetric: np.ndarray = (product + product.T) / 2
    return symmetric


def linear_twins(
    weights: np.ndarray, gamma: np.ndarray, rate: float, moments: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradient descent on L = |W Gamma W^T - I|^2, Barlow Twins' loss with lambda = 1 of the embedding W x.

    Args:
        weights: (k, D) W of the beginning.
        gamma: (D, D) of `cross_moment`.
        rate: Learning rate; the gradient is 4 (W Gamma W^T - I) W Gamma.
        moments: (T,) steps, ascending, before which to look.

    Returns:
        (T, k) eigenvalues of W Gamma W^T, the largest first; (T,) losses; (k, D) the last weights.
    """
    eigenvalues, losses, step = [], [], 0
    for moment in moments:
        for _ in range(moment - step):
            carried = weights @ gamma
            weights = weights - 4 * rate * (carried @ weights.T @ carried - carried)
        step = moment
        correlation = weights @ gamma @ weights.T
        eigenvalues.append(np.linalg.eigvalsh(correlation)[::-1])
        losses.append(np.square(correlation - np.eye(len(weights))).sum())
    return np.array(eigenvalues), np.array(losses), weights


def starting_sizes(weights: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """The sizes s_j (k,) from which the modes grow: |R_jj| of the QR decomposition of W (v_1 ... v_k).

    Of W v_j only what is orthogonal to the modes that have grown before counts: the others hold it down as soon as they
    have reached one (Simon et al. 2023, section 4).

    Args:
        weights: (k, D) the initial weights, small.
        modes: (D, k) eigenvectors of Gamma, of the largest eigenvalues first.
    """
    sizes: np.ndarray = np.abs(np.diag(np.linalg.qr(weights @ modes)[1]))
    return sizes


def logistic(gamma: np.ndarray, sizes: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Eigenvalues (T, k) at times t = rate x steps, of modes with eigenvalues gamma (k,) that start at gamma s^2.

    If W = U diag(s) (v_1 ... v_k)^T, gradient flow keeps that form with d s_j / dt = -4 (lambda_j - 1) gamma_j s_j, so
    that lambda_j = gamma_j s_j^2 has d lambda_j / dt = 8 gamma_j lambda_j (1 - lambda_j): a logistic curve.
    """
    left = 8 * gamma * (half_times(gamma, sizes) - np.asarray(times)[:, None])
    grown: np.ndarray = 1 / (1 + np.exp(np.clip(left, -700, 700)))
    return grown


def half_times(gamma: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """When each of those curves is at a half: log(1 / (gamma s^2) - 1) / (8 gamma), (k,)."""
    times: np.ndarray = np.log(1 / (gamma * sizes**2) - 1) / (8 * gamma)
    return times


class Encoders(nn.Module):
    """K encoders with the same initial weights: two layers of ReLU units, and embeddings of length one.

    The embedding is z = (e + g(x)) / |e + g(x)| with a fixed direction e and an output g = W^T h / sqrt(width) of the
    second layer's h, whose weights W begin small: all examples begin at nearly the same point, from which training has
    to lead them.

    Args:
        copies: K.
        inputs: Values of an example.
        width: Units of each of the two layers.
        outputs: Dimensions of the embedding.
        scale: Standard deviation of W at the start.
        generator: Of the initial weights.
    """

    def __init__(
        self, copies: int, inputs: int, width: int, outputs: int, scale: float, generator: torch.Generator
    ) -> None:
        super().__init__()

        def drawn(into: int, out: int, deviation: float) -> nn.Parameter:
            return nn.Parameter((deviation * torch.randn(1, into, out, generator=generator)).repeat(copies, 1, 1))

        self.first = drawn(inputs, width, (2 / inputs) ** 0.5)
        self.second = drawn(width, width, (2 / width) ** 0.5)
        self.last = drawn(width, outputs, scale)
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(copies, 1, width)) for _ in range(2)])
        direction = torch.randn(outputs, generator=generator)
        self.direction: Tensor
        self.register_buffer("direction", direction / direction.norm())

    def forward(self, examples: Tensor) -> Tensor:
        """Embeddings (K, n, outputs) of examples (n, inputs)."""
        hidden = torch.relu(examples @ self.first + self.biases[0])
        hidden = torch.relu(hidden @ self.second + self.biases[1])
        return nn.functional.normalize(self.direction + hidden @ self.last / hidden.shape[2] ** 0.5, dim=2)


def contrastive_losses(units: Tensor, temperatures: Tensor) -> Tensor:
    """SimCLR's loss (K,) of K encoders on n pairs of views, each at its own temperature (Chen et al. 2020, NT-Xent).

    -log of the share exp(z_i z_j / tau) of the partner j among all others of i, averaged over the 2n views i.

    Args:
        units: (K, 2n, d) embeddings of length one; view i and view i + n are of one example.
        temperatures: (K,) tau.
    """
    count = units.shape[1]
    similar = units @ units.mT / temperatures[:, None, None]
    alone = torch.eye(count, dtype=torch.bool, device=units.device)
    partners = torch.arange(count, device=units.device).roll(count // 2)
    log_sums = similar.masked_fill(alone, -torch.inf).logsumexp(dim=2)
    return (log_sums - similar[:, torch.arange(count, device=units.device), partners]).mean(dim=1)
