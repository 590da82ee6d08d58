"""Calling a model as a function of its parameters, and what a batch's outputs say: per-example losses and classes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_leaves, tree_map

__all__ = ["Forward", "Loss", "ModelFunction", "class_labels", "default_target", "per_example", "predicted_classes"]

logger = logging.getLogger(__name__)

Forward = Callable[[nn.Module, Any], Any]
Loss = Callable[[Any, Any], Tensor]

_TARGET_KEYS = ("labels", "label", "targets", "target", "y")


class ModelFunction:
    """f(theta, batch): a model called with other parameters than its own, its own left alone.

    Attributes:
        model: The module; referred to, not copied. Wrappers of `torch.compile` and DistributedDataParallel are taken
            off, since differentiating through them twice is not possible.
    """

    def __init__(self, model: nn.Module, forward: Forward | None) -> None:
        self.model = _unwrapped(model)
        self._call = _Call(self.model, forward or _default_forward)

    def __call__(
        self, parameters: Mapping[str, Tensor], batch: Any, buffers: Mapping[str, Tensor] | None = None
    ) -> Any:
        """The output of the model with `parameters` in place of its own; parameters not named keep their values.

        Args:
            parameters: Tensors by qualified name; a tied parameter is named once.
            batch: One batch.
            buffers: Buffers to use and to write to; None gives copies of the model's, so that a forward pass that
                writes to its buffers leaves the model's alone.
        """
        if buffers is None:
            buffers = {name: buffer.detach().clone() for name, buffer in self.model.named_buffers()}
        swapped = {f"model.{name}": tensor for name, tensor in (*buffers.items(), *parameters.items())}
        return functional_call(self._call, swapped, (batch,), tie_weights=True)


class _Call(nn.Module):
    """`forward(model, batch)` as a module, which is what functional_call takes."""

    def __init__(self, model: nn.Module, forward: Forward) -> None:
        super().__init__()
        self.model = model
        self._user_forward = forward

    def forward(self, batch: Any) -> Any:
        return self._user_forward(self.model, batch)


def _unwrapped(model: nn.Module) -> nn.Module:
    if isinstance(model, nn.parallel.DistributedDataParallel):
        return _unwrapped(model.module)
    original = getattr(model, "_orig_mod", None)  # torch.compile's wrapper
    return _unwrapped(original) if isinstance(original, nn.Module) else model


def _default_forward(model: nn.Module, batch: Any) -> Any:
    if _is_sequence(batch) and len(batch) >= 2:
        return model(*batch[:-1])
    raise TypeError(
        f"a batch must be (input, target) when no forward is given, got {type(batch).__name__}; "
        "pass forward=lambda model, batch: ... to say how the model is called"
    )


def default_target(batch: Any) -> Any:
    """The target of a batch: a sequence's last element, a mapping's labels, and otherwise the batch itself."""
    if isinstance(batch, Mapping):
        return next((batch[key] for key in _TARGET_KEYS if key in batch), batch)
    return batch[-1] if _is_sequence(batch) and len(batch) >= 2 else batch


def _is_sequence(batch: Any) -> bool:
    return isinstance(batch, Sequence) and not isinstance(batch, str)


def per_example(loss: Loss, output: Any, target: Any) -> Tensor:
    """The loss of each example alone, (n,): loss(output_i, target_i) with batches of one.

    For a loss that is a mean over examples, their mean is the loss of the batch. Vectorised over the batch; a loss
    that vmap refuses (data-dependent control flow) is called once for each example instead, which is logged.
    """

    def single(one_output: Any, one_target: Any) -> Tensor:
        return loss(*(tree_map(lambda leaf: leaf.unsqueeze(0), tree) for tree in (one_output, one_target)))

    try:
        return vmap(single)(output, target)
    except (RuntimeError, ValueError) as reason:
        logger.info("per-example losses are computed one by one: vmap refused the loss (%s)", reason)
        rows = len(_first_tensor(output))
        pieces = [tuple(tree_map(lambda leaf, i=i: leaf[i], tree) for tree in (output, target)) for i in range(rows)]
        return torch.stack([single(one_output, one_target) for one_output, one_target in pieces])


def class_labels(output: Any, target: Any) -> Tensor | None:
    """The classes (n, ...) that the targets name; None where the task is not a classification.

    Integer targets with one dimension less than a floating output are classes; so are one-hot targets of the
    output's shape (n, C).
    """
    if not (isinstance(output, Tensor) and isinstance(target, Tensor) and output.is_floating_point()):
        return None
    if not target.is_floating_point() and target.dtype != torch.bool:
        return target if output.ndim == target.ndim + 1 else None
    if output.ndim == 2 and target.shape == output.shape and output.shape[1] > 1:
        one_hot = bool(((target == 0) | (target == 1)).all()) and bool((target.sum(1) == 1).all())
        return target.argmax(1) if one_hot else None
    return None


def predicted_classes(output: Tensor, labels: Tensor) -> Tensor:
    """The class with the largest output, in the shape of `labels`.

    Classes run along dimension 1, as in torch's losses; where that does not fit the labels' shape, along the last.
    """
    along_one = output.shape[:1] + output.shape[2:] == labels.shape
    return output.argmax(1 if along_one else -1)


def _first_tensor(tree: Any) -> Tensor:
    return next(leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))
