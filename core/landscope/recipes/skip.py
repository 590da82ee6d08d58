"""Skip connections: a deep network trained with and without them, and the loss around where each ends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from landscope.curvature import eigenvalues
from landscope.landscape import roughness, side_by_side, slice2d
from landscope.measurements import Chart, Measurement, Slice2D
from landscope.objective import Objective
from landscope.recipes.charts import lines
from landscope.recipes.claims import Claim, claim
from landscope.recipes.descent import device
from landscope.recipes.digits import digits
from landscope.recipes.settings import Configuration, knob
from landscope.recipes.studies import Study
from landscope.runs import Run

__all__ = ["FULL", "Config", "deep_network", "judge", "picture", "train"]

PLAIN, SKIPS = "plain", "with skips"

History: TypeAlias = dict[str, list[tuple[int, float]]]
"""Steps and values of every number of both networks."""

_EXAMPLES, _SLICED = 1000, 256
_MOMENTUM = 0.9
_CURVE, _LOOKS = 20, 4  # losses in a curve; times that the landscape is looked at
_STEPS = "training (steps)"
_PLANES = 3  # random planes in the end, the first of which is drawn; before that one will do


@dataclass(frozen=True)
class Config(Configuration):
    """Settings of the recipe."""

    depth: int = knob(20, 4, 110, "Layers with weights, an even number; the fewer, the less to see.")
    width: int = knob(12, 2, 64, "Channels.", log=True)
    batch_size: int = knob(64, 8, 1000, "Examples in a step.", log=True)
    weight_decay: float = knob(5e-4, 0.0, 0.05, "Pulls the weights to zero.")
    lr: float = knob(0.05, 1e-3, 0.5, "Learning rate of SGD with momentum 0.9.", log=True)
    steps: int = knob(400, 1, 20_000, "Steps of each of the two networks.", log=True)
    radius: float = knob(1.0, 0.1, 3.0, "Half the side of the slices, in norms of the filters.")
    points: int = knob(11, 3, 101, "Points along each of their axes.")
    seed: int = knob(0, 0, 10_000, "Of the split, the initialisation, the batches and the planes.")


FULL = Config(depth=56, width=32, batch_size=128, steps=4000, points=33)


class _Block(nn.Module):
    """Two convolutions with batch normalisation, relu(s x + F(x)) with s = 1, or 0 without the connection."""

    def __init__(self, width: int, *, skips: bool) -> None:
        super().__init__()
        self.skips = skips
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        return functional.relu(x + y if self.skips else y)


def deep_network(depth: int, width: int, *, skips: bool) -> nn.Sequential:
    """A classifier of 8 x 8 images: a stem, (depth - 2) / 2 blocks of two convolutions, a linear layer on the means.

    The connections have no parameters, so that networks of one seed start from the same weights with and without them
    (He et al. 2016; "noshort" of Li et al. 2018).
    """
    network = nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AvgPool2d(2),
        *(_Block(width, skips=skips) for _ in range((depth - 2) // 2)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 10),
    )
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return network


class _Arm:
    """One of the two networks on its way."""

    def __init__(self, config: Config, data: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]], *, skips: bool):
        torch.manual_seed(config.seed)
        self.config = config
        self.model = deep_network(config.depth, config.width, skips=skips).to(device())
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=config.lr, momentum=_MOMENTUM, weight_decay=config.weight_decay
        )
        self.loss = nn.CrossEntropyLoss()
        train, test = data
        self.objectives = {
            "train": Objective(self.model, self.loss, train, split="train"),
            "test": Objective(self.model, self.loss, test, split="test"),
        }
        self.sliced = Objective(self.model, self.loss, train, examples=_SLICED, split="train")

    def descend(self, inputs: Tensor, targets: Tensor) -> None:
        self.model.zero_grad()
        self.loss(self.model(inputs), targets).backward()
        self.optimizer.step()

    def losses(self) -> dict[str, float]:
        """Loss and accuracy on both data sets, batch normalisation by its running statistics."""
        return {
            f"{split}/{name}": float(values)
            for split, objective in self.objectives.items()
            for name, values in objective.metrics(objective.theta().unsqueeze(0)).items()
        }

    def landscape(self, planes: int) -> tuple[Slice2D, dict[str, float]]:
        """A filter-normalised slice, and what a number of them say of its shape, with the largest eigenvalue."""
        config = self.config
        slices = [
            slice2d(self.sliced, points=config.points, radius=config.radius, seed=config.seed + k, errors=False)
            for k in range(planes)
        ]
        negative = np.array([roughness(one).negative for one in slices])
        numbers = {
            "negative": float(negative.mean()),
            "basin": float(np.mean([(one.loss < one.centre_loss + 1).mean() for one in slices])),
            "lambda_max": float(eigenvalues(self.sliced, k=1, tolerance=0.02).values[0]),
        }
        error = {"negative/error": float(negative.std(ddof=1) / np.sqrt(planes))} if planes > 1 else {}
        return slices[0], numbers | error


def train(config: Config, runs: Path) -> Path:
    """Trains both networks on the same batches; returns the folder of the run."""
    torch.set_num_threads(1)  # the layers are narrow: a second thread costs more than it brings
    data = digits(_EXAMPLES, config.seed)
    arms = {name: _Arm(config, data, skips=name == SKIPS) for name in (PLAIN, SKIPS)}
    inputs, targets = (tensor.to(device()) for tensor in data[0])
    curves, looks = (np.unique(np.linspace(0, config.steps, n + 1).round().astype(int)) for n in (_CURVE, _LOOKS))
    history: History = defaultdict(list)
    with Study("skip", config, runs, total=config.steps) as study:
        for chosen in _batches(len(inputs), config.batch_size, config.seed):
            for arm in arms.values():
                arm.descend(inputs[chosen], targets[chosen])
            study.advance()
            if study.step in curves:
                _record(study, history, {name: arm.losses() for name, arm in arms.items()})
                study.exhibit("losses", _losses(history))
                study.exhibit("accuracies", _accuracies(history))
            if study.step in looks:
                _look(study, history, arms, planes=_PLANES if study.step == config.steps else 1)
            if study.step == config.steps or study.stopped:
                break
    return study.path


def _look(study: Study, history: History, arms: Mapping[str, _Arm], planes: int) -> None:
    found = {name: arm.landscape(planes) for name, arm in arms.items()}
    _record(study, history, {name: numbers for name, (_, numbers) in found.items()})
    study.exhibit(
        "slices",
        side_by_side({name: plane for name, (plane, _) in found.items()}),
        "The loss around both networks",
        "Filter-normalised random planes with the same numbers for both (Li et al. 2018): one scale, shared axes.",
    )
    study.exhibit("convexity", _convexity(history))
    study.exhibit("sharpness", _sharpness(history))


def _batches(examples: int, size: int, seed: int) -> Iterator[Tensor]:
    """Positions of the examples of each step: whole batches of one random order after the other."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(examples, generator=generator)
        yield from (order[start : start + size] for start in range(0, examples - size + 1, size))


def _record(study: Study, history: History, found: Mapping[str, Mapping[str, float]]) -> None:
    for arm, numbers in found.items():
        study.scalars({f"{arm}/{name}": value for name, value in numbers.items()})
        for name, value in numbers.items():
            history[f"{arm}/{name}"].append((study.step, value))


def _series(history: History, name: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The history of a number of both networks."""
    steps_and_values = {arm: np.array(history[f"{arm}/{name}"]).T for arm in (PLAIN, SKIPS)}
    return {arm: (steps, values) for arm, (steps, values) in steps_and_values.items()}


def _losses(history: History) -> Chart:
    both = {split: _series(history, f"{split}/loss") for split in ("train", "test")}
    return lines(
        "Depth without skips is slow to train",
        "Cross-entropy of the same steps on the same batches from the same weights.",
        (_STEPS, "loss"),
        {f"{arm}, {split}": line for split, arms in both.items() for arm, line in arms.items()},
        y_log=True,
    )


def _accuracies(history: History) -> Chart:
    return lines(
        "Held-out accuracy",
        "Batch normalisation by its running statistics, as in use.",
        (_STEPS, "accuracy (share)"),
        _series(history, "test/accuracy"),
    )


def _convexity(history: History) -> Chart:
    return lines(
        "Where the slice is not convex",
        f"Share of the plane where it curves down in some direction; in the end the mean over {_PLANES} planes.",
        (_STEPS, "share of the plane"),
        _series(history, "negative"),
        marks="both",
    )


def _sharpness(history: History) -> Chart:
    return lines(
        "Sharpness",
        "The largest eigenvalue of the Hessian, which falls with the loss under cross-entropy, whatever the network.",
        (_STEPS, "λ max (loss / parameter²)"),
        _series(history, "lambda_max"),
        y_log=True,
        marks="both",
    )


def judge(run: Run) -> list[Claim]:
    """Whether without skips training was worse, the slices less convex, and the minimum sharper."""

    def last(name: str) -> tuple[float, float]:
        plain, skips = (float(run.scalars(f"{arm}/{name}")[1][-1]) for arm in (PLAIN, SKIPS))
        return plain, skips

    losses, accuracies, sharpness, basins = (
        last(name) for name in ("train/loss", "test/accuracy", "lambda_max", "basin")
    )
    negative, errors = last("negative"), last("negative/error")
    apart = negative[0] - negative[1] > 2 * float(np.hypot(*errors))
    return [
        claim(
            "The plain network trains to a loss at least twice as high, after the same steps.",
            f"training loss {losses[0]:.2g} plain, {losses[1]:.2g} with skips",
            holds=losses[0] >= 2 * losses[1],
            partly=losses[0] > 1.1 * losses[1],
        ),
        claim(
            "Its slice curves down over at least twice as much of the plane, by more than two standard errors.",
            f"{negative[0]:.0%} ± {errors[0]:.0%} of the plane, {negative[1]:.0%} ± {errors[1]:.0%} with skips",
            holds=apart and negative[0] >= 2 * negative[1],
            partly=apart,
        ),
        claim(
            "Its minimum is sharper: its largest Hessian eigenvalue is at least twice that with skips.",
            f"λ max {sharpness[0]:.3g} and {sharpness[1]:.3g}",
            holds=sharpness[0] >= 2 * sharpness[1],
            partly=sharpness[0] > 1.1 * sharpness[1],
        ),
        claim(
            "Its basin is narrower: at most two thirds as much of the plane has a loss within 1 of the centre's.",
            f"{basins[0]:.0%} of the plane, {basins[1]:.0%} with skips",
            holds=basins[0] <= 2 / 3 * basins[1],
            partly=basins[0] < 0.9 * basins[1],
        ),
        claim(
            "It generalises worse: held-out accuracy is lower by a point or more.",
            f"{accuracies[0]:.1%} and {accuracies[1]:.1%}",
            holds=accuracies[1] - accuracies[0] >= 0.01,
            partly=accuracies[1] > accuracies[0],
        ),
    ]


def picture(run: Run) -> Measurement:
    """Both slices."""
    return run.measurement("exhibit/slices")
