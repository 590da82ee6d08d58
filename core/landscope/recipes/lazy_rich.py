"""From lazy to rich: one network at several output scales, where the test loss and the kernel have closed forms.

The networks, their training and the formulas are in `landscope.recipes.quadratic_networks` and docs/kernel.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from landscope.kernel import alignment
from landscope.measurements import Chart
from landscope.recipes.charts import lines
from landscope.recipes.claims import Claim, claim
from landscope.recipes.descent import device
from landscope.recipes.quadratic_networks import Networks, Problem, error_parts, lazy_limit
from landscope.recipes.settings import Configuration, knob
from landscope.recipes.studies import Study, exhibited
from landscope.runs import Run

__all__ = ["FULL", "Config", "judge", "train"]

_ARMS = 4
_MOMENTS = 80
_HELD_OUT = 20_000
_ERRORS = 3.0  # standard errors that a measured loss may be off
_FLOOR, _EXACT, _TRAIN, _TEST = "floor of the initial kernel", "A + B + C, ", "training", "test"
_OVER = "training (steps)"
_LOSS = (_OVER, "mean squared error")


@dataclass(frozen=True)
class Config(Configuration):
    """Settings of the recipe."""

    alpha: float = knob(32.0, 0.01, 1000.0, "Output scale of the laziest network.", log=True)
    rich: float = knob(0.5, 0.01, 1000.0, "Output scale of the richest; two more lie between.", log=True)
    epsilon: float = knob(0.25, 0.01, 4.0, "Share of the quadratic; the more, the better the initial kernel.", log=True)
    dimensions: int = knob(40, 2, 400, "Dimension D of the inputs.", log=True)
    examples: int = knob(
        250, 2, 40_000, "Examples P to train on; between D and D^2 the initial kernel fails.", log=True
    )
    width: int = knob(200, 1, 100_000, "Hidden units N.", log=True)
    lr: float = knob(0.5, 0.001, 4.0, "Learning rate, of the loss divided by alpha squared, in units of N.", log=True)
    steps: int = knob(20_000, 2, 1_000_000, "Full-batch steps.", log=True)
    seed: int = knob(0, 0, 10_000, "Of the data and the initialisation.")


FULL = Config(alpha=64.0, dimensions=100, examples=1000, width=500, steps=100_000)


def train(config: Config, runs: Path) -> Path:
    """Trains networks of four output scales side by side; returns the folder of the run."""
    torch.set_num_threads(1)  # the matrices are small: a second thread costs more than it brings
    generator = torch.Generator().manual_seed(config.seed)
    problem = Problem.draw(config.dimensions, config.examples, _HELD_OUT, generator)
    weights = torch.randn(config.width, config.dimensions, generator=generator, dtype=torch.float64)
    alphas = torch.from_numpy(np.geomspace(config.rich, config.alpha, _ARMS))
    networks = Networks.draw(alphas.to(device()), config.epsilon, weights.to(device()))
    first = networks.kernels(problem.inputs)[0]
    floor = float(error_parts(*lazy_limit(networks, problem), problem.beta).sum())
    moments: list[dict[str, np.ndarray]] = []
    with Study("lazy-rich", config, runs, total=config.steps) as study:
        for moment in np.unique(np.geomspace(1, config.steps, _MOMENTS).astype(int)).tolist():
            for _ in range(moment - study.step):
                networks = networks.descended(problem, config.lr)
            study.advance(moment - study.step)
            moments.append({"steps": np.array(moment), **_measured(networks, problem, first)})
            if study.due():
                for name, chart in _charts(alphas.tolist(), floor, moments).items():
                    study.exhibit(name, chart)
            if study.stopped:
                break
    return study.path


def judge(run: Run) -> list[Claim]:
    """Whether the formula held, and whether understanding came the later and the less, the lazier the network."""
    losses, delays, aligned = (exhibited(run, name, Chart) for name in ("formula", "delay", "alignment"))
    names = [label for label in losses.labels if label not in losses.expected]
    deviations = np.concatenate([(losses.y[n] - losses.y[_EXACT + n]) / (losses.high[n] - losses.y[n]) for n in names])
    within = float(np.mean(np.abs(deviations) <= 1))
    late = delays.y[_TEST] / delays.y[_TRAIN]
    floor = float(exhibited(run, "losses", Chart).y[_FLOOR][0])
    ends = np.array([losses.y[_EXACT + name][-1] for name in names])
    growth = np.array([aligned.y[name][-1] / aligned.y[name][0] for name in names])
    return [
        claim(
            f"The measured test loss is A + B + C, within {_ERRORS:g} standard errors, at every measurement.",
            f"{within:.1%} of {len(deviations)} are, the furthest is {_ERRORS * np.abs(deviations).max():.1f} off",
            holds=within == 1,
            partly=within >= 0.9,
        ),
        claim(
            "The test loss is halved later than the training loss, by a factor that grows with every step in α.",
            f"{_each(delays.x[_TEST], late)} times as late",
            holds=bool((late > 1).all() and (np.diff(late) > 0).all()),
            partly=bool(late[-1] > max(late[0], 1)),
        ),
        claim(
            "Every network ends below the floor of the initial kernel, the richer the lower.",
            f"floor {floor:.3f}, test losses {_each(delays.x[_TEST], ends)}",
            holds=bool((ends < floor).all() and (np.diff(ends) > 0).all()),
            partly=bool(ends[0] < floor),
        ),
        claim(
            "Meanwhile the kernel aligns with the targets, at least twofold, in every network.",
            f"by a factor of {_each(delays.x[_TEST], growth)}",
            holds=bool((growth >= 2).all()),
            partly=bool(growth[0] >= 2),
        ),
    ]


def _measured(networks: Networks, problem: Problem, first: Tensor) -> dict[str, np.ndarray]:
    """What is measured of K networks at a moment: (K,) each, but the parts (K, 3) of the test loss."""
    inputs, targets = problem.held_out
    squares = (networks.outputs(inputs) - targets).square()
    grams, labels = networks.kernels(problem.inputs), problem.targets.cpu().numpy()
    found = {
        "train": (networks.outputs(problem.inputs) - problem.targets).square().mean(dim=1),
        "test": squares.mean(dim=1),
        "error": squares.std(dim=1) / len(targets) ** 0.5,
        "parts": error_parts(*networks.form(), problem.beta),
        "drift": (grams - first).flatten(1).norm(dim=1) / first.norm(),
    }
    aligned = [alignment(gram, np.outer(labels, labels)) for gram in grams.cpu().numpy()]
    return {name: value.cpu().numpy() for name, value in found.items()} | {"alignment": np.array(aligned, dtype=float)}


def _charts(alphas: Sequence[float], floor: float, moments: Sequence[Mapping[str, np.ndarray]]) -> dict[str, Chart]:
    """The exhibits so far: losses, their formula and its parts, the kernel's alignment and movement, and the delay."""
    found = {name: np.array([moment[name] for moment in moments]) for name in moments[0]}
    steps, parts = found["steps"], found["parts"]
    names = [f"α = {alpha:.3g}" for alpha in alphas]

    def each(values: np.ndarray, before: str = "") -> dict[str, tuple[np.ndarray, np.ndarray]]:
        return {before + name: (steps, line) for name, line in zip(names, values.T, strict=True)}

    kinds = {_TRAIN: found["train"], _TEST: parts.sum(axis=2)}
    low, high = (found["test"] + sign * _ERRORS * found["error"] for sign in (-1, 1))
    return {
        "losses": lines(
            "Lazy fits first and understands late, rich does both at once",
            "The richest and the laziest network; regression with the initial kernel ends at the dashed line.",
            _LOSS,
            {f"{kind}, {names[k]}": (steps, line[:, k]) for k in (0, -1) for kind, line in kinds.items()},
            expected={_FLOOR: (steps[[0, -1]], [floor, floor])},
            x_log=True,
            y_log=True,
        ),
        "formula": lines(
            "The test loss is A + B + C",
            f"On {_HELD_OUT:,} held-out inputs, with bands of {_ERRORS:g} standard errors; dashed is the formula.",
            _LOSS,
            each(found["test"]),
            expected=each(kinds[_TEST], _EXACT),
            bands={name: (low[:, k], high[:, k]) for k, name in enumerate(names)},
            x_log=True,
            y_log=True,
        ),
        "parts": lines(
            "First the wrong features are fitted, then the right ones are found",
            f"The laziest network, {names[-1]}: scale A, direction B, and the linear part C, which the target lacks.",
            _LOSS,
            {part: (steps, parts[:, -1, k]) for k, part in enumerate("ABC")},
            x_log=True,
        ),
        "alignment": lines(
            "The richer, the more the kernel aligns",
            "Centred alignment of the tangent kernel on the training data with their targets' y yᵀ.",
            (_OVER, "alignment"),
            each(found["alignment"]),
            x_log=True,
        ),
        "movement": lines(
            "The test loss falls though a lazy kernel hardly moves",
            "Against the kernel's distance from the initial one; training goes to the right.",
            ("|Θ - Θ₀| / |Θ₀|", "test loss (mean squared error)"),
            {name: (found["drift"][:, k], kinds[_TEST][:, k]) for k, name in enumerate(names)},
            x_log=True,
            y_log=True,
        ),
        "delay": lines(
            "The lazier, the later it understands",
            "When the training loss and the test loss have fallen to half; what has not happened yet is left out.",
            ("output scale α", _OVER),
            {kind: (alphas, [_halved(steps, line) for line in values.T]) for kind, values in kinds.items()},
            x_log=True,
            y_log=True,
            marks="both",
        ),
    }


def _halved(steps: np.ndarray, losses: np.ndarray) -> float:
    """The first of the steps at which a loss is at most half of the first one; NaN if there is none."""
    there = np.flatnonzero(losses <= losses[0] / 2)
    return float(steps[there[0]]) if len(there) else float("nan")


def _each(alphas: np.ndarray, values: np.ndarray) -> str:
    return ", ".join(f"{value:.3g} (α = {alpha:.3g})" for alpha, value in zip(alphas, values, strict=True))
