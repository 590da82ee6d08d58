"""The training loop that recipes share: plain full-batch descent, watched."""

from __future__ import annotations

import torch

from landscope.experiments import Experiment
from landscope.live import Scope

__all__ = ["descend", "device"]


def device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def descend(scope: Scope, experiment: Experiment, *, steps: int) -> None:
    """Takes full-batch steps until there are `steps`, or the page asks to stop; then measures everything once more.

    Args:
        scope: What watches the training; it is closed at the end, also when the training fails.
        experiment: What to train: its training data are inputs and targets, it has one optimiser, and its schedule, if
            it has one, takes a step for each of the optimiser's.
        steps: How many steps to take.
    """
    optimizer, schedule = experiment.optimizer, experiment.schedule
    assert optimizer is not None
    inputs, targets = (tensor.to(device()) for tensor in experiment.train)
    with scope:
        while scope.step_number < steps and not scope.stopped:
            optimizer.zero_grad()
            loss = experiment.loss_fn(experiment.model(inputs), targets)
            loss.backward()
            optimizer.step()
            if schedule is not None:
                schedule.step()
            scope.step(loss)
        scope.measure()
