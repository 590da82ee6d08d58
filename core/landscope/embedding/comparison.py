"""How alike two sets of features of the same examples are, up to rotation."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from landscope.embedding.layers import layerwise
from landscope.embedding.narrowing import narrowed
from landscope.measurements import Provenance, Similarity, Snapshot
from landscope.objective import Objective

__all__ = ["Metric", "cka", "procrustes", "similarity", "similarity_between"]

Metric = Literal["cka", "procrustes"]
Values = np.ndarray | Tensor

_LEAST: dict[Metric, int] = {"cka": 4, "procrustes": 2}  # examples


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
    x, y = _pair(first, second, least=_LEAST["cka"])
    return _cka_among((x, y), batch)(x, y)


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
    x, y = _pair(first, second, least=_LEAST["procrustes"])
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
    down = [_compact(_array(values)) for values in rows.values()]
    across = down if columns is None else [_compact(_array(values)) for values in columns.values()]
    for x in (*down, *across):
        _same_examples(down[0], x, least=_LEAST[metric])
    score = _cka_among((*down, *across), batch) if metric == "cka" else procrustes
    found = np.zeros((len(down), len(across)))
    for i, j in np.ndindex(found.shape):
        found[i, j] = found[j, i] if columns is None and j < i else score(down[i], across[j])
    titles = {"cka": "linear CKA, unbiased", "procrustes": "orthogonal Procrustes distance"}
    return Similarity(
        provenance=Provenance(method=titles[metric], examples=len(down[0]), seconds=time.perf_counter() - began),
        values=found,
        rows=tuple(rows),
        columns=tuple(rows if columns is None else columns),
        metric=metric,
    )


def similarity_between(
    objective: Objective,
    first: Objective | Snapshot | Tensor,
    second: Objective | Snapshot | Tensor,
    layers: Sequence[str] | None = None,
    *,
    metric: Metric = "cka",
    examples: int = 512,
    seed: int = 0,
) -> Similarity:
    """The layers of one network beside those of another, on the same examples: of two runs, two moments, or two models.

    What is not part of the weights, such as running statistics of batch normalisation, is the model's at present; with
    `batch_norm="batch"` statistics are those of the examples.

    Args:
        objective: The examples, and the network that weights are of.
        first: Weights (P,); a snapshot of a run, `run.measurement("snapshot", step)`; or another network as an
            objective of the same examples in the same order.
        second: Likewise.
        layers: Names of modules in both; by default every module without children, see `layerwise`.
        metric: "cka" or "procrustes", see `similarity`.
        examples: At most this many, a subset that is the same at every call.
        seed: Chooses the subset.

    Returns:
        Layers of the first by layers of the second.

    Raises:
        ValueError: if a snapshot is of another network, an objective of another number of examples, or see `layerwise`
            and `similarity`.
    """
    sides = []
    for network in (first, second):
        if isinstance(network, Objective):
            if network.examples != objective.examples:
                raise ValueError(
                    f"networks are compared on the same examples, got {network.examples} and {objective.examples}"
                )
            sides.append(layerwise(network, layers, examples=examples, seed=seed))
        else:
            theta = _weights(objective, network)
            sides.append(layerwise(objective, layers, theta=theta, examples=examples, seed=seed))
    return similarity(*sides, metric=metric)


def _cka_among(sets: Sequence[np.ndarray], batch: int | None) -> Callable[[np.ndarray, np.ndarray], float]:
    """CKA of two of some sets of compact features of the same examples; HSIC of each with itself is computed once."""
    n = len(sets[0])
    size = n if batch is None else batch
    if not 4 <= size <= n:
        raise ValueError(f"batch must be from 4 to the {n} examples, got {batch}")
    starts = range(0, n - size + 1, size)
    pieces = {id(x): [_compact(x[start : start + size]) for start in starts] for x in sets}

    def hsic(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.mean([_hsic(a, b) for a, b in zip(pieces[id(x)], pieces[id(y)], strict=True)]))

    own = {id(x): hsic(x, x) for x in sets}

    def score(x: np.ndarray, y: np.ndarray) -> float:
        lengths = own[id(x)], own[id(y)]
        return hsic(x, y) / float(np.sqrt(lengths[0] * lengths[1])) if min(lengths) > 0 else float("nan")

    return score


def _hsic(x: np.ndarray, y: np.ndarray) -> float:
    """Of centred features."""
    n = len(x)
    squares, others = np.square(x).sum(axis=1), np.square(y).sum(axis=1)
    trace = float(np.square(x.T @ y).sum() - squares @ others)
    # Centred features have kernels whose rows sum to zero: without the diagonal, to minus the diagonal.
    sums = float(squares.sum() * others.sum()) / ((n - 1) * (n - 2))
    return (trace + sums - 2 / (n - 2) * float(squares @ others)) / (n * (n - 3))


def _pair(first: Values, second: Values, least: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = _compact(_array(first)), _compact(_array(second))
    _same_examples(x, y, least)
    return x, y


def _same_examples(x: np.ndarray, y: np.ndarray, least: int) -> None:
    if len(x) != len(y) or len(x) < least:
        raise ValueError(f"both sets of features need the same examples, at least {least}, got {len(x)} and {len(y)}")


def _array(values: Values) -> np.ndarray:
    array = values.detach().double().cpu().numpy() if isinstance(values, Tensor) else values.astype(np.float64)
    if array.ndim != 2:
        raise ValueError(f"features must have shape (n, d), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("features are not all finite: similarity is not defined")
    return array


def _weights(objective: Objective, network: Tensor | Snapshot) -> Tensor:
    """The parameter vector (P,) of the objective's network."""
    layout = objective.layout
    if isinstance(network, Tensor):
        return network
    if (network.names, network.sizes) != (layout.names, layout.sizes):
        raise ValueError(
            f"the snapshot is of a network with {len(network.theta)} parameters in {len(network.names)} tensors, "
            f"expected the objective's {layout.size} in {len(layout.names)}, with the same names: pass another network "
            "as an objective of its own"
        )
    return torch.from_numpy(network.theta).to(layout.device)


def _compact(values: np.ndarray) -> np.ndarray:
    """Centred features (n, at most n) with the same inner products; zero where they differ by rounding alone."""
    centred = values - values.mean(axis=0)
    if not np.ptp(values, axis=0).any():
        return np.zeros((len(values), 1))
    compact: np.ndarray = narrowed(torch.from_numpy(centred)).numpy()
    return compact
