"""Whether a step that lowers one loss raises another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from landscope.dynamics.layers import layer_products, layer_slices
from landscope.measurements import GradientConflict
from landscope.objective import Objective

__all__ = ["gradient_conflict"]


def gradient_conflict(parts: Mapping[str, Objective], *, theta: Tensor | None = None) -> GradientConflict:
    """The cosines of the gradients of several objectives of one model, whole and by layer.

    Two losses are in conflict where the cosine is negative: to first order a gradient step on one raises the other
    (Yu, Kumar, Gupta, Levine, Hausman and Finn 2020, "Gradient Surgery for Multi-Task Learning", arXiv 2001.06782).

    Args:
        parts: By name: `by_group(objective)` for classes, `objective.with_loss(term)` for the terms of a loss,
            `objective.subset(mask)` for anything else. Their gradients are held at once.
        theta: Where, (P,); the model's weights at this moment if left out.

    Raises:
        ValueError: if there are fewer than two parts, or they are functions of different parameters.
    """
    if len(parts) < 2:
        raise ValueError(f"a conflict needs at least two objectives, got {len(parts)}")
    first, *others = parts.values()
    if any(other.layout != first.layout for other in others):
        raise ValueError(
            "the objectives must share their parameters; derive them from one with subset() or with_loss()"
        )
    with first.measuring() as meter:
        gradients = torch.stack([part.gradient(theta) for part in parts.values()])
        first.work.gradients += sum(other.examples for other in others if other is not first) / first.examples
        products = layer_products(first.layout, gradients, gradients).numpy()
        norms = np.sqrt(np.diagonal(products, axis1=1, axis2=2))
        with np.errstate(divide="ignore", invalid="ignore"):
            cosines = products / (norms[:, :, None] * norms[:, None, :])
        return GradientConflict(
            provenance=meter.provenance("gradients of several objectives"),
            parts=tuple(parts),
            counts=np.array([part.examples for part in parts.values()]),
            layers=tuple(layer_slices(first.layout)),
            cosines=np.clip(cosines, -1, 1),
            norms=norms,
        )
