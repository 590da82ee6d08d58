"""How far a picture of points keeps their neighbourhoods."""

from __future__ import annotations

import numpy as np

__all__ = ["trustworthiness"]

_ROWS_AT_ONCE = 2**24  # comparisons held at once


def trustworthiness(features: np.ndarray, points: np.ndarray, neighbours: int) -> float:
    """T(k) = 1 - 2 / (n k (2n - 3k - 1)) sum_i sum_{j in U_i} (r(i, j) - k), Venna and Kaski 2001.

    U_i are those of the k points nearest to i in the picture that are not among its k nearest in the features, and
    r(i, j) says that j is the r-th nearest to i in the features. One means that every neighbour in the picture is one;
    chance is about a half.

    Scikit-learn has the same score; here it is because it is wanted several times a second from the first moment on.

    Args:
        features: (n, d) points in the space they come from.
        points: (n, 2 or 3) the picture.
        neighbours: The k, less than n / 2.

    Raises:
        ValueError: if k is not between 1 and n / 2.
    """
    n, k = len(features), neighbours
    if not 1 <= k < n / 2:
        raise ValueError(f"neighbours must be at least 1 and less than half of {n} points, got {k}")
    apart, drawn = _distances(features), _distances(points)
    np.fill_diagonal(drawn, np.inf)
    nearest = np.argpartition(drawn, k - 1, axis=1)[:, :k]
    reach = np.take_along_axis(apart, nearest, axis=1)  # (n, k) feature distances of the picture's neighbours
    excess = 0
    for rows in np.array_split(np.arange(n), -(-n * n * k // _ROWS_AT_ONCE)):
        # The point itself, at distance zero, is closer too, so that counting starts at one; equal points rank first.
        ranks = (apart[rows, None, :] < reach[rows, :, None]).sum(axis=2)
        excess += int(np.maximum(ranks - k, 0).sum())
    return 1.0 - 2.0 / (n * k * (2 * n - 3 * k - 1)) * excess


def _distances(values: np.ndarray) -> np.ndarray:
    """Squared distances (n, n); exactly zero on the diagonal."""
    centred = values - values.mean(axis=0)
    squares = np.square(centred).sum(axis=1)
    apart: np.ndarray = np.maximum(squares[:, None] + squares[None, :] - 2 * centred @ centred.T, 0)
    np.fill_diagonal(apart, 0)
    return apart
