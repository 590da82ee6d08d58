"""Training many models at once: a fixed number of lanes, each with one model, refilled as models come to their end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landscope.population.gradients import (
    BatchedGradient,
    BatchedLoss,
    Tensors,
    batched_gradient,
    batched_loss,
    bytes_of_a_model,
    refuse_randomness,
    template_of,
)
from landscope.population.optimisers import adam_step, sgd_step
from landscope.population.settings import Settings, Training

__all__ = ["Population", "Trained"]

_WORKING_SET = {"cpu": 2**22, "cuda": 2**28}  # bytes that the lanes fill: a processor's cache, a device's many cores
_MULTIPLE = 16  # lanes are that many times something: no vector operation then ends within a model
_MOST_LANES = 1024
_STEPS_BETWEEN_CHECKS = 10
_EMPTY = -1


@dataclass(frozen=True, eq=False)
class Trained:
    """Models that have come to their end.

    Attributes:
        models: (F,) which of the N models these are.
        losses: (F, T) loss over all data before each step; infinite from where a parameter is not finite any more.
        diverged: (F,) whether a parameter is not finite.
        parameters: Named parameters (F, ...) after the last step; of a diverged model, at some time after it diverged.
    """

    models: NDArray[np.int64]
    losses: NDArray[np.floating]
    diverged: NDArray[np.bool_]
    parameters: Tensors


class Population:
    """Many copies of a model to be trained at once.

    A model's numbers do not depend on the others: those that diverge leave their lane to the next. On a CPU, a model
    whose layers have even widths gets the same numbers to the last bit in every lane and company, as long as lanes are
    a multiple of 16, as they are by default; otherwise elementary operations may differ in their last bit with where in
    memory a model lies, which chaotic training amplifies.

    Args:
        training: What the models have in common.
        lanes: Models trained at once; by default as many as the processor's cache holds.
        memory: Bytes that lanes chosen by default may take at most.

    Raises:
        ValueError: if `lanes` is not positive, or the model cannot be trained this way.
    """

    def __init__(self, training: Training, *, lanes: int | None = None, memory: int = 2**28) -> None:
        if lanes is not None and lanes < 1:
            raise ValueError(f"lanes must be positive, got {lanes}")
        self.training = training
        self._template = template_of(training)
        self._asked = lanes
        self._most = _lanes_for(training, self._template, memory) if lanes is None else lanes
        self._recorded: dict[int, tuple[BatchedGradient, BatchedLoss]] = {}

    def train(self, settings: Settings) -> Trained:
        """All models, trained, in the order of their settings.

        Raises:
            ValueError: if the settings cannot be used, or the model cannot be computed for several at once.
        """
        pieces = list(self.train_progressively(settings))
        models = np.concatenate([piece.models for piece in pieces])
        order = np.argsort(models)
        return Trained(
            models=models[order],
            losses=np.concatenate([piece.losses for piece in pieces])[order],
            diverged=np.concatenate([piece.diverged for piece in pieces])[order],
            parameters={
                name: torch.cat([piece.parameters[name] for piece in pieces])[torch.from_numpy(order)]
                for name in pieces[0].parameters
            },
        )

    def train_progressively(self, settings: Settings) -> Iterator[Trained]:
        """The models as they come to their end, which need not be in order. To stop, close the generator.

        Raises:
            ValueError: as `train`.
        """
        lanes = self._most
        if self._asked is None:
            lanes = min(lanes, -(-settings.models // _MULTIPLE) * _MULTIPLE)
        running = _Lanes(self.training, settings, self._template, lanes)
        if lanes not in self._recorded:
            self._recorded[lanes] = running.record()
        return running.run(*self._recorded[lanes])


def _lanes_for(training: Training, template: nn.Module, memory: int) -> int:
    each = bytes_of_a_model(training, template)
    fastest = min(max(_WORKING_SET[training.data[0].device.type] // each, _MULTIPLE), _MOST_LANES)
    affordable = max(min(fastest, memory // each), 1)
    return affordable - affordable % _MULTIPLE if affordable >= _MULTIPLE else affordable


class _Lanes:
    """The state of the lanes: which model each has, how far it is, its weights, optimiser, settings and history."""

    def __init__(self, training: Training, settings: Settings, template: nn.Module, lanes: int) -> None:
        self.training, self.template = training, template
        self.waiting = deque(range(settings.models))
        self.seeds, self.batch_seeds = settings.of_models("seed"), settings.of_models("batch_seed")
        self.initial = lru_cache(maxsize=8)(lambda seed: _initial(training, seed))
        if isinstance(training.model, nn.Module) and len(set(self.seeds)) > 1:
            raise ValueError("one module has one initialisation; for several seeds, pass a function that makes it")
        first = self.initial(int(self.seeds[0]))
        trainable = [name for name, parameter in template.named_parameters() if parameter.requires_grad]
        if not trainable:
            raise ValueError("model has no trainable parameter; set requires_grad=True on those to be trained")
        self.columns = settings.of_parameters(trainable)

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
        self.orders: Tensor | None = None
        if training.batch_size is not None:
            shape = (lanes, training.steps, training.batch_size)
            self.orders = torch.zeros(shape, dtype=torch.long, device=self.device)

    def record(self) -> tuple[BatchedGradient, BatchedLoss]:
        """How gradients and losses are computed with this number of lanes."""
        with _one_thread():
            return (
                batched_gradient(self.training, self.template, self.parameters, self.fixed, self._batch()),
                batched_loss(self.training, self.template, self.parameters, self.fixed),
            )

    def run(self, gradient: BatchedGradient, loss: BatchedLoss) -> Iterator[Trained]:
        """Fills the lanes, trains, and yields what has come to its end, until no model is left."""
        self._fill(np.flatnonzero(self.models == _EMPTY))
        while (self.models != _EMPTY).any():
            with _one_thread(), torch.no_grad():
                self._advance(gradient, loss)
                ended = self._ended()
            if len(ended):
                yield self._take(ended)
                self._fill(ended)

    def _advance(self, gradient_of: BatchedGradient, loss_of: BatchedLoss) -> None:
        """Some steps of all lanes, up to the next at which a model may end."""
        occupied = torch.from_numpy(self.models != _EMPTY).to(self.device)
        furthest = int(self.taken[occupied].max())
        span = min(_STEPS_BETWEEN_CHECKS, self.training.steps - furthest)
        losses = []
        for _ in range(span):
            self.alive &= self._finite()
            gradients, loss = gradient_of(self.parameters, self.fixed, self._batch())
            if self.orders is not None:
                loss = loss_of(self.parameters, self.fixed, self.training.data)
            losses.append(torch.where(self.alive, loss, torch.inf))
            if self.training.optimizer == "adam":
                adam_step(self.parameters, gradients, self.state, self.settings, self.taken)
            else:
                sgd_step(self.parameters, gradients, self.state, self.settings)
            self.taken += 1
        where = (self.taken - span).unsqueeze(1) + torch.arange(span, device=self.device)
        # An empty lane runs on without end; what it computes goes nowhere.
        self.history.scatter_(1, where.clamp_max(self.training.steps - 1), torch.stack(losses, dim=1))

    def _batch(self) -> tuple[Tensor, ...]:
        if self.orders is None:
            return self.training.data
        lanes = torch.arange(len(self.taken), device=self.device)
        chosen = self.orders[lanes, self.taken.clamp_max(self.training.steps - 1)]
        return tuple(tensor[chosen] for tensor in self.training.data)

    def _finite(self) -> Tensor:
        flags = [theta.isfinite().flatten(1).all(dim=1) for theta in self.parameters.values()]
        return torch.stack(flags).all(dim=0)

    def _ended(self) -> NDArray[np.intp]:
        self.alive &= self._finite()
        done = ~self.alive | (self.taken >= self.training.steps)
        return np.flatnonzero(done.cpu().numpy() & (self.models != _EMPTY))

    def _take(self, ended: NDArray[np.intp]) -> Trained:
        """The models in the lanes `ended`, which become empty."""
        lanes = torch.from_numpy(ended).to(self.device)
        unwritten = torch.arange(self.training.steps, device=self.device) >= self.taken[lanes].unsqueeze(1)
        losses = self.history[lanes].masked_fill(unwritten, torch.inf)
        taken = Trained(
            models=self.models[ended].copy(),
            losses=losses.cpu().numpy(),
            diverged=~self.alive[lanes].cpu().numpy(),
            parameters={name: theta[lanes] for name, theta in self.parameters.items()},
        )
        self.models[ended] = _EMPTY
        return taken

    def _fill(self, empty: NDArray[np.intp]) -> None:
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
        if self.orders is not None:
            self.orders[lanes] = torch.stack([self._order(int(seed)) for seed in self.batch_seeds[models]])

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
def _one_thread() -> Iterator[None]:
    """Within, operators run on one thread: how they are divided among several may change a result's last bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
