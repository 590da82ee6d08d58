"""How much of a training's data is measured, and what is worth knowing of the training."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from landscope.evaluation import Loss
from landscope.objective import Objective
from landscope.optimizers import Optimizers, as_optimizers

__all__ = ["FEWEST", "affordable", "collected", "described", "gradient_seconds", "tight_examples"]

# Unless told, curvature and the like use between so few and so many examples, as long as a gradient over them takes no
# longer than this many seconds.
FEWEST, _MOST, _QUICK = 32, 1024, 0.05
_BYTES = 2**28  # of training data kept for measuring
# To follow the sharpness takes some ten gradients, which are to be earned within ten seconds, down to so few examples.
_FOLLOWING, _PERIOD, _FEWEST_CURVED = 10, 10.0, 8


def collected(
    model: nn.Module, loss_fn: Loss, train: Any, examples: int | None, options: Mapping[str, Any]
) -> Objective:
    """The training objective on as many examples as may be wanted and fit the memory for them."""
    most = examples or _MOST
    if examples is None and not isinstance(train, Iterator):  # what can be read once only is read once
        few = Objective(model, loss_fn, train, examples=FEWEST, **options).batches
        most = min(_MOST, max(FEWEST, _BYTES * few.examples // max(few.nbytes, 1) // 4))
    return Objective(model, loss_fn, train, examples=4 * most, split="train", **options)


def affordable(objective: Objective) -> int:
    """The largest number of examples, doubling from the fewest, whose gradient is quick."""
    count = FEWEST
    gradient_seconds(objective.sample(count))  # the first one also fills caches
    while count < min(_MOST, objective.examples) and 2 * gradient_seconds(objective.sample(count)) < _QUICK:
        count *= 2
    return count


def tight_examples(examples: int, seconds: float, earned: float) -> int:
    """How many examples curvature is measured on: halved until following the sharpness is earned within ten seconds.

    Args:
        examples: As many as there are.
        seconds: What a gradient over them takes.
        earned: Seconds for measuring the sharpness that each second of training earns.
    """
    while examples > _FEWEST_CURVED and _FOLLOWING * seconds > _PERIOD * earned:
        examples, seconds = examples // 2, seconds / 2
    return examples


def gradient_seconds(objective: Objective) -> float:
    """Seconds that a gradient of the objective takes."""
    began = time.perf_counter()
    objective.gradient()
    return time.perf_counter() - began


def described(train: Objective, test: Objective | None, optimizer: Optimizers | None) -> dict[str, Any]:
    """What is worth knowing of a training, read off the objects themselves."""
    described: dict[str, Any] = {
        "model": type(train.model).__name__,
        "parameters": train.layout.size,
        "train_examples": train.examples,
        "test_examples": 0 if test is None else test.examples,
        "device": str(train.layout.device),
    }
    settings = [
        {"name": type(one).__name__}
        | {key: value for key, value in one.defaults.items() if isinstance(value, int | float | str | tuple)}
        for one in as_optimizers(optimizer)
    ]
    if settings:
        described["optimizer"] = settings if len(settings) > 1 else settings[0]
    return described
