"""Neural collapse: how near the features of the last layer are to a simplex of class means, and nothing else."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from landscope.embedding.layers import forward_pass
from landscope.measurements import Collapse
from landscope.objective import Objective

__all__ = ["collapse"]


def collapse(objective: Objective, layer: str | None = None, *, theta: Tensor | None = None) -> Collapse:
    """The four quantities of neural collapse (Papyan, Han and Donoho 2020), over all examples of the objective.

    With features h_i, class means mu_c and M the matrix of the means less their mean (of classes, not of examples),

        NC1 = tr(S_W S_B^+) / C,  S_W = (1/N) sum_i (h_i - mu_c(i)) (h_i - mu_c(i))^T,  S_B = M^T M / C
        NC2 = coefficient of variation of the rows' lengths |m_c|, and mean |cos(m_c, m_c') + 1/(C-1)| over pairs
        NC3 = |W / |W|_F - M / |M|_F|_F^2, with W the last linear layer's weight less the mean of its rows, which
              softmax ignores; None where the features are not what that layer reads, or it does not give the classes
        NC4 = share of examples whose largest output is not the class of the nearest mean

    NC1 is (1/N) sum_i |S^-1 V^T (h_i - mu_c(i))|^2 by the thin decomposition M = U S V^T; no d x d matrix is made.

    Args:
        objective: Whose network, and whose examples; the training data, for what the paper describes.
        layer: Name of the layer whose output is taken; by default the input of the linear layer that runs last.
        theta: Where; the model's weights by default.

    Raises:
        ValueError: if there is not one class per example, a class has no example, the class means coincide, features
            are not finite, or (see `features`) the layer cannot be taken.
    """
    with objective.measuring() as meter:
        labels = objective.labels()
        if labels is None or bool((labels < 0).any()):
            raise ValueError("neural collapse needs one class per example as targets")
        readout = forward_pass(objective, layer, theta)
        count = readout.outputs.shape[1]
        present = torch.bincount(labels, minlength=count)
        if not bool(present.all()):
            absent = (present == 0).nonzero().flatten().tolist()
            raise ValueError(f"neural collapse needs examples of all {count} classes, got none of {absent}")
        if not bool(readout.features.isfinite().all()):
            raise ValueError(f"features of layer {readout.layer!r} are not all finite")
        features = readout.features.double().numpy()
        own = labels.numpy()
        means = np.stack([features[own == c].mean(axis=0) for c in range(count)])
        centred = means - means.mean(axis=0)
        precision = torch.finfo(readout.features.dtype).eps
        if np.linalg.norm(centred) <= precision * np.linalg.norm(means):
            raise ValueError(f"features of layer {readout.layer!r} have the same mean in every class")
        weight = readout.weight
        classifies = weight is not None and weight.shape[0] == count
        return Collapse(
            provenance=meter.provenance("neural collapse"),
            nc1=_variability(features - means[own], centred, precision),
            nc2_norms=_variation_of_lengths(centred),
            nc2_angles=_distance_from_equal_angles(centred),
            nc3=_misalignment(weight.double().numpy(), centred) if weight is not None and classifies else None,
            nc4=_disagreement(features, means, readout.outputs.argmax(1).numpy()),
            layer=readout.layer,
            classes=count,
        )


def _variability(deviations: np.ndarray, centred: np.ndarray, precision: float) -> float:
    _, singular, right = np.linalg.svd(centred, full_matrices=False)
    there = singular > singular[0] * max(centred.shape) * precision
    whitened = deviations @ (right[there].T / singular[there])
    return float((whitened**2).sum()) / len(deviations)


def _variation_of_lengths(centred: np.ndarray) -> float:
    lengths = np.linalg.norm(centred, axis=1)
    return float(lengths.std() / lengths.mean())


def _distance_from_equal_angles(centred: np.ndarray) -> float:
    count = len(centred)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    units = centred / np.maximum(lengths, np.finfo(np.float64).tiny)
    cosines = (units @ units.T)[~np.eye(count, dtype=bool)]
    return float(np.abs(cosines + 1 / (count - 1)).mean())


def _misalignment(weight: np.ndarray, centred: np.ndarray) -> float:
    rows = weight - weight.mean(axis=0)
    return float(((rows / np.linalg.norm(rows) - centred / np.linalg.norm(centred)) ** 2).sum())


def _disagreement(features: np.ndarray, means: np.ndarray, predicted: np.ndarray) -> float:
    origin = means.mean(axis=0)
    features, means = features - origin, means - origin
    distances = (means**2).sum(axis=1) - 2 * features @ means.T  # |h - mu|^2 less |h|^2, the same for every class
    return float((distances.argmin(axis=1) != predicted).mean())
