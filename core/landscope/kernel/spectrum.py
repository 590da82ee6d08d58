"""What a Gram matrix says: how many directions it uses, and how far it agrees with another."""

from __future__ import annotations

import numpy as np

__all__ = ["alignment", "centred", "effective_rank", "label_gram"]


def effective_rank(eigenvalues: np.ndarray) -> float:
    """(sum lambda)^2 / sum lambda^2, between 1 and the number of eigenvalues; 0 for a kernel that is zero."""
    squares = float((eigenvalues**2).sum())
    return float(eigenvalues.sum()) ** 2 / squares if squares > 0 else 0.0


def alignment(gram: np.ndarray, other: np.ndarray) -> float | None:
    """Centred kernel alignment <HKH, HLH>_F / (|HKH|_F |HLH|_F) with H = I - 11^T/n, in [-1, 1].

    Both sides are centred, in rows and in columns (Cortes, Mohri and Rostamizadeh 2012; Kornblith et al. 2019 call it
    CKA), so that a kernel's alignment with itself is 1 and a constant added to a kernel changes nothing.

    Args:
        gram: (n, n) symmetric.
        other: (n, n) symmetric.

    Returns:
        The alignment; None where one of the kernels is constant, so that nothing is left after centring.

    Raises:
        ValueError: if the shapes differ or are not square.
    """
    if gram.shape != other.shape or gram.ndim != 2 or gram.shape[0] != gram.shape[1]:
        raise ValueError(f"alignment needs two square matrices of one shape, got {gram.shape} and {other.shape}")
    first, second = centred(gram), centred(other)
    lengths = float(np.linalg.norm(first)), float(np.linalg.norm(second))
    rounding = len(gram) * np.finfo(np.float64).eps
    if lengths[0] <= rounding * np.linalg.norm(gram) or lengths[1] <= rounding * np.linalg.norm(other):
        return None
    return float((first * second).sum() / (lengths[0] * lengths[1]))


def label_gram(labels: np.ndarray) -> np.ndarray:
    """Y Y^T (n, n) of one-hot labels: 1 where two examples have the same class."""
    same: np.ndarray = labels[:, None] == labels[None, :]
    return same.astype(np.float64)


def centred(gram: np.ndarray) -> np.ndarray:
    """HKH with H = I - 11^T/n, in float64: the kernel of features less their mean."""
    rows = gram.astype(np.float64) - gram.mean(axis=0, keepdims=True, dtype=np.float64)
    result: np.ndarray = rows - rows.mean(axis=1, keepdims=True)
    return result
