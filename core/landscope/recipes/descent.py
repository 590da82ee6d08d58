"""The training loop that recipes share: plain descent, watched and steered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from landscope.experiments import Experiment
from landscope.live import Scope

__all__ = ["descend", "device"]


def device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def descend(scope: Scope, experiment: Experiment, *, steps: int, batch_size: int | None = None) -> Path:
    """Takes steps until there are `steps`, or the page asks to stop; then measures everything once more.

    Args:
        scope: What watches the training; it is closed at the end, also when the training fails.
        experiment: What to train: its training data are inputs and targets, it has one optimiser, and its schedule, if
            it has one, takes a step for each of the optimiser's.
        steps: How many steps to take.
        batch_size: Examples in a step, to begin with: all of them unless told.

    Returns:
        The folder of the run.
    """
    optimizer, schedule = experiment.optimizer, experiment.schedule
    assert optimizer is not None
    inputs, targets = (tensor.to(device()) for tensor in experiment.train)
    with scope:
        if schedule is not None:
            scope.include(schedule)
        batches = scope.batches((inputs, targets), batch_size or len(inputs))
        while scope.step_number < steps and not scope.stopped:
            loss = optimizer.step(_evaluation(experiment, *next(batches)))
            if schedule is not None:
                schedule.step()
            scope.step(loss)
        scope.measure()
    return scope.path


def _evaluation(experiment: Experiment, inputs: Tensor, targets: Tensor) -> Callable[[], float]:
    """What the optimiser calls for a batch's loss and gradients: once, or where it wants to know them elsewhere too."""

    def evaluate() -> float:
        experiment.model.zero_grad()
        loss = experiment.loss_fn(experiment.model(inputs), targets)
        loss.backward()
        return loss.detach()  # type: ignore[return-value] # torch's own optimisers hand it on as it is

    return evaluate
