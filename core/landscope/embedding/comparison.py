"""How alike two sets of features of the same examples are, up to rotation."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from landscope.embedding.narrowing import narrowed
from landscope.measurements import Provenance, Similarity

__all__ = ["Metric", "cka", "procrustes", "similarity"]

Metric = Literal["cka", "procrustes"]
Values = np.ndarray | Tensor


def cka(first: Values, second: Values, *, batch: int | None = None) -> float:
    """Linear centred kernel alignment (Kornblith, Norouzi, Lee and Hinton 2019) with unbiased HSIC.

    CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with K = X X^T, L = Y Y^T and (Song et al. 2012)

        HSIC(K, L) = [tr(K' L') + 1^T K' 1 1^T L' 1 / ((n-1)(n-2)) - 2/(n-2) 1^T K' L' 1] / (n (n-3)),

    K' and L' with zero diagonals. Unlike the biased one it does not rise with the width of the features; it may be
    slightly negative. tr(K' L') = |X^T Y|_F^2 - sum_i |x_i|^2 |y_i|^2, so that no kernel is made.

    Args:
        first: (n, d) features.
        second: (n, d') features of the same examples.
        batch: Mean of HSIC over batches of this many examples each, in order, an incomplete last one left out (Nguyen,
            Raghu and Kornblith 2021), which estimates the same; all examples at once by default.

    Returns:
        At most 1, or NaN where features do not vary.

    Raises:
        ValueError: if the numbers of examples differ, there are fewer than 4, or features are not finite.
    """
    x, y = _pair(first, second, least=4)
    size = len(x) if batch is None else batch
    if not 4 <= size <= len(x):
        raise ValueError(f"batch must be from 4 to the {len(x)} examples, got {batch}")
    pieces = [slice(start, start + size) for start in range(0, len(x) - size + 1, size)]
    crossed, own, other = (
        float(np.mean([_hsic(a[piece], b[piece]) for piece in pieces])) for a, b in ((x, y), (x, x), (y, y))
    )
    return crossed / float(np.sqrt(own * other)) if own > 0 and other > 0 else float("nan")


def procrustes(first: Values, second: Values) -> float:
    """The squared orthogonal Procrustes distance, 2 - 2 |X^T Y|_*, of centred features scaled to Frobenius norm one.

    It is the least |X - Y R|_F^2 over rotations R (Ding, Denain and Steinhardt 2021): 0 for features that are equal up
    to rotation, place and scale, 2 for unrelated ones.

    Args:
        first: (n, d) features.
        second: (n, d') features of the same examples.

    Returns:
        A number from 0 to 2, or NaN where features do not vary.

    Raises:
        ValueError: if the numbers of examples differ, or features are not finite.
    """
    x, y = _pair(first, second, least=2)
    lengths = float(np.linalg.norm(x)), float(np.linalg.norm(y))
    if not min(lengths) > 0:
        return float("nan")
    nuclear = float(np.linalg.svd(x.T @ y, compute_uv=False).sum())
    return max(2.0 - 2.0 * nuclear / (lengths[0] * lengths[1]), 0.0)


def similarity(
    rows: Mapping[str, Values],
    columns: Mapping[str, Values] | None = None,
    *,
    metric: Metric = "cka",
    batch: int | None = None,
) -> Similarity:
    """Every set of features in `rows` beside every one in `columns`: layers (see `layerwise`), steps or runs.

    Args:
        rows: Features (n, d) of the same n examples, by name.
        columns: Others; by default the same.
        metric: "cka" or "procrustes".
        batch: See `cka`.

    Raises:
        ValueError: if nothing is given, the metric is unknown, or (see `cka`) features do not fit together.
    """
    if metric not in get_args(Metric):
        raise ValueError(f"metric must be one of {', '.join(get_args(Metric))}, got {metric!r}")
    if not rows or (columns is not None and not columns):
        raise ValueError("similarity needs at least one set of features on either side")
    began = time.perf_counter()
    sides = [{name: _compact(_array(values)) for name, values in side.items()} for side in (rows, columns or {})]
    across = sides[1] or sides[0]
    found = np.zeros((len(rows), len(across)))
    for i, x in enumerate(sides[0].values()):
        for j, y in enumerate(across.values()):
            if columns is None and j < i:
                found[i, j] = found[j, i]
            else:
                found[i, j] = cka(x, y, batch=batch) if metric == "cka" else procrustes(x, y)
    titles = {"cka": "linear CKA, unbiased", "procrustes": "orthogonal Procrustes distance"}
    examples = len(next(iter(rows.values())))
    return Similarity(
        provenance=Provenance(method=titles[metric], examples=examples, seconds=time.perf_counter() - began),
        values=found,
        rows=tuple(rows),
        columns=tuple(across),
        metric=metric,
    )


def _hsic(x: np.ndarray, y: np.ndarray) -> float:
    n = len(x)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)  # HSIC does not see it, rounding does
    squares, others = np.square(x).sum(axis=1), np.square(y).sum(axis=1)
    trace = float(np.square(x.T @ y).sum() - squares @ others)
    # Centred features have kernels whose rows sum to zero: without the diagonal, to minus the diagonal.
    sums = float(squares.sum() * others.sum()) / ((n - 1) * (n - 2))
    return (trace + sums - 2 / (n - 2) * float(squares @ others)) / (n * (n - 3))


def _pair(first: Values, second: Values, least: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = _compact(_array(first)), _compact(_array(second))
    if len(x) != len(y) or len(x) < least:
        raise ValueError(f"both sets of features need the same examples, at least {least}, got {len(x)} and {len(y)}")
    return x, y


def _array(values: Values) -> np.ndarray:
    array = values.detach().double().cpu().numpy() if isinstance(values, Tensor) else values.astype(np.float64)
    if array.ndim != 2:
        raise ValueError(f"features must have shape (n, d), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("features are not all finite: similarity is not defined")
    return array


def _compact(values: np.ndarray) -> np.ndarray:
    """Centred features (n, at most n) with the same inner products; zero where they differ by rounding alone."""
    centred = values - values.mean(axis=0)
    if not np.ptp(values, axis=0).any():
        return np.zeros((len(values), 1))
    compact: np.ndarray = narrowed(torch.from_numpy(centred)).numpy()
    return compact
