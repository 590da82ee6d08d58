"""First layers on an affine family of weights: linear in the weights, they need evaluating once for each direction.

On theta(c) = theta_0 + sum_k c_k d_k, a layer whose input depends on no weight has the output
f(x; theta(c)) = f(x; theta_0) + sum_k c_k f(x; d_k), so that K + 1 evaluations serve every point of the family.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from landscope.landscape.linear_calls import LinearCall, arguments_of
from landscope.landscape.surveys import Following, Survey

__all__ = ["FirstLayers"]


@dataclass
class FirstLayers:
    """The first layers' outputs on one batch, for theta_0 and each direction.

    Attributes:
        outputs: By the number of the call: (K + 1, *shape), images as (K + 1, n, height, width, channels) if they have
            their channels last.
        channels_last: The numbers of those calls whose outputs are so.
    """

    outputs: dict[int, Tensor]
    channels_last: frozenset[int]
    _row: tuple[tuple[float, ...], dict[int, Tensor]] = ((), {})

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        forward: Callable[[Mapping[str, Tensor]], Any],
        corners: Sequence[Mapping[str, Tensor]],
        surveyed: Survey,
        numbers: Collection[int],
        *,
        channels_last: bool = False,
    ) -> FirstLayers:
        """Evaluates the first layers at theta_0 and for every direction.

        Args:
            forward: Calls the model on the batch with parameters.
            corners: The parameters at theta_0, and as they are in each direction.
            surveyed: What the model does with another batch.
            numbers: Which of its calls they are.
            channels_last: Whether images are to be laid out with their channels last.

        Raises:
            RuntimeError: if the model does something else with this batch than it did when it was surveyed.
        """
        found = Survey()
        with _Collect(corners, found, numbers) as collecting:
            forward(corners[0])
        if (found.calls, found.elsewhere, found.hidden) != (surveyed.calls, surveyed.elsewhere, surveyed.hidden):
            raise RuntimeError("the model uses its first layers in another way on this batch than on the first one")
        images = {n for n, outputs in collecting.outputs.items() if channels_last and outputs.ndim == 5}
        outputs = {n: o.movedim(2, -1).contiguous() if n in images else o for n, o in collecting.outputs.items()}
        return cls(outputs, frozenset(images))

    @property
    def nbytes(self) -> int:
        """Memory they take."""
        return sum(outputs.nbytes for outputs in self.outputs.values())

    def at(self, coordinates: Tensor) -> dict[int, Tensor]:
        """The outputs (G, *shape) at G points of the family, coordinates (G, K)."""
        found = {}
        for number, outputs in self.outputs.items():
            weights = torch.cat([torch.ones_like(coordinates[:, :1]), coordinates], dim=1).to(outputs.dtype)
            values = (weights @ outputs.flatten(1)).reshape(len(weights), *outputs.shape[1:])
            found[number] = self._channels_second(number, values)
        return found

    def at_point(self, coordinates: Sequence[float]) -> dict[int, Tensor]:
        """The outputs (*shape) at one point; along a grid's last coordinate, one addition each."""
        *rows, last = coordinates
        if self._row[0] != tuple(rows) or not self._row[1]:
            sums = {}
            for number, outputs in self.outputs.items():
                sums[number] = outputs[0]
                for coordinate, direction in zip(rows, outputs[1:], strict=False):
                    sums[number] = torch.add(sums[number], direction, alpha=coordinate)
            self._row = (tuple(rows), sums)
        return {
            number: self._channels_second(number, torch.add(row, self.outputs[number][-1], alpha=last))
            for number, row in self._row[1].items()
        }

    def _channels_second(self, number: int, values: Tensor) -> Tensor:
        return values.movedim(-1, -3) if number in self.channels_last else values


class _Collect(Following):
    """Evaluates first layers at all corners in one pass, which goes on as at the first corner."""

    def __init__(self, corners: Sequence[Mapping[str, Tensor]], found: Survey, numbers: Collection[int]) -> None:
        super().__init__(corners[0], found)
        self._corners, self._numbers = corners, numbers

    def first_layer(self, number: int, call: LinearCall, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        if number not in self._numbers:
            result: Tensor = call.function(*args, **kwargs)
            return result
        given = arguments_of(call.function, args, kwargs)
        values = []
        for corner, named in enumerate(self._corners):
            # A constant bias belongs to theta_0 alone.
            bias = named[call.bias] if call.bias else given.get("bias") if corner == 0 else None
            replaced = {id(given["weight"]): named[call.weight], id(given.get("bias")): bias}
            new = [replaced.get(id(arg), arg) if position else arg for position, arg in enumerate(args)]
            named_new = {key: replaced.get(id(value), value) for key, value in kwargs.items()}
            values.append(call.function(*new, **named_new))
        self.outputs[number] = torch.stack(values)
        first: Tensor = values[0]
        return first
