"""All that the next steps of a training depend on: weights, buffers, optimisers, random numbers."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from landscope.live.steered import SteeredOptimizer

__all__ = ["Stateful", "TrainingState"]


class Stateful(Protocol):
    """Whatever has a state to be kept: a schedule, a gradient scaler, a running average."""

    def state_dict(self) -> dict[str, Any]:
        """Its state."""
        ...

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Goes back to a state."""
        ...


class TrainingState:
    """Takes the state of a training, and goes back to one.

    Attributes:
        included: What else has a state.

    Args:
        model: The network: all its parameters and buffers, frozen and unsaved ones too.
        optimizers: Of its parameters.
    """

    def __init__(self, model: nn.Module, optimizers: Sequence[SteeredOptimizer]) -> None:
        self.included: list[Stateful] = []
        self._model = model
        self._optimizers = optimizers

    @property
    def nbytes(self) -> int:
        """About how many bytes a state takes."""
        held = [tensor for optimizer in self._optimizers for tensor in _tensors(optimizer.active.state)]
        return sum(tensor.numel() * tensor.element_size() for tensor in (*self._named().values(), *held))

    @property
    def has_schedule(self) -> bool:
        """Whether a schedule of the learning rate is part of it."""
        inner = (getattr(thing, "scheduler", thing) for thing in self.included)  # of Accelerate's wrapper
        return any(isinstance(thing, LRScheduler | ReduceLROnPlateau) for thing in inner)

    def taken(self, step: int) -> dict[str, Any]:
        """The state now, after `step` steps; made of references, to be saved or copied at once."""
        return {
            "step": step,
            "parameters": {name: parameter.detach() for name, parameter in self._model.named_parameters()},
            "buffers": dict(self._model.named_buffers()),
            "optimizers": [optimizer.state() for optimizer in self._optimizers],
            "included": [thing.state_dict() for thing in self.included],
            "generators": _generators(),
        }

    def check(self, state: dict[str, Any]) -> None:
        """Refuses a state that is another training's.

        Raises:
            ValueError: if its tensors, or the number of its other parts, are not those of this training.
        """
        self._check_tensors(state["parameters"] | state["buffers"])
        for part, here in (("optimizers", self._optimizers), ("included", self.included)):
            if len(state[part]) != len(here):
                raise ValueError(f"the checkpoint has {len(state[part])} {part}, and the training {len(here)}")

    def load(self, state: dict[str, Any]) -> None:
        """Goes back to a state, in place: every tensor and every parameter group stays the object it is.

        Raises:
            ValueError: if it is another training's; nothing was changed.
        """
        self.check(state)
        self._write(state["parameters"] | state["buffers"])
        for optimizer, held in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load(held)
        for thing, held in zip(self.included, state["included"], strict=True):
            thing.load_state_dict(held)
        _restore_generators(state["generators"])

    @contextmanager
    def weights(self, other: Mapping[str, Tensor]) -> Iterator[None]:
        """Within, the model has other parameters and buffers: those given by name.

        Raises:
            ValueError: if they are another model's.
        """
        before = {name: tensor.detach().clone() for name, tensor in self._named().items()}
        self._check_tensors({**before, **other})
        self._write({**before, **other})
        try:
            yield
        finally:
            self._write(before)

    def _check_tensors(self, saved: Mapping[str, Tensor]) -> None:
        shapes, own = ({name: tuple(t.shape) for name, t in tensors.items()} for tensors in (saved, self._named()))
        for name in sorted(shapes.keys() | own.keys()):
            if shapes.get(name) != own.get(name):
                raise ValueError(
                    f"the checkpoint does not fit the model: {name} has shape {shapes.get(name)} there and "
                    f"{own.get(name)} in training"
                )

    def _write(self, saved: dict[str, Tensor]) -> None:
        """Between two steps no graph refers to the old values, so torch need not count this as a change of them."""
        for name, tensor in self._named().items():
            tensor.data.copy_(saved[name])

    def _named(self) -> dict[str, Tensor]:
        return {**dict(self._model.named_parameters()), **dict(self._model.named_buffers())}


def _tensors(state: Any) -> list[Tensor]:
    return [value for held in state.values() for value in held.values() if isinstance(value, Tensor)]


def _generators() -> dict[str, Any]:
    """The states of the global generators, as `torch.load` takes them with weights alone."""
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 the user's global generator
    return {
        "python": random.getstate(),
        "numpy": [name, torch.from_numpy(np.asarray(keys, np.int64)), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
    }


def _restore_generators(states: dict[str, Any]) -> None:
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002 the user's global generator
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])
