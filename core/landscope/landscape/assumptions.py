"""What ways of evaluating a model take for granted: that batches may be divided, and that outputs tell all."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from landscope.batches import take, to_device
from landscope.evaluation import Loss
from landscope.objective import Objective
from landscope.points import REFUSALS

__all__ = ["divisible", "lasting"]

logger = logging.getLogger(__name__)

_FEW = 15  # an odd number, so that a model that pairs neighbours shows itself


def divisible(objective: Objective, named: Mapping[str, Tensor], output: Any) -> bool:
    """Whether the first batch's outputs are those of its first and last examples, where these are evaluated alone.

    Args:
        objective: Whose model and data.
        named: Parameters.
        output: The model's output on the first batch with these.
    """
    batch, size = next(objective.batches_on_device())
    leaves = tree_leaves(output)
    whole = all(isinstance(leaf, Tensor) and leaf.shape[:1] == (size,) for leaf in leaves)
    if objective.batch_norm != "eval" or size < 2 or not whole:
        return False
    few = min(size // 2, _FEW)
    try:
        for rows in (slice(0, few), slice(size - few, size)):
            alone = tree_leaves(objective.function(named, take(batch, rows, size)))
            if not all(_equal(part, leaf[rows]) for part, leaf in zip(alone, leaves, strict=True)):
                return False
        return True
    except (*REFUSALS, AssertionError) as reason:
        logger.info("batches are evaluated whole: they cannot be divided (%s)", reason)
        return False


def lasting(
    objective: Objective,
    named: Mapping[str, Tensor],
    direction: Mapping[str, Tensor],
    output: Any,
    *,
    metrics: Mapping[str, Loss],
) -> bool:
    """Whether losses and metrics of an output stay the same when the model is then called with other weights.

    They do not where they read what forward passes leave in the model.

    Args:
        objective: Whose model, loss and data.
        named: Parameters.
        direction: A change of them.
        output: The model's output on the last batch with these.
        metrics: Further functions of (output, target).
    """
    batch = to_device(objective.batches.items[-1], objective.layout.device)
    target = objective.target(batch)

    def values() -> list[float]:
        return [float(function(output, target)) for function in (objective.loss, *metrics.values())]

    before = values()
    objective.function({name: tensor + 0.01 * direction[name] for name, tensor in named.items()}, batch)
    same = np.allclose(values(), before, rtol=1e-6, atol=0, equal_nan=True)
    if not same:
        logger.info("points are evaluated one after the other: the loss reads what the model keeps of its last call")
    return same


def _equal(part: Tensor, whole: Tensor) -> bool:
    """Whether two ways to one output differ by no more than rounding."""
    if not whole.is_floating_point():
        return torch.equal(part, whole)
    # Convolutions on a GPU round to ten bits unless told otherwise.
    tolerance = max(torch.finfo(whole.dtype).eps ** 0.6, 1e-3 if whole.is_cuda else 0.0)
    scale = float(whole.abs().max()) if whole.numel() else 0.0
    return part.shape == whole.shape and bool(
        torch.allclose(part, whole, rtol=0, atol=tolerance * scale, equal_nan=True)
    )
