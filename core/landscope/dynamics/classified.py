"""The outputs of a classifier on each example, and what follows from them alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landscope.evaluation import per_example
from landscope.objective import Objective

__all__ = ["Classified", "classified", "lengths", "log_softmax"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Classified:
    """Outputs of a classifier.

    Attributes:
        logits: (N, C) in float64.
        labels: (N,) the classes.
        losses: (N,) of each example alone.
    """

    logits: Array
    labels: NDArray[np.int64]
    losses: Array

    @property
    def margins(self) -> Array:
        """(N,) logit of the label less the largest of the others."""
        rows = np.arange(len(self.labels))
        others = self.logits.copy()
        others[rows, self.labels] = -np.inf
        margins: Array = self.logits[rows, self.labels] - others.max(1)
        return margins

    @property
    def predictions(self) -> NDArray[np.int64]:
        """(N,) the class with the largest logit."""
        predictions: NDArray[np.int64] = self.logits.argmax(1)
        return predictions


def classified(objective: Objective, theta: Tensor | None = None) -> Classified:
    """One forward pass over the data, to be used within `measuring`.

    Raises:
        ValueError: if the task is not a classification with one label for each example, in rows (N, C) of outputs, or a
            label is none of the classes.
        TypeError: if outputs or targets are not tensors.
    """
    labels = objective.labels()
    if labels is None:
        raise ValueError("this needs one integer class per example as targets, and outputs (n, C) with a row for each")
    with objective.measuring(), torch.no_grad():
        objective.work.forwards += 1
        named = objective.layout.unflatten(objective._point(theta))
        logits, losses = [], []
        for (batch, output), size in zip(objective.forward(named), objective.batches.sizes, strict=True):
            losses.append(per_example(objective.loss, output, objective.target(batch), size).double().cpu())
            logits.append(output.double().cpu())
    scores, classes = torch.cat(logits).numpy(), labels.numpy()
    if scores.ndim != 2:
        raise ValueError(f"outputs must be rows (n, C) with one for each example, got shape {scores.shape}")
    if classes.min() < 0 or classes.max() >= scores.shape[1]:
        raise ValueError(
            f"labels must lie in 0..{scores.shape[1] - 1}, got {classes.min()}..{classes.max()}; "
            "measure a subset() without ignored examples"
        )
    return Classified(scores, classes, torch.cat(losses).numpy())


def log_softmax(logits: Array, temperature: float = 1.0) -> Array:
    """Logarithms of the probabilities (N, C)."""
    shifted = (logits - logits.max(1, keepdims=True)) / temperature
    logs: Array = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return logs


def lengths(logits: Array) -> Array:
    """(N,) Euclidean norms of the outputs, their mean taken off, which a softmax does not see."""
    norms: Array = np.linalg.norm(logits - logits.mean(1, keepdims=True), axis=1)
    return norms
