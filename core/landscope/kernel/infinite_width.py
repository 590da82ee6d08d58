"""The kernels of infinitely wide fully connected networks, by recursion over the layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

__all__ = ["InfiniteKernels", "infinite_width"]

Activation = Literal["relu", "erf"]


class InfiniteKernels(NamedTuple):
    """The two kernels of a network as its width goes to infinity.

    Attributes:
        nngp: (n, m) covariance of an output at initialisation (Lee et al. 2018).
        ntk: (n, m) the tangent kernel of an output, then and throughout training (Jacot et al. 2018).
    """

    nngp: np.ndarray
    ntk: np.ndarray


def infinite_width(
    x: np.ndarray,
    other: np.ndarray | None = None,
    *,
    depth: int = 1,
    activation: Activation = "relu",
    weight_variance: float = 1.0,
    bias_variance: float = 0.0,
) -> InfiniteKernels:
    """The covariance and the tangent kernel of a wide network in the NTK parametrisation.

    With h^1 = s_w W^1 x / sqrt(d) + s_b b^1 and h^(l+1) = s_w W^(l+1) phi(h^l) / sqrt(width) + s_b b^(l+1), everything
    drawn from N(0, 1), and expectations over a Gaussian pair (u, v) with covariance Sigma^l,

        Sigma^1 = s_w^2 x . x' / d + s_b^2,      Sigma^(l+1) = s_w^2 E[phi(u) phi(v)] + s_b^2,
        Theta^1 = Sigma^1,                       Theta^(l+1) = Sigma^(l+1) + s_w^2 E[phi'(u) phi'(v)] Theta^l,

    in closed form for ReLU (Cho and Saul 2009) and erf (Williams 1997).

    Args:
        x: (n, d) inputs.
        other: (m, d) inputs of the other side; by default `x`.
        depth: Number of hidden layers; 0 is a linear network.
        activation: "relu" or "erf".
        weight_variance: s_w^2; 2 keeps the scale through layers of ReLU.
        bias_variance: s_b^2.

    Raises:
        ValueError: if the inputs are not matrices of one width, or an option is unknown or negative.
    """
    columns = x if other is None else other
    if x.ndim != 2 or columns.ndim != 2 or x.shape[1] != columns.shape[1]:
        raise ValueError(f"inputs must be (n, d) and (m, d), got shapes {x.shape} and {columns.shape}")
    if depth < 0 or weight_variance < 0 or bias_variance < 0:
        raise ValueError(
            f"depth and variances must not be negative, got {depth}, {weight_variance} and {bias_variance}"
        )
    if activation not in _EXPECTATIONS:
        raise ValueError(f"activation must be one of {', '.join(_EXPECTATIONS)}, got {activation!r}")
    expectations = _EXPECTATIONS[activation]
    rows, columns = x.astype(np.float64), columns.astype(np.float64)
    width = rows.shape[1]
    sigma = weight_variance * rows @ columns.T / width + bias_variance
    left, right = (weight_variance * (side**2).sum(1) / width + bias_variance for side in (rows, columns))
    theta = sigma
    for _ in range(depth):
        products, slopes = expectations(sigma, left[:, None], right[None, :])
        sigma = weight_variance * products + bias_variance
        theta = sigma + weight_variance * slopes * theta
        left, right = (
            weight_variance * np.diagonal(expectations(np.diag(side), side[:, None], side[None, :])[0]) + bias_variance
            for side in (left, right)
        )
    return InfiniteKernels(sigma, theta)


def _relu(sigma: np.ndarray, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E[phi phi] and E[phi' phi'] of a pair with covariance sigma and variances left and right."""
    scale = np.sqrt(left * right)
    cosine = np.clip(np.divide(sigma, scale, out=np.zeros_like(sigma), where=scale > 0), -1, 1)
    angle = np.arccos(cosine)
    products = scale * (np.sqrt(1 - cosine**2) + (np.pi - angle) * cosine) / (2 * np.pi)
    return products, (np.pi - angle) / (2 * np.pi)


def _erf(sigma: np.ndarray, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `_relu`."""
    scale = (1 + 2 * left) * (1 + 2 * right)
    products = 2 / np.pi * np.arcsin(np.clip(2 * sigma / np.sqrt(scale), -1, 1))
    return products, 4 / np.pi / np.sqrt(scale - 4 * sigma**2)


_EXPECTATIONS: dict[str, Callable[..., tuple[np.ndarray, np.ndarray]]] = {"relu": _relu, "erf": _erf}
