"""How hard each example is for a classifier, at one moment."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from landscope.dynamics.classified import classified, lengths, log_softmax
from landscope.dynamics.example_gradients import example_grams
from landscope.measurements import ExampleScores
from landscope.objective import Objective

__all__ = ["example_scores"]

_TOGETHER = 128  # examples whose gradients' inner products are formed at once


def example_scores(objective: Objective, *, theta: Tensor | None = None, gradients: bool = False) -> ExampleScores:
    """Loss, margin, confidence, EL2N and, if asked for, GraNd of each example.

    With outputs z, probabilities p = softmax(z) and the one-hot label y: the margin z_y - max_{c != y} z_c (Pleiss et
    al. 2020, arXiv 2001.10528), the probability p_y (Swayamdipta et al. 2020, arXiv 2009.10795), EL2N |p - y|, and
    GraNd, the norm of the gradient of the example's loss (Paul, Ganguli and Dziugaite 2021, "Deep Learning on a Data
    Diet", arXiv 2107.07075, who average both over initialisations, early in training).

    Args:
        objective: Of a classification with one label for each example.
        theta: Where, (P,); the model's weights at this moment if left out.
        gradients: Whether to take GraNd, which costs a backward pass and inner products of gradients.

    Raises:
        ValueError: if the task is another, or gradients of single examples are not defined.
        TypeError: if outputs or targets are not tensors.
    """
    with objective.measuring() as meter:
        found = classified(objective, theta)
        chances = np.exp(log_softmax(found.logits))
        rows = np.arange(len(chances))
        errors = chances.copy()
        errors[rows, found.labels] -= 1
        return ExampleScores(
            provenance=meter.provenance("outputs on each example"),
            labels=found.labels,
            predictions=found.predictions,
            losses=found.losses,
            margins=found.margins,
            confidences=chances[rows, found.labels],
            el2n=np.linalg.norm(errors, axis=1),
            logit_norms=lengths(found.logits),
            grand=_gradient_norms(objective, theta) if gradients else None,
        )


def _gradient_norms(objective: Objective, theta: Tensor | None) -> np.ndarray:
    """(N,), some examples at a time."""
    norms = []
    for begin in range(0, objective.examples, _TOGETHER):
        some = objective.subset(range(begin, min(begin + _TOGETHER, objective.examples)))
        norms.append(example_grams(some, theta)["all"].diagonal().clamp_min(0).sqrt().numpy())
        objective.work.gradients += some.examples / objective.examples
    return np.concatenate(norms)
