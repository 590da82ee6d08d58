"""The loss of each example, read off the user's own loss of a batch as it is computed."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from landscope.batches import take
from landscope.evaluation import Loss, per_example

__all__ = ["NotAMeanError", "element_losses", "in_order"]

# Torch reads the logits of an example across a vector register; fewer than fill one are read number by number.
_REGISTER = 16
_FEW = 4


class NotAMeanError(RuntimeError):
    """A loss is not the mean that torch computed within it."""


class _Unreduced(TorchFunctionMode):
    """Within, torch's losses keep the elements that they return the mean of."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: Tensor | None = None
        self.mean: Tensor | None = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        names = _parameters(func)
        if names is not None:
            given = dict(zip(names, args, strict=False)) | dict(kwargs)
            old = given.get("size_average") is not None or given.get("reduce") is not None
            if given.get("reduction", "mean") == "mean" and not old:
                self.elements = _elements(func, given | {"reduction": "none"})
                self.mean = self.elements.mean()
                return self.mean
        return func(*args, **kwargs)


def element_losses(loss: Loss, output: Any, target: Any, size: int) -> Tensor:
    """The loss of each example, (n,), of a loss that returns the mean that one of torch's own losses computes.

    Args:
        loss: `loss(output, target)`, the mean over a batch.
        output: The model's output on a batch.
        target: What it is compared with.
        size: Examples n in the batch; each has as many elements as any other, one behind the other.

    Raises:
        NotAMeanError: if the loss does something else with that mean than return it, or calls none of torch's losses.
    """
    with _Unreduced() as kept:
        value = loss(output, target)
    if kept.elements is None or value is not kept.mean:
        raise NotAMeanError("the loss is not the mean of the elements of one of torch's own losses")
    losses: Tensor = kept.elements.reshape(size, -1).mean(1)
    return losses


def in_order(loss: Loss, output: Any, target: Any, losses: Tensor, tolerance: float) -> bool:
    """Whether the first of the losses (n,) of a batch are those of its first examples, each taken alone.

    Args:
        loss: `loss(output, target)`.
        output: The model's output on the batch.
        target: What it is compared with.
        losses: (n,).
        tolerance: Greatest difference, as a share of a loss and of their mean.
    """
    size = len(losses)
    few = min(size, _FEW)
    some_output, some_target = take((output, target), slice(0, few), size)
    alone = per_example(loss, some_output, some_target, few)
    scale = float(losses.abs().mean())
    return bool(torch.isclose(losses[:few], alone, rtol=tolerance, atol=tolerance * scale).all())


@functools.cache
def _parameters(func: Callable[..., Any]) -> tuple[str, ...] | None:
    """Names of the parameters of one of torch's losses; None for any other function."""
    if getattr(functional, getattr(func, "__name__", ""), None) is not func or not inspect.isfunction(func):
        return None
    names = tuple(inspect.signature(func).parameters)
    return names if "reduction" in names else None


def _elements(func: Callable[..., Any], given: Mapping[str, Any]) -> Tensor:
    """A loss with reduction="none"; where classes are few, the same numbers with the examples along the registers."""
    logits, target = given["input"], given["target"]
    few = func is functional.cross_entropy and logits.ndim == 2 and logits.shape[1] < _REGISTER
    if few and target.ndim == 1 and logits.device.type == "cpu":
        turned: Tensor = func(**{**given, "input": logits.t().unsqueeze(0), "target": target.unsqueeze(0)})
        return turned.squeeze(0)
    elements: Tensor = func(**given)
    return elements
