"""What an objective refuses to measure, and why."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from landscope.classes import Classification
from landscope.evaluation import Loss, setting

__all__ = ["check_batch", "check_loss", "check_mean", "check_reduction", "check_repeats"]

logger = logging.getLogger(__name__)


def check_batch(
    evaluate: Callable[[], Any], target_of: Callable[[], Any], loss: Loss, size: int
) -> Classification | None:
    """Refuses a model or loss that cannot be measured on a batch; returns how its outputs name classes.

    Args:
        evaluate: Calls the model on the batch, with parameters that have gradients.
        target_of: What the loss compares with.
        loss: The user's loss.
        size: Number of examples in the batch.

    Raises:
        ValueError: as the checks below do.
        TypeError: likewise.
    """
    check_reduction(loss)
    try:
        output, again = evaluate(), evaluate()
        target = target_of()
        value = loss(output, target)
    except Exception as failure:
        failure.add_note(f"while evaluating the objective on its first batch of {size} examples")
        raise
    check_loss(value)
    check_repeats(output, again)
    with torch.no_grad():
        check_mean(loss, output, target, float(value.detach()))
        return Classification.of(output, target, loss)


def check_reduction(loss: Loss) -> None:
    """Refuses a loss that says it is no mean over examples.

    Raises:
        ValueError: if it does.
    """
    reduction = setting(loss, "reduction", "mean")
    if reduction in ("sum", "none"):
        raise ValueError(
            f"loss has reduction={reduction!r}, expected a mean over examples; build it with reduction='mean'"
        )


def check_mean(loss: Loss, output: Any, target: Any, value: float) -> None:
    """Refuses a loss that is twice as large on the same examples twice: a sum over them.

    Outputs and targets that are not tensors with a row for each example are not judged, nor is a loss that takes no
    more than these examples.

    Raises:
        ValueError: if it is a sum.
    """
    tensors = isinstance(output, Tensor) and isinstance(target, Tensor) and output.ndim > 0 and target.ndim > 0
    if not tensors or len(output) != len(target) or value == 0.0:
        return
    try:
        twice = float(loss(torch.cat([output, output]), torch.cat([target, target])))
    except (RuntimeError, ValueError, IndexError) as reason:
        logger.info("cannot tell whether the loss is a mean over examples: it fails on twice as many (%s)", reason)
        return
    if abs(twice / value - 2.0) < 1e-3:
        raise ValueError(
            f"loss is {value:.6g} on {len(output)} examples and {twice:.6g} on the same examples twice, so it is a sum "
            "over them; return their mean, e.g. reduction='mean', so that batches of any size weigh rightly"
        )


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
