"""How features of unit length lie to one another: what contrastive losses shape, and what a simple reader gets out."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from landscope.embedding.layers import forward_pass
from landscope.embedding.narrowing import narrowed
from landscope.measurements import Contrast
from landscope.objective import Objective

__all__ = ["contrast", "contrast_of", "knn_accuracy", "probe_accuracy", "unit_rows"]

_BINS = 50
_VOTERS = 10
_TEMPERATURE = 2.0  # of uniformity
_RIDGE = 1e-3  # of the features' mean variance


def contrast(
    objective: Objective,
    layer: str | None = None,
    *,
    views: Objective | None = None,
    theta: Tensor | None = None,
    examples: int = 1024,
    seed: int = 0,
) -> Contrast:
    """Alignment, uniformity, tolerance, distributions of cosines, and accuracies of two simple readers.

    Features are scaled to length one for all but the ridge regression; those of length zero stay. Pairs are all pairs
    of two examples.

    Args:
        objective: Whose network, and whose examples.
        layer: Name of the layer whose output is taken; by default the input of the linear layer that runs last.
        views: The same network on other views of the same examples, in the same order, whose pairs are the positive
            ones; by default pairs of one class are.
        theta: Where; the model's weights by default.
        examples: At most this many, a subset that is the same at every call.
        seed: Chooses the subset.

    Raises:
        ValueError: if there are fewer than 3 examples, the views are of another number of examples, features are not
            finite, or (see `features`) the layer cannot be taken.
    """
    if views is not None and views.examples != objective.examples:
        raise ValueError(f"views must be of the same {objective.examples} examples, got {views.examples}")
    probe = objective.sample(examples, seed=seed)
    with probe.measuring() as meter:
        readout = forward_pass(probe, layer, theta)
        labels = probe.labels()
        others = None
        if views is not None:
            second = views.sample(examples, seed=seed)
            with second.measuring():
                others = forward_pass(second, layer, theta).features
        found = contrast_of(readout.features, readout.layer, None if labels is None else labels.numpy(), others)
        return Contrast(provenance=meter.provenance("contrast of the features", seed=seed), **found)


def contrast_of(features: Tensor, layer: str, labels: np.ndarray | None, views: Tensor | None = None) -> dict[str, Any]:
    """The fields of a `Contrast`.

    Raises:
        ValueError: if there are fewer than 3 examples, or features are not finite.
    """
    n = len(features)
    if n < 3:
        raise ValueError(f"a contrast needs at least 3 examples, got {n}")
    if not bool(features.isfinite().all()) or (views is not None and not bool(views.isfinite().all())):
        raise ValueError(f"features of layer {layer!r} are not all finite")
    values = narrowed(features.double()).numpy()
    units = unit_rows(values)
    cosines = np.clip(units @ units.T, -1, 1)
    once = np.triu_indices(n, 1)
    pairs = cosines[once]
    squares = np.square(units).sum(axis=1)
    apart = squares[once[0]] + squares[once[1]] - 2 * pairs
    known = labels is not None and bool((labels >= 0).all())
    same = labels[once[0]] == labels[once[1]] if labels is not None and known else np.zeros(len(pairs), bool)
    positive = pairs[same] if same.any() else None
    alignment = float(apart[same].mean()) if same.any() else None
    if views is not None:
        first, second = unit_rows(features.double().numpy()), unit_rows(views.double().numpy())
        positive = np.clip((first * second).sum(axis=1), -1, 1)
        alignment = float(np.square(first - second).sum(axis=1).mean())
    edges = np.linspace(-1, 1, _BINS + 1)
    several = labels is not None and known and len(np.unique(labels)) > 1
    return {
        "alignment": alignment,
        "uniformity": float(np.log(np.exp(-_TEMPERATURE * apart).mean())),
        "tolerance": float(pairs[same].mean()) if same.any() else None,
        "edges": edges,
        "positive": None if positive is None else np.histogram(positive, edges, density=True)[0],
        "negative": np.histogram(pairs if same.all() else pairs[~same], edges, density=True)[0],
        "separation": _separation(cosines, labels) if labels is not None and several else None,
        "knn_accuracy": knn_accuracy(cosines, labels) if labels is not None and several else None,
        "probe_accuracy": probe_accuracy(values, labels) if labels is not None and several else None,
        "layer": layer,
    }


def knn_accuracy(cosines: np.ndarray, labels: np.ndarray, voters: int = _VOTERS) -> float:
    """Share of examples that have the class most frequent among the most similar others (the lowest such class).

    Args:
        cosines: (n, n) of examples.
        labels: (n,) classes, not negative.
        voters: Number of others asked, at most n - 1.
    """
    n = len(labels)
    voters = min(voters, n - 1)
    others = cosines.copy()
    np.fill_diagonal(others, -np.inf)
    nearest = np.argpartition(-others, voters - 1, axis=1)[:, :voters]
    votes = np.zeros((n, int(labels.max()) + 1))
    np.add.at(votes, (np.arange(n)[:, None], labels[nearest]), 1)
    return float((votes.argmax(axis=1) == labels).mean())


def probe_accuracy(values: np.ndarray, labels: np.ndarray) -> float:
    """Accuracy of a ridge regression from features to one-hot classes, each example predicted by the others'.

    In closed form: with the hat matrix H of all, leaving i out changes its prediction to
    (y^_i - H_ii y_i) / (1 - H_ii) (Golub, Heath and Wahba 1979). The penalty is a thousandth of the mean variance.

    Args:
        values: (n, d) features.
        labels: (n,) classes, not negative.
    """
    n = len(values)
    targets = (labels[:, None] == np.unique(labels)[None]).astype(np.float64)
    left, singular, _ = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    squares = singular**2
    penalty = _RIDGE * float(squares.sum()) / min(values.shape)
    shrunk = squares / (squares + penalty) if penalty > 0 else np.zeros_like(squares)
    predicted = left @ (shrunk[:, None] * (left.T @ targets)) + targets.mean(axis=0)
    leverage = (np.square(left) @ shrunk + 1 / n)[:, None]
    without = (predicted - leverage * targets) / np.maximum(1 - leverage, 1e-12)
    return float((without.argmax(axis=1) == targets.argmax(axis=1)).mean())


def _separation(cosines: np.ndarray, labels: np.ndarray) -> float | None:
    """Over examples that have another of their class; None without any."""
    distances = np.sqrt(np.maximum(2 - 2 * cosines, 0))
    np.fill_diagonal(distances, np.inf)
    same = labels[:, None] == labels[None]
    own = np.where(same, distances, np.inf).min(axis=1)
    other = np.where(same, np.inf, distances).min(axis=1)
    paired = np.isfinite(own)
    longest = np.maximum(own, other)[paired]
    scores = np.divide((other - own)[paired], longest, out=np.zeros_like(longest), where=longest > 0)
    return float(scores.mean()) if paired.any() else None


def unit_rows(values: np.ndarray) -> np.ndarray:
    """The rows at length one; those of length zero stay."""
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    units: np.ndarray = values / np.where(lengths > 0, lengths, 1)
    return units
