"""Many seeds of one network trained at once, beside the ordinary loop for one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.timing import interleaved
from landscope.population import Population, Settings, Training
from landscope.recipes.digits import digits

__all__ = ["seeds"]

_STEPS, _BATCH, _RATE = 400, 32, 0.1
_TOGETHER, _ALONE = 192, 8


def seeds(device: str, points: int) -> Iterator[dict[str, Any]]:
    """Seconds of a training of 64-32-10 on digits, 400 steps of 32 examples: its share of 192 at once, and alone.

    `points` is not used. `error` is the largest relative difference of the last losses of the eight that both train.
    """
    (images, classes), _ = digits(1000, seed=0)
    data = images.flatten(1).to(device), classes.to(device)

    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)).to(device)

    training = Training(make, cross_entropy, data, _STEPS, batch_size=_BATCH, losses="batch")
    each = np.arange(_TOGETHER)
    population = Population(training)

    def together() -> np.ndarray:
        trained = population.train(Settings(learning_rate=_RATE, seed=each, batch_seed=each))
        return trained.losses[:_ALONE, -1]

    def alone() -> np.ndarray:
        return np.array([_loop(training.make(seed), data, _batches(len(classes), seed)) for seed in range(_ALONE)])

    calls: dict[str, Callable[[], np.ndarray]] = {"ours": together, "peer": alone}
    for call in calls.values():
        call()
    results, medians, rounds = interleaved(calls)
    ours, peer = medians["ours"].on(device) / _TOGETHER, medians["peer"].on(device) / _ALONE
    yield {
        "peer": "a loop for each, one after the other",
        "ours_s": ours,
        "peer_s": peer,
        "ratio": peer / ours,
        "error": float(np.abs(results["ours"] / results["peer"] - 1).max()),
        "rounds": rounds,
        "models": _TOGETHER,
    }


def _batches(examples: int, seed: int) -> Tensor:
    """The same as the population's, (steps, batch)."""
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(examples, generator=generator) for _ in range(-(-_STEPS * _BATCH // examples))]
    return torch.cat(orders)[: _STEPS * _BATCH].view(_STEPS, _BATCH)


def _loop(model: nn.Module, data: tuple[Tensor, Tensor], batches: Tensor) -> float:
    optimizer = torch.optim.SGD(model.parameters(), lr=_RATE)
    for chosen in batches:
        optimizer.zero_grad()
        loss = cross_entropy(model(data[0][chosen]), data[1][chosen])
        loss.backward()
        optimizer.step()
    return float(loss.detach())
