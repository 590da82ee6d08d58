"""Lazy or rich: how far kernel, weights and features have moved since the beginning of a training."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from landscope.embedding import features
from landscope.kernel.empirical import Kind, ntk
from landscope.kernel.spectrum import centred
from landscope.measurements import NTK, Laziness
from landscope.objective import Objective

__all__ = ["Moment", "drift", "label_energy", "laziness", "moment"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Moment:
    """What later moments of a training are held against.

    Attributes:
        kernel: The kernel on the probe examples.
        theta: (P,) the weights, on the CPU.
        features: (n, d) the features before the last linear layer; None where there is none.
        step: Optimiser steps taken; None if unknown.
    """

    kernel: NTK
    theta: Tensor
    features: Tensor | None
    step: int | None = None


def moment(
    objective: Objective,
    n: int = 256,
    *,
    theta: Tensor | None = None,
    kind: Kind = "trace",
    step: int | None = None,
    seed: int = 0,
) -> Moment:
    """Kernel, weights and features now, on the same n examples at every call; arguments as for `ntk`."""
    probe = objective.sample(n, seed=seed)
    with probe.measuring():
        kernel = ntk(probe, n, theta=theta, kind=kind)
        taken: Tensor | None = None
        try:
            taken = features(probe, theta=theta).values
        except (ValueError, TypeError) as reason:
            logger.info("the movement of features is not followed: %s", reason)
        at = probe.theta() if theta is None else theta.detach()
    return Moment(kernel, at.cpu(), taken, step)


def laziness(now: Moment, start: Moment, *, last: Moment | None = None, test: NTK | None = None) -> Laziness:
    """How far a training is from its start, and how far its kernel has turned to the labels.

    Args:
        now: The present moment.
        start: The beginning, on the same examples.
        last: The moment before, for the kernel's velocity.
        test: The present kernel on held-out examples, for its alignment with their labels.

    Raises:
        ValueError: if the moments' kernels have different kinds or examples.
    """
    kernel, first = now.kernel, start.kernel
    if kernel.gram is None or first.gram is None:
        raise ValueError("a kernel without its Gram matrix has nothing to compare; measure it anew")
    for other in (first, *([] if last is None else [last.kernel])):
        kinds, data = {kernel.gram_kind, other.gram_kind}, {kernel.provenance.data, other.provenance.data}
        if len(kinds) > 1 or len(data) > 1 or other.gram is None or other.gram.shape != kernel.gram.shape:
            raise ValueError(
                f"moments must have one kind of kernel on the same examples, got {kernel.gram_kind} and "
                f"{other.gram_kind} kernels; take both with the same objective, n, kind and seed"
            )
    steps = None
    velocity = None
    if last is not None and last.kernel.gram is not None:
        steps = now.step - last.step if now.step is not None and last.step is not None else 1
        velocity = drift(kernel.gram, last.kernel.gram) / max(steps, 1)
    labels = kernel.labels if kernel.gram_kind != "full" else None
    return Laziness(
        provenance=kernel.provenance,
        gram_kind=kernel.gram_kind,
        drift=drift(kernel.gram, first.gram),
        relative_drift=_moved(kernel.gram, first.gram),
        velocity=velocity,
        alignment=kernel.alignment,
        test_alignment=None if test is None else test.alignment,
        label_energy=None if labels is None else label_energy(kernel.gram, labels),
        classes=0 if labels is None else len(np.unique(labels)),
        weights=_moved(now.theta.double().numpy(), start.theta.double().numpy()),
        features=None
        if now.features is None or start.features is None
        else _moved(now.features.double().numpy(), start.features.double().numpy()),
    )


def drift(gram: np.ndarray, other: np.ndarray) -> float:
    """1 - <K, K'> / (|K| |K'|) of two kernels, between 0 and 1 (Fort et al. 2020); 0 also if both are zero."""
    lengths = float(np.linalg.norm(gram)) * float(np.linalg.norm(other))
    return max(0.0, 1 - float((gram * other).sum()) / lengths) if lengths > 0 else 0.0


def label_energy(gram: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Share of the centred one-hot labels' energy in the first k eigenvectors of the centred kernel, k = 1 ... n.

    Between 0 and 1, ascending; all zero where there is only one class.
    """
    vectors = np.linalg.eigh(centred(gram))[1][:, ::-1]
    targets = (labels[:, None] == np.unique(labels)[None, :]).astype(np.float64)
    targets -= targets.mean(0)
    energies = ((vectors.T @ targets) ** 2).sum(1)
    whole = float((targets**2).sum())
    shares: np.ndarray = energies.cumsum() / whole if whole > 0 else np.zeros(len(labels))
    return shares


def _moved(now: np.ndarray, before: np.ndarray) -> float:
    length = float(np.linalg.norm(before))
    moved = float(np.linalg.norm(now - before))
    return moved / length if length > 0 else float("inf") if moved > 0 else 0.0
