"""Estimators that use every product twice: each probe is tried on the range that all the others span.

Epperly, Tropp and Webber 2024, "XTrace: making the most of every sample in stochastic trace estimation".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from landscope.curvature.hutchinson import Moments, images
from landscope.curvature.probes import rademacher_probes
from landscope.derivatives import Operator, accumulator

__all__ = ["RangeSketch", "xdiag", "xtrace"]

_COLUMNS = 2**16  # summed in float64 at once


@dataclass(frozen=True)
class RangeSketch:
    """An orthonormal basis Q of the range of A Omega for random signs Omega, and its products: 2 n of them.

    Attributes:
        probes: Omega, (n, P).
        basis: Q, (n, P); A Omega = Q R.
        images: A Q, (n, P).
        triangle: R, (n, n).
        removed: (n, n), in columns s_i: the unit vector for which Q s_i is orthogonal to all columns of A Omega but
            the i-th, so that Q (1 - s_i s_i^T) Q^T projects on what the others span. Zero where A Omega has not the
            rank n: its range is then that of A, and no probe adds to it.
    """

    probes: Tensor
    basis: Tensor
    images: Tensor
    triangle: np.ndarray
    removed: np.ndarray

    @classmethod
    def of(cls, product: Operator, like: Tensor, budget: int, generator: torch.Generator) -> RangeSketch:
        """From `budget` // 2 probes for vectors like `like` (P,)."""
        probes = rademacher_probes(budget // 2, like, generator)
        orthonormal, upper = torch.linalg.qr(images(product, probes).T)
        basis, triangle = orthonormal.T.contiguous(), upper.double().cpu().numpy()
        pivots = np.abs(np.diag(triangle))
        removed = np.zeros_like(triangle)
        if pivots.min() > len(pivots) * torch.finfo(like.dtype).eps * pivots.max():
            removed = np.linalg.inv(triangle).T
            removed /= np.linalg.norm(removed, axis=0)
        return cls(probes, basis, images(product, basis), triangle, removed)


def xtrace(product: Operator, like: Tensor, budget: int, generator: torch.Generator) -> Moments:
    """XTrace of A and of A^2: for each probe, exact on the range of the others' images, and the probe on the rest.

    With the projection Pi_i on that range and w_i = (1 - Pi_i) omega_i, the samples are tr Pi_i A Pi_i + w_i^T A w_i
    and tr Pi_i A^2 Pi_i + |A w_i|^2. Their scatter is the error estimate; as they share all but one of their probes, it
    can be some tens of per cent too small.
    """
    sketch = RangeSketch.of(product, like, budget, generator)
    R, S = sketch.triangle, sketch.removed
    W = _inner_products(sketch.basis, sketch.probes)
    H = _inner_products(sketch.basis, sketch.images)
    K = _inner_products(sketch.images, sketch.images)
    C = W - S * (S * W).sum(0)  # Pi_i omega_i = Q c_i
    traces = np.trace(H) - _forms(S, H) + (W * R).sum(0) - 2 * (C * R).sum(0) + _forms(C, H)
    squares = np.trace(K) - _forms(S, K) + (R**2).sum(0) - 2 * (R * (H @ C)).sum(0) + _forms(C, K)
    return Moments.of_samples(traces, squares)


def xdiag(product: Operator, like: Tensor, budget: int, generator: torch.Generator) -> Tensor:
    """XDiag: n samples (n, P) of the diagonal of A, diag(Pi_i A) + omega_i * (1 - Pi_i) A omega_i.

    Here A omega_i - Pi_i A omega_i = Q s_i (s_i^T r_i).
    """
    sketch = RangeSketch.of(product, like, budget, generator)
    S = torch.as_tensor(sketch.removed).to(like)
    shares = torch.as_tensor((sketch.removed * sketch.triangle).sum(0)).to(like)
    own = S.T @ sketch.basis  # (Q s_i)^T, (n, P)
    samples = own * (sketch.probes * shares[:, None] - S.T @ sketch.images)
    return samples.add_((sketch.basis * sketch.images).sum(0))


def _inner_products(one: Tensor, other: Tensor) -> np.ndarray:
    """(n, m) inner products of the rows of (n, P) and (m, P), summed in float64."""
    kind = accumulator(one)
    total = torch.zeros(len(one), len(other), dtype=kind, device=one.device)
    for left, right in zip(one.split(_COLUMNS, dim=1), other.split(_COLUMNS, dim=1), strict=True):
        total += left.to(kind) @ right.to(kind).T
    return total.double().cpu().numpy()


def _forms(columns: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """c^T M c for each of the columns."""
    forms: np.ndarray = (columns * (matrix @ columns)).sum(0)
    return forms
