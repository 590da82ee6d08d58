"""Whether a batch may be evaluated in pieces."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from landscope.batches import take
from landscope.landscape.readings import joined
from landscope.objective import Objective
from landscope.points import REFUSALS

__all__ = ["divisible"]

logger = logging.getLogger(__name__)


def divisible(objective: Objective, named: Mapping[str, Tensor], output: Any) -> bool:
    """Whether the first batch's outputs are those of its two halves, one behind the other.

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
    try:
        halves = [
            objective.function(named, take(batch, rows, size)) for rows in (slice(0, size // 2), slice(size // 2, size))
        ]
        pairs = zip(tree_leaves(joined(halves, 0)), leaves, strict=True)
        return all(_equal(half, one) for half, one in pairs)
    except (*REFUSALS, AssertionError) as reason:
        logger.info("batches are evaluated whole: they cannot be divided (%s)", reason)
        return False


def _equal(half: Tensor, whole: Tensor) -> bool:
    """Whether two ways to one output differ by no more than rounding."""
    if not whole.is_floating_point():
        return torch.equal(half, whole)
    # Convolutions on a GPU round to ten bits unless told otherwise.
    tolerance = max(torch.finfo(whole.dtype).eps ** 0.6, 1e-3 if whole.is_cuda else 0.0)
    scale = float(whole.abs().max()) if whole.numel() else 0.0
    return bool(torch.allclose(half, whole, rtol=0, atol=tolerance * scale, equal_nan=True))
