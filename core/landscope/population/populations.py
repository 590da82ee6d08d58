"""Training a population: models are handed to lanes one after the other, and yielded as they come to their end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from landscope.population.gradients import Tensors, bytes_of_a_model, template_of
from landscope.population.lanes import Lanes, Prepared, Trained, plain_arithmetic
from landscope.population.settings import Settings, Training

__all__ = ["Population"]

_CACHE = 6 * 2**20  # bytes that lanes fill on a CPU: a core's share of the cache
_DEVICE = 2**28  # on an accelerator: enough for all its cores
_MULTIPLE = 16  # lanes are that many times something: no vector operation then ends within a model
_MOST_LANES = 1024
_WORTH_RECORDING = 300  # steps: recording takes as long as it saves in about that many


class Population:
    """Many copies of a model to be trained at once.

    They are trained in lanes, one model in each, as many at once as a core's cache holds. Each model that comes to its
    end, or diverges, leaves its lane to the next. On a CPU one thread computes: these tensors are too small for more.

    A model's numbers do not depend on the others. On a CPU, a model whose layers have even widths gets the same numbers
    to the last bit in any lane and company, as long as lanes are a multiple of 16, as they are by default; of others
    matrix products may differ in the last bit with where in memory they lie, which chaotic training amplifies.

    Args:
        training: What the models have in common.
        lanes: Models trained at once; by default as many as suit the processor.
        memory: Bytes that lanes chosen by default may take at most.

    Raises:
        ValueError: if `lanes` is not positive, or the model cannot be trained this way.
    """

    def __init__(self, training: Training, *, lanes: int | None = None, memory: int = 2**28) -> None:
        if lanes is not None and lanes < 1:
            raise ValueError(f"lanes must be positive, got {lanes}")
        self.training = training
        with plain_arithmetic():
            self._template = template_of(training)
            self._asked = lanes
            self._most = lanes or _lanes_for(training, self._template, memory)
        self._prepared: dict[tuple[int, bool], Prepared] = {}

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

        Nothing is computed before the next models are asked for.

        Raises:
            ValueError: as `train`.
        """
        lanes = self._most
        if self._asked is None:
            lanes = min(lanes, -(-settings.models // _MULTIPLE) * _MULTIPLE)
        return _in_turns(*self._made_ready(settings, lanes))

    def states(self, settings: Settings, *, every: int, start: Tensors | None = None) -> Iterator[Trained]:
        """All models side by side, each in a lane of its own: before the first step, and after each `every` of them.

        Args:
            settings: In what the models differ.
            every: Steps from one state to the next; the last comes after the last step.
            start: Named parameters (N, ...) to begin with, in place of those that the settings give.

        Raises:
            ValueError: if `every` is not positive, parameters to begin with are of other shapes, or as `train`.
        """
        if every < 1:
            raise ValueError(f"every must be at least 1 step, got {every}")
        running, prepared = self._made_ready(settings, settings.models)
        return _side_by_side(running, prepared, every, start or {})

    def _made_ready(self, settings: Settings, lanes: int) -> tuple[Lanes, Prepared]:
        record = self.training.steps * settings.models // lanes >= _WORTH_RECORDING
        with plain_arithmetic():
            running = Lanes(self.training, settings, self._template, lanes, deque(range(settings.models)))
            if (lanes, record) not in self._prepared:
                self._prepared[lanes, record] = running.prepare(record=record)
        return running, self._prepared[lanes, record]


def _in_turns(running: Lanes, prepared: Prepared) -> Iterator[Trained]:
    """All lanes take some steps; then those models that have ended are exchanged for others."""
    running.fill(running.empty)
    while running.busy:
        with _operators_on_one_thread(), plain_arithmetic():
            running.advance(prepared)
        if len(ended := running.ended()):
            yield running.take(ended)
            running.fill(ended)


def _side_by_side(running: Lanes, prepared: Prepared, every: int, start: Tensors) -> Iterator[Trained]:
    """All models have lanes; they are looked at now and again."""
    running.fill(running.empty)
    running.begin_at(start)
    everyone = np.arange(len(running.models))
    yield running.look(everyone)
    for _ in range(0, running.training.steps, every):
        with _operators_on_one_thread(), plain_arithmetic():
            running.advance(prepared, every)
        yield running.look(everyone)


@contextmanager
def _operators_on_one_thread() -> Iterator[None]:
    """Within, an operator's work is not divided among threads, which may change the last bit of its result."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _lanes_for(training: Training, template: nn.Module, memory: int) -> int:
    each = bytes_of_a_model(training, template)
    working_set = _CACHE if training.data[0].device.type == "cpu" else _DEVICE
    fastest = min(max(working_set // each, _MULTIPLE), _MOST_LANES)
    affordable = max(min(fastest, memory // each), 1)
    return affordable - affordable % _MULTIPLE if affordable >= _MULTIPLE else affordable
