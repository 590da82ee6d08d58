"""Loss of plasticity: one task after the other, each learned less well, and what dies meanwhile and what does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional

from landscope.curvature import eigenvalues
from landscope.dynamics import spectral_penalty, unit_activity, wasserstein_penalty, weight_statistics
from landscope.measurements import Chart
from landscope.objective import Objective
from landscope.recipes.charts import lines
from landscope.recipes.claims import Claim, claim
from landscope.recipes.descent import device
from landscope.recipes.digits import digits
from landscope.recipes.settings import Configuration, choice, knob
from landscope.recipes.studies import Study, exhibited
from landscope.runs import Run

__all__ = ["ARMS", "FULL", "Config", "judge", "network", "task", "train"]


@dataclass(frozen=True)
class Config(Configuration):
    """Settings of the recipe."""

    change: str = choice("labels", ("labels", "pixels"), "What each task draws anew: labels, or the order of pixels.")
    tasks: int = knob(25, 1, 1000, "Tasks, one after the other.", log=True)
    steps: int = knob(60, 1, 2000, "Full-batch steps of Adam on each.", log=True)
    examples: int = knob(256, 32, 1700, "Digits.", log=True)
    width: int = knob(64, 8, 512, "Units of each of two hidden layers.", log=True)
    lr: float = knob(3e-3, 1e-4, 0.03, "Learning rate of Adam.", log=True)
    decay: float = knob(1e-3, 0.0, 0.1, "Weight decay where there is some.")
    pull: float = knob(1e-2, 0.0, 1.0, "Weight of the spectral and the Wasserstein penalty where there is one.")
    networks: int = knob(3, 1, 20, "Networks of each kind, trained at once.")
    seed: int = knob(0, 0, 10_000, "Of the digits, the tasks and the first initialisation.")


FULL = Config(tasks=300, steps=300, examples=1024, width=256, lr=1e-3, networks=10)

Parameters = Mapping[str, Tensor]
ARMS: dict[str, Callable[[Config, Parameters, Parameters], Tensor | float]] = {
    "plain": lambda config, now, start: 0.0,
    "layer norm": lambda config, now, start: 0.0,
    "weight decay": lambda config, now, start: (
        config.decay / 2 * torch.stack([weight.square().sum() for weight in now.values()]).sum()
    ),
    "Wasserstein": lambda config, now, start: config.pull / 2 * wasserstein_penalty(now, start),
    "spectral": lambda config, now, start: config.pull * spectral_penalty(now),
}
"""The kinds of networks, and the penalty of each."""

_REMEDIES = ("layer norm", "Wasserstein", "spectral")


def network(width: int, *, layer_norm: bool) -> nn.Sequential:
    """Two hidden layers of ReLU units on 64 pixels, normalised before the ReLU or not, and ten classes."""
    layers: list[nn.Module] = []
    for inputs in (64, width):
        layers += [nn.Linear(inputs, width), *([nn.LayerNorm(width)] if layer_norm else []), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def task(change: str, images: Tensor, classes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Inputs (n, 64) and classes (n,): other pixels' places, or labels drawn at random."""
    if change == "pixels":
        return images[:, torch.randperm(images.shape[1], generator=generator)], classes
    return images, torch.randint(10, classes.shape, generator=generator)


class Seen(NamedTuple):
    """What is seen of each network at one task: arrays (networks,)."""

    loss: np.ndarray
    accuracy: np.ndarray
    dead: np.ndarray
    curvature: np.ndarray
    gradient: np.ndarray
    distance: np.ndarray
    rank: np.ndarray


class _Learners:
    """The networks of one kind: parameters stacked, and steps of all in one call."""

    def __init__(self, config: Config, name: str) -> None:
        models = []
        for index in range(config.networks):
            torch.manual_seed(config.seed + index)
            models.append(network(config.width, layer_norm=name == "layer norm"))
        self.config, self.template = config, models[0].to(device())
        stacked, _ = stack_module_state(models)
        self.parameters = {key: value.detach().to(device()).requires_grad_() for key, value in stacked.items()}
        self.start = {key: value.detach().clone() for key, value in self.parameters.items()}
        self.optimizer = torch.optim.Adam(self.parameters.values(), lr=config.lr)
        self.penalty = vmap(lambda now, start: torch.as_tensor(ARMS[name](config, now, start)))
        self.outputs = vmap(lambda now, x: functional_call(self.template, dict(now), (x,)))
        self.seen: list[Seen] = []

    def learn(self, x: Tensor, y: Tensor) -> None:
        """One task of each: inputs (networks, n, 64) and classes (networks, n)."""
        before = [self._before(index, x[index], y[index]) for index in range(len(x))]
        for _ in range(self.config.steps):
            self.optimizer.zero_grad()
            loss = functional.cross_entropy(self.outputs(self.parameters, x).flatten(0, 1), y.flatten())
            (len(x) * loss + self.penalty(self.parameters, self.start).sum()).backward()
            self.optimizer.step()
        with torch.no_grad():
            outputs = self.outputs(self.parameters, x)
            losses = functional.cross_entropy(outputs.movedim(-1, 1), y, reduction="none").mean(dim=1)
            right = (outputs.argmax(-1) == y).double().mean(dim=1)
        self.seen.append(Seen(losses.cpu().numpy(), right.cpu().numpy(), *np.array(before).T))

    def _before(self, index: int, x: Tensor, y: Tensor) -> tuple[float, ...]:
        """Of one network where a task begins."""
        objective = Objective(self.template, functional.cross_entropy, (x, y), split="train")
        theta, start = (
            objective.layout.flatten({key: value.detach()[index] for key, value in weights.items()})
            for weights in (self.parameters, self.start)
        )
        weights = weight_statistics(objective, theta=theta, start=start)
        assert weights.wassersteins is not None
        matrices = np.isfinite(weights.stable_ranks) & np.array([name.endswith("weight") for name in weights.names])
        return (
            unit_activity(objective, theta=theta).scalars()["dead"],
            float(eigenvalues(objective, 1, theta=theta, tolerance=0.05).values[0]),
            float(objective.gradient(theta).norm()),
            float(weights.wassersteins[matrices].mean()),
            float(weights.stable_ranks[matrices].mean()),
        )


def train(config: Config, runs: Path) -> Path:
    """Teaches all networks one task after the other; returns the folder of the run."""
    torch.set_num_threads(1)  # the matrices are small: a second thread costs more than it brings
    (images, classes), _ = digits(config.examples, config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    learners = {name: _Learners(config, name) for name in ARMS}
    with Study("plasticity", config, runs, total=config.tasks) as study:
        while study.step < config.tasks and not study.stopped:
            tasks = [task(config.change, images.flatten(1), classes, generator) for _ in range(config.networks)]
            x, y = (torch.stack(parts).to(device()) for parts in zip(*tasks, strict=True))
            for learner in learners.values():
                learner.learn(x, y)
            study.advance()
            _show(study, {name: learner.seen for name, learner in learners.items()})
    return study.path


_EXHIBITS = {
    "loss": (
        "Each task is learned less well than the one before",
        "The loss reached at the end of each task, in equally many steps; bands are all networks of a kind.",
        "loss reached",
    ),
    "dead": (
        "Units die, fewer where normalised or regularised",
        "Units with one output for all digits, where a task begins.",
        "dead units (share)",
    ),
    "curvature": (
        "The curvature that a task begins with changes",
        "Largest eigenvalue of the Hessian of the new task's loss, at the weights that the last one left.",
        "λ max (loss / parameter²)",
    ),
    "gradient": (
        "Gradients do not explode",
        "Norm of the gradient of the new task's loss, at the weights that the last one left.",
        "‖gradient‖ (loss / parameter)",
    ),
    "distance": (
        "Weights leave the distribution that they began with",
        "2-Wasserstein distance of a matrix's elements from those at the start, the mean of all matrices.",
        "distance from the start (weight)",
    ),
    "rank": (
        "Stable ranks fall, unless the spectrum is held",
        "‖W‖² / σ₁² where a task begins, the mean of all matrices.",
        "stable rank (no unit)",
    ),
}


def _show(study: Study, seen: Mapping[str, Sequence[Seen]]) -> None:
    for name, (title, summary, unit) in _EXHIBITS.items():
        values = {arm: np.array([getattr(one, name) for one in tasks]) for arm, tasks in seen.items()}
        number = np.arange(1, 1 + len(values["plain"]))
        fresh = {"a fresh network": (number, np.full(len(number), values["plain"][0].mean()))}
        study.exhibit(name, lines(
            title, summary, ("task", unit), {arm: (number, line.mean(axis=1)) for arm, line in values.items()},
            expected=fresh if name == "loss" else None,
            bands={arm: (line.min(axis=1), line.max(axis=1)) for arm, line in values.items() if name == "loss"},
            y_log=name in ("curvature", "gradient"),
        ))  # fmt: skip


def judge(run: Run) -> list[Claim]:
    """Whether plasticity was lost, with what, and what kept it."""
    loss, dead, curvature, gradient = (
        exhibited(run, name, Chart).y for name in ("loss", "dead", "curvature", "gradient")
    )
    late = -max(1, len(loss["plain"]) // 5)
    first, last = (
        {arm: float(line[which].mean()) for arm, line in loss.items()} for which in (slice(1), slice(late, None))
    )
    kept = [arm for arm in _REMEDIES if last[arm] < 0.75 * last["plain"]]
    alive = dead["layer norm"] < 0.05
    raised = float(loss["layer norm"][alive].max(initial=0) / first["layer norm"])
    growth = float(gradient["layer norm"][late:].mean() / gradient["layer norm"][:2][-1])
    bend = {arm: float(np.exp(np.log(line[late:]).mean()) / line[:2][-1]) for arm, line in curvature.items()}
    return [
        claim(
            "A plain network loses plasticity: in as many steps the last fifth of the tasks end at 1.5 times the "
            "loss of the first, at least.",
            f"{first['plain']:.2f} at the end of the first task, {last['plain']:.2f} at the end of the last ones",
            holds=last["plain"] >= 1.5 * first["plain"],
            partly=last["plain"] >= 1.1 * first["plain"],
        ),
        claim(
            "Layer normalisation, Wasserstein and spectral regularisation each end the last fifth of the tasks at "
            "least a quarter below the plain network's loss.",
            ", ".join(f"{arm} {last[arm]:.2f}" for arm in (*_REMEDIES, "weight decay", "plain")),
            holds=len(kept) == len(_REMEDIES),
            partly=bool(kept),
        ),
        claim(
            "Spectral regularisation sustains it: the last fifth of the tasks end below 1.5 times its first's loss.",
            f"{first['spectral']:.2f} at the end of the first task, {last['spectral']:.2f} at the end of the last ones",
            holds=last["spectral"] < 1.5 * first["spectral"],
            partly=last["spectral"] - first["spectral"] < 0.5 * (last["plain"] - first["plain"]),
        ),
        claim(
            "It is lost without dead units and exploding gradients, too: with layer normalisation the loss reached "
            "rises 1.5 times while fewer than 5% of the units are dead, and gradients are no larger in the end than "
            "where the second task began.",
            f"{raised:.1f} times while fewer are; gradients {growth:.2f} times those of the second task",
            holds=raised >= 1.5 and growth <= 1,
            partly=raised >= 1.5,
        ),
        claim(
            "Curvature changes with it: where tasks begin, λ max of the plain network changes threefold from the "
            "second task to the last fifth, and with spectral regularisation it does not.",
            f"{bend['plain']:.3g} times in the plain network, {bend['spectral']:.2f} times with regularisation",
            holds=_fold(bend["plain"]) >= 3 > _fold(bend["spectral"]),
            partly=_fold(bend["plain"]) >= 3,
        ),
    ]


def _fold(ratio: float) -> float:
    return max(ratio, 1 / ratio)
