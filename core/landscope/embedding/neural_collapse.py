"""Neural collapse: how near the features of a layer are to one point for each class, placed as theory has it."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from landscope.embedding.contrasts import unit_rows
from landscope.embedding.layers import Readout, forward_pass
from landscope.measurements import Collapse
from landscope.objective import Objective

__all__ = ["Target", "collapse", "collapse_of"]

Target = Literal["auto", "simplex", "orthogonal", "counts"]

_IMBALANCED = 2.0  # examples of the largest class for each of the smallest


def collapse(
    objective: Objective, layer: str | None = None, *, target: Target = "auto", theta: Tensor | None = None
) -> Collapse:
    """The four quantities of neural collapse (Papyan, Han and Donoho 2020), over all examples of the objective.

    With features h_i, class means mu_c and M the matrix of the means less their mean (of classes, not of examples),

        NC1 = tr(S_W S_B^+) / C,  S_W = (1/N) sum_i (h_i - mu_c(i)) (h_i - mu_c(i))^T,  S_B = M^T M / C
        NC2 = coefficient of variation of the rows' lengths |m_c| / l_c, and mean |cos(m_c, m_c') - g_cc'| over pairs
        NC3 = |W / |W|_F - M / |M|_F|_F^2, with W the last linear layer's weight less the mean of its rows, which
              softmax ignores; None where the features are not what that layer reads, or it does not give the classes
        NC4 = share of examples whose largest output is not the class of the nearest mean

    NC1 is (1/N) sum_i |S^-1 V^T (h_i - mu_c(i))|^2 by the thin decomposition M = U S V^T; no d x d matrix is made.

    The target's cosines g and lengths l:

    - "simplex": g = -1/(C-1), l = 1: cross-entropy or squared error on balanced classes.
    - "orthogonal": g = 0, l = 1, of the means themselves: supervised contrastive loss on features that are not
      negative, balanced or not (Kini, Vakilian, Behnia, Gill and Thrampoulidis 2023); squared error without biases,
      with lengths that depend on the counts (see `orthogonal_frame`). Each row of W is then parallel to a mean: NC3 is
      the mean of |w_c / |w_c| - mu_c / |mu_c||^2 over classes.
    - "counts": cross-entropy on n_c examples of class c. M M^T is then proportional to ((P D P)^(1/2))^+ with
      D = diag(n) and P = I - 11^T/C (Thrampoulidis, Kini, Vakilian and Behnia 2022): rare classes have longer means. W
      is no longer parallel to M, but W M^T to P still: NC3 is the squared distance of the two, each of norm one.
    - "auto": "counts" if the largest class has at least twice the examples of the smallest; else "orthogonal" if no
      feature is negative and no linear classifier reads them; else "simplex".

    Args:
        objective: Whose network, and whose examples; the training data, for what the paper describes.
        layer: Name of the layer whose output is taken; by default the input of the linear layer that runs last.
        target: What the class means are held against.
        theta: Where; the model's weights by default.

    Raises:
        ValueError: if there is not one class per example, a class has no example, the class means coincide, features
            are not finite, the target is unknown, or (see `features`) the layer cannot be taken.
    """
    if target not in get_args(Target):
        raise ValueError(f"target must be one of {', '.join(get_args(Target))}, got {target!r}")
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
        return Collapse(
            provenance=meter.provenance("neural collapse"),
            layer=readout.layer,
            **collapse_of(readout, labels.numpy(), target),
        )


def collapse_of(readout: Readout, labels: np.ndarray, target: Target) -> dict[str, Any]:
    """The fields of a `Collapse` over the classes that occur among the labels (N,).

    Raises:
        ValueError: if features are not finite, there is one class alone, or the class means coincide.
    """
    if not bool(readout.features.isfinite().all()):
        raise ValueError(f"features of layer {readout.layer!r} are not all finite")
    features = readout.features.double().numpy()
    classes, own, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise ValueError(f"neural collapse needs at least 2 classes, got {len(classes)}")
    means = np.stack([features[own == c].mean(axis=0) for c in range(len(classes))])
    centred = means - means.mean(axis=0)
    precision = torch.finfo(readout.features.dtype).eps
    if np.linalg.norm(centred) <= precision * np.linalg.norm(means):
        raise ValueError(f"features of layer {readout.layer!r} have the same mean in every class")
    outputs = readout.outputs
    classifies = readout.weight is not None and outputs.ndim == 2 and len(readout.weight) == outputs.shape[1]
    if target == "auto":
        read_by_none = not classifies and bool((features >= 0).all())
        imbalanced = counts.max() >= _IMBALANCED * counts.min()
        target = "counts" if imbalanced else "orthogonal" if read_by_none else "simplex"
    cosines, lengths = _cosines(means if target == "orthogonal" else centred)
    goal, goal_lengths = _goal(target, counts)
    pairs = ~np.eye(len(classes), dtype=bool)
    ratios = lengths / goal_lengths
    deviations = features - means[own]
    duality = None
    if readout.weight is not None and classifies:
        rows = readout.weight.double().numpy()[classes]
        if target == "orthogonal":
            duality = float(np.square(unit_rows(rows) - unit_rows(means)).sum(axis=1).mean())
        else:
            duality = _misalignment(rows - rows.mean(axis=0), centred, crossed=target == "counts")
    predicted = outputs.argmax(1).numpy()
    return {
        "nc1": _variability(deviations, centred, precision),
        "nc2_norms": float(ratios.std() / ratios.mean()),
        "nc2_angles": float(np.abs(cosines - goal)[pairs].mean()),
        "nc3": duality,
        "nc4": _disagreement(features, means, classes, predicted),
        "classes": len(classes),
        "target": target,
        "cosines": cosines,
        "target_cosines": goal,
        "within": float(np.square(deviations).sum(axis=1).mean()),
        "between": float(np.square(centred).sum(axis=1).mean()),
    }


def _variability(deviations: np.ndarray, centred: np.ndarray, precision: float) -> float:
    _, singular, right = np.linalg.svd(centred, full_matrices=False)
    there = singular > singular[0] * max(centred.shape) * precision
    whitened = deviations @ (right[there].T / singular[there])
    return float((whitened**2).sum()) / len(deviations)


def _cosines(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cosines (C, C) of rows, and their lengths (C,)."""
    units = unit_rows(rows)
    return units @ units.T, np.linalg.norm(rows, axis=1)


def _goal(target: str, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cosines (C, C) and lengths (C,) that a target asks for."""
    count = len(counts)
    if target == "orthogonal":
        return np.eye(count), np.ones(count)
    if target == "simplex":
        return (count * np.eye(count) - 1) / (count - 1), np.ones(count)
    centring = np.eye(count) - 1 / count
    squares, vectors = np.linalg.eigh(centring @ np.diag(counts.astype(np.float64)) @ centring)
    squares, vectors = squares[1:], vectors[:, 1:]  # all but the constant vector's, which is zero
    gram = vectors / np.sqrt(squares) @ vectors.T
    lengths = np.sqrt(np.diag(gram))
    return gram / np.outer(lengths, lengths), lengths


def _misalignment(rows: np.ndarray, centred: np.ndarray, *, crossed: bool) -> float:
    if crossed:
        count = len(rows)
        rows, centred = rows @ centred.T, np.eye(count) - 1 / count
    return float(((rows / np.linalg.norm(rows) - centred / np.linalg.norm(centred)) ** 2).sum())


def _disagreement(features: np.ndarray, means: np.ndarray, classes: np.ndarray, predicted: np.ndarray) -> float:
    origin = means.mean(axis=0)
    features, means = features - origin, means - origin
    distances = (means**2).sum(axis=1) - 2 * features @ means.T  # |h - mu|^2 less |h|^2, the same for every class
    return float((classes[distances.argmin(axis=1)] != predicted).mean())
