"""The edge of stability: full-batch gradient descent on real handwritten digits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from landscope.experiments import Experiment
from landscope.live import watch
from landscope.live.kernel_probes import Modes
from landscope.live.probes import Probe, default_probes
from landscope.recipes.descent import descend, device

__all__ = ["Config", "build", "digits", "small_cnn", "squared_error", "train"]

_SHARPNESS = 8.0  # weight of the probe this recipe is about: enough to see the sharpness oscillate


@dataclass(frozen=True)
class Config:
    """Settings of the recipe.

    Attributes:
        examples: How many of the 1,797 digits to train on; the others are held out.
        lr: Learning rate; the sharpness rises to 2/lr.
        steps: Full-batch steps.
        seed: Of the split and the initialisation.
        overhead: Seconds of measuring for each second of training.
    """

    examples: int = 1000
    lr: float = 0.2
    steps: int = 1500
    seed: int = 0
    overhead: float = 2.0


def digits(examples: int, seed: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Scikit-learn's 8 x 8 handwritten digits, standardised by the mean and deviation of all pixels.

    Returns:
        ((images (n, 1, 8, 8), classes (n,)) to train on, the same for the rest).
    """
    bunch = load_digits()
    images = torch.tensor(bunch.images, dtype=torch.float32).unsqueeze(1)
    images = (images - images.mean()) / images.std()
    classes = torch.tensor(bunch.target)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    (train, test) = ((images[chosen], classes[chosen]) for chosen in (order[:examples], order[examples:]))
    return train, test


def small_cnn() -> nn.Sequential:
    """A tanh network of two convolutions with average pooling and a linear layer: 1,898 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


def squared_error(outputs: Tensor, classes: Tensor) -> Tensor:
    """Half the squared distance of the outputs (n, C) from one-hot targets, averaged over examples.

    Squared error, because under cross-entropy the sharpness falls again as the examples are fitted.
    """
    targets = functional.one_hot(classes, outputs.shape[1]).to(outputs.dtype)
    return 0.5 * (outputs - targets).square().sum(dim=1).mean()


def build(config: Config) -> Experiment:
    """The network at its initialisation, with its data and optimiser."""
    torch.set_num_threads(1)  # the network is small: a second thread costs more than it brings
    torch.manual_seed(config.seed)
    training, held_out = digits(config.examples, config.seed)
    model = small_cnn().to(device())
    optimizer = torch.optim.SGD(model.parameters(), lr=config.lr)
    return Experiment(model, squared_error, training, held_out, optimizer)


def train(config: Config, runs: Path) -> None:
    """Trains the network, watched."""
    experiment = build(config)
    scope = watch(
        experiment.model,
        experiment.loss_fn,
        train=experiment.train,
        test=experiment.test,
        optimizer=experiment.optimizer,
        overhead=config.overhead,
        examples=1024,
        probes=_probes(),
        total_steps=config.steps,
        recipe="digits",
        config=vars(config),
        runs=runs,
    )
    descend(scope, experiment, steps=config.steps)


def _probes() -> list[Probe]:
    """The usual ones, the sharpness above all, and the residual along the kernel's modes, as its loss is squared."""
    usual = [replace(p, weight=_SHARPNESS) if p.name == "sharpness" else p for p in default_probes()]
    return [*usual, Probe("modes", Modes(), weight=0.4, gradients=300)]
