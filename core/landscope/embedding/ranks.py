"""How many directions features use: effective ranks, and the dimension of the set that they lie on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from landscope.embedding.layers import forward_pass
from landscope.embedding.narrowing import narrowed
from landscope.embedding.neighbourhoods import nearest
from landscope.measurements import Dimension
from landscope.objective import Objective

__all__ = ["TwoNN", "dimension", "dimension_of", "participation_ratio", "rankme", "two_nn"]

_TRIMMED = 0.9  # share of the ratios that TwoNN keeps, the smallest
_FEW = 0.1  # of the possible directions, below which features without classes have collapsed
_FEWEST = 10  # distinct points for an intrinsic dimension


def rankme(singular: np.ndarray) -> float:
    """exp(-sum p_k log p_k) with p_k = s_k / sum s + 1e-7 (Garrido, Balestriero, Najman and LeCun 2023).

    Args:
        singular: (m,) singular values of features, no mean taken off.

    Returns:
        Between 1 and m; 0 for features that are zero. It grows with the number of examples up to some thousands:
        compare it among features of equally many.
    """
    total = float(singular.sum())
    if not total > 0:
        return 0.0
    shares = singular / total + 1e-7
    return float(np.exp(-(shares * np.log(shares)).sum()))


def participation_ratio(eigenvalues: np.ndarray) -> float:
    """(sum lambda)^2 / sum lambda^2 of a covariance's eigenvalues; 0 where all are zero."""
    squares = float(np.square(eigenvalues).sum())
    return float(eigenvalues.sum()) ** 2 / squares if squares > 0 else 0.0


class TwoNN(NamedTuple):
    """An intrinsic dimension.

    Attributes:
        dimension: The estimate; NaN with fewer than 10 distinct points.
        low: Lower end of its 95 % interval.
        high: Upper end.
        distinct: Distinct points.
    """

    dimension: float
    low: float
    high: float
    distinct: int


def two_nn(values: Tensor) -> TwoNN:
    """TwoNN (Facco, d'Errico, Rodriguez and Laio 2017): r_2 / r_1 of d-dimensional points has F(mu) = 1 - mu^-d.

    log mu is then exponential with rate d, and the r smallest of its N values have their largest likelihood at
    d = r / (their sum + (N - r) times the largest of them), with r = 0.9 N: the largest tenth, which boundaries spoil,
    counts by its number alone. Duplicates, for which r_1 = 0, are dropped first.

    The interval is d exp(+-1.96 s). Ratios of neighbouring points depend on each other, so s^2 sums the products of
    the likelihood's scores over all pairs of neighbours, not squares alone (a sandwich estimator): with 300 points it
    held the truth in 9 of 10 samples, without those products in 7 to 9.

    Args:
        values: (n, d) features.
    """
    distinct = torch.unique(values.detach(), dim=0)
    n = len(distinct)
    unknown = TwoNN(float("nan"), float("nan"), float("nan"), n)
    if n < _FEWEST:
        return unknown
    indices, distances = nearest(distinct, 2)
    apart = distances[:, 0] > 0  # not equal but for rounding
    if apart.sum() < _FEWEST:
        return unknown
    logarithms = np.log(distances[apart, 1] / distances[apart, 0])
    kept = int(_TRIMMED * len(logarithms))
    cut = np.sort(logarithms)[kept - 1]
    times, inside = np.minimum(logarithms, cut), logarithms <= cut
    if not times.sum() > 0:  # every point's two neighbours are equally far: a lattice
        return unknown
    found = (kept - 1) / float(times.sum())
    scores = inside - found * times
    links = csr_array((np.ones(2 * n), indices.ravel(), np.arange(0, 2 * n + 1, 2)), shape=(n, n))
    linked = ((links + links.T)[apart][:, apart] > 0).astype(np.float64)
    variance = float(scores @ (linked @ scores) + scores @ scores) / kept**2
    width = float(np.exp(1.96 * np.sqrt(max(variance, 1 / kept))))
    return TwoNN(found, found / width, found * width, n)


def dimension(
    objective: Objective,
    layer: str | None = None,
    *,
    theta: Tensor | None = None,
    examples: int = 1024,
    seed: int = 0,
) -> Dimension:
    """How many directions the features of a layer use, by three measures, with the spectrum of their covariance.

    The alarm: with C classes, features whose RankMe is below (C - 1) / 2 have not enough directions to tell the classes
    apart; without classes, features whose RankMe is below a tenth of min(n, width) have lost most of their space
    (dimensional collapse; Jing, Vincent, LeCun and Tian 2022). Both limits are ours, and no more than a convention.

    Args:
        objective: Whose network, and whose examples.
        layer: Name of the layer whose output is taken; by default the input of the linear layer that runs last.
        theta: Where; the model's weights by default.
        examples: At most this many, a subset that is the same at every call.
        seed: Chooses the subset.

    Raises:
        ValueError: if there are fewer than 3 examples, features are not finite, or (see `features`) the layer cannot be
            taken.
    """
    probe = objective.sample(examples, seed=seed)
    with probe.measuring() as meter:
        readout = forward_pass(probe, layer, theta)
        labels = probe.labels()
        found = dimension_of(readout.features, readout.layer, None if labels is None else labels.numpy())
        return Dimension(provenance=meter.provenance("dimension of the features", seed=seed), **found)


def dimension_of(features: Tensor, layer: str, labels: np.ndarray | None) -> dict[str, Any]:
    """The fields of a `Dimension`.

    Raises:
        ValueError: if there are fewer than 3 examples, or features are not finite.
    """
    n, width = features.shape
    if n < 3:
        raise ValueError(f"a dimension needs at least 3 examples, got {n}")
    if not bool(features.isfinite().all()):
        raise ValueError(f"features of layer {layer!r} are not all finite")
    values = narrowed(features.double())
    singular = torch.linalg.svdvals(values).numpy()
    spread = bool((features != features[0]).any())
    eigenvalues = np.zeros(min(n - 1, width))
    if spread:
        eigenvalues = torch.linalg.svdvals(values - values.mean(0)).square().numpy()[: len(eigenvalues)] / n
    intrinsic = two_nn(features)
    rank = rankme(singular)
    alarm = _alarm(rank, n, width, labels, spread=spread)
    return {
        "eigenvalues": eigenvalues,
        "effective_rank": rank,
        "participation_ratio": participation_ratio(eigenvalues),
        "intrinsic": intrinsic.dimension,
        "intrinsic_low": intrinsic.low,
        "intrinsic_high": intrinsic.high,
        "distinct": intrinsic.distinct,
        "layer": layer,
        "features": width,
        "collapsed": bool(alarm),
        "alarm": alarm,
    }


def _alarm(rank: float, n: int, width: int, labels: np.ndarray | None, *, spread: bool) -> str:
    if not spread:
        return "All features are equal: the layer tells no two examples apart."
    room = min(n, width)
    classes = 0 if labels is None else len(np.unique(labels[labels >= 0]))
    if classes > 1:
        if rank < (classes - 1) / 2:
            return (
                f"Features use {rank:.1f} directions of {room}, and {classes} classes need up to {classes - 1}: "
                "the layer has collapsed further than its classes allow."
            )
    elif rank < _FEW * room:
        return f"Features use {rank:.1f} directions of {room}: the layer has lost most of its dimensions."
    return ""
