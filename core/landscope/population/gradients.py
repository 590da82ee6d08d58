"""Losses and gradients of many copies of one model in one call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value
from torch.fx.experimental.proxy_tensor import make_fx

from landscope.batch_norm import normalise_by_batch
from landscope.evaluation import vmapped
from landscope.population.settings import Training

__all__ = [
    "BatchedGradient",
    "BatchedLoss",
    "Tensors",
    "batched_gradient",
    "batched_loss",
    "bytes_of_a_model",
    "refuse_randomness",
    "template_of",
]

logger = logging.getLogger(__name__)

_REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError)

Tensors: TypeAlias = dict[str, Tensor]
BatchedLoss: TypeAlias = Callable[[Tensors, Tensors, tuple[Tensor, ...]], Tensor]
BatchedGradient: TypeAlias = Callable[[Tensors, Tensors, tuple[Tensor, ...]], tuple[Tensors, Tensor]]


def template_of(training: Training) -> nn.Module:
    """A copy of the model in training mode, to be called with others' weights.

    Batch normalisation uses the statistics of each model's own batch, and keeps no running ones.

    Raises:
        ValueError: if the model has active dropout.
    """
    template = deepcopy(training.make()).train()
    refuse_randomness(template)
    normalise_by_batch(template)
    return template


def refuse_randomness(model: nn.Module) -> None:
    """Refuses modules with active dropout, since models trained at once have no random numbers of their own.

    Raises:
        ValueError: if there is one.
    """
    for name, module in model.named_modules():
        rate = module.p if isinstance(module, nn.modules.dropout._DropoutNd) else getattr(module, "dropout", 0.0)
        if isinstance(rate, float) and rate > 0:
            raise ValueError(f"{name or type(module).__name__} has dropout {rate}, expected 0: build the model without")


def batched_gradient(
    training: Training,
    template: nn.Module,
    parameters: Tensors,
    fixed: Tensors,
    batch: tuple[Tensor, ...],
    *,
    record: bool,
) -> BatchedGradient:
    """Gradients and losses of many models: (parameters, fixed, batch) -> (gradients by name, losses (K,)).

    Args:
        training: The loss and the data.
        template: The module.
        parameters: Named parameters (K, ...) of K models.
        fixed: Named frozen parameters and buffers (K, ...).
        batch: The data, for all models, or with K batches of `training.batch_size` examples along the first dimension.
        record: Whether to record the operations once, for tensors of these shapes, and then run them as they are:
            `vmap` decides anew at every call what to do with each, which takes longer than those of a tiny model.

    Raises:
        ValueError: if the model cannot be batched.
    """
    per_model = None if training.batch_size is None else 0
    function = vmapped(grad_and_value(_loss_function(training, template)), in_dims=(0, 0, per_model))
    batched: BatchedGradient = _prepared(function, (parameters, fixed, batch), record)
    return batched


def batched_loss(
    training: Training, template: nn.Module, parameters: Tensors, fixed: Tensors, *, record: bool
) -> BatchedLoss:
    """Losses on all data of many models, as `batched_gradient`."""
    function = vmapped(_loss_function(training, template), in_dims=(0, 0, None))
    batched: BatchedLoss = _prepared(function, (parameters, fixed, training.data), record)
    return batched


def bytes_of_a_model(training: Training, template: nn.Module) -> int:
    """About how much memory one model takes while it trains: weights, optimiser, history, and activations twice."""
    shared = {tensor.untyped_storage().data_ptr() for tensor in training.data}
    saved: dict[int, int] = {}
    together = training.batch_size if training.losses == "batch" else None

    def keep(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        *inputs, target = (tensor[:together] for tensor in training.data)
        loss = training.loss(template(*inputs), target)  # kept, as is the memory that it refers to
    activations = sum(size for pointer, size in saved.items() if pointer not in shared)
    weights = sum(tensor.nbytes for tensor in (*template.parameters(), *template.buffers()))
    order = 0 if training.batch_size is None else 8 * training.batch_size
    return 2 * activations + 5 * weights + training.steps * (loss.element_size() + order)


def _loss_function(training: Training, template: nn.Module) -> Callable[..., Tensor]:
    def loss(parameters: Tensors, fixed: Tensors, batch: tuple[Tensor, ...]) -> Tensor:
        *inputs, target = batch
        swapped: Mapping[str, Tensor] = {**parameters, **fixed}
        return training.loss(functional_call(template, dict(swapped), tuple(inputs)), target)

    return loss


def _prepared(function: Callable[..., Any], example: tuple[Any, ...], record: bool) -> Callable[..., Any]:
    try:
        function(*example)
    except _REFUSALS as reason:
        raise ValueError(
            "the model or its loss cannot be computed for many models at once; it must be free of random numbers and "
            f"of control flow that depends on values: {reason}"
        ) from reason
    if not record:
        return function
    try:
        recorded: Callable[..., Any] = make_fx(function, decomposition_table=_FASTER)(*example)
    except _REFUSALS as reason:
        logger.info("the model is batched anew at every step, which is slower: recording failed (%s)", reason)
        return function
    return recorded


def _log_softmax(x: Tensor, dim: int, half_to_float: bool) -> Any:
    if not _of_few(x, dim) or half_to_float:
        return NotImplemented
    return torch.ops.aten._log_softmax(x.mT.contiguous(), x.ndim - 2, False).mT


def _log_softmax_backward(gradient: Tensor, output: Tensor, dim: int, dtype: torch.dtype) -> Any:
    if not _of_few(output, dim) or dtype != output.dtype:
        return NotImplemented
    moved = gradient.mT.contiguous(), output.mT.contiguous()
    return torch.ops.aten._log_softmax_backward_data(*moved, output.ndim - 2, dtype).mT


def _of_few(x: Tensor, dim: int) -> bool:
    return x.device.type == "cpu" and x.ndim > 1 and dim in (-1, x.ndim - 1) and x.shape[dim] <= _FEW


_FEW = 32
_FASTER: dict[Any, Callable[..., Any]] = {
    torch.ops.aten._log_softmax.default: _log_softmax,
    torch.ops.aten._log_softmax_backward_data.default: _log_softmax_backward,
}
"""Operators that torch computes a few times faster on a CPU along another dimension than the last, if that is short."""
