"""UMAP's layout of a neighbour graph (McInnes, Healy and Melville 2018), and one that goes on from the frame before."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from scipy.sparse import csr_array

__all__ = ["continued", "fitted", "fuzzy_graph", "laid_out", "torch_threads_kept"]

# 1 / (1 + a r^(2b)), the similarity in the picture, for umap-learn's spread 1 and min_dist 0.1.
_A, _B = 1.5769434603113077, 0.8950608779109733
_EXTENT = 10.0  # half-width of a first picture, umap-learn's
_NEGATIVES = 6  # points drawn at random that push each point, an epoch; weighted to five for each pull, umap-learn's
_MOST = 4.0  # the largest push of one pair, umap-learn's
_SPRING = 0.05  # of the way back, an epoch, where neighbourhoods agree wholly
_STRANGE = 0.2  # of neighbours in common, below which a picture is laid out anew from where it was


def fuzzy_graph(indices: np.ndarray, distances: np.ndarray) -> csr_array:
    """The symmetric weights (n, n) that UMAP draws.

    w_ij = exp(-max(0, d_ij - rho_i) / sigma_i) with rho_i the distance to the nearest neighbour that is no duplicate
    and sigma_i such that sum_j w_ij = log2(k + 1), since umap-learn counts the point itself; then W + W^T - W * W^T.

    Args:
        indices: (n, k) each point's neighbours.
        distances: (n, k).
    """
    n, k = indices.shape
    nearest = np.where(distances > 0, distances, np.inf).min(axis=1)
    beyond = np.maximum(distances - np.where(np.isfinite(nearest), nearest, 0)[:, None], 0)
    least = np.maximum(1e-3 * distances.mean(axis=1), 1e-3 * distances.mean() + np.finfo(float).tiny)
    low, high, sigma = np.zeros(n), np.full(n, np.inf), np.maximum(beyond.mean(axis=1), least)
    for _ in range(32):
        above = np.exp(-beyond / sigma[:, None]).sum(axis=1) > np.log2(k + 1)
        low, high = np.where(above, low, sigma), np.where(above, sigma, high)
        sigma = np.where(np.isfinite(high), (low + high) / 2, 2 * sigma)
    weights = np.exp(-beyond / np.maximum(sigma, least)[:, None])
    one_way = csr_array((weights.ravel(), indices.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))
    other_way = one_way.T.tocsr()
    return (one_way + other_way - one_way * other_way).tocsr()


def fitted(values: np.ndarray, indices: np.ndarray, distances: np.ndarray, start: np.ndarray, seed: int) -> np.ndarray:
    """umap-learn's layout from `start`, of neighbours found here: (n, dimensions), centred.

    Args:
        values: (n, d) features.
        indices: (n, k) each point's neighbours.
        distances: (n, k).
        start: (n, dimensions) where to begin, whatever its scale.
        seed: Drives it.
    """
    with warnings.catch_warnings(), torch_threads_kept():
        # Without tensorflow, importing umap warns that its parametric variant is missing.
        warnings.filterwarnings("ignore", message=".*[Tt]ensorflow", category=ImportWarning)
        import umap  # here, because it takes seconds and few need it

        # Neighbours without umap-learn's own index cannot place further points, which nobody asks for.
        warnings.filterwarnings("ignore", message=".*precomputed_knn")
        itself = np.arange(len(values))[:, None]
        reducer = umap.UMAP(
            n_neighbors=indices.shape[1] + 1,
            n_components=start.shape[1],
            init=_begun(start, seed),
            random_state=seed,
            n_jobs=1,  # what a seed implies; umap warns unless it is said
            precomputed_knn=(
                np.hstack([itself, indices]).astype(np.int32),
                np.hstack([np.zeros_like(itself), distances]).astype(np.float32),
            ),
        )
        points: np.ndarray = reducer.fit_transform(values).astype(np.float64)
    return _centred(points)


@contextmanager
def torch_threads_kept() -> Iterator[None]:
    """Numba sets the number of threads of the OpenMP library that torch uses as well."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def laid_out(graph: csr_array, start: np.ndarray, seed: int) -> np.ndarray:
    """A first picture (n, dimensions), centred, by the optimiser below: needs no compilation, unlike `fitted`.

    Args:
        graph: (n, n) symmetric weights.
        start: (n, dimensions) where to begin, whatever its scale.
        seed: Draws the pairs that push each other apart.
    """
    return _centred(_descended(graph, _begun(start, seed), 0.5, 200, seed))


def continued(
    graph: csr_array, previous: np.ndarray, agreement: np.ndarray, still: np.ndarray, seed: int
) -> np.ndarray:
    """The picture (n, dimensions) that goes on from `previous`.

    Each point is held where it was by a spring as strong as its neighbourhood agrees with the one before. Where
    neighbourhoods have little in common on the whole, the layout begins as warm as a first one, to get out of the old.

    Args:
        graph: (n, n) symmetric weights.
        previous: (n, dimensions) the same points before.
        agreement: (n,) of each point's neighbours with those before, in [0, 1].
        still: (n,) points that do not move at all.
        seed: Draws the pairs that push each other apart.
    """
    rate, epochs = (0.5, 200) if float(agreement.mean()) < _STRANGE else (0.05, 40)
    points = _descended(graph, previous, rate, epochs, seed, _SPRING * agreement, ~still)
    held: np.ndarray = np.where(still[:, None], previous, points)
    return held


def _descended(
    graph: csr_array,
    start: np.ndarray,
    rate: float,
    epochs: int,
    seed: int,
    hold: np.ndarray | float = 0.0,
    free: np.ndarray | float = 1.0,
) -> np.ndarray:
    """Gradient descent on UMAP's cross-entropy, all pulls at once and a sample of the pushes, the rate falling to zero.

    A pull of weight w is -2ab r^(2b-2) / (1 + a r^(2b)) w (z_i - z_j), twice, as each pair stands in umap-learn's list
    both ways; a push is 2b / ((0.001 + r^2) (1 + a r^(2b))) (z_i - z_j).
    """
    random = np.random.default_rng(seed)
    n = len(start)
    heads, tails = np.repeat(np.arange(n), np.diff(graph.indptr)), graph.indices
    weights = (graph.data / graph.data.max()).astype(np.float32)
    pushes = 5 / _NEGATIVES * np.bincount(heads, weights, n).astype(np.float32)[:, None]
    origin = start.astype(np.float32)
    held, mobile = (np.broadcast_to(each, n).astype(np.float32)[:, None] for each in (hold, free))
    points = origin
    for epoch in range(epochs):
        apart = points[tails] - points[heads]
        squares = np.maximum(np.einsum("ij,ij->i", apart, apart), np.float32(1e-12))
        powers = squares ** np.float32(_B - 1)
        pull = 4 * _A * _B * weights * powers / (1 + _A * powers * squares)
        move = np.add.reduceat(apart * pull[:, None], graph.indptr[:-1], axis=0)  # every row has an entry
        away = points[:, None] - points[random.integers(n, size=(n, _NEGATIVES))]
        squares = np.einsum("ijk,ijk->ij", away, away)
        push = 2 * _B / ((np.float32(1e-3) + squares) * (1 + _A * squares ** np.float32(_B)))
        move += pushes * np.clip(away * push[..., None], -_MOST, _MOST).sum(axis=1)
        move = np.float32(rate * (1 - epoch / epochs)) * move + held * (origin - points)
        points = points + mobile * move
    found: np.ndarray = points.astype(np.float64)
    return found


def _centred(points: np.ndarray) -> np.ndarray:
    centred: np.ndarray = points - points.mean(axis=0)
    return centred


def _begun(start: np.ndarray, seed: int) -> np.ndarray:
    """A start as wide as umap-learn's, a little out of line, for features that have no second direction."""
    largest = float(np.abs(start).max())
    noise = np.random.default_rng(seed).normal(scale=1e-4 * _EXTENT, size=start.shape)
    begun: np.ndarray = start * (_EXTENT / largest if largest > 0 else 1.0) + noise
    return begun
