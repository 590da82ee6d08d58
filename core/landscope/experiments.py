"""A training without its loop: what it takes to measure weights again long after they were trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from landscope.evaluation import Forward, Loss, default_target
from landscope.isolation import BatchNormPolicy
from landscope.objective import Objective

__all__ = ["Experiment"]

_EXAMPLES = 4096


@dataclass(frozen=True)
class Experiment:
    """A model with its loss, its data and its optimiser, before the first step.

    A program that returns one from a function `experiment()` can have its runs and checkpoints measured afterwards, by
    `landscope measure FILE.py`.

    Attributes:
        model: The network.
        loss_fn: `loss_fn(output, target)`, a scalar, the mean over the batch.
        train: Training data in any form `Objective` takes.
        test: Held-out data, likewise.
        optimizer: The optimiser of the model's parameters.
        schedule: Of the learning rate.
        forward: `forward(model, batch)`, for models that are not called as `model(x)`.
        target: `target(batch)`, what the loss compares with.
        batch_norm: Policy for batch normalisation while measuring: "eval", "batch" or "recompute".
    """

    model: nn.Module
    loss_fn: Loss
    train: Any
    test: Any = None
    optimizer: Optimizer | None = None
    schedule: LRScheduler | None = None
    forward: Forward | None = None
    target: Callable[[Any], Any] = default_target
    batch_norm: BatchNormPolicy = "eval"

    def objective(self, split: Literal["train", "test"] = "train", *, examples: int = _EXAMPLES) -> Objective:
        """The loss on the training or the held-out data, of at most so many examples, as a function of the weights.

        Raises:
            ValueError: if there is no such data, or it cannot be measured (see `Objective`).
        """
        data = {"train": self.train, "test": self.test}.get(split)
        if data is None:
            raise ValueError(f"the experiment has no {split!r} data; measure 'train', or give it test=")
        return Objective(
            self.model,
            self.loss_fn,
            data,
            forward=self.forward,
            target=self.target,
            batch_norm=self.batch_norm,
            examples=examples,
            split=split,
        )
