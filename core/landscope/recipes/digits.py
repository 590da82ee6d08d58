"""The edge of stability: full-batch gradient descent on real handwritten digits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from landscope.experiments import Experiment
from landscope.live import watch
from landscope.live.kernel_probes import Modes
from landscope.live.probes import Probe, default_probes
from landscope.measurements import Chart
from landscope.recipes.charts import lines
from landscope.recipes.claims import Claim, claim
from landscope.recipes.descent import descend, device
from landscope.recipes.settings import Configuration, knob
from landscope.runs import Run

__all__ = ["FULL", "Config", "build", "digits", "judge", "picture", "small_cnn", "squared_error", "train"]

_SHARPNESS = 10.0  # weight of the probe this recipe is about: enough to see the sharpness oscillate


@dataclass(frozen=True)
class Config(Configuration):
    """Settings of the recipe."""

    examples: int = knob(1000, 50, 1700, "How many of the 1,797 digits to train on; the others are held out.")
    lr: float = knob(0.2, 0.01, 2.0, "Learning rate; the sharpness rises to 2/lr.", log=True)
    steps: int = knob(1500, 1, 20_000, "Full-batch steps.", log=True)
    seed: int = knob(0, 0, 10_000, "Of the split and the initialisation.")
    overhead: float = knob(2.0, 0.01, 10.0, "Seconds of measuring for each second of training.", log=True)


FULL = Config(examples=1700, lr=0.1, steps=10_000)


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


def train(config: Config, runs: Path) -> Path:
    """Trains the network, watched; returns the folder of its run."""
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
    return descend(scope, experiment, steps=config.steps)


def judge(run: Run) -> list[Claim]:
    """Whether the sharpness rose to 2/lr and stayed there while the loss fell."""
    limit = 2 / run.manifest.config["lr"]
    steps, sharpness = run.scalars("sharpness/lambda_max")
    above = np.flatnonzero(sharpness >= limit)
    rose = claim(
        "The largest Hessian eigenvalue rises from below 2/lr until it reaches it.",
        f"λ max from {sharpness[0]:.1f} to {sharpness.max():.1f}, 2/lr = {limit:.1f}",
        holds=bool(sharpness[0] < 0.8 * limit and len(above)),
        partly=bool(sharpness.max() > 1.5 * sharpness[0]),
    )
    if not len(above):
        return [rose, claim("It then hovers there.", "2/lr was not reached", holds=False)]
    later = steps >= steps[above[0]]
    ratios = sharpness[later] / limit
    within = float(np.mean((ratios > 0.8) & (ratios < 1.3)))
    hovers = claim(
        "It then hovers at 2/lr, within a fifth below and a third above.",
        f"{within:.0%} of {len(ratios)} values, median {np.median(ratios):.2f} of 2/lr",
        holds=within >= 0.9,
        partly=within >= 0.5,
    )
    return [rose, hovers, _falls(run, int(steps[above[0]]))]


def _falls(run: Run, since: int) -> Claim:
    said = "There the loss falls over many steps, but not at each."
    steps, losses = run.scalars("train/loss")
    losses = losses[steps >= since]
    if len(losses) < 2:
        return claim(said, "it was measured too rarely after that", holds=False)
    ups, fall = float(np.mean(np.diff(losses) > 0)), float(losses[-1] / losses[0])
    return claim(
        said,
        f"to {fall:.2f} of what it was there; up in {ups:.0%} of the intervals between its measurements",
        holds=fall < 0.7 and ups > 0,
        partly=fall < 1,
    )


def _probes() -> list[Probe]:
    """The usual ones, the sharpness above all, and the residual along the kernel's modes, as its loss is squared."""
    usual = [replace(p, weight=_SHARPNESS) if p.name == "sharpness" else p for p in default_probes()]
    return [*usual, Probe("modes", Modes(), weight=0.4, gradients=300)]


def picture(run: Run) -> Chart:
    """The sharpness on its way to the limit."""
    return lines(
        "Sharpness",
        "It rises to the limit, and hovers there.",
        ("training (steps)", "sharpness (loss / parameter²)"),
        {"λ max": run.scalars("sharpness/lambda_max")},
        expected={"2/lr": run.scalars("sharpness/threshold")},
    )
