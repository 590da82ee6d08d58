"""Flat minima under label noise: SGD, SAM and SAF, and what sharpness says of generalisation there and does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau
from torch import Tensor, nn

from landscope.curvature import eigenvalues, sharpness_measures
from landscope.landscape import side_by_side, slice2d
from landscope.measurements import Chart, Matrix, Provenance, SharpnessMeasures
from landscope.objective import Objective
from landscope.recipes.charts import lines
from landscope.recipes.claims import Claim, claim
from landscope.recipes.descent import device
from landscope.recipes.digits import digits
from landscope.recipes.flat_minima import (
    Networks,
    ascended,
    corrupted,
    cross_entropy,
    gradients,
    sharpness_aware_gradients,
    trajectory_loss,
)
from landscope.recipes.settings import Configuration, knob
from landscope.recipes.studies import Study
from landscope.runs import Run

__all__ = ["FULL", "OPTIMISERS", "Config", "judge", "train"]

OPTIMISERS = ("SGD", "SAM", "SAF")

_LOOKS = 8  # times that all is looked at
_CLASSES, _MOMENTUM = 10, 0.9
_ROUNDING = 1e-7  # of losses, below which none is told from another
_ASCENT, _TOLERANCE = 5, 0.05  # gradients of each ascent, and error of eigenvalues, in measures of the end

_CORRELATED = 0.3  # Kendall's tau from which sharpness and gap go together

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Config(Configuration):
    """Settings of the recipe."""

    noise: float = knob(0.6, 0.0, 0.8, "The most label noise.")
    levels: int = knob(4, 2, 10, "Levels of noise, from none to that.")
    rho: float = knob(0.3, 0.01, 1.0, "Radius within which SAM looks for the highest loss.")
    weight: float = knob(5.0, 0.0, 50.0, "Weight of SAF's trajectory loss (0.3 in the paper, on large networks).")
    temperature: float = knob(2.0, 0.5, 20.0, "Its temperature (5 in the paper).", log=True)
    lag: int = knob(3, 1, 50, "How many epochs the outputs are old that it compares with.")
    lr: float = knob(0.05, 1e-3, 0.5, "Learning rate of all, with momentum 0.9.", log=True)
    weight_decay: float = knob(5e-4, 0.0, 0.05, "Of all.")
    examples: int = knob(500, 50, 1500, "Digits to train on; the others are held out.")
    batch_size: int = knob(50, 1, 500, "Examples in a step.", log=True)
    width: int = knob(64, 2, 1024, "Hidden units.", log=True)
    seeds: int = knob(5, 2, 50, "Networks of each optimiser at each level.")
    epochs: int = knob(100, 1, 5000, "Passes over the data.", log=True)
    seed: int = knob(0, 0, 10_000, "Of the split, and the first of the networks'.")


FULL = Config(examples=1000, width=512, seeds=20, epochs=400)


class _Arm:
    """All networks of one optimiser: level by level, seed by seed, K in all."""

    def __init__(self, config: Config, optimiser: str, inputs: Tensor, labels: Tensor) -> None:
        self.config, self.optimiser, self.inputs, self.labels = config, optimiser, inputs, labels
        seeds = [config.seed + s for s in range(config.seeds)] * config.levels
        drawn = Networks.drawn(seeds, inputs.shape[1], config.width, _CLASSES)
        self.networks = Networks(tuple(w.detach().to(device()).requires_grad_() for w in drawn.parameters))
        self.descent = torch.optim.SGD(
            self.networks.parameters, lr=config.lr, momentum=_MOMENTUM, weight_decay=config.weight_decay
        )
        self.remembered: list[Tensor] = []  # logits (K, n, C) of the latest epochs, as they came in training

    def epoch(self, order: Tensor) -> None:
        """One pass over the data in the order (K, n) of each network."""
        seen = torch.zeros(*order.shape, _CLASSES, device=order.device)
        earlier = self.remembered[0] if len(self.remembered) == self.config.lag else None
        for chosen in order.split(self.config.batch_size, dim=1):
            x, y = self.inputs[chosen], self.labels.gather(1, chosen)
            places = chosen.unsqueeze(2).expand(-1, -1, _CLASSES)

            def losses(networks: Networks, x: Tensor = x, y: Tensor = y, places: Tensor = places) -> Tensor:
                outputs = networks.outputs(x)
                seen.scatter_(1, places, outputs.detach())
                if earlier is None:
                    return cross_entropy(outputs, y)
                moved = trajectory_loss(outputs, earlier.gather(1, places), self.config.temperature)
                return cross_entropy(outputs, y) + self.config.weight * moved

            if self.optimiser == "SAM":
                found = sharpness_aware_gradients(self.networks, losses, self.config.rho)
            else:
                found = gradients(self.networks, losses)
            for parameter, gradient in zip(self.networks.parameters, found, strict=True):
                parameter.grad = gradient
            self.descent.step()
        if self.optimiser == "SAF":
            self.remembered = [*self.remembered, seen][-self.config.lag :]

    def objective(self, k: int) -> Objective:
        """The training loss of one network, with the labels that it was given."""
        return Objective(self.networks.network(k), nn.CrossEntropyLoss(), (self.inputs, self.labels[k]), split="train")

    def seen(self, test: tuple[Tensor, Tensor]) -> dict[str, Array]:
        """Errors, SAM's rise after one step, and the largest eigenvalue of every network, (levels, seeds) each."""
        numbers = {
            "train error": (self.networks.outputs(self.inputs).argmax(dim=2) != self.labels).double().mean(dim=1),
            "test error": (self.networks.outputs(test[0]).argmax(dim=2) != test[1]).double().mean(dim=1),
            "rise": self._rise().double(),
        }
        found = {name: values.detach().cpu().numpy() for name, values in numbers.items()}
        found["λ max"] = np.array(
            [
                float(eigenvalues(self.objective(k), k=1, tolerance=_TOLERANCE).values[0])
                for k in range(len(self.labels))
            ]
        )
        return {name: values.reshape(self.config.levels, -1) for name, values in found.items()}

    def _rise(self) -> Tensor:
        def losses(networks: Networks) -> Tensor:
            return cross_entropy(networks.outputs(self.inputs), self.labels)

        top = ascended(self.networks, gradients(self.networks, losses), self.config.rho)
        return (losses(top) - losses(self.networks)).clamp_min(_ROUNDING)


def train(config: Config, runs: Path) -> Path:
    """Trains all networks side by side, measures them now and again, and compares them; returns the run's folder."""
    torch.set_num_threads(1)  # the matrices are small: a second thread costs more than it brings
    (images, classes), held_out = digits(config.examples, config.seed)
    inputs, test = images.flatten(1).to(device()), (held_out[0].flatten(1).to(device()), held_out[1].to(device()))
    noise = np.linspace(0, config.noise, config.levels)
    seeds = range(config.seed, config.seed + config.seeds)
    labels = torch.stack([corrupted(classes, share, _CLASSES, seed) for share in noise for seed in seeds]).to(device())
    arms = {name: _Arm(config, name, inputs, labels) for name in OPTIMISERS}
    looks = np.unique(np.linspace(0, config.epochs, _LOOKS + 1).round().astype(int))
    generator = torch.Generator().manual_seed(config.seed)
    with Study("sam", config, runs, total=config.epochs) as study:
        while study.step < config.epochs and not study.stopped:
            orders = torch.stack([torch.randperm(len(inputs), generator=generator) for _ in labels]).to(device())
            for arm in arms.values():
                arm.epoch(orders)
            study.advance()
            if study.step in looks:
                _show(study, noise, arms, {name: arm.seen(test) for name, arm in arms.items()})
        if not study.stopped:
            study.say("Measuring the sharpness of every network by all definitions.")
            _compare(study, noise, arms, {name: arm.seen(test) for name, arm in arms.items()})
    return study.path


def _show(study: Study, noise: Array, arms: Mapping[str, _Arm], seen: Mapping[str, Mapping[str, Array]]) -> None:
    accuracy = {name: 1 - found["test error"] for name, found in seen.items()}
    others = OPTIMISERS[1:]
    study.exhibit(
        "accuracy",
        _over_noise(
            "Held-out accuracy under label noise",
            "Means over seeds with two standard errors; labels held out are right.",
            "accuracy (share)",
            noise,
            accuracy,
        ),
    )
    study.exhibit(
        "gain",
        _over_noise(
            "What SAM and SAF gain over SGD",
            "Held-out accuracy above that of SGD from the same weights, on the same labels in the same order.",
            "accuracy above SGD (share)",
            noise,
            {name: accuracy[name] - accuracy["SGD"] for name in others},
        ),
    )
    study.exhibit(
        "flatness",
        _over_noise(
            "How sharp they are beside SGD",
            "Logarithms of ratios to SGD from the same weights: below 0 is flatter. The rise is SAM's, after one step.",
            "log₁₀ of the ratio to SGD (no unit)",
            noise,
            {
                f"{number} of {name}": np.log10(seen[name][number] / seen["SGD"][number])
                for number in ("λ max", "rise")
                for name in others
            },
        ),
    )
    config = arms["SGD"].config
    middle = config.levels // 2
    objectives = {name: arm.objective(middle * config.seeds) for name, arm in arms.items()}
    planes = {name: slice2d(one, points=13, errors=False, seed=config.seed) for name, one in objectives.items()}
    study.exhibit(
        "slices",
        side_by_side(planes),
        f"The loss around one network of each, {noise[middle]:.0%} label noise",
        "Filter-normalised random planes in the same axes, one scale; from the same weights, on the same labels.",
    )


def _over_noise(title: str, summary: str, unit: str, noise: Array, values: Mapping[str, Array]) -> Chart:
    """Means over the seeds of (levels, seeds), with two standard errors."""
    means = {name: found.mean(axis=1) for name, found in values.items()}
    errors = {name: found.std(axis=1, ddof=1) / np.sqrt(found.shape[1]) for name, found in values.items()}
    return lines(
        title,
        summary,
        ("label noise (share)", unit),
        {name: (noise, mean) for name, mean in means.items()},
        bands={name: (mean - 2 * errors[name], mean + 2 * errors[name]) for name, mean in means.items()},
        marks="both",
    )


def _compare(study: Study, noise: Array, arms: Mapping[str, _Arm], seen: Mapping[str, Mapping[str, Array]]) -> None:
    """Every measure of sharpness of every network, beside its generalisation gap."""
    measured: dict[str, list[SharpnessMeasures]] = {}
    for name, arm in arms.items():
        objectives = (arm.objective(k) for k in range(len(arm.labels)))
        rho = arm.config.rho
        measured[name] = [sharpness_measures(one, rho=rho, steps=_ASCENT, tolerance=_TOLERANCE) for one in objectives]
    gaps = {name: found["test error"] - found["train error"] for name, found in seen.items()}
    names = measured["SGD"][0].names
    values = {name: np.array([one.values for one in all_]).T.reshape(len(names), *gaps[name].shape)
              for name, all_ in measured.items()}  # fmt: skip
    study.exhibit(
        "measures",
        lines(
            "Sharpness and generalisation",
            "A point for each network: SAM's sharpness, and how much larger its error is on held-out digits.",
            ("max L(w + e) - L(w), |e| ≤ ρ (loss)", "held-out less training error (share)"),
            {name: (found[names.index("SAM")].ravel(), gaps[name].ravel()) for name, found in values.items()},
            x_log=True,
            marks="points",
        ),
    )
    kinds = [np.stack([found[name] for name in OPTIMISERS], axis=-2) for found in (values, gaps)]
    study.exhibit("correlations", _correlations(names, noise, *kinds))


def _correlations(names: tuple[str, ...], noise: Array, values: Array, gaps: Array) -> Matrix:
    """Kendall's rank correlation of measures (M, levels, optimisers, seeds) with the gaps (levels, optimisers, seeds).

    Over all networks, over those of each level, and the mean over those of one level and one optimiser.
    """

    def tau(measure: Array, gap: Array) -> float:
        return float(kendalltau(measure, gap, nan_policy="omit").statistic)

    cells = list(np.ndindex(gaps.shape[:2]))
    found = [
        [
            tau(one, gaps),
            *(tau(one[level], gaps[level]) for level in range(len(noise))),
            np.mean([tau(one[cell], gaps[cell]) for cell in cells]),
        ]
        for one in values
    ]
    return Matrix(
        provenance=Provenance(method="Kendall's tau-b"),
        title="What a measure of sharpness says of the gap",
        summary="Rank correlations. What networks have in common, noise or optimiser, moves both: that is no cause.",
        row_name="measure",
        column_name="networks",
        value_name="Kendall's τ",
        rows=names,
        columns=("all", *(f"{level:.0%} noise" for level in noise), "one noise, one optimiser"),
        values=np.array(found),
        signed=True,
    )


def judge(run: Run) -> list[Claim]:
    """Whether SAM and SAF are flatter and more accurate, and whether sharpness goes with the gap."""
    gain, flatness, table = (run.measurement(f"exhibit/{name}") for name in ("gain", "flatness", "correlations"))
    assert isinstance(gain, Chart)
    assert isinstance(flatness, Chart)
    assert isinstance(table, Matrix)
    noisy = gain.x["SAM"] > 0
    better = (gain.low["SAM"] > 0)[noisy]
    flatter = np.array([flatness.high[f"{number} of SAM"] < 0 for number in ("λ max", "rise")]).all(axis=0)
    free = flatness.high["rise of SAF"] < 0
    pooled, *within, alone = table.values[table.rows.index("SAM")]
    positive = np.array(within)[noisy] > _CORRELATED
    return [
        claim(
            "SAM ends flatter than SGD at every level of noise: λ max and the rise within ρ are lower, by two errors.",
            f"λ max {_times(flatness, 'λ max of SAM')}, rise {_times(flatness, 'rise of SAM')} times SGD's",
            holds=bool(flatter.all()),
            partly=bool(flatter.any()),
        ),
        claim(
            "SAM is more accurate than SGD at every level of noise above none, by two standard errors.",
            f"by {_points(gain, 'SAM')} points at {', '.join(f'{x:.0%}' for x in gain.x['SAM'])} noise",
            holds=bool(better.all()),
            partly=bool(better.any()),
        ),
        claim(
            "SAF, with one gradient a step, is flatter than SGD at every level: the rise is lower, by two errors.",
            f"rise {_times(flatness, 'rise of SAF')} times SGD's, accuracy by {_points(gain, 'SAF')} points",
            holds=bool(free.all()),
            partly=bool(free.any()),
        ),
        claim(
            f"At a given level of noise sharper networks generalise worse: Kendall's τ above {_CORRELATED}.",
            f"τ of SAM's sharpness with the gap {', '.join(f'{tau:.2f}' for tau in within)}; over all {pooled:.2f}",
            holds=bool(positive.all()),
            partly=bool(positive.any()),
        ),
        claim(
            "Much of it has a common cause: τ is higher over all levels than at any one, and between the seeds of one "
            "level and optimiser less than half of that.",
            f"τ {pooled:.2f} over all, {max(within):.2f} at most at one level, {alone:.2f} between seeds",
            holds=bool(pooled > max(within) and alone < 0.5 * pooled),
            partly=bool(pooled > max(within) or alone < 0.5 * pooled),
        ),
    ]


def _times(chart: Chart, label: str) -> str:
    return ", ".join(f"{10**value:.2f}" for value in chart.y[label])


def _points(chart: Chart, label: str) -> str:
    return ", ".join(f"{100 * value:+.1f}" for value in chart.y[label])
