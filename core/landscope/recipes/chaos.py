"""Calibrated chaos: how much of the spread between seeds is the test set's, and what is enough to cause it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.functional import cross_entropy

from landscope.dynamics import Series, seed_bands, seed_variance
from landscope.measurements import Chart, Matrix, Provenance, SeedVariance
from landscope.population import Population, Settings, Trained, Training
from landscope.recipes.charts import lines
from landscope.recipes.claims import Claim, claim
from landscope.recipes.descent import device
from landscope.recipes.digits import digits
from landscope.recipes.settings import Configuration, choice, knob
from landscope.recipes.studies import Study, exhibited
from landscope.runs import Run

__all__ = ["FULL", "Config", "judge", "train"]

SOURCES = ("everything", "initialisation", "order", "one bit")
_EXAMPLES = 1000
_LOOKS = 40
_SHOWN = 60  # examples and runs in the table of answers
_WARM_UP = 0.2  # of the steps: the rate rises, and falls to nothing in the rest


@dataclass(frozen=True)
class Config(Configuration):
    """Settings of the recipe."""

    seeds: int = knob(100, 4, 2000, "Runs for each source of variation; a fourth of all.", log=True)
    varies: str = choice("everything", SOURCES, "What differs between the runs of the histogram and the table.")
    width: int = knob(32, 2, 256, "Units of each of the two hidden layers.", log=True)
    epochs: int = knob(20, 1, 200, "Passes over the 1,000 training examples.", log=True)
    lr: float = knob(1.2, 0.01, 3.0, "Highest learning rate; below the edge of chaos a flipped bit heals.", log=True)
    batch_size: int = knob(20, 1, 500, "Examples in a step.", log=True)
    seed: int = knob(0, 0, 10_000, "Of the split, and of what does not vary.")


FULL = Config(seeds=1000, epochs=60)


def train(config: Config, runs: Path) -> Path:
    """Trains all runs of all sources at once; returns the folder of the study."""
    steps = config.epochs * _EXAMPLES // config.batch_size
    (images, classes), (others, answers) = (
        tuple(tensor.to(device()) for tensor in split) for split in digits(_EXAMPLES, config.seed)
    )
    training = Training(
        lambda: network(config.width).to(device()),
        cross_entropy,
        (images.flatten(1), classes),
        steps,
        batch_size=config.batch_size,
        losses="batch",
    )
    with Study("chaos", config, runs, total=steps) as study:
        every = max(steps // _LOOKS, 1)
        seen: list[_Look] = []
        for state in _states(training, config, every):
            if seen:
                study.advance(min(every, steps - study.step))
            outputs = vmap(functional_call, in_dims=(None, 0, None))(
                training.make(), state.parameters, (others.flatten(1),)
            )
            seen.append(_look(study.step, state, outputs.argmax(dim=-1), answers))
            if study.due():
                _show(study, config, seen)
            if study.stopped:
                break
    return study.path


def network(width: int) -> nn.Sequential:
    """Two hidden layers of tanh units, from 64 pixels to 10 classes."""
    return nn.Sequential(
        nn.Linear(64, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 10)
    )  # fmt: skip


def flip_lowest_bits(weights: Tensor) -> None:
    """Flips, in place, the last bit of the mantissa of weight k in copy k of float32 weights (K, ...), k > 0."""
    bits = weights.flatten(1).view(torch.int32)
    copies = torch.arange(1, len(bits), device=bits.device)
    bits[copies, copies % bits.shape[1]] ^= 1


def _states(training: Training, config: Config, every: int) -> Iterator[Trained]:
    common = config.seed * 10_000
    own, same = common + 1 + np.arange(config.seeds), np.full(config.seeds, common)
    seeds = np.concatenate([own, own, same, same])
    starts = [dict(training.make(int(seed)).named_parameters()) for seed in seeds]
    start = {name: torch.stack([one[name].detach() for one in starts]) for name in starts[0]}
    flip_lowest_bits(start["0.weight"][-config.seeds :])
    progress = (np.arange(training.steps) + 1) / (training.steps + 1)
    schedule = np.minimum(progress / _WARM_UP, (1 - progress) / (1 - _WARM_UP))
    settings = Settings(
        config.lr, schedule=schedule, seed=seeds, batch_seed=np.concatenate([own, same, own, same])
    )  # fmt: skip
    return Population(training).states(settings, every=every, start=start)


@dataclass(frozen=True, eq=False)
class _Look:
    """What is kept of a moment: answers (sources, N, n), how unlike runs are, distances (N - 1,) of the bit's runs."""

    step: int
    right: np.ndarray
    unlike: np.ndarray
    apart: np.ndarray


def _look(step: int, state: Trained, predicted: Tensor, answers: Tensor) -> _Look:
    groups = predicted.unflatten(0, (len(SOURCES), -1))
    unlike = (groups != groups.roll(1, dims=1)).double().mean(dim=(1, 2))
    weights = torch.cat([theta.flatten(1) for theta in state.parameters.values()], dim=1)
    everything, *_, bit = weights.double().unflatten(0, (len(SOURCES), -1))
    usual = (everything - everything.roll(1, dims=0)).norm(dim=1).median()
    apart = (bit[1:] - bit[0]).norm(dim=1) / usual
    return _Look(step, (groups == answers).cpu().numpy(), unlike.cpu().numpy(), apart.cpu().numpy())


def _show(study: Study, config: Config, seen: list[_Look]) -> None:
    steps = np.array([look.step for look in seen])
    right = dict(zip(SOURCES, seen[-1].right, strict=True))
    chosen, which = right[config.varies], SOURCES.index(config.varies)
    measured = {source: seed_variance(answers, condition=source) for source, answers in right.items()}
    study.exhibit("accuracies", measured[config.varies], f"Accuracy of runs that differ in {config.varies}")
    study.exhibit("sources", _sources(measured))
    study.exhibit("one-bit", _distances(steps, np.stack([look.apart for look in seen])))
    study.exhibit("disagreement", _disagreement(steps, np.stack([look.unlike for look in seen])))
    study.exhibit("answers", _answers(chosen))
    if len(seen) > 1:
        curves = np.stack([look.right[which].mean(axis=1) for look in seen], axis=1)
        bands = seed_bands([Series(steps, curve) for curve in curves], "held-out accuracy")
        study.exhibit("bands", bands, "Every run's accuracy")
    study.scalars({f"{source}/deviation": one.scalars()["observed"] for source, one in measured.items()})


def _sources(measured: dict[str, SeedVariance]) -> Matrix:
    columns = ("observed", "independent", "distribution")
    return Matrix(
        provenance=Provenance(method="standard deviations of the accuracy between runs"),
        title="What is enough to make runs differ",
        summary="Standard deviations between runs: on the test set, if errors were independent, and on all digits.",
        row_name="what differs",
        column_name="accuracy",
        value_name="standard deviation (%)",
        rows=tuple(measured),
        columns=("on the test set", "if errors were independent", "on the distribution"),
        values=np.array([[100 * one.scalars()[column] for column in columns] for one in measured.values()]),
    )


def _distances(steps: np.ndarray, apart: np.ndarray) -> Chart:
    low, middle, high = np.maximum(np.quantile(apart, (0.1, 0.5, 0.9), axis=1), 1e-12)
    return lines(
        "One bit of one weight, flipped before the first step",
        "How far its run gets from the unflipped one; 1 is how far runs of different seeds are apart.",
        ("training (steps)", "distance of the weights (of that between seeds)"),
        {"one bit flipped": (steps, middle)},
        expected={"different seeds": (steps, np.ones(len(steps)))},
        bands={"one bit flipped": (low, high)},
        y_log=True,
    )


def _disagreement(steps: np.ndarray, unlike: np.ndarray) -> Chart:
    return lines(
        "Held-out digits that two runs see differently",
        "What the runs of a line have in common does not make them agree, once training is chaotic.",
        ("training (steps)", "predictions that differ"),
        {source: (steps, share) for source, share in zip(SOURCES, unlike.T, strict=True)},
    )


def _answers(right: np.ndarray) -> Matrix:
    """(runs, examples) whether each is right: the hardest examples by the runs, both in order."""
    hardest = np.argsort(right.mean(axis=0), kind="stable")[:_SHOWN]
    runs = np.argsort(-right.mean(axis=1), kind="stable")[:_SHOWN]
    return Matrix(
        provenance=Provenance(method="predictions on held-out digits"),
        title="Which digits each run gets right",
        summary="The hardest digits, the worst on top; bright is right. Good runs, on the left, are not good at all.",
        row_name="example",
        column_name="run",
        value_name="right",
        rows=tuple(str(example) for example in hardest),
        columns=tuple(str(run) for run in runs),
        values=right[np.ix_(runs, hardest)].T.astype(np.float64),
    )


def judge(run: Run) -> list[Claim]:
    """Whether runs spread as independent errors do, hardly so on the distribution, from either source or a bit."""
    test, independent, distribution = exhibited(run, "sources", Matrix).values.T / 100
    unlike = exhibited(run, "disagreement", Chart).y
    apart = exhibited(run, "one-bit", Chart).y["one bit flipped"]
    ratio, share = test[0] / independent[0], (distribution[0] / test[0]) ** 2
    alone = test[1:3] / test[0]
    bit = float(unlike["one bit"][-1] / unlike["everything"][-1])
    return [
        claim(
            "The accuracy on the test set varies between seeds as if errors at each example were independent: the "
            "standard deviations agree within a quarter.",
            f"{test[0]:.2%} against {independent[0]:.2%}, a ratio of {ratio:.2f}",
            holds=0.8 <= ratio <= 1.25,
            partly=ratio <= 2,
        ),
        claim(
            "On the distribution that it is drawn from accuracy hardly varies: less than half of the variance is "
            "there.",
            f"{share:.0%} of the variance, a standard deviation of {distribution[0]:.2%}",
            holds=share < 0.5,
        ),
        claim(
            "No single source is the cause: varying the initialisation or the order alone gives at least two thirds of "
            "the standard deviation of both together.",
            f"initialisation alone {alone[0]:.2f} of it, order alone {alone[1]:.2f}",
            holds=bool((alone >= 2 / 3).all()),
            partly=bool((alone >= 2 / 3).any()),
        ),
        claim(
            "One flipped bit of one weight is enough: runs then disagree on at least half as many examples as runs of "
            "different seeds do.",
            f"{bit:.2f} as many; weights {apart[-1]:.2g} as far apart, from {apart[0]:.1g}",
            holds=bit >= 0.5,
            partly=bit >= 0.1,
        ),
    ]
