"""Metrics of many parameter vectors: several at once, or one after the other, whichever is faster."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from landscope.classes import Classification
from landscope.derivatives import accumulator
from landscope.evaluation import Loss, vmapped
from landscope.parameters import ParameterLayout

__all__ = ["REFUSALS", "PointEvaluator", "averages"]

logger = logging.getLogger(__name__)

_CHUNK = 8  # points evaluated at once: enough to fill the processor, few enough for memory

# What torch raises when it cannot run a model on several parameter vectors at once: data-dependent control flow,
# conversions to Python numbers or arrays, writes to unbatched tensors, operators without a rule, want of memory.
REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError)


@dataclass
class PointEvaluator:
    """Evaluates a function of named parameters at the rows of a matrix.

    Attributes:
        layout: How a row is named parameters.
        at_once: Whether several rows are evaluated at once; None until it has been tried.
    """

    layout: ParameterLayout
    at_once: bool | None = None

    def __call__(
        self, evaluate: Callable[[Mapping[str, Tensor]], dict[str, Tensor]], thetas: Tensor
    ) -> tuple[dict[str, Tensor], int]:
        """The values of `evaluate` at `thetas` (K, P), each entry (K,), and the number of evaluations it took.

        The first chunk is evaluated both ways, and the faster way is taken from then on; a model or loss that vmap
        refuses is evaluated one point after the other, which is logged.
        """

        def alone(theta: Tensor) -> dict[str, Tensor]:
            return {name: value.reshape(1) for name, value in evaluate(self.layout.unflatten(theta)).items()}

        def together(chunk: Tensor) -> dict[str, Tensor]:
            values: dict[str, Tensor] = vmapped(evaluate)(self.layout.unflatten(chunk))
            return values

        done: list[dict[str, Tensor]] = []
        spent = len(thetas)
        if self.at_once is None and len(thetas) > 1:
            chunk = thetas[:_CHUNK]
            try:
                together(chunk[:1])  # warms caches, and finds out whether vmap takes the model
                values, seconds_together = _timed(lambda: together(chunk), self.layout.device)
            except REFUSALS as reason:
                self.at_once = False
                logger.info("points are evaluated one after the other: vmap refused the model or the loss (%s)", reason)
            else:
                _, seconds_alone = _timed(lambda: alone(chunk[0]), self.layout.device)
                self.at_once = seconds_together < seconds_alone * len(chunk)
                how = "at once" if self.at_once else "one after the other"
                logger.info(
                    "points are evaluated %s: %d took %.2g s, one %.2g s",
                    how, len(chunk), seconds_together, seconds_alone,
                )  # fmt: skip
                done, spent = [values], spent + 2
        rest = thetas[_CHUNK:] if done else thetas
        if self.at_once and len(thetas) > 1:
            done += [together(chunk) for chunk in rest.split(_CHUNK) if len(chunk)]
        else:
            done += [alone(theta) for theta in rest]
        return {name: torch.cat([values[name] for values in done]) for name in done[0]}, spent


def averages(
    pairs: Iterable[tuple[Any, Any]], sizes: Sequence[int], loss: Loss, classes: Classification | None
) -> dict[str, Tensor]:
    """Means over the data of the loss and, for classification, of the share of right classes, summed in float64.

    Args:
        pairs: Outputs and targets of each batch.
        sizes: Number of examples in each.
        loss: The mean loss of a batch.
        classes: How outputs and targets name classes.
    """
    losses, right, counted = [], [], []
    for (output, target), size in zip(pairs, sizes, strict=True):
        value = loss(output, target)
        losses.append(value.to(accumulator(value)) * (size / sum(sizes)))
        if classes is not None:
            hits, labels = classes.right(output, target)
            right.append(hits)
            counted.append(labels)
    found = {"loss": sum(losses[1:], losses[0])}
    if classes is not None:
        found["accuracy"] = sum(right[1:], right[0]).to(found["loss"].dtype) / sum(counted[1:], counted[0])
    return found


def _timed(call: Callable[[], Any], device: torch.device) -> tuple[Any, float]:
    def clock() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    began = clock()
    result = call()
    return result, clock() - began
