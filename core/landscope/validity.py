"""What an objective refuses to measure, and why."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves

__all__ = ["check_loss", "check_repeats"]


def check_loss(loss: Any) -> None:
    """Refuses a loss that is not a finite floating-point scalar with a gradient.

    Raises:
        TypeError: if it is not a tensor.
        ValueError: if it is not scalar, not floating point, does not depend on the parameters, or is not finite.
    """
    if not isinstance(loss, Tensor):
        raise TypeError(
            f"loss must return a tensor, got {type(loss).__name__}; return the loss itself, not loss.item() or a number"
        )
    if loss.ndim != 0:
        raise ValueError(
            f"loss must be a scalar, got shape {tuple(loss.shape)}; take the mean over examples, e.g. reduction='mean'"
        )
    if not loss.is_floating_point():
        raise ValueError(
            f"loss has dtype {str(loss.dtype).removeprefix('torch.')}, which has no gradient; "
            "return a floating-point loss (counts and accuracies are metrics, not losses)"
        )
    if not loss.requires_grad:
        raise ValueError(
            "loss does not depend on the parameters: its gradient was cut; remove .detach(), no_grad or .data from the "
            "model and the loss"
        )
    if not math.isfinite(float(loss.detach())):
        raise ValueError(
            f"the loss at the model's weights is {float(loss.detach())}, so there is nothing to measure around them; "
            "check the data for NaN, or load an earlier checkpoint and lower the learning rate"
        )


def check_repeats(output: Any, again: Any) -> None:
    """Refuses a model whose outputs on the same batch differ by more than rounding.

    Raises:
        ValueError: if they do.
    """
    for first, second in zip(tree_leaves(output), tree_leaves(again), strict=True):
        if isinstance(first, Tensor) and first.is_floating_point():
            first, second = first.detach(), second.detach()
            apart = float((first - second).abs().max()) if first.numel() else 0.0
            if apart > 5e-5 * float(first.abs().max()):
                raise ValueError(
                    f"the model's output changed by {apart:.3g} between two calls on the same batch, so its loss is no "
                    "function of its weights; take random numbers and state out of forward (dropout modules are off "
                    "already), or pass forward= with a fixed noise"
                )
