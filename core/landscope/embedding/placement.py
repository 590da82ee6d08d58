"""Laying one picture of points over another, so that what moves on the screen is what moved in the network."""

from __future__ import annotations

import numpy as np

__all__ = ["laid_over"]


def laid_over(points: np.ndarray, previous: np.ndarray, *, scaled: bool) -> np.ndarray:
    """The points turned and reflected to lie as close as possible to `previous`, in the sense of least squares.

    With centred X and Y and X^T Y = U S V^T, the rotation is R = U V^T (Schoenemann 1966). Centred points stay so;
    `scaled` also scales them by tr(S) / |X|^2 and moves them to the centre of `previous`, for pictures whose scale and
    place mean nothing.

    Args:
        points: (n, d).
        previous: (n, d), the same points before.
        scaled: Whether scale and place are free too.
    """
    centre, middle = points.mean(axis=0), previous.mean(axis=0)
    left, singular, right = np.linalg.svd((points - centre).T @ (previous - middle))
    turned: np.ndarray = (points - centre) @ (left @ right)
    length = float((turned**2).sum())
    scale = float(singular.sum()) / length if scaled and length > 0 else 1.0
    moved: np.ndarray = turned * scale + (middle if scaled else centre)
    return moved
