"""Units that answer every input alike: dead, dormant and saturated ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from landscope.derivatives import accumulator
from landscope.measurements import UnitActivity
from landscope.objective import Objective

__all__ = ["NoActivationsError", "unit_activity"]

_UNBOUNDED = ("relu", "leaky_relu", "gelu", "elu", "selu", "celu", "silu", "mish", "softplus", "prelu", "rrelu")
_BOUNDED = {
    "tanh": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "softsign": (-1.0, 1.0),
    "relu6": (0.0, 6.0),
    "hardsigmoid": (0.0, 1.0),
    "hardtanh": None,  # between its arguments
}
_EDGE = 0.01  # share of the range that counts as its end
_MOSTLY = 0.95  # share of examples and positions at which a saturated unit is there


class NoActivationsError(ValueError):
    """A network without units: it calls no activation function that is known."""


def unit_activity(objective: Objective, *, theta: Tensor | None = None, tolerance: float = 0.025) -> UnitActivity:
    """Dead, dormant and saturated units, one layer for each call of an activation function in a forward pass.

    A dead unit has one value at all examples, as a ReLU's that is never on: no input gets through it. One is
    dormant if its mean |h| is at most `tolerance` of its layer's (Sokar, Agarwal, Castro and Evci 2023, "The Dormant
    Neuron Phenomenon in Deep Reinforcement Learning", arXiv 2302.12902), saturated if it sits at an end of a bounded
    function's range, where its derivative is next to nothing. Networks may lose plasticity without any of these (Lyle
    et al. 2023, "Understanding Plasticity in Neural Networks", arXiv 2303.01486): see `plasticity`.

    Activations are found by their functions, called by modules or by name (`torch.relu`, `functional.gelu`). Units are
    channels, dimension 1, of four and more dimensions, else the last dimension; all others are positions.

    Args:
        objective: Whose network, and whose examples; of a group, those of `subset()`.
        theta: Where, (P,); the model's weights at this moment if left out.
        tolerance: Below which share of the layer's mean a unit is dormant.

    Raises:
        NoActivationsError: if no activation function is called.
        ValueError: if the tolerance is negative, or the objective recomputes batch-norm statistics.
    """
    if tolerance < 0:
        raise ValueError(f"tolerance must not be negative, got {tolerance}")
    if objective.batch_norm == "recompute":
        raise ValueError(
            "activations are not taken with batch_norm='recompute'; use an objective with 'eval' or 'batch'"
        )
    seen: dict[str, _Seen] = {}
    with objective.measuring() as meter, torch.no_grad():
        named = objective.layout.unflatten(objective._point(theta))
        objective.work.forwards += 1
        for batch, _ in objective.batches_on_device():
            with _calls(objective, seen):
                objective.function(named, batch)
        if not seen:
            raise NoActivationsError(
                "the network calls none of the activation functions that are known: "
                f"{', '.join(sorted((*_UNBOUNDED, *_BOUNDED)))}"
            )
        scores = {layer: one.scores() for layer, one in seen.items()}
        return UnitActivity(
            provenance=meter.provenance("activations of all units"),
            layers=tuple(seen),
            functions=tuple(one.function for one in seen.values()),
            units=np.array([len(values) for values in scores.values()]),
            dead=np.array([one.dead() for one in seen.values()]),
            dormant=np.array([(values <= tolerance).mean() for values in scores.values()]),
            saturated=np.array([one.saturated() for one in seen.values()]),
            tolerance=tolerance,
            scores=scores,
        )


@dataclass
class _Seen:
    """Sums over examples and positions of one layer's units."""

    function: str
    least: Tensor
    greatest: Tensor
    magnitude: Tensor
    at_ends: Tensor | None
    count: int

    def add(self, other: _Seen) -> None:
        """Takes in another batch."""
        self.least, self.greatest = self.least.minimum(other.least), self.greatest.maximum(other.greatest)
        self.magnitude, self.count = self.magnitude + other.magnitude, self.count + other.count
        if self.at_ends is not None and other.at_ends is not None:
            self.at_ends = self.at_ends + other.at_ends

    def scores(self) -> np.ndarray:
        """Mean |h| of each unit over that of all; 0 where all are."""
        mean = self.magnitude.mean()
        scores: np.ndarray = (self.magnitude / mean if float(mean) > 0 else self.magnitude).cpu().numpy()
        return scores

    def dead(self) -> float:
        """The share of units with a single value."""
        return float((self.least == self.greatest).double().mean())

    def saturated(self) -> float:
        """The share of units that are mostly at the ends; NaN for an unbounded function."""
        if self.at_ends is None:
            return float("nan")
        return float((self.at_ends >= _MOSTLY * self.count).double().mean())


def _seen(function: str, values: Tensor, bounds: tuple[float, float] | None) -> _Seen:
    units = values.movedim(1, -1) if values.ndim > 3 else values
    rows = units.reshape(-1, units.shape[-1])
    rows = rows.to(accumulator(rows))
    at_ends = None
    if bounds is not None:
        low, high = bounds
        edge = _EDGE * (high - low)
        at_ends = ((rows <= low + edge) | (rows >= high - edge)).to(rows.dtype).sum(0)
    return _Seen(function, rows.amin(0), rows.amax(0), rows.abs().sum(0), at_ends, len(rows))


class _Watch(TorchFunctionMode):
    """Within, results of activation functions are handed to `found`, with their name and bounds."""

    def __init__(self, found: Callable[[str, Tensor, tuple[float, float] | None], None]) -> None:
        super().__init__()
        self._found = found

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = _NAMES.get(func)
        if name is not None and isinstance(result, Tensor) and result.ndim >= 2 and result.numel():
            bounds = _BOUNDED.get(name)
            if name == "hardtanh":
                given = dict(zip(("input", "min_val", "max_val"), args, strict=False)) | dict(kwargs)
                bounds = float(given.get("min_val", -1.0)), float(given.get("max_val", 1.0))
            self._found(name, result.detach(), bounds)
        return result


def _functions(name: str) -> Iterator[Any]:
    """Every function of torch's that computes an activation, in place or not."""
    for place in (torch, functional, Tensor):
        for spelling in (name, f"{name}_"):
            if hasattr(place, spelling):
                yield getattr(place, spelling)


_NAMES: dict[Any, str] = {function: name for name in (*_UNBOUNDED, *_BOUNDED) for function in _functions(name)}


@contextmanager
def _calls(objective: Objective, seen: dict[str, _Seen]) -> Iterator[None]:
    """Adds what activation functions give in one pass, by the module that calls them and their number there."""
    stack: list[str] = []
    counts: dict[str, int] = {}

    def found(function: str, values: Tensor, bounds: tuple[float, float] | None) -> None:
        module = stack[-1] or "model"
        counts[module] = counts.get(module, 0) + 1
        layer = module if counts[module] == 1 else f"{module} {counts[module]}"
        one = _seen(function, values, bounds)
        if layer in seen:
            seen[layer].add(one)
        else:
            seen[layer] = one

    def enter(name: str) -> Callable[..., None]:
        return lambda *_: stack.append(name)

    def leave(*_: Any) -> None:
        stack.pop()

    with ExitStack() as hooks:
        for name, module in objective.model.named_modules():
            hooks.callback(module.register_forward_pre_hook(enter(name)).remove)
            hooks.callback(module.register_forward_hook(leave).remove)
        hooks.enter_context(_Watch(found))
        yield
