"""The networks, data and losses of which neural collapse has a theory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from landscope.embedding.neural_collapse import Target
from landscope.recipes.digits import squared_error

__all__ = ["LOSSES", "Arm", "Unit", "class_counts", "clusters", "network", "supervised_contrastive", "whitened"]

_TEMPERATURE, _INPUTS = 0.2, 20

Loss: TypeAlias = Literal["cross-entropy", "squared error", "contrastive"]


@dataclass(frozen=True)
class Arm:
    """One network, its loss and its data.

    Attributes:
        name: What the legend calls it.
        linear: Whether it is a linear network; else one with two hidden layers of ReLU units.
        loss: Its loss.
        equal: Whether classes have as many examples each.
        target: What its class means are held against.
        final: Of contrastive networks, whether the features pass a last ReLU.
    """

    name: str
    linear: bool
    loss: Loss
    equal: bool
    target: Target
    final: bool = False


class Unit(nn.Module):
    """Features (n, d) at length one."""

    def forward(self, x: Tensor) -> Tensor:
        """The features."""
        return functional.normalize(x, dim=1)


def class_counts(examples: int, classes: int, ratio: float) -> list[int]:
    """Examples of each class, at least two, fewer by one factor from class to class: `ratio` from first to last."""
    shares = ratio ** -np.linspace(0, 1, classes)
    return [max(2, round(examples * share)) for share in shares / shares.sum()]


def clusters(counts: list[int], seed: int) -> tuple[Tensor, Tensor]:
    """Inputs (N, 20) in Gaussian clusters whose centres scatter as much as they do, and their classes (N,)."""
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(len(counts), _INPUTS, generator=generator)
    return centres[labels] + torch.randn(len(labels), _INPUTS, generator=generator), labels


def whitened(counts: list[int]) -> tuple[Tensor, Tensor]:
    """Inputs X (N, N) with X X^T / N = 1, and their classes.

    Each has a direction of its own, so that what a linear layer makes of it is free: a linear network on them is the
    problem whose minimum `orthogonal_frame` knows.
    """
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return len(labels) ** 0.5 * torch.eye(len(labels)), labels


def network(arm: Arm, inputs: int, classes: int, *, width: int, layers: int) -> nn.Sequential:
    """A linear network, a ReLU network with a linear classifier, or one whose outputs are features of length one.

    Classifiers have biases where classes are equal; without them squared error makes an orthogonal frame there too.

    Args:
        arm: Which.
        inputs: Length of an input.
        classes: Outputs of a classifier.
        width: Units of each layer.
        layers: Linear layers after the features of a linear network.
    """
    if arm.linear:
        hidden = [nn.Linear(width, width, bias=False) for _ in range(layers - 1)]
        backbone: list[nn.Module] = [nn.Linear(inputs, width, bias=False), *hidden]
    else:
        backbone = [nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
    if arm.loss == "contrastive":
        return nn.Sequential(*backbone, nn.Linear(width, width), *([nn.ReLU()] if arm.final else []), Unit())
    return nn.Sequential(*backbone, nn.Linear(width, classes, bias=arm.equal))


def supervised_contrastive(units: Tensor, classes: Tensor) -> Tensor:
    """mean_i mean_(j of i's class) -log(exp(u_i.u_j / t) / sum_(k != i) exp(u_i.u_k / t)) over the batch, j != i.

    Each class needs two examples of unit features (n, d) at least.
    """
    itself = torch.eye(len(units), dtype=torch.bool, device=units.device)
    likelihoods = (units @ units.T / _TEMPERATURE).masked_fill(itself, -torch.inf).log_softmax(dim=1)
    positive = (classes == classes[:, None]) & ~itself
    return -(likelihoods.masked_fill(~positive, 0.0).sum(dim=1) / positive.sum(dim=1)).mean()


LOSSES: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {
    "cross-entropy": functional.cross_entropy,
    "squared error": squared_error,
    "contrastive": supervised_contrastive,
}
