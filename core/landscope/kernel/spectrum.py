"""What a Gram matrix says: how many directions it uses, and how far it agrees with another."""

from __future__ import annotations

import numpy as np

__all__ = ["alignment", "block_cosines", "centred", "class_borders", "effective_rank", "label_gram"]


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


def block_cosines(gram: np.ndarray, labels: np.ndarray | None, blocks: int = 64) -> np.ndarray | None:
    """K_ij / sqrt(K_ii K_jj) (b, b), averaged over at most `blocks` blocks of examples ordered by class.

    The cosine between the gradients on two examples: how far a step on the one is a step on the other. Examples whose
    gradient is zero are left out.

    Args:
        gram: (n, n) symmetric, with one row for each example.
        labels: (n,) classes; None keeps the order.
        blocks: Most rows of the result.

    Returns:
        The block means, float32; None where every gradient is zero.
    """
    order = _order(gram, labels)
    if not len(order):
        return None
    lengths = np.sqrt(np.diag(gram)[order])
    cosines = gram[np.ix_(order, order)] / np.outer(lengths, lengths)
    edges = np.linspace(0, len(order), min(blocks, len(order)) + 1).round().astype(int)
    sums = np.add.reduceat(np.add.reduceat(cosines, edges[:-1], axis=0), edges[:-1], axis=1)
    sizes = np.diff(edges)
    means: np.ndarray = (sums / np.outer(sizes, sizes)).astype(np.float32)
    return means


def class_borders(gram: np.ndarray, labels: np.ndarray | None, blocks: int = 64) -> tuple[float, ...]:
    """Where the classes of `block_cosines` border on one another, from 0 to its number of blocks."""
    if labels is None:
        return ()
    ordered = labels[_order(gram, labels)]
    inner = np.flatnonzero(np.diff(ordered)) + 1
    return tuple(float(place) * min(blocks, len(ordered)) / len(ordered) for place in inner)


def _order(gram: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """Examples with a gradient, by class."""
    order = np.arange(len(gram)) if labels is None else np.argsort(labels, kind="stable")
    kept: np.ndarray = order[np.diag(gram)[order] > 0]
    return kept
