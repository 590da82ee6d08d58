"""Rare classes: what gradient descent and Adam make of them, and the saddles that they are left at.

First a softmax regression on labels with a heavy tail (Kunstner et al. 2024), then networks on long-tailed digits
(Rangwani et al. 2022); formulas are in `landscope.recipes.rare_classes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional

from landscope.curvature import class_spectra
from landscope.live import SAM
from landscope.measurements import Chart, ClassSpectra, Matrix, Provenance
from landscope.objective import Objective
from landscope.recipes.charts import lines
from landscope.recipes.claims import Claim, claim
from landscope.recipes.descent import device
from landscope.recipes.rare_classes import Descent, LongTailedDigits, Regressions, heavy_tail
from landscope.recipes.settings import Configuration, knob
from landscope.recipes.studies import Study
from landscope.runs import Run

__all__ = ["ARMS", "FULL", "RATES", "Config", "halved", "judge", "train"]

RATES: dict[Descent, tuple[float, ...]] = {
    "GD": (0.01, 0.03, 0.1, 0.3),
    "Adam": (1e-3, 3e-3, 1e-2, 3e-2),
    "sign": (1e-4, 3e-4, 1e-3, 3e-3),
}
"""Learning rates of which each optimiser of the regression has the best."""

ARMS = tuple(f"{optimiser}, {weights}" for weights in ("plain", "re-weighted") for optimiser in ("SGD", "SAM", "Adam"))

_PLAIN, _WEIGHED = "SGD, plain", "SGD, re-weighted"
_ENDS = 3  # how many of the most frequent and of the rarest are held against each other
_MOMENTUM, _BATCH, _ADAMS = 0.9, 64, 0.05  # Adam's rate as a share of SGD's
_TOLERANCE, _BUDGET = 0.05, 5  # of eigenvalues, and products for traces

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Config(Configuration):
    """Settings of the recipe."""

    bins: int = knob(7, 3, 11, "Bins of the regression's classes: of 2^(bins - 1) examples down to one.")
    regression_steps: int = knob(200, 1, 5000, "Its full-batch steps.", log=True)
    ratio: float = knob(50.0, 1.0, 100.0, "Digits of the most frequent class for each of the rarest.", log=True)
    examples: int = knob(300, 40, 300, "Digits to train on.")
    lr: float = knob(0.05, 1e-3, 0.5, "Learning rate of SGD and SAM on digits; Adam has a twentieth.", log=True)
    rho: float = knob(0.3, 0.01, 1.0, "Radius within which SAM looks for the highest loss.")
    weight_decay: float = knob(5e-4, 0.0, 0.05, "Of the networks on digits.")
    width: int = knob(32, 2, 1024, "Their hidden units.", log=True)
    steps: int = knob(400, 1, 20_000, "Their steps.", log=True)
    seeds: int = knob(3, 2, 30, "Networks of each kind.")
    seed: int = knob(0, 0, 10_000, "Of the inputs, the split, the first network and its batches.")


FULL = Config(bins=10, regression_steps=500, width=256, seeds=10, steps=2000)


def train(config: Config, runs: Path) -> Path:
    """Fits the regressions, then the networks; returns the folder of the run."""
    torch.set_num_threads(1)  # the matrices are small: a second thread costs more than it brings
    total = config.regression_steps + config.steps * config.seeds
    with Study("imbalance", config, runs, total=total) as study:
        study.say("A softmax regression on random inputs, whose classes have one over their rank as frequencies.")
        _regress(study, config)
        study.say("Networks on digits, whose classes are the rarer the higher the digit.")
        _classify(study, config)
    return study.path


def _regress(study: Study, config: Config) -> None:
    """All optimisers with all rates at once, and after each tenth of the steps what the best rate came to."""
    labels, bins = heavy_tail(config.bins)
    generator = torch.Generator().manual_seed(config.seed)
    width = round(1.15 * len(labels))  # more than examples: they can be fitted
    inputs = torch.rand(len(labels), width, generator=generator)
    data = inputs.to(device()), labels.to(device())
    fits: dict[str, Regressions] = {name: Regressions(*data, name, rates) for name, rates in RATES.items()}
    members = functional.one_hot(bins, config.bins).float().to(device()) / (bins == 0).sum()
    history: dict[str, list[Tensor]] = {name: [] for name in fits}
    every = max(1, config.regression_steps // 10)
    while study.step < config.regression_steps and not study.stopped:
        for name, fit in fits.items():
            history[name].append((fit.step() @ members).cpu())
        study.advance()
        if study.step % every == 0 or study.step == config.regression_steps:
            losses = {name: torch.stack(found).double().numpy() for name, found in history.items()}
            best = {name: int(np.nan_to_num(found.mean(axis=(0, 2)), nan=np.inf).argmin())
                    for name, found in losses.items()}  # fmt: skip
            _show_regression(study, {name: found[:, best[name]] for name, found in losses.items()})
            study.exhibit("correlated", _correlated(fits, best))


def _show_regression(study: Study, losses: Mapping[str, Array]) -> None:
    """Losses (steps, bins) of each optimiser."""
    steps = np.arange(study.step)
    bins = next(iter(losses.values())).shape[1]
    ends = {"most frequent": 0, "middle": bins // 2, "rarest": bins - 1}
    study.exhibit(
        "bins",
        lines(
            "Gradient descent leaves rare classes behind, Adam does not",
            "Mean loss of bins with as many examples each, by classes of falling frequency; each with its best rate.",
            ("training (steps)", "loss of the bin"),
            {f"{name}, {words}": (steps, losses[name][:, at]) for name in ("GD", "Adam") for words, at in ends.items()},
            y_log=True,
        ),
    )
    sizes = 2.0 ** np.arange(bins - 1, -1, -1)
    study.exhibit(
        "halved",
        lines(
            "How long the classes take",
            "Steps after which the loss of a bin stays below half of what it was; what has not is left out.",
            ("examples of a class", "training (steps)"),
            {name: (sizes, halved(found)) for name, found in losses.items()},
            x_log=True,
            y_log=True,
            marks="both",
        ),
    )
    study.exhibit(
        "totals",
        lines(
            "The loss of all",
            "Over all examples, each optimiser with the learning rate whose mean loss over the training is least.",
            ("training (steps)", "loss"),
            {name: (steps, found.mean(axis=1)) for name, found in losses.items()},
            y_log=True,
        ),
    )


def halved(losses: Array) -> Array:
    """Steps after which each column of losses (steps, bins) stays at most half of its first; NaN if it does not."""
    above = losses > losses[0] / 2
    last = len(losses) - 1 - above[::-1].argmax(axis=0)
    return np.where(last < len(losses) - 1, last + 1.0, np.nan)


def _correlated(fits: Mapping[str, Regressions], best: Mapping[str, int]) -> Chart:
    found = {}
    for name, fit in fits.items():
        probabilities = fit.probabilities()
        curvature, slope = fit.curvatures(probabilities), fit.gradients(probabilities).norm(dim=2)
        found[name] = (curvature[best[name]].cpu().numpy(), slope[best[name]].cpu().numpy())
    return lines(
        "Where the curvature is small, the gradient is",
        "A point for each class: the trace of its block of the Hessian, and the length of its part of the gradient.",
        ("trace of the class's block (loss / parameter²)", "length of the class's gradient (loss / parameter)"),
        found,
        x_log=True,
        y_log=True,
        marks="points",
    )


def _optimizer(name: str, model: nn.Module, config: Config) -> torch.optim.Optimizer:
    if name == "Adam":
        return torch.optim.Adam(model.parameters(), config.lr * _ADAMS, weight_decay=config.weight_decay)
    options: dict[str, Any] = {"momentum": _MOMENTUM, "weight_decay": config.weight_decay}
    if name == "SAM":
        return SAM(model.parameters(), config.lr, config.rho, **options)
    return torch.optim.SGD(model.parameters(), config.lr, **options)


def _classify(study: Study, config: Config) -> None:
    """Seed after seed, all kinds of training on the same batches."""
    data = LongTailedDigits.split(config.examples, config.ratio, config.seed)
    spectra: dict[str, list[ClassSpectra]] = {arm: [] for arm in ARMS}
    accuracies: dict[str, list[Array]] = {arm: [] for arm in ARMS}
    for seed in range(config.seed, config.seed + config.seeds):
        models = {arm: data.model(config.width, seed) for arm in ARMS}
        optimizers = {arm: _optimizer(arm.split(",")[0], model, config) for arm, model in models.items()}
        generator = torch.Generator().manual_seed(seed)
        for _ in range(config.steps):
            chosen = torch.randint(len(data.train[1]), (_BATCH,), generator=generator)
            for arm, model in models.items():
                optimizers[arm].step(data.evaluation(model, chosen, weighted="re-weighted" in arm))
            study.advance()
            if study.stopped:
                return
        for arm, model in models.items():
            objective = Objective(model, nn.CrossEntropyLoss(), data.train, split="train")
            spectra[arm].append(class_spectra(objective, tolerance=_TOLERANCE, trace_budget=_BUDGET))
            accuracies[arm].append(data.accuracies(model))
        _show_digits(study, data.counts, spectra, {arm: np.stack(found) for arm, found in accuracies.items()})


def _show_digits(
    study: Study, counts: Sequence[int], spectra: Mapping[str, list[ClassSpectra]], accuracies: Mapping[str, Array]
) -> None:
    depths = {arm: -np.stack([one.smallest[:, 0] for one in found]) for arm, found in spectra.items()}
    ratios = {arm: np.stack([one.ratio for one in found]) for arm, found in spectra.items()}
    study.exhibit(
        "saddles",
        lines(
            "Rare classes are left at saddles",
            "The most negative curvature of each class's own training loss; means over the networks.",
            ("examples of the class", "-λ min (loss / parameter²)"),
            {arm: (counts, found.mean(axis=0)) for arm, found in depths.items()},
            x_log=True,
            y_log=True,
            marks="both",
        ),
    )
    study.exhibit(
        "spectra",
        spectra[ARMS[0]][0],
        f"Class by class: {ARMS[0]}",
        "Both ends of the Hessian's spectrum of each class's own loss; the higher the digit, the rarer.",
    )
    study.exhibit("accuracy", _table("Held-out accuracy", "accuracy (share)", accuracies))
    study.exhibit("ratios", _table("How deep the saddles are for their walls", "-λ min / λ max (no unit)", ratios))
    gained = accuracies["SAM, re-weighted"] - accuracies["SGD, re-weighted"]
    shallower = ratios["SGD, re-weighted"] - ratios["SAM, re-weighted"]
    for name, found in (("gained", gained), ("shallower", shallower)):
        rare = found[:, -_ENDS:].mean(axis=1)
        study.scalars({f"sam/{name}": rare.mean()})
        if len(rare) > 1:
            study.scalars({f"sam/{name}/error": rare.std(ddof=1) / np.sqrt(len(rare))})


def _table(title: str, unit: str, values: Mapping[str, Array]) -> Matrix:
    """Means over the networks (seeds, classes) of the most frequent classes, those between, and the rarest."""
    parts = {"frequent": slice(_ENDS), "between": slice(_ENDS, -_ENDS), "rare": slice(-_ENDS, None)}
    return Matrix(
        provenance=Provenance(method="means over networks and classes"),
        title=title,
        summary=f"The {_ENDS} most frequent digits, the {_ENDS} rarest, and those between; means over the networks.",
        row_name="training",
        column_name="classes",
        value_name=unit,
        rows=tuple(values),
        columns=tuple(parts),
        values=np.array([[found[:, part].mean() for part in parts.values()] for found in values.values()]),
    )


def judge(run: Run) -> list[Claim]:
    """Whether rare classes were late by descent and not by Adam, and left at saddles that SAM escapes."""
    times, totals, correlated, saddles = (_chart(run, name) for name in ("halved", "totals", "correlated", "saddles"))
    ratios = run.measurement("exhibit/ratios")
    assert isinstance(ratios, Matrix)
    late = {name: float(np.nan_to_num(at[-1], nan=np.inf) / at[0]) for name, at in times.y.items()}
    ends = {name: float(totals.y[name][-1]) for name in ("GD", "Adam")}
    rank = float(spearmanr(correlated.x["GD"], correlated.y["GD"]).statistic)
    depth = {arm: float(saddles.y[arm][-_ENDS:].mean() / saddles.y[arm][:_ENDS].mean()) for arm in (_PLAIN, _WEIGHED)}
    relative = {arm: ratios.values[ratios.rows.index(arm)] for arm in depth}
    left = {arm: depth[arm] >= 10 and relative[arm][-1] >= 2 * relative[arm][0] for arm in depth}
    gained, shallower = ((float(run.scalars(f"sam/{n}")[1][-1]), float(run.scalars(f"sam/{n}/error")[1][-1]))
                         for n in ("gained", "shallower"))  # fmt: skip
    helped = [mean > 2 * error for mean, error in (gained, shallower)]
    return [
        claim(
            "By gradient descent the rarest classes take at least twice as long as the most frequent; by Adam less "
            "than half of that factor.",
            f"{late['GD']:.1f} times as long by descent, {late['Adam']:.1f} by Adam",
            holds=late["GD"] >= 2 and late["Adam"] < 0.5 * late["GD"],
            partly=late["GD"] >= 2,
        ),
        claim(
            "With the best rates Adam ends at less than half the loss of gradient descent, after as many steps.",
            f"loss {ends['Adam']:.2g} and {ends['GD']:.2g}",
            holds=ends["Adam"] < 0.5 * ends["GD"],
            partly=ends["Adam"] < ends["GD"],
        ),
        claim(
            "Gradients and curvatures of the classes go together: rank correlation above 0.8 by gradient descent.",
            f"Spearman's ρ {rank:.2f} in the end",
            holds=rank > 0.8,
            partly=rank > 0.5,
        ),
        claim(
            "The rarest digits are left at saddles, plain and re-weighted: λ min at least ten times that of the most "
            "frequent, and at least twice theirs as a share of λ max.",
            "; ".join(
                f"{arm}: {depth[arm]:.1f} times, -λ min / λ max {relative[arm][-1]:.3f} and {relative[arm][0]:.3f}"
                for arm in depth
            ),
            holds=all(left.values()),
            partly=max(depth.values()) >= 10,
        ),
        claim(
            "Re-weighted SAM leaves them at shallower saddles than SGD and is more accurate on them, by two errors.",
            f"-λ min / λ max lower by {shallower[0]:.3f} ± {shallower[1]:.3f}, accuracy {100 * gained[0]:+.1f} ± "
            f"{100 * gained[1]:.1f} points",
            holds=all(helped),
            partly=any(helped),
        ),
    ]


def _chart(run: Run, name: str) -> Chart:
    chart = run.measurement(f"exhibit/{name}")
    assert isinstance(chart, Chart)
    return chart
