"""Where neural collapse ends on unequal classes: the minimum of squared error over free features and a linear head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

__all__ = ["OrthogonalFrame", "orthogonal_frame"]


class OrthogonalFrame(NamedTuple):
    """The minimum: features of a class are one vector, and those of two classes are orthogonal.

    Attributes:
        lengths: (C,) of the features that the last layer reads, 0 for a class that the decay puts out.
        outputs: (C,) the network's output p_c for the right class; that for others is 0.
    """

    lengths: NDArray[np.float64]
    outputs: NDArray[np.float64]


def orthogonal_frame(
    counts: Sequence[int], *, weight_decay: float, feature_decay: float, layers: int = 1
) -> OrthogonalFrame:
    """The minimum of squared error over free features H and a linear head W_M ... W_1, with decay on all of them.

    What is least is

        1/(2N) |W_M ... W_1 H - Y|_F^2 + weight_decay/2 sum_j |W_j|_F^2 + feature_decay/2 |H|_F^2

    with H (d, N), d >= C, one-hot targets Y (C, N), n_c examples of class c, and no biases (Dang et al. 2023, "Neural
    Collapse in Deep Linear Networks: From Balanced to Imbalanced Data"). For a given product Z the least of the decays
    is (L/2) b^(1/L) sum_c s_c^(2/L), with s the singular values of Z, L = M + 1, b = weight_decay^M feature_decay:
    every factor then has the same part of it in each singular direction. That does not depend on Z's singular vectors,
    so Z has those of Y, whose singular values are sqrt(n_c), and each class stands alone: with s_c = p_c sqrt(n_c),

        p_c minimises n_c/(2N) (1 - p)^2 + (L/2) (b n_c p^2)^(1/L),

    and with q_c = (b n_c p_c^2)^(1/L) = weight_decay w_c^2 of each layer, the last reads features of length
    p_c / w_c = p_c sqrt(weight_decay / q_c). For one layer p_c = 1 - N sqrt(weight_decay feature_decay / n_c), and 0
    where that is negative: minority collapse.

    A linear network on N whitened inputs, X X^T / N = 1, is this problem: its first layer A makes features sqrt(N) A
    in the inputs' frame, so that feature_decay is weight_decay / N.

    Args:
        counts: Examples n_c of each class.
        weight_decay: Of each layer of the head.
        feature_decay: Of the features.
        layers: Number M of linear layers after the features.

    Raises:
        ValueError: if a count, a decay or the number of layers is not positive.
    """
    if min(counts, default=0) < 1 or layers < 1 or not (weight_decay > 0 and feature_decay > 0):
        raise ValueError(
            f"counts, layers and decays must be positive, got counts {list(counts)}, {layers} layers, weight_decay "
            f"{weight_decay} and feature_decay {feature_decay}"
        )
    total, depth = sum(counts), layers + 1
    lengths, outputs = [], []
    for count in counts:
        scale = (weight_decay**layers * feature_decay * count) ** (1 / depth)
        output = _output(scale * total / count, depth)
        outputs.append(output)
        lengths.append(output ** (1 - 1 / depth) * np.sqrt(weight_decay / scale))
    return OrthogonalFrame(np.array(lengths), np.array(outputs))


def _output(decay: float, depth: int) -> float:
    """The p in [0, 1] that minimises (1 - p)^2 / 2 + (L/2) decay p^(2/L): where (1 - p) p^(1 - 2/L) = decay, or 0."""
    power = 1 - 2 / depth
    turn = power / (1 + power)  # where the left side is largest: the minimum is between this and 1

    def excess(p: float) -> float:
        return float((1 - p) * p**power - decay)

    if excess(turn) <= 0:
        return 0.0
    p = float(brentq(excess, turn, 1.0, xtol=1e-15))
    return p if (1 - p) ** 2 + depth * decay * p ** (2 / depth) < 1 else 0.0
