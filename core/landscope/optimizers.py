"""The optimisers of a model: one, or several that step together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

__all__ = ["Holder", "Optimizers", "as_optimizers", "holders", "kinds"]

Optimizers = Optimizer | Sequence[Optimizer]
Holder = tuple[Optimizer, dict[str, Any]]


def as_optimizers(optimizer: Optimizers | None) -> tuple[Optimizer, ...]:
    """The optimisers, without the wrappers that Accelerate and Lightning put around them.

    Raises:
        TypeError: if one of them is no optimiser.
    """
    if optimizer is None:
        return ()
    found = list(optimizer) if isinstance(optimizer, Sequence) else [optimizer]
    for one in found:
        if not isinstance(one, Optimizer):
            raise TypeError(
                f"optimizer must be a torch.optim.Optimizer or a sequence of them, got {type(one).__name__}"
            )
    return tuple(map(_unwrapped, found))


def holders(optimizer: Optimizers, model: nn.Module, names: Iterable[str]) -> dict[str, list[Holder]]:
    """For each of the model's parameters that an optimiser holds, the optimisers that do, each with its group.

    Args:
        optimizer: The live optimisers; parameters are found in them by identity.
        model: Whose parameters.
        names: Of the parameters asked about.

    Raises:
        ValueError: if the optimisers hold none of these parameters.
    """
    by_identity: dict[int, list[Holder]] = {}
    for parameter, holder in _held(as_optimizers(optimizer)):
        by_identity.setdefault(id(parameter), []).append(holder)
    named = dict(model.named_parameters())
    found = {name: by_identity[id(named[name])] for name in names if id(named[name]) in by_identity}
    if not found:
        raise ValueError(
            "optimizer holds none of the objective's parameters; pass the one that trains this model, not a copy of it"
        )
    return found


def kinds(optimizer: Optimizers | None) -> str:
    """The class names of the optimisers, e.g. "Adam" or "SGD + Adam"."""
    return " + ".join(dict.fromkeys(type(one).__name__ for one in as_optimizers(optimizer)))


def _held(optimizers: Iterable[Optimizer]) -> Iterator[tuple[nn.Parameter, Holder]]:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                yield parameter, (optimizer, group)


def _unwrapped(optimizer: Optimizer) -> Optimizer:
    inner = getattr(optimizer, "optimizer", None)
    return _unwrapped(inner) if isinstance(inner, Optimizer) else optimizer
