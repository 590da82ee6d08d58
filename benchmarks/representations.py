"""Similarity and intrinsic dimension of features beside packages that have the same: values and seconds.

`error` is the largest relative difference between the values; a peer that is not installed is passed over.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.timing import interleaved
from landscope.embedding import similarity, two_nn

__all__ = ["dimensions", "similarities"]

_EXAMPLES, _BATCH = 1000, 50


def similarities(device: str, points: int) -> Iterator[dict[str, Any]]:
    """Unbiased linear CKA of eight layers with one another, whole and in batches. `points` is not used."""
    layers = _layers()
    tensors = {name: torch.from_numpy(values).to(device) for name, values in layers.items()}

    def whole() -> np.ndarray:
        return similarity(tensors).values

    def batched() -> np.ndarray:
        return similarity(tensors, batch=_BATCH).values

    if importlib.util.find_spec("ckatorch"):
        from ckatorch.core import cka_base, cka_batch

        def theirs() -> np.ndarray:
            return _pairs(list(tensors.values()), lambda x, y: float(cka_base(x, y, unbiased=True)))

        def theirs_batched() -> np.ndarray:
            pieces = [values.reshape(-1, _BATCH, values.shape[1]) for values in tensors.values()]
            return _pairs(pieces, lambda x, y: float(cka_batch(x, y)))

        yield _row("ckatorch 1.0.3", whole, theirs, device, examples=_EXAMPLES)
        yield _row("ckatorch 1.0.3, in batches", batched, theirs_batched, device, examples=_EXAMPLES)
    kernels = {name: values @ values.T for name, values in layers.items()}

    def written() -> np.ndarray:
        return _pairs(list(kernels.values()), lambda k, m: _cosine(_centred(k), _centred(m)))

    yield _row("U-centred kernels (as published)", whole, written, device, examples=_EXAMPLES)


def dimensions(device: str, points: int) -> Iterator[dict[str, Any]]:
    """TwoNN on Gaussians of 2, 5 and 9 dimensions in a space of 64. `points` is not used."""
    sets = []
    for d in (2, 5, 9):
        random = np.random.default_rng(d)
        sets.append(random.normal(size=(_EXAMPLES, d)) @ random.normal(size=(d, 64)))

    def ours() -> np.ndarray:
        return np.array([two_nn(torch.from_numpy(values).to(device)).dimension for values in sets])

    if importlib.util.find_spec("skdim"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from skdim.id import TwoNN

        def likelihood() -> np.ndarray:
            return np.array([TwoNN(discard_fraction=0.1, method="mle").fit(values).dimension_ for values in sets])

        def regression() -> np.ndarray:
            return np.array([TwoNN(discard_fraction=0.1).fit(values).dimension_ for values in sets])

        yield _row("scikit-dimension 0.5.0", ours, likelihood, device, examples=_EXAMPLES)
        yield _row("scikit-dimension, regression", ours, regression, device, examples=_EXAMPLES)


def _row(
    peer: str, ours: Callable[[], np.ndarray], theirs: Callable[[], np.ndarray], device: str, **more: Any
) -> dict[str, Any]:
    ours(), theirs()  # the first call loads what it needs
    found, seconds, repeats = interleaved({"ours": ours, "peer": theirs})
    return {
        "ours_s": seconds["ours"].on(device),
        "peer_s": seconds["peer"].on(device),
        "ratio": seconds["peer"].on(device) / seconds["ours"].on(device),
        "error": float(np.abs(found["ours"] / found["peer"] - 1).max()),
        "peer": peer,
        "values": found["ours"].ravel()[:8].tolist(),
        "peer_values": found["peer"].ravel()[:8].tolist(),
        "repeats": repeats,
        **more,
    }


def _layers() -> dict[str, np.ndarray]:
    """Features of eight layers of a random network, 64 to 512 wide."""
    random = np.random.default_rng(0)
    values, layers = random.normal(size=(_EXAMPLES, 64)), {}
    for layer, width in enumerate((64, 128, 256, 512, 512, 256, 128, 64)):
        values = np.tanh(values @ random.normal(size=(values.shape[1], width)) / np.sqrt(values.shape[1]))
        layers[str(layer)] = values
    return layers


def _pairs(sets: Sequence[Any], score: Callable[[Any, Any], float]) -> np.ndarray:
    """The symmetric matrix of a score, each pair asked for once."""
    found = np.empty((len(sets), len(sets)))
    for i, x in enumerate(sets):
        for j, y in enumerate(sets[: i + 1]):
            found[i, j] = found[j, i] = score(x, y)
    return found


def _centred(kernel: np.ndarray) -> np.ndarray:
    """Szekely and Rizzo's (2014) U-centring: no diagonal, and rows and columns that sum to zero."""
    n = len(kernel)
    off = kernel - np.diag(np.diag(kernel))
    sums = off.sum(axis=1)
    centred = off - (sums[:, None] + sums[None, :]) / (n - 2) + sums.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(centred, 0)
    return centred


def _cosine(first: np.ndarray, second: np.ndarray) -> float:
    return float((first * second).sum() / (np.linalg.norm(first) * np.linalg.norm(second)))
