"""What a training loop does to a model between two looks: takes a step, unfreezes a part, moves it elsewhere."""

from __future__ import annotations

from torch import nn
from torch.optim import Optimizer

from landscope.optimizers import Optimizers, as_optimizers

__all__ = ["Alterations"]


class Alterations:
    """Notices what has been done to a model, from what torch keeps about its parameters; nothing is hooked.

    Args:
        model: The model.
        optimizer: What trains it, as far as it is known.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizers | None) -> None:
        self._optimizers = as_optimizers(optimizer)
        self._telling = bool(self._optimizers) and all(map(_tells, self._optimizers))
        self._parameters = [parameter for _, parameter in model.named_parameters()]
        self._written = self._writes()
        self._form = self._form_now()

    def stepped(self) -> bool:
        """Whether an optimiser may have taken a step since this was last asked.

        It has not if it is one of torch's and nobody has written to a parameter that it holds: after a micro-batch of
        an accumulated gradient, and where a GradScaler skipped the step because of an overflow. Fused optimisers
        (`fused=True`) and those of other packages are taken to have stepped, since torch keeps no count of what they
        write.
        """
        if not self._telling:
            return True
        before, self._written = self._written, self._writes()
        return self._written != before

    def reformed(self) -> bool:
        """Whether parameters were frozen, unfrozen or moved to another device or type since this was last asked."""
        before, self._form = self._form, self._form_now()
        return self._form != before

    def _writes(self) -> int:
        """How often the optimisers' parameters were written to in their lives."""
        groups = (group for optimizer in self._optimizers for group in optimizer.param_groups)
        return sum(parameter._version for group in groups for parameter in group["params"])

    def _form_now(self) -> tuple[object, ...]:
        first = self._parameters[0]
        return (first.device, first.dtype, *(parameter.requires_grad for parameter in self._parameters))


def _tells(optimizer: Optimizer) -> bool:
    """Whether torch counts what an optimiser writes."""
    fused = any(group.get("fused") for group in optimizer.param_groups)
    return type(optimizer).__module__.startswith("torch.optim.") and not fused
