"""Laying one picture of points over another, so that what moves on the screen is what moved in the network."""

from __future__ import annotations

import numpy as np

__all__ = ["laid_over", "rotation"]


def rotation(points: np.ndarray, previous: np.ndarray) -> np.ndarray:
    """The orthogonal matrix R (d, d), reflections included, for which |points R - previous| is least.

    With X^T Y = U S V^T it is U V^T (Schoenemann 1966).
    """
    left, _, right = np.linalg.svd(points.T @ previous)
    turn: np.ndarray = left @ right
    return turn


def laid_over(points: np.ndarray, previous: np.ndarray, *, scaled: bool, also: np.ndarray | None = None) -> np.ndarray:
    """The points turned and reflected to lie as close as possible to `previous`, in the sense of least squares.

    The rotation is that of the centred points. Centred points stay so; `scaled` also scales them by the factor that is
    best, <points R, previous> / |points|^2, and moves them to the centre of `previous`, for pictures whose scale and
    place mean nothing.

    Args:
        points: (n, d).
        previous: (n, d), the same points before.
        scaled: Whether scale and place are free too.
        also: (m, d) other points, which are moved in place of `points`, the same way.
    """
    centre, middle = points.mean(axis=0), previous.mean(axis=0)
    turn = rotation(points - centre, previous - middle)
    turned: np.ndarray = (points - centre) @ turn
    length = float((turned**2).sum())
    scale = float((turned * (previous - middle)).sum()) / length if scaled and length > 0 else 1.0
    every = turned if also is None else (also - centre) @ turn
    moved: np.ndarray = every * scale + (middle if scaled else centre)
    return moved
