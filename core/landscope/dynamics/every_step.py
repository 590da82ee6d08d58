"""What is cheap enough for every optimiser step: loss, gradient norm, update over weights, and how updates turn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch._utils import _flatten_dense_tensors
from torch.optim import Optimizer

__all__ = ["StepMonitor", "StepReadings"]


@dataclass(frozen=True)
class StepReadings:
    """What a `StepMonitor` saw, one number for each step, NaN where there was none.

    Attributes:
        steps: (k,) the steps' numbers, ascending; the first step that was seen is 1.
        loss: (k,) the training loss that was handed over.
        gradient_norm: (k,) |g| of the gradients in `.grad`; NaN where none was left.
        weight_norm: (k,) |w| after the step.
        update_norm: (k,) |u|, u the difference of the weights after this step and the one before; NaN at the first.
        update_ratio: (k,) |u| / |w|.
        update_cosine: (k,) cosine of u with the update before; NaN at the first two.
    """

    steps: NDArray[np.int64]
    loss: NDArray[np.float64]
    gradient_norm: NDArray[np.float64]
    weight_norm: NDArray[np.float64]
    update_norm: NDArray[np.float64]
    update_ratio: NDArray[np.float64]
    update_cosine: NDArray[np.float64]


class StepMonitor:
    """Measures every step without waiting for the device: numbers stay there until they are asked for.

    `step` belongs after `optimizer.step()` and before gradients are cleared. It reads weights and gradients, and
    changes nothing. It keeps two vectors (P,), the weights and the last update, and needs two more during a call.
    Gradients that a scaler multiplied are measured as they are then; sparse ones are left out.

    Example:
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> monitor = StepMonitor(optimizer)
        >>> for _ in range(3):
        ...     optimizer.zero_grad()
        ...     loss = model(torch.ones(1, 2)).square().mean()
        ...     loss.backward()
        ...     optimizer.step()
        ...     monitor.step(loss)
        >>> monitor.read().steps.tolist()
        [1, 2, 3]

    Args:
        parameters: An optimiser, whose parameters are watched, those added to it later left out; or parameters.
        capacity: Steps whose numbers are kept until they are read, the oldest lost first.

    Raises:
        ValueError: if there is no trainable parameter, or the capacity is not positive.
    """

    def __init__(self, parameters: Optimizer | Iterable[Tensor], *, capacity: int = 4096) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be positive, got {capacity}")
        if isinstance(parameters, Optimizer):
            parameters = [parameter for group in parameters.param_groups for parameter in group["params"]]
        self._parameters = [parameter for parameter in parameters if parameter.requires_grad]
        if not self._parameters:
            raise ValueError("there is no trainable parameter to watch; set requires_grad=True on those to be measured")
        self.capacity, self.steps = capacity, 0
        self._device = self._parameters[0].device
        self._alike = len({(parameter.device, parameter.dtype) for parameter in self._parameters}) == 1
        self._unknown = torch.full((), torch.nan, device=self._device)
        self._square = self._unknown
        self._weights: Tensor | None = None
        self._update: Tensor | None = None
        self._rows: list[Tensor] = []

    @torch.no_grad()
    def step(self, loss: Tensor | float | None = None) -> None:
        """Takes in the step that was just made, with its training loss where that is known."""
        gradients = [p.grad for p in self._parameters if p.grad is not None and not p.grad.is_sparse]
        gradient, weights = self._vector(gradients), self._vector(self._parameters)
        update = None if weights is None or self._weights is None else weights - self._weights
        if not isinstance(loss, Tensor):  # filled in on the device, which need not be waited for
            loss = torch.full((), torch.nan if loss is None else loss, device=self._device)
        given = loss.to(self._device, torch.float32).reshape(())
        square, before = self._product(update, update), self._square
        products = self._product(gradient, gradient), self._product(weights, weights), square
        row = torch.stack([given, *products, self._product(update, self._update), before])
        self._weights, self._update, self._square = weights, update, square
        self.steps += 1
        self._rows.append(row)
        if len(self._rows) > self.capacity:
            del self._rows[0]

    def read(self) -> StepReadings:
        """The steps since the last reading, moved off the device at once; they are forgotten then."""
        rows = torch.stack(self._rows).cpu().double().numpy() if self._rows else np.empty((0, 6))
        self._rows = []
        loss, gradient, weights, update, turn, before = rows.T
        with np.errstate(divide="ignore", invalid="ignore"):
            return StepReadings(
                steps=np.arange(self.steps - len(rows) + 1, self.steps + 1),
                loss=loss,
                gradient_norm=np.sqrt(gradient),
                weight_norm=np.sqrt(weights),
                update_norm=np.sqrt(update),
                update_ratio=np.sqrt(update / weights),
                update_cosine=turn / np.sqrt(update * before),
            )

    def _vector(self, tensors: list[Tensor]) -> Tensor | None:
        """All elements as one vector, in float32 at least: few operations however many tensors there are."""
        if not tensors:
            return None
        if not self._alike:
            tensors = [tensor.to(self._device, torch.float32) for tensor in tensors]
        # Of a single tensor this is a view, which would follow the weights.
        vector: Tensor = _flatten_dense_tensors(tensors) if len(tensors) > 1 else tensors[0].flatten().clone()
        return vector if vector.dtype in (torch.float32, torch.float64) else vector.float()

    def _product(self, first: Tensor | None, second: Tensor | None) -> Tensor:
        """A . b in float32."""
        return self._unknown if first is None or second is None else torch.dot(first, second).float()
