"""Batch normalisation, whose outputs depend on more than weights and one example: what is normalised by what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn

__all__ = [
    "BATCH_NORM_POLICIES",
    "BatchNormPolicy",
    "batch_norm_layers",
    "normalise_by_batch",
    "recomputed_buffers",
]

BatchNormPolicy = Literal["eval", "batch", "recompute"]
BATCH_NORM_POLICIES: tuple[BatchNormPolicy, ...] = ("eval", "batch", "recompute")

_BatchNorm = nn.modules.batchnorm._BatchNorm


def batch_norm_layers(model: nn.Module) -> list[_BatchNorm]:
    """The layers of `model` that normalise over the batch."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


def normalise_by_batch(model: nn.Module) -> None:
    """Lets batch normalisation use the statistics of the batch at hand; running ones are neither read nor written."""
    for layer in batch_norm_layers(model):
        layer.training, layer.track_running_stats = True, False


@torch.no_grad()
def recomputed_buffers(
    model: nn.Module,
    evaluate: Callable[[Any, dict[str, Tensor]], Any],
    batches: Iterable[tuple[Any, int]],
) -> dict[str, Tensor]:
    """Copies of the model's buffers in which running statistics are averages over the data.

    Batches weigh by their size: after n examples, a batch of b moves the averages by b / (n + b). As in training, the
    variance of each batch is the unbiased one, and the means' spread between batches is no part of it.

    Args:
        model: The module, in evaluation mode; its layers' flags are as before afterwards.
        evaluate: `evaluate(batch, buffers)` calls the model with these buffers, which it may write to.
        batches: The data, with the size of each batch.
    """
    buffers = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
    kept = [(layer, layer.training, layer.momentum) for layer in batch_norm_layers(model)]
    seen = 0
    try:
        for batch, size in batches:
            seen += size
            for layer, _, _ in kept:
                layer.training, layer.momentum = True, size / seen
            evaluate(batch, buffers)
    finally:
        for layer, training, momentum in kept:
            layer.training, layer.momentum = training, momentum
    return buffers
