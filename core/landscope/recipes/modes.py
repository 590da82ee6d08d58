"""Two minima of one network: what stands between them, three ways around it, and averages of what lies together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.functional import cross_entropy

from landscope.landscape import aligned, barrier, barriers_along, connect, curve_slice
from landscope.measurements import Barriers, Chart, Connection
from landscope.objective import Objective
from landscope.population import Population, Settings, Training
from landscope.recipes.charts import lines
from landscope.recipes.claims import Claim, claim
from landscope.recipes.descent import device
from landscope.recipes.digits import digits
from landscope.recipes.settings import Configuration, knob
from landscope.recipes.studies import Study, exhibited
from landscope.runs import Run

__all__ = ["FULL", "Config", "judge", "picture", "train"]

Tensors = dict[str, Tensor]
Split = tuple[Tensor, Tensor]

_EXAMPLES = 1000
_BATCH = 50
_LOOKS = 100
_BRANCHES = (0, 1, 3, 10, 30)  # hundredths of the steps after which two copies go on by themselves
_FEW = 200  # examples to fine-tune on
_STABLE = 0.02  # Frankle et al. 2020: two networks are of one basin while the error rises by less between them
_POSITIONS = 41
_WAYS = ("straight line", "line to the renumbered", "trained curve")


@dataclass(frozen=True)
class Config(Configuration):
    """Settings of the recipe."""

    width: int = knob(128, 4, 1024, "Units of each of the two hidden layers.", log=True)
    epochs: int = knob(30, 5, 300, "Passes over the 1,000 training examples.", log=True)
    lr: float = knob(0.1, 0.001, 1.0, "Learning rate at the start; it falls to nothing along a line.", log=True)
    curve_steps: int = knob(500, 1, 10_000, "Steps of training the curve.", log=True)
    soup: int = knob(8, 2, 64, "Fine-tuned networks to average.")
    seed: int = knob(0, 0, 10_000, "Of the split, the networks and the curve.")


FULL = Config(width=512, epochs=100, curve_steps=3000, soup=32)


def train(config: Config, runs: Path) -> Path:
    """Trains two networks, and looks at what is between them; returns the folder of the study."""
    steps, tuning = config.epochs * _EXAMPLES // _BATCH, 5 * _FEW // _BATCH
    data, others = (
        (images.flatten(1).to(device()), classes.to(device())) for images, classes in digits(_EXAMPLES, config.seed)
    )
    model = network(config.width).to(device())
    training, test = Objective(model, cross_entropy, data), Objective(model, cross_entropy, others)
    with Study("modes", config, runs, total=2 * steps + config.curve_steps + tuning) as study:
        study.say("Training two networks of different seeds.")
        states = _two(study, config, data, steps)
        first, second = (_theta(training, states[-1], index) for index in range(2))
        study.say("Loss on the straight line between them, and after renumbering the second one's hidden units.")
        straight = barrier(training, first, second, points=_POSITIONS, also={"test": test})
        renumbered = aligned(training, second, first)
        along = barrier(training, first, renumbered, points=_POSITIONS, also={"test": test})
        paths = {_WAYS[0]: straight, _WAYS[1]: along}
        _show_paths(study, paths)
        study.say("Training a curve between them.")
        curve = connect(
            training,
            first,
            second,
            steps=config.curve_steps,
            batch=200,
            points=_POSITIONS,
            seed=config.seed,
            also={"test": test},
            progress=lambda step, steps, loss: _went_on(study, loss),
        )
        _show_paths(study, paths | {_WAYS[2]: curve})
        study.exhibit(
            "plane",
            curve_slice(training, curve, points=25),
            "The plane of both minima and the curve's bend",
            "Training loss; the straight line leads over a ridge, the curve around it.",
        )
        if not study.stopped:
            study.say("Training pairs of copies that part at different times.")
            _show_parting(study, config, training, test, data, states, steps)
        if not study.stopped:
            study.say("Fine-tuning copies on shifted digits, and averaging them.")
            _show_soup(study, config, data, others, states[-1], tuning)
    return study.path


def network(width: int) -> nn.Sequential:
    """Two hidden layers of ReLU units, from 64 pixels to 10 classes."""
    return nn.Sequential(
        nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
    )  # fmt: skip


def averages(parameters: Tensors) -> Tensors:
    """Of named parameters (K, ...) the means of the first 1, 2, ... K."""
    counts = {name: torch.arange(1, len(theta) + 1).to(theta) for name, theta in parameters.items()}
    return {
        name: theta.cumsum(dim=0) / counts[name].view(-1, *[1] * (theta.ndim - 1)) for name, theta in parameters.items()
    }


def shifted(images: Tensor) -> Tensor:
    """Images (n, 64) of 8 x 8 pixels moved by one pixel to the right; what leaves comes in again on the left."""
    return images.view(-1, 8, 8).roll(1, dims=2).flatten(1)


def _factors(steps: int) -> np.ndarray:
    return 1 - np.arange(steps) / steps


def _training(config: Config, data: Split, steps: int) -> Training:
    return Training(
        lambda: network(config.width).to(device()), cross_entropy, data, steps, batch_size=_BATCH, losses="batch"
    )


def _two(study: Study, config: Config, data: Split, steps: int) -> list[Tensors]:
    """Both networks' parameters (2, ...) at every hundredth of their training."""
    every, own = steps // _LOOKS, config.seed * 10_000 + np.arange(1, 3)
    settings = Settings(config.lr, schedule=_factors(steps), seed=own, batch_seed=own)
    found: list[Tensors] = []
    for state in Population(_training(config, data, steps)).states(settings, every=every):
        if found:
            study.advance(min(every, steps - study.step))
        found.append(state.parameters)
        if study.due() or study.step == steps:
            at = np.arange(1, study.step + 1)
            study.exhibit(
                "training",
                lines(
                    "Two networks of different seeds",
                    "Loss over each step's batch.",
                    ("training (steps)", "loss"),
                    {name: (at, state.losses[index, : len(at)]) for index, name in enumerate(("first", "second"))},
                    y_log=True,
                ),
            )
        if study.stopped:
            break
    return found


def _theta(objective: Objective, parameters: Tensors, index: int) -> Tensor:
    theta: Tensor = objective.layout.flatten({name: theta[index] for name, theta in parameters.items()})
    return theta


def _went_on(study: Study, loss: float) -> bool:
    study.advance()
    if study.due():
        study.scalars({"curve/loss": loss})
    return not study.stopped


def _show_paths(study: Study, paths: dict[str, Connection]) -> None:
    shown = {name: (path.t, path.loss) for name, path in paths.items()}
    axes = ("position t, from the first minimum to the second", "training loss")
    study.exhibit(
        "paths", lines("Three ways from one minimum to another", "The loss along each.", axes, shown, y_log=True)
    )
    study.exhibit(
        "accuracies",
        lines(
            "Held-out accuracy on the way",
            "Of the network at each position of the three ways.",
            (axes[0], "held-out accuracy"),
            {name: (path.t, path.metrics["test/accuracy"]) for name, path in paths.items()},
        ),
    )


def _show_parting(
    study: Study, config: Config, training: Objective, test: Objective, data: Split, states: list[Tensors], steps: int
) -> None:
    """Copies of the first network at several moments, two of each, trained on in different orders to the end."""
    every = steps // _LOOKS
    begun = np.array([every * branch for branch in _BRANCHES])
    start = {name: torch.stack([states[b][name][0] for b in _BRANCHES] * 2) for name in states[0]}
    schedule = np.stack([np.append(_factors(steps)[at:], np.zeros(at)) for at in begun] * 2)
    orders = config.seed * 10_000 + 100 + np.arange(len(schedule))
    settings = Settings(config.lr, schedule=schedule, batch_seed=orders)
    before = study.step
    last = start
    for state in Population(_training(config, data, steps)).states(settings, every=every, start=start):
        study.advance(min(every, before + steps - study.step))
        last = state.parameters
        if study.stopped:
            return
    thetas = torch.stack([_theta(training, last, index) for index in range(2 * len(begun))])
    study.exhibit(
        "parting",
        barriers_along(test, *thetas.chunk(2), steps=begun.tolist(), points=_POSITIONS),
        "When do two copies part?",
        "Copies go on in different orders from the step below; the barrier between them at the end, held-out digits.",
    )


def _show_soup(study: Study, config: Config, data: Split, others: Split, pretrained: Tensors, steps: int) -> None:
    """Fine-tunes copies of both networks on few shifted digits, at several rates and orders, and averages them."""
    count = config.soup
    few = shifted(data[0][:_FEW]), data[1][:_FEW]
    start = {name: theta.repeat_interleave(count, dim=0) for name, theta in pretrained.items()}
    rates = np.tile(config.lr * np.geomspace(0.25, 1, count)[np.random.default_rng(config.seed).permutation(count)], 2)
    settings = Settings(rates, schedule=_factors(steps), batch_seed=config.seed * 10_000 + 200 + np.arange(2 * count))
    *_, last = Population(_training(config, few, steps)).states(settings, every=steps, start=start)
    (first, second) = ({name: theta[part] for name, theta in last.parameters.items()} for part in _halves(count))
    soups = averages(first)
    both = {name: (theta + averages(second)[name]) / 2 for name, theta in soups.items()}
    images, classes = shifted(others[0]), others[1]

    def outputs(parameters: Tensors) -> Tensor:
        found: Tensor = vmap(functional_call, in_dims=(None, 0, None))(network(config.width), parameters, (images,))
        return found

    def accuracies(found: Tensor) -> np.ndarray:
        return (found.argmax(dim=-1) == classes).double().mean(dim=1).cpu().numpy()

    single = outputs(first)
    alone, counts = accuracies(single), np.arange(1, count + 1)
    study.advance(steps)
    study.exhibit(
        "soup",
        lines(
            "Averages of networks fine-tuned on 200 shifted digits",
            "Weights can be averaged where networks share a basin: those from one pretrained network, not from two.",
            ("networks averaged", "accuracy on held-out shifted digits"),
            {
                "average of weights": (counts, accuracies(outputs(soups))),
                "mean accuracy of single ones": (counts, np.cumsum(alone) / counts),
                "best single one": (counts, np.maximum.accumulate(alone)),
                "average of probabilities": (
                    counts,
                    accuracies(averages({"": single.softmax(dim=-1)})[""]),
                ),
                "weights of both minima": (counts, accuracies(outputs(both))),
            },
            marks="both",
        ),
    )


def _halves(count: int) -> tuple[slice, slice]:
    return slice(None, count), slice(count, None)


def picture(run: Run) -> Chart:
    """The three ways."""
    return exhibited(run, "paths", Chart)


def judge(run: Run) -> list[Claim]:
    """Whether minima are separate along the line, but not renumbered, nor along a curve, nor by order alone."""
    paths, way = exhibited(run, "paths", Chart).y, exhibited(run, "accuracies", Chart).y
    rises = {name: float(np.max(loss - np.linspace(loss[0], loss[-1], len(loss)))) for name, loss in paths.items()}
    dips = {name: float((line[0] + line[-1]) / 2 - line.min()) for name, line in way.items()}
    straight, renumbered, curved = _WAYS
    parting = exhibited(run, "parting", Barriers)
    errors = parting.error_barrier
    assert errors is not None
    soup = {name: float(line[-1]) for name, line in exhibited(run, "soup", Chart).y.items()}
    gain = soup["average of weights"] - soup["mean accuracy of single ones"]
    apart = soup["weights of both minima"] - soup["mean accuracy of single ones"]
    return [
        claim(
            "On the straight line between two minima there is a barrier: held-out accuracy falls by 2 points or more.",
            f"by {100 * dips[straight]:.1f} points, the training loss rises by {rises[straight]:.3f}",
            holds=dips[straight] >= _STABLE,
        ),
        claim(
            "A trained curve joins them without one: the training loss rises by less than a hundredth of that, and "
            "held-out accuracy falls by less than 2 points.",
            f"loss by {rises[curved]:.4f}, accuracy by {100 * dips[curved]:.1f} points",
            holds=rises[curved] < 0.01 * rises[straight] and dips[curved] < _STABLE,
            partly=rises[curved] < 0.1 * rises[straight],
        ),
        claim(
            "After renumbering hidden units the two are linearly connected: accuracy falls by less than 2 points.",
            f"by {100 * dips[renumbered]:.1f} points, the loss rises by {rises[renumbered]:.3f}",
            holds=dips[renumbered] < _STABLE <= dips[straight],
            partly=rises[renumbered] < 0.5 * rises[straight],
        ),
        claim(
            "Order alone separates no minima of so small a network, as Frankle et al. found for LeNet on MNIST: copies "
            "that share their first steps, or the initialisation alone, end up with a barrier below 2 points.",
            f"{', '.join(f'{100 * e:.1f}' for e in errors)} points, parted at {', '.join(map(str, parting.steps))}",
            holds=bool((errors < _STABLE).all()),
            partly=bool(errors[-1] < _STABLE <= errors[0]),
        ),
        claim(
            "Weights of networks fine-tuned from one pretrained network average to one that is better than they are in "
            "the mean; those from two pretrained networks do not.",
            f"by {100 * gain:+.1f} points, across both minima {100 * apart:+.1f}",
            holds=gain > 0 > apart,
            partly=gain > 0,
        ),
    ]
