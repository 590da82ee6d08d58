"""Lanes: a fixed number of models that train in step, exchanged for others as they come to their end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landscope.isolation import autograd_tensors
from landscope.population.gradients import (
    BatchedGradient,
    BatchedLoss,
    Tensors,
    batched_gradient,
    batched_loss,
    refuse_randomness,
)
from landscope.population.optimisers import adam_step, sgd_step
from landscope.population.settings import Settings, Training

__all__ = ["Lanes", "Prepared", "Trained", "plain_arithmetic"]

_STEPS_BETWEEN_CHECKS = 10
_EMPTY = -1


Prepared: TypeAlias = tuple[BatchedGradient, BatchedLoss | None]
"""How gradients and losses of the same examples are computed, and losses over all data where those are others."""


@dataclass(frozen=True, eq=False)
class Trained:
    """Models and what training made of them.

    Attributes:
        models: (F,) which of the N models these are.
        losses: (F, T) loss before each step, over all data or its batch; infinite from where a parameter is not finite
            any more, and at steps not taken yet.
        diverged: (F,) whether a parameter is not finite.
        parameters: Named parameters (F, ...) after the last step taken; of a diverged model, at some time after it
            diverged.
    """

    models: NDArray[np.int64]
    losses: NDArray[np.floating]
    diverged: NDArray[np.bool_]
    parameters: Tensors


class Lanes:
    """The state of the lanes: which model each has, how far it is, its weights, optimiser, settings and history.

    Args:
        training: What the models have in common.
        settings: In what they differ.
        template: The module, called with others' weights.
        lanes: Number K of lanes.
        waiting: Models that have no lane yet.

    Raises:
        ValueError: if the settings cannot be used.
    """

    def __init__(
        self, training: Training, settings: Settings, template: nn.Module, lanes: int, waiting: deque[int]
    ) -> None:
        self.training, self.template, self.waiting = training, template, waiting
        self.seeds, self.batch_seeds = settings.of_models("seed"), settings.of_models("batch_seed")
        self.initial = lru_cache(maxsize=8)(lambda seed: _initial(training, seed))
        if isinstance(training.model, nn.Module) and len(set(self.seeds)) > 1:
            raise ValueError("one module has one initialisation; for several seeds, pass a function that makes it")
        first = self.initial(int(self.seeds[0]))
        trainable = [name for name, parameter in template.named_parameters() if parameter.requires_grad]
        if not trainable:
            raise ValueError("model has no trainable parameter; set requires_grad=True on those to be trained")
        self.columns = settings.of_parameters(trainable)
        self.schedules = settings.of_steps(training.steps)

        def empty(names: list[str]) -> Tensors:
            return {name: first[name].new_zeros(lanes, *first[name].shape) for name in names}

        self.parameters = empty(trainable)
        self.fixed = empty([name for name in first if name not in trainable])
        if training.optimizer == "adam":
            self.state = {"mean": empty(trainable), "square": empty(trainable)}
            if any(column.any() for column in self.columns["momentum"].values()):
                raise ValueError("momentum is a setting of SGD; Adam has its own, leave it at 0")
        else:
            moving = any(column.any() for column in self.columns["momentum"].values())
            self.state = {"velocity": empty(trainable)} if moving else {}
        ones = {name: (lanes, *[1] * first[name].ndim) for name in trainable}
        self.settings = {
            setting: {name: self.parameters[name].new_zeros(ones[name]) for name in trainable}
            for setting in ("learning_rate", "momentum", "weight_decay")
        }
        self.device = self.parameters[trainable[0]].device
        dtype = self.parameters[trainable[0]].dtype
        self.models = np.full(lanes, _EMPTY)
        self.taken = torch.zeros(lanes, dtype=torch.long, device=self.device)
        self.alive = torch.ones(lanes, dtype=torch.bool, device=self.device)
        self.history = torch.zeros(lanes, training.steps, dtype=dtype, device=self.device)
        self.factors = None if self.schedules is None else torch.ones_like(self.history)
        self.orders: Tensor | None = None
        if training.batch_size is not None:
            shape = (lanes, training.steps, training.batch_size)
            self.orders = torch.zeros(shape, dtype=torch.long, device=self.device)

    @property
    def empty(self) -> NDArray[np.intp]:
        """The lanes without a model."""
        return np.flatnonzero(self.models == _EMPTY)

    @property
    def busy(self) -> bool:
        """Whether any lane has a model."""
        return bool((self.models != _EMPTY).any())

    def prepare(self, *, record: bool) -> Prepared:
        """How gradients and losses are computed with this number of lanes; `record` as of `batched_gradient`."""
        of = (self.training, self.template, self.parameters, self.fixed)
        gradient = batched_gradient(*of, self._batch(), record=record)
        known = self.training.batch_size is None or self.training.losses == "batch"
        return gradient, None if known else batched_loss(*of, record=record)

    def advance(self, prepared: Prepared, most: int = _STEPS_BETWEEN_CHECKS) -> None:
        """Some steps of all lanes: `most`, or up to the next at which a model may end."""
        occupied = torch.from_numpy(self.models != _EMPTY).to(self.device)
        furthest = int(self.taken[occupied].max())
        span = min(most, self.training.steps - furthest)
        gradient_of, loss_of = prepared
        losses = []
        for _ in range(span):
            self.alive &= self._finite()
            gradients, loss = gradient_of(self.parameters, self.fixed, self._batch())
            if loss_of is not None:
                loss = loss_of(self.parameters, self.fixed, self.training.data)
            losses.append(torch.where(self.alive, loss, torch.inf))
            settings = self._now()
            if self.training.optimizer == "adam":
                adam_step(self.parameters, gradients, self.state, settings, self.taken)
            else:
                sgd_step(self.parameters, gradients, self.state, settings)
            self.taken += 1
        where = (self.taken - span).unsqueeze(1) + torch.arange(span, device=self.device)
        # An empty lane runs on without end; what it computes goes nowhere.
        self.history.scatter_(1, where.clamp_max(self.training.steps - 1), torch.stack(losses, dim=1))

    def _now(self) -> dict[str, Tensors]:
        """The settings of the optimiser at this step of each lane."""
        if self.factors is None:
            return self.settings
        where = self.taken.clamp_max(self.training.steps - 1).unsqueeze(1)
        factor = self.factors.gather(1, where)
        rates = self.settings["learning_rate"]
        scaled = {name: rate * factor.view(-1, *[1] * (rate.ndim - 1)) for name, rate in rates.items()}
        return {**self.settings, "learning_rate": scaled}

    def _batch(self) -> tuple[Tensor, ...]:
        if self.orders is None:
            return self.training.data
        lanes = torch.arange(len(self.taken), device=self.device)
        chosen = self.orders[lanes, self.taken.clamp_max(self.training.steps - 1)]
        return tuple(tensor[chosen] for tensor in self.training.data)

    def _finite(self) -> Tensor:
        """(K,) which lanes' parameters are finite: 0 times them is 0, in a third of the time of torch's `isfinite`."""
        zeros = [theta.mul(0).flatten(1).sum(dim=1) for theta in self.parameters.values()]
        return torch.stack(zeros).sum(dim=0) == 0

    def ended(self) -> NDArray[np.intp]:
        """The lanes whose model took all its steps, or diverged."""
        self.alive &= self._finite()
        done = ~self.alive | (self.taken >= self.training.steps)
        return np.flatnonzero(done.cpu().numpy() & (self.models != _EMPTY))

    def take(self, ended: NDArray[np.intp]) -> Trained:
        """The models in the lanes `ended`, which become empty."""
        taken = self.look(ended)
        self.models[ended] = _EMPTY
        return taken

    def look(self, chosen: NDArray[np.intp]) -> Trained:
        """The models in the lanes `chosen` as they are; losses of steps that are not taken yet are infinite."""
        lanes = torch.from_numpy(chosen).to(self.device)
        unwritten = torch.arange(self.training.steps, device=self.device) >= self.taken[lanes].unsqueeze(1)
        losses = self.history[lanes].masked_fill(unwritten, torch.inf)
        return Trained(
            models=self.models[chosen].copy(),
            losses=losses.cpu().numpy(),
            diverged=~self.alive[lanes].cpu().numpy(),
            parameters={name: theta[lanes] for name, theta in self.parameters.items()},
        )

    def fill(self, empty: NDArray[np.intp]) -> None:
        """Puts the next models that wait into empty lanes; lanes that stay empty get weights that cost no time."""
        count = min(len(empty), len(self.waiting))
        models = np.array([self.waiting.popleft() for _ in range(count)], dtype=np.intp)
        lanes = torch.from_numpy(empty).to(self.device)
        self.models[empty[:count]] = models
        self.taken[lanes], self.alive[lanes] = 0, True
        for tensors in (self.parameters, self.fixed, *self.state.values(), *self.settings.values()):
            for tensor in tensors.values():
                tensor[lanes] = 0  # weights that are not finite, which an empty lane may have, are slow to compute with
        if not count:
            return
        lanes = lanes[:count]
        starts = [self.initial(int(seed)) for seed in self.seeds[models]]
        for name, theta in (*self.parameters.items(), *self.fixed.items()):
            theta[lanes] = torch.stack([start[name] for start in starts])
        for name, theta in self.parameters.items():
            theta[lanes] = theta[lanes] * self._column("scale", name, models) + self._column("offset", name, models)
            for setting, values in self.settings.items():
                values[name][lanes] = self._column(setting, name, models)
        if self.factors is not None and self.schedules is not None:
            self.factors[lanes] = torch.from_numpy(self.schedules[models]).to(self.factors)
        if self.orders is not None:
            self.orders[lanes] = torch.stack([self._order(int(seed)) for seed in self.batch_seeds[models]])

    def begin_at(self, start: Tensors) -> None:
        """Puts named parameters (K, ...) in place of those that the lanes have.

        Raises:
            ValueError: if one is of another shape, or no parameter has its name.
        """
        for name, given in start.items():
            if name not in self.parameters or self.parameters[name].shape != given.shape:
                shapes = {name: tuple(theta.shape) for name, theta in self.parameters.items()}
                raise ValueError(f"start must be of {shapes}, got {name} {tuple(given.shape)}")
            self.parameters[name].copy_(given)

    def _column(self, setting: str, name: str, models: NDArray[np.intp]) -> Tensor:
        theta = self.parameters[name]
        column = torch.from_numpy(self.columns[setting][name][models]).to(theta.device, theta.dtype)
        return column.view(-1, *[1] * (theta.ndim - 1))

    def _order(self, seed: int) -> Tensor:
        """The examples of each step, (T, batch_size)."""
        examples, batch = self.training.examples, self.training.batch_size or 0
        generator = torch.Generator().manual_seed(seed)
        rounds = -(-self.training.steps * batch // examples)
        order = torch.cat([torch.randperm(examples, generator=generator) for _ in range(rounds)])
        return order[: self.training.steps * batch].view(self.training.steps, batch).to(self.device)


def _initial(training: Training, seed: int) -> Tensors:
    """Named parameters and buffers of the model before training."""
    model = training.make(seed)
    refuse_randomness(model)
    return {name: tensor.detach().clone() for name, tensor in (*model.named_parameters(), *model.named_buffers())}


@contextmanager
def plain_arithmetic() -> Iterator[None]:
    """Within, operators of this thread compute what is written, and record nothing for derivatives."""
    with (
        autograd_tensors(),
        torch.no_grad(),
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False),
    ):
        yield
