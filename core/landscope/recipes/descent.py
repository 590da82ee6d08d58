"""The training loop that recipes share: plain full-batch descent, watched."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from landscope.evaluation import Loss
from landscope.live import Scope

__all__ = ["descend", "device"]


def device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def descend(
    scope: Scope,
    model: nn.Module,
    loss_fn: Loss,
    data: tuple[Tensor, Tensor],
    optimizer: Optimizer,
    *,
    steps: int,
    schedule: LRScheduler | None = None,
) -> None:
    """Takes full-batch steps until there are `steps`, or the page asks to stop; then measures everything once more.

    Args:
        scope: What watches the training; it is closed at the end, also when the training fails.
        model: The network.
        loss_fn: `loss_fn(outputs, targets)`.
        data: Inputs and targets.
        optimizer: The optimiser of the model's parameters.
        steps: How many steps to take.
        schedule: Of the learning rate, one step for each of the optimiser's.
    """
    inputs, targets = (tensor.to(device()) for tensor in data)
    with scope:
        while scope.step_number < steps and not scope.stopped:
            optimizer.zero_grad()
            loss = loss_fn(model(inputs), targets)
            loss.backward()
            optimizer.step()
            if schedule is not None:
                schedule.step()
            scope.step(loss)
        scope.measure()
