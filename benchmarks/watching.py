"""What watching takes of a training: each loop in turns with itself unwatched, to the same weights."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import landscope as ls
from benchmarks.cases import Transformer
from benchmarks.kernels import residual_network
from landscope.recipes.digits import digits, small_cnn, squared_error
from landscope.recipes.grokking import ModularAddition, split_pairs

__all__ = ["LOOPS", "watching"]

_SECONDS = 40.0  # of the thread that trains, unwatched
_TURN = 1.0  # second after which the other one has its turn


@dataclass
class Loop:
    """A training loop.

    Attributes:
        model: The network.
        loss: The mean loss of a batch.
        train: Inputs and targets.
        test: Held-out ones.
        optimizer: The optimiser.
        batch: Examples in a step.
    """

    model: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    optimizer: torch.optim.Optimizer
    batch: int
    _generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(3))

    def step(self) -> Tensor:
        """Takes a step on a batch that this loop draws for itself; returns its loss."""
        x, y = self.train
        if self.batch < len(x):
            chosen = torch.randint(len(x), (self.batch,), generator=self._generator).to(x.device)
            x, y = x[chosen], y[chosen]
        self.optimizer.zero_grad()
        loss = self.loss(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def _digits() -> Loop:
    """A CNN of 1,898 parameters on 8 x 8 digits, SGD with batches of 64."""
    train, test = digits(1000, 0)
    model = small_cnn()
    return Loop(model, squared_error, train, test, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), 64)


def _grokking() -> Loop:
    """Addition modulo 97, 26,816 parameters, AdamW on all 1,901 pairs."""
    train, test = split_pairs(97, 0.4, 0)
    model = ModularAddition(97, 64, 128)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1.0)
    return Loop(model, cross_entropy, train, test, optimizer, len(train[0]))


def _resnet() -> Loop:
    """ResNet-18 for 32 x 32 images, 11,173,962 parameters, SGD with batches of 16."""
    model = residual_network()
    x, y = torch.randn(512, 3, 32, 32), torch.randint(10, (512,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return Loop(model, cross_entropy, (x[:400], y[:400]), (x[400:], y[400:]), optimizer, 16)


def _gpt() -> Loop:
    """A GPT of six blocks of width 384, 10,720,896 parameters but for its vocabulary of 65, AdamW on 4 x 64 tokens."""
    model = Transformer(vocabulary=65, width=384, heads=6, layers=6, context=64)
    x, y = torch.randint(65, (256, 64)), torch.randint(65, (256, 64))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    return Loop(model, _next_token, (x[:200], y[:200]), (x[200:], y[200:]), optimizer, 4)


def _next_token(logits: Tensor, following: Tensor) -> Tensor:
    return cross_entropy(logits.flatten(0, 1), following.flatten())


LOOPS: dict[str, Callable[[], Loop]] = {"digits": _digits, "grokking": _grokking, "resnet": _resnet, "gpt": _gpt}


def watching(name: str, device: str, points: int, *, seconds: float = _SECONDS) -> Iterator[dict[str, Any]]:
    """Seconds a step with and without a default `watch`, in turns of a second, by the CPU time of the training thread.

    `error` is the largest difference of a weight at the end. `overhead` is what the run itself says, in elapsed time,
    `share` the same without the first picture, which is allowed as much as fifty seconds of training earn.
    """
    loops = []
    for _ in range(2):
        torch.manual_seed(0)
        loops.append(_moved(LOOPS[name](), device))
    alone, watched = loops
    folder = Path(tempfile.mkdtemp())
    began = time.thread_time()
    scope = ls.watch(
        watched.model, watched.loss, watched.train, watched.test, watched.optimizer, runs=folder, name=name
    )
    first, spent, others, steps = time.thread_time() - began, [0.0, 0.0], 0.0, 0
    while spent[0] < seconds:
        taken = 0
        start = time.thread_time()
        while time.thread_time() - start < _TURN:
            alone.step()
            taken += 1
        spent[0] += time.thread_time() - start
        scope._left = time.perf_counter()  # the other's turn is no time of this training
        start, whole = time.thread_time(), time.process_time()
        for _ in range(taken):
            scope.step(watched.step())
        spent[1] += time.thread_time() - start
        others += time.process_time() - whole - (time.thread_time() - start)
        steps += taken
    scope.close()
    run = ls.open(scope.path)
    pairs = zip(alone.model.state_dict().values(), watched.model.state_dict().values(), strict=True)
    yield {
        "ours_s": spent[1] / steps,
        "peer_s": spent[0] / steps,
        "ratio": spent[1] / spent[0],
        "error": max(float((ours.double() - theirs.double()).abs().max()) for ours, theirs in pairs),
        "peer": "the same loop, unwatched",
        "steps": steps,
        "overhead": scope.overhead,
        "share": scope.overhead * (1 - scope._budget.first / scope._budget.spent),
        "first_picture_s": scope._budget.first,
        "attaching_s": first,
        "other_threads_s": others,
        "frames": len(run.frames()),
        "placed": {event.data["probe"]: event.data["where"] for event in run.events("probe-placed") if event.data},
        "off": [event.text for event in run.events("probe-off")],
        "folder_mb": sum(file.stat().st_size for file in scope.path.rglob("*") if file.is_file()) / 1e6,
        "parameters": sum(parameter.numel() for parameter in alone.model.parameters()),
        "repeats": 1,
    }
    shutil.rmtree(folder)


def _moved(loop: Loop, device: str) -> Loop:
    loop.model.to(device)
    loop.train, loop.test = ((x.to(device), y.to(device)) for x, y in (loop.train, loop.test))
    return loop
