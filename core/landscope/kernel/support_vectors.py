"""The support vector machine to which a lazily trained network with hinge loss is equivalent."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from landscope.kernel.empirical import Kind, grams
from landscope.objective import Objective

__all__ = ["KernelMachine", "tangent_svm"]


class KernelMachine(NamedTuple):
    """A support vector machine with a network's tangent kernel.

    Attributes:
        decisions: (m,) decision values on the held-out examples, positive for the larger class.
        train_decisions: (n,) the same on the training examples.
        support: Positions of the support vectors among the training examples.
        accuracy: Share of held-out examples on the right side.
    """

    decisions: np.ndarray
    train_decisions: np.ndarray
    support: np.ndarray
    accuracy: float


def tangent_svm(
    train: Objective,
    test: Objective,
    *,
    theta: Tensor | None = None,
    kind: Kind = "trace",
    regularisation: float = 1.0,
) -> KernelMachine:
    """The soft-margin machine of two classes, min 1/2 |w|^2 + (1 / r) sum_i max(0, 1 - y_i (w . g_i + b)).

    g_i is the gradient of the output by the parameters. A network that is linear in its weights, as wide ones are while
    they train, and that descends on r/2 |theta - theta_0|^2 plus the sum of hinge losses from outputs of 0, ends there
    (Chen, Huang, Chen, Wang and Weng 2021, "On the equivalence between neural network and support vector machine"). The
    bias b is free of regularisation.

    Args:
        train: The training objective, with two classes.
        test: The held-out objective, with the same model.
        theta: Where the kernel is taken; the model's weights by default.
        kind: A kernel of one row per example.
        regularisation: r.

    Raises:
        ValueError: if there are not two classes, or the kind pairs outputs, or r is not positive.
    """
    if kind not in ("trace", "output", "pseudo"):
        raise ValueError(f"kind must be trace, output or pseudo, which have one row per example, got {kind!r}")
    if regularisation <= 0:
        raise ValueError(f"regularisation must be positive, got {regularisation}")
    labels, held_out = _labels(train), _labels(test)
    if len(np.unique(labels)) != 2:
        raise ValueError(f"the machine tells two classes apart, got {len(np.unique(labels))} different targets")
    from sklearn.svm import SVC  # here, because it takes seconds and few need it

    whole = grams([train, test], theta=theta, kind=kind).whole.cpu().numpy()
    n = train.examples
    machine = SVC(C=1 / regularisation, kernel="precomputed", tol=1e-8).fit(whole[:n, :n], labels)
    decisions = machine.decision_function(whole[n:, :n])
    sides = np.where(decisions > 0, machine.classes_[1], machine.classes_[0])
    return KernelMachine(
        decisions,
        machine.decision_function(whole[:n, :n]),
        machine.support_,
        float((sides == held_out).mean()),
    )


def _labels(objective: Objective) -> np.ndarray:
    """The target of each example, (n,): a class's number, or any value that stands for it."""
    targets = torch.cat([torch.as_tensor(objective.target(batch)) for batch, _ in objective.batches_on_device()])
    if targets.numel() != objective.examples:
        raise ValueError(f"the machine needs one target for each example, got shape {tuple(targets.shape)}")
    labels: np.ndarray = targets.flatten().cpu().numpy()
    return labels
