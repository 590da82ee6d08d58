"""Neural collapse: where class means go under three losses, on equal and on unequal classes, beside theory's places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from landscope.embedding import features, geometry, orthogonal_frame
from landscope.measurements import Chart, Geometry, Matrix, Provenance
from landscope.objective import Objective
from landscope.recipes.charts import lines
from landscope.recipes.claims import Claim, claim
from landscope.recipes.collapsing_networks import LOSSES, Arm, class_counts, clusters, network, whitened
from landscope.recipes.descent import device
from landscope.recipes.settings import Configuration, knob
from landscope.recipes.studies import Study, exhibited
from landscope.runs import Run

__all__ = ["ARMS", "FULL", "Config", "judge", "train"]

_MOMENTUM, _MARKS = 0.9, 40
_CLOSE = 0.05  # of cosines, and of lengths as a share


@dataclass(frozen=True)
class Config(Configuration):
    """Settings of the recipe."""

    classes: int = knob(4, 3, 8, "How many classes.")
    examples: int = knob(120, 24, 1000, "How many in all, whether the classes are equal or not.", log=True)
    imbalance: float = knob(10.0, 1.0, 30.0, "Examples of the largest class for each of the smallest.", log=True)
    width: int = knob(64, 16, 512, "Units of each layer.", log=True)
    layers: int = knob(2, 1, 5, "Linear layers after the features of linear networks.")
    lr: float = knob(0.1, 0.01, 0.3, "Learning rate of gradient descent with momentum 0.9.", log=True)
    weight_decay: float = knob(0.01, 1e-4, 0.05, "Of features and readers; more collapses sooner.", log=True)
    steps: int = knob(2000, 1, 50_000, "Full-batch steps of each network.", log=True)
    seed: int = knob(0, 0, 10_000, "Of the clusters and the initialisation.")


FULL = Config(classes=8, examples=1000, imbalance=20.0, width=256, weight_decay=3e-3, steps=20_000)


ARMS = (
    Arm("linear, cross-entropy, equal", True, "cross-entropy", True, "simplex"),
    Arm("linear, squared error, equal", True, "squared error", True, "simplex"),
    Arm("linear, squared error, unequal", True, "squared error", False, "orthogonal"),
    Arm("ReLU, cross-entropy, equal", False, "cross-entropy", True, "simplex"),
    Arm("ReLU, squared error, unequal", False, "squared error", False, "orthogonal"),
    Arm("ReLU, cross-entropy, unequal", False, "cross-entropy", False, "counts"),
    Arm("contrastive, equal", False, "contrastive", True, "simplex"),
    Arm("contrastive, unequal", False, "contrastive", False, "simplex"),
    Arm("contrastive, unequal, last ReLU", False, "contrastive", False, "orthogonal", final=True),
)
_SIMPLEXES, _FRAMES, _CONTRASTIVE = ARMS[:2], (ARMS[2], ARMS[4]), ARMS[6:]
_SHOWN = (ARMS[0], ARMS[2], *ARMS[7:])


class _Training:
    """One arm on its way.

    Decay is on what theory decays: features and what reads them, and nothing where features have length one. In linear
    networks the first layer stands for the features.
    """

    def __init__(self, config: Config, arm: Arm) -> None:
        torch.manual_seed(config.seed)
        counts = _counts(config, arm)
        inputs, labels = whitened(counts) if arm.linear else clusters(counts, config.seed)
        model = network(arm, inputs.shape[1], config.classes, width=config.width, layers=config.layers)
        self.arm, self.loss, self.model = arm, LOSSES[arm.loss], model.to(device())
        self.inputs, self.labels = inputs.to(device()), labels.to(device())
        decay = 0.0 if arm.loss == "contrastive" else config.weight_decay
        self.feature_decay = 0.0 if arm.linear else decay
        backbone = {"params": list(model[:-1].parameters()), "weight_decay": decay if arm.linear else 0.0}
        reader = {"params": list(model[-1].parameters()), "weight_decay": decay}
        self.optimizer = torch.optim.SGD([backbone, reader], lr=config.lr, momentum=_MOMENTUM)
        self.seen: list[Geometry] = []
        self.lengths = np.empty(0)

    def descend(self, steps: int) -> None:
        for _ in range(steps):
            read = self.model[:-1](self.inputs)
            loss = self.loss(self.model[-1](read), self.labels)
            if self.feature_decay:
                loss = loss + self.feature_decay / 2 * read.square().sum(dim=1).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def look(self) -> None:
        objective = Objective(self.model, self.loss, (self.inputs, self.labels), split="train")
        layer = str(len(self.model) - 1) if self.arm.loss == "contrastive" else None
        self.seen.append(geometry(objective, layer, examples=len(self.inputs), target=self.arm.target))
        values, labels = features(objective, layer).values.double(), self.labels.cpu()
        self.lengths = np.array([values[labels == c].mean(dim=0).norm().item() for c in labels.unique()])


def _counts(config: Config, arm: Arm) -> list[int]:
    return class_counts(config.examples, config.classes, 1.0 if arm.equal else config.imbalance)


def train(config: Config, runs: Path) -> Path:
    """Trains the networks side by side and shows where their class means are; returns the folder of the run."""
    torch.set_num_threads(1)  # the matrices are small: a second thread costs more than it brings
    trainings = [_Training(config, arm) for arm in ARMS]
    marks = np.unique(np.geomspace(1, config.steps, _MARKS).round().astype(int))
    with Study("collapse", config, runs, total=config.steps) as study:
        for index, mark in enumerate(marks):
            for training in trainings:
                training.descend(int(mark) - study.step)
                training.look()
            study.advance(int(mark) - study.step)
            _show(study, config, trainings, marks[: index + 1])
            if study.stopped:
                break
    return study.path


_LINES = {
    "nc1": (
        "Examples of a class become one point",
        "NC1, the scatter within classes over that between: zero where features are their class means.",
        "NC1 (no unit)",
    ),
    "nc2_angles": (
        "Class means go to theory's places",
        "NC2, how far cosines of class means are from the target's: a simplex for equal classes; for unequal ones "
        "orthogonal vectors under squared error and behind a last ReLU, and under cross-entropy where they would be "
        "without decay. Unequal contrastive features are held against the simplex, which they miss without that ReLU.",
        "mean |cosine - target's| (no unit)",
    ),
    "nc3": (
        "Classifiers become parallel to the means",
        "NC3, the squared distance of classifier and class means, scaled; contrastive networks have no classifier.",
        "NC3 (no unit)",
    ),
}


def _show(study: Study, config: Config, trainings: Sequence[_Training], steps: np.ndarray) -> None:
    for name, (title, summary, unit) in _LINES.items():
        values = {one.arm.name: [getattr(seen, name) for seen in one.seen] for one in trainings}
        drawn = {label: (steps, line) for label, line in values.items() if None not in line}
        study.exhibit(name, lines(title, summary, ("training (steps)", unit), drawn, x_log=True, y_log=True))
    study.exhibit("lengths", _lengths(config, [one for one in trainings if one.arm in _FRAMES]))
    study.exhibit("cosines", _cosines(config, [one for one in trainings if one.arm in _SHOWN]))


def _lengths(config: Config, trainings: Sequence[_Training]) -> Chart:
    """The lengths of class means under squared error, beside those of the minimum."""
    counts, decay = _counts(config, trainings[0].arm), config.weight_decay
    theory = {
        one.arm.name: orthogonal_frame(
            counts,
            weight_decay=decay,
            feature_decay=decay / sum(counts),
            layers=config.layers if one.arm.linear else 1,
        ).lengths
        for one in trainings
    }
    return lines(
        "Rare classes have longer means",
        "Lengths of the class means under squared error without biases, on the lengths of the minimum (dashed).",
        ("examples of the class", "length of the class mean (feature units)"),
        {one.arm.name: (counts, one.lengths) for one in trainings},
        expected={f"theory, {name}": (counts, lengths) for name, lengths in theory.items()},
        x_log=True,
        marks="points",
    )


def _cosines(config: Config, trainings: Sequence[_Training]) -> Matrix:
    """Cosines of class means on the left, the target's on the right."""
    names = [str(1 + c) for c in range(config.classes)]
    blocks = [np.hstack([_found(one.seen[-1].cosines), _found(one.seen[-1].target_cosines)]) for one in trainings]
    return Matrix(
        provenance=Provenance(method="all training examples of each network", seed=config.seed),
        title="Cosines of class means, and theory's",
        summary="A row is a class of a network, the most frequent first: cosines with all classes, then the target's.",
        row_name="class",
        column_name="with class",
        value_name="cosine",
        rows=tuple(f"{one.arm.name} {name}" for one in trainings for name in names),
        columns=(*names, *(f"theory {name}" for name in names)),
        values=np.vstack(blocks),
        signed=True,
    )


def _found(cosines: np.ndarray | None) -> np.ndarray:
    assert cosines is not None
    return cosines


def judge(run: Run) -> list[Claim]:
    """Whether features collapsed, and their means are where theory has them in the end."""
    nc1, angles, nc3, lengths = (exhibited(run, name, Chart).y for name in ("nc1", "nc2_angles", "nc3", "lengths"))
    last = {arm: float(angles[arm.name][-1]) for arm in ARMS}
    scatter = {name: float(values[-1]) for name, values in nc1.items()}
    simplex = [last[arm] for arm in _SIMPLEXES]
    dual = [float(nc3[arm.name][-1]) for arm in _SIMPLEXES]
    frame = [last[arm] for arm in _FRAMES]
    errors = [np.abs(lengths[arm.name] / lengths[f"theory, {arm.name}"] - 1).max() for arm in _FRAMES]
    spread = [lengths[arm.name].max() / lengths[arm.name].min() for arm in _FRAMES]
    equal, unequal, rectified = (last[arm] for arm in _CONTRASTIVE)
    return [
        claim(
            "Every network collapses: the scatter within classes falls below a hundredth of that between them.",
            f"NC1 at most {max(scatter.values()):.1e}, of {max(scatter, key=scatter.__getitem__)}",
            holds=max(scatter.values()) < 0.01,
            partly=float(np.median(list(scatter.values()))) < 0.01,
        ),
        claim(
            "Equal classes, linear network: under cross-entropy and squared error the means are a simplex, cosines "
            f"within {_CLOSE} of -1/(C-1), and the classifier is its dual, NC3 below {_CLOSE}.",
            f"cosines off by {simplex[0]:.1e} and {simplex[1]:.1e}, NC3 {dual[0]:.1e} and {dual[1]:.1e}",
            holds=max(*simplex, *dual) < _CLOSE,
            partly=max(simplex) < _CLOSE,
        ),
        claim(
            f"Unequal classes, squared error without biases: the means are orthogonal, cosines within {_CLOSE} of 0, "
            f"longer the rarer the class, and of the minimum's lengths within {_CLOSE:.0%}; linear and ReLU alike.",
            f"cosines off by {frame[0]:.1e} and {frame[1]:.1e}, lengths by {errors[0]:.1%} and {errors[1]:.1%}; the "
            f"longest is {spread[0]:.2f} and {spread[1]:.2f} times the shortest",
            holds=max(*frame, *errors) < _CLOSE and min(spread) > 1 + 2 * _CLOSE,
            partly=min(max(pair) for pair in zip(frame, errors, strict=True)) < _CLOSE,
        ),
        claim(
            "Contrastive features miss the simplex where classes are unequal, ten times as far as where equal; a last "
            f"ReLU makes them an orthogonal frame all the same, cosines within {_CLOSE} of 0.",
            f"off the simplex by {equal:.1e} equal, {unequal:.1e} unequal; off the frame by {rectified:.1e}",
            holds=unequal > 10 * equal and rectified < _CLOSE,
            partly=rectified < _CLOSE,
        ),
    ]
