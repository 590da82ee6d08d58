"""Data with rare classes, and softmax regression on them by several learning rates at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from landscope.population.optimisers import adam_step, sgd_step
from landscope.recipes.collapsing_networks import class_counts
from landscope.recipes.descent import device
from landscope.recipes.digits import digits

__all__ = ["Descent", "LongTailedDigits", "Regressions", "heavy_tail", "long_tailed_split"]

Descent: TypeAlias = Literal["GD", "Adam", "sign"]
"""Gradient descent with momentum 0.9, Adam, or descent by the signs of the gradient."""

_MOMENTUM, _CLASSES = 0.9, 10


def heavy_tail(bins: int) -> tuple[Tensor, Tensor]:
    """Labels whose frequencies fall as one over the rank, in bins of as many examples each (Kunstner et al. 2024).

    Bin g has 2^g classes of 2^(bins - 1 - g) examples each: half as many examples a class from bin to bin.

    Returns:
        The class and the bin of each of the bins 2^(bins - 1) examples.
    """
    sizes = [2 ** (bins - 1 - g) for g in range(bins) for _ in range(2**g)]
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return labels, torch.arange(bins).repeat_interleave(2 ** (bins - 1))


class Regressions:
    """Softmax regressions p(c | x) ~ exp(w_c x) from zero weights, by full-batch steps of one optimiser.

    Args:
        inputs: (n, d).
        labels: (n,) classes.
        optimiser: Which one.
        rates: Learning rates, one for each of R regressions.

    Attributes:
        weights: (R, C, d).
    """

    def __init__(self, inputs: Tensor, labels: Tensor, optimiser: Descent, rates: Sequence[float]) -> None:
        self.inputs, self.labels, self.optimiser = inputs, labels, optimiser
        classes = int(labels.max()) + 1
        self.weights = inputs.new_zeros(len(rates), classes, inputs.shape[1])
        self._targets = functional.one_hot(labels, classes).to(inputs.dtype)
        columns = {"learning_rate": inputs.new_tensor(rates), "momentum": inputs.new_tensor([_MOMENTUM] * len(rates))}
        columns["weight_decay"] = torch.zeros_like(columns["momentum"])
        self._settings = {name: {"w": column.view(-1, 1, 1)} for name, column in columns.items()}
        names = {"GD": ("velocity",), "Adam": ("mean", "square"), "sign": ()}[optimiser]
        self._state = {name: {"w": torch.zeros_like(self.weights)} for name in names}
        self._taken = torch.zeros(len(rates), dtype=torch.long, device=inputs.device)

    def probabilities(self) -> Tensor:
        """p(c | x), (R, n, C)."""
        return (self.inputs @ self.weights.mT).softmax(dim=2)

    def gradients(self, probabilities: Tensor) -> Tensor:
        """Of the mean cross-entropy, (R, C, d): the row of class c is the mean of (p_c - [y = c]) x."""
        return (probabilities - self._targets).mT @ self.inputs / len(self.labels)

    def curvatures(self, probabilities: Tensor) -> Tensor:
        """Traces (R, C) of the diagonal blocks of the Hessian: that of class c is the mean of p_c (1 - p_c) x x^T."""
        return (probabilities * (1 - probabilities)).mT @ self.inputs.square().sum(dim=1) / len(self.labels)

    def step(self) -> Tensor:
        """Takes a step; the losses of the examples before it, (R, n)."""
        logits = self.inputs @ self.weights.mT
        losses = functional.cross_entropy(logits.mT, self.labels.expand(len(logits), -1), reduction="none")
        found, parameters = {"w": self.gradients(logits.softmax(dim=2))}, {"w": self.weights}
        if self.optimiser == "Adam":
            adam_step(parameters, found, self._state, self._settings, self._taken)
        else:
            slopes = {"w": found["w"].sign()} if self.optimiser == "sign" else found
            sgd_step(parameters, slopes, self._state, self._settings)
        self._taken += 1
        return losses


def long_tailed_split(labels: Tensor, counts: Sequence[int], seed: int) -> tuple[Tensor, Tensor]:
    """Positions of `counts[c]` random examples of each class c, and of as many others of each as the scarcest has left.

    Raises:
        ValueError: if a class has no example left to hold out.
    """
    generator = torch.Generator().manual_seed(seed)
    places = [torch.nonzero(labels == c).flatten() for c in range(len(counts))]
    places = [place[torch.randperm(len(place), generator=generator)] for place in places]
    left = min(len(place) - count for place, count in zip(places, counts, strict=True))
    if left < 1:
        raise ValueError(f"counts must leave an example of each class to hold out, got {list(counts)}")
    train = torch.cat([place[:count] for place, count in zip(places, counts, strict=True)])
    return train, torch.cat([place[-left:] for place in places])


@dataclass(frozen=True, eq=False)
class LongTailedDigits:
    """Handwritten digits, the rarer the higher, with as many of each held out.

    Attributes:
        counts: Examples of each class to train on.
        train: Inputs (n, 64) and classes (n,).
        test: The same, held out.
        weights: (10,) of the classes, inverse to their counts; the mean over the examples is 1.
    """

    counts: list[int]
    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    weights: Tensor

    @classmethod
    def split(cls, examples: int, ratio: float, seed: int) -> Self:
        """About so many examples to train on, `ratio` of the most frequent class for each of the rarest."""
        (images, labels), _ = digits(1797, seed)
        inputs, classes = images.flatten(1).to(device()), labels.to(device())
        counts = class_counts(examples, _CLASSES, ratio)
        train, test = long_tailed_split(labels, counts, seed)
        weights = 1 / inputs.new_tensor(counts)
        weights = weights / weights[classes[train]].mean()
        return cls(counts, (inputs[train], classes[train]), (inputs[test], classes[test]), weights)

    def model(self, width: int, seed: int) -> nn.Sequential:
        """A network with one hidden layer."""
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, _CLASSES)).to(self.weights.device)

    def evaluation(self, model: nn.Module, chosen: Tensor, *, weighted: bool) -> Callable[[], float]:
        """What an optimiser calls for the loss and gradients of some examples, weighted by their class or not."""
        inputs, labels = (part[chosen] for part in self.train)

        def evaluate() -> float:
            model.zero_grad()
            losses = functional.cross_entropy(model(inputs), labels, reduction="none")
            loss = (losses * self.weights[labels]).mean() if weighted else losses.mean()
            loss.backward()
            return loss.detach()  # type: ignore[return-value] # torch's own optimisers hand it on as it is

        return evaluate

    def accuracies(self, model: nn.Module) -> NDArray[np.float64]:
        """Held-out accuracy of each class."""
        inputs, labels = self.test
        with torch.no_grad():
            right = (model(inputs).argmax(dim=1) == labels).double()
        return np.array([float(right[labels == c].mean()) for c in range(_CLASSES)])
