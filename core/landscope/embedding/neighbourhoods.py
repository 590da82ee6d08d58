"""Nearest neighbours of points, and how far a picture keeps them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["continuity", "nearest", "overlap", "trustworthiness"]

_AT_ONCE = 2**24  # distances or comparisons held at once


def nearest(values: Tensor, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest others of every point, exactly, by Euclidean distance.

    Distances are |x|^2 + |y|^2 - 2 <x, y> of centred points in float64, so that clusters far tighter than the distance
    between them keep their order; computed where `values` are, some rows at a time.

    Args:
        values: (n, d).
        neighbours: The k, less than n.

    Returns:
        Their indices (n, k), the nearest first, and distances (n, k); a point is none of its own neighbours, a
        duplicate of it is.

    Raises:
        ValueError: if k is not between 1 and n - 1.
    """
    n, k = len(values), neighbours
    if not 1 <= k < n:
        raise ValueError(f"neighbours must be at least 1 and less than the {n} points, got {k}")
    centred = values.detach().double()
    centred = centred - centred.mean(0)
    squares = centred.square().sum(1)
    indices, distances = [], []
    for rows in torch.arange(n, device=centred.device).split(max(1, _AT_ONCE // n)):
        apart = torch.addmm(squares, centred[rows], centred.T, alpha=-2).add_(squares[rows, None])
        apart[torch.arange(len(rows)), rows] = torch.inf
        found = apart.topk(k, largest=False)
        indices.append(found.indices)
        distances.append(found.values.clamp_min_(0).sqrt_())
    return torch.cat(indices).cpu().numpy(), torch.cat(distances).cpu().numpy()


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """|A & B| / |A | B| for each point's neighbours A and B, indices (n, k) without repetition: (n,) in [0, 1]."""
    common = (first[:, :, None] == second[:, None, :]).sum(axis=(1, 2))
    shares: np.ndarray = common / (first.shape[1] + second.shape[1] - common)
    return shares


def trustworthiness(features: np.ndarray, points: np.ndarray, neighbours: int, rows: np.ndarray | None = None) -> float:
    """T(k) = 1 - 2 / (n k (2n - 3k - 1)) sum_i sum_{j in U_i} (r(i, j) - k), Venna and Kaski 2001.

    U_i are those of the k points nearest to i in the picture that are not among its k nearest in the features, and
    r(i, j) says that j is the r-th nearest to i in the features. One means that every neighbour in the picture is one;
    chance is about a half.

    Scikit-learn has the same score; here it is because it is wanted several times a second from the first moment on.

    Args:
        features: (n, d) points in the space they come from.
        points: (n, 2 or 3) the picture.
        neighbours: The k, less than n / 2.
        rows: The points i to average over; by default all. A random sample of them estimates the score of all.

    Raises:
        ValueError: if k is not between 1 and n / 2.
    """
    n, k = len(features), neighbours
    if not 1 <= k < n / 2:
        raise ValueError(f"neighbours must be at least 1 and less than half of {n} points, got {k}")
    rows = np.arange(n) if rows is None else rows
    excess = 0
    for some in np.array_split(rows, -(-len(rows) * n * k // _AT_ONCE)):
        apart, drawn = _distances(features, some), _distances(points, some)
        drawn[np.arange(len(some)), some] = np.inf
        near = np.argpartition(drawn, k - 1, axis=1)[:, :k]
        reach = np.take_along_axis(apart, near, axis=1)  # (b, k) feature distances of the picture's neighbours
        # The point itself, at distance zero, is closer too, so that counting starts at one; equal points rank first.
        ranks = (apart[:, None, :] < reach[:, :, None]).sum(axis=2)
        excess += int(np.maximum(ranks - k, 0).sum())
    return 1.0 - 2.0 / (len(rows) * k * (2 * n - 3 * k - 1)) * excess


def continuity(features: np.ndarray, points: np.ndarray, neighbours: int, rows: np.ndarray | None = None) -> float:
    """Venna and Kaski's other score: `trustworthiness` of the features as a picture of the points.

    Trustworthiness falls where the picture shows neighbours that are none, continuity where it tears neighbours apart.
    """
    return trustworthiness(points, features, neighbours, rows)


def _distances(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Squared distances (b, n) of some points from all; exactly zero from themselves."""
    centred = values - values.mean(axis=0)
    squares = np.square(centred).sum(axis=1)
    apart: np.ndarray = np.maximum(squares[rows, None] + squares[None, :] - 2 * centred[rows] @ centred.T, 0)
    apart[np.arange(len(rows)), rows] = 0
    return apart
