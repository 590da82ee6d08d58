"""What the models of a population have in common, and in what they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["PerModel", "PerParameter", "Settings", "Training"]

PerModel: TypeAlias = float | Sequence[float] | NDArray[np.generic]
"""One number for all models, or one for each."""

PerParameter: TypeAlias = PerModel | Mapping[str, PerModel]
"""The same for all parameters, or by name or shell-style pattern; of several patterns that match, the last counts."""

_OF_PARAMETERS = ("learning_rate", "momentum", "weight_decay", "scale", "offset")


@dataclass(frozen=True)
class Training:
    """What all models of a population have in common.

    Attributes:
        model: A function that makes the model, called under each model's seed; or a module, whose weights all models
            start from.
        loss: `loss(output, target)`, the mean over a batch's examples.
        data: The tensors of the inputs and, last, of the targets; examples along their first dimension.
        steps: Number T of optimiser steps.
        batch_size: Examples of a step; None for all of them. Batches are consecutive pieces of random orders of the
            examples, one order after the other.
        losses: Which losses are kept: those over all "data" before each step, or those over the step's "batch", which
            come with its gradients and cost nothing more.
        optimizer: "sgd" as `torch.optim.SGD`, or "adam" as `torch.optim.Adam` with its defaults.
        name: What is trained, in words.

    Raises:
        ValueError: if a number is out of range, or the data are no tensors of equal length.
    """

    model: nn.Module | Callable[[], nn.Module]
    loss: Callable[[Tensor, Tensor], Tensor]
    data: tuple[Tensor, ...]
    steps: int
    batch_size: int | None = None
    losses: Literal["data", "batch"] = "data"
    optimizer: Literal["sgd", "adam"] = "sgd"
    name: str = ""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be positive, got {self.steps}")
        if len(self.data) < 2 or len({len(tensor) for tensor in self.data}) != 1 or not len(self.data[0]):
            shapes = [tuple(tensor.shape) for tensor in self.data]
            raise ValueError(f"data must be tensors (x, ..., y) with as many examples each, got shapes {shapes}")
        if self.batch_size is not None and not 1 <= self.batch_size <= self.examples:
            raise ValueError(f"batch_size must be between 1 and {self.examples} examples, got {self.batch_size}")
        if self.losses not in ("data", "batch"):
            raise ValueError(f'losses must be of the "data" or of each "batch", got {self.losses!r}')
        if self.optimizer not in ("sgd", "adam"):
            raise ValueError(f'optimizer must be "sgd" or "adam", got {self.optimizer!r}')

    @property
    def examples(self) -> int:
        """Number of examples."""
        return len(self.data[0])

    def make(self, seed: int = 0) -> nn.Module:
        """The model as it is before training; torch's own random numbers go on as if it had not been made."""
        if isinstance(self.model, nn.Module):
            return self.model
        with torch.random.fork_rng(range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []):
            torch.manual_seed(seed)
            return self.model()


@dataclass(frozen=True)
class Settings:
    """In what the models of a population differ: each setting is one number for all, or an array (N,) of one for each.

    Those of parameters may also be mappings from names or patterns ("layer1.*", "*.bias") to such numbers.

    Attributes:
        learning_rate: Step size of the optimiser.
        momentum: Of SGD.
        weight_decay: Factor of the parameters that is added to their gradients.
        scale: Factor of the initial parameters.
        offset: Added to the initial parameters, after scaling.
        schedule: Factors of the learning rates at each step, (T,) for all models or (N, T); None for rates that stay.
        seed: Of the initialisation.
        batch_seed: Of the order of the examples, where a step takes a part of them.
    """

    learning_rate: PerParameter = 0.1
    momentum: PerParameter = 0.0
    weight_decay: PerParameter = 0.0
    scale: PerParameter = 1.0
    offset: PerParameter = 0.0
    schedule: NDArray[np.floating] | None = None
    seed: PerModel = 0
    batch_seed: PerModel = 0

    @property
    def models(self) -> int:
        """Number N of models.

        Raises:
            ValueError: if settings are given for different numbers of models, or for none.
        """
        lengths: dict[str, int] = {}
        if np.ndim(self.schedule) == 2:  # type: ignore[arg-type] # of None it is 0
            lengths["schedule"] = len(self.schedule)  # type: ignore[arg-type]
        for spec in fields(self):
            if spec.name == "schedule":
                continue
            value = getattr(self, spec.name)
            for pattern, numbers in value.items() if isinstance(value, Mapping) else [("", value)]:
                shape = np.shape(numbers)
                if len(shape) > 1:
                    raise ValueError(f"{spec.name} must be a number or an array (models,), got shape {shape}")
                if shape:
                    lengths[f"{spec.name} {pattern}".strip()] = shape[0]
        counts = set(lengths.values()) or {1}
        if len(counts) > 1 or 0 in counts:
            raise ValueError(f"settings must be for one number of models, at least 1, got {lengths}")
        return counts.pop()

    def of_models(self, name: str) -> NDArray[np.int64]:
        """The seeds called `name`, (N,)."""
        return np.broadcast_to(np.asarray(getattr(self, name), dtype=np.int64), self.models)

    def of_steps(self, steps: int) -> NDArray[np.float64] | None:
        """The factors of the learning rates, (N, T), if they change.

        Raises:
            ValueError: if they are not for `steps` steps.
        """
        if self.schedule is None:
            return None
        factors = np.asarray(self.schedule, dtype=np.float64)
        if factors.ndim not in (1, 2) or factors.shape[-1] != steps:
            raise ValueError(f"schedule must be ({steps},) or (models, {steps}), got shape {factors.shape}")
        return np.broadcast_to(factors, (self.models, steps))

    def of_parameters(self, names: Sequence[str]) -> dict[str, dict[str, NDArray[np.float64]]]:
        """Each setting of parameters, for each of the parameters `names`, as arrays (N,).

        Raises:
            ValueError: if a pattern matches no parameter, or a parameter is left without a value.
        """
        return {setting: self._resolved(setting, names) for setting in _OF_PARAMETERS}

    def _resolved(self, setting: str, names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        value = getattr(self, setting)
        patterns: Mapping[str, PerModel] = value if isinstance(value, Mapping) else {"*": value}
        found: dict[str, NDArray[np.float64]] = {}
        for pattern, numbers in patterns.items():
            matching = [name for name in names if fnmatchcase(name, pattern)]
            if not matching:
                raise ValueError(f"{setting}: no parameter matches {pattern!r}; parameters: {', '.join(names)}")
            column = np.broadcast_to(np.asarray(numbers, dtype=np.float64), self.models)
            found |= dict.fromkeys(matching, column)
        if missing := [name for name in names if name not in found]:
            raise ValueError(f'{setting} is not given for {", ".join(missing)}; add a pattern such as "*" for the rest')
        return found
