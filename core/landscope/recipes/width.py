"""Width: which parametrisation learns features at any width, and keeps the learning rate of narrow networks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from landscope.curvature import eigenvalues
from landscope.kernel import PARAMETRISATIONS, feature_movement, infinite_width, linearised, ntk, parametrised
from landscope.kernel.power_laws import exponent
from landscope.measurements import Chart
from landscope.objective import Objective
from landscope.population import Population, Settings, Training
from landscope.recipes.charts import lines
from landscope.recipes.claims import Claim, claim
from landscope.recipes.descent import device
from landscope.recipes.digits import digits, squared_error
from landscope.recipes.settings import Configuration, knob
from landscope.recipes.studies import Study, exhibited
from landscope.runs import Run

__all__ = ["FULL", "Config", "judge", "network", "picture", "slope", "train", "widths_of"]

_GAIN, _MARKS, _PROBES, _DRAWS, _MOVES, _SMALL = 2**0.5, 12, 32, 10, 10, 0.25
_GRIDS = {"standard": (-17, -8), "ntk": (-5, 3), "mup": (-5, 3)}  # powers of sqrt(2): learning rates tried
_FOLLOWED = ("ntk", "mup")
_NAMES = {"standard": "standard", "ntk": "NTK", "mean-field": "mean-field", "mup": "muP"}


@dataclass(frozen=True)
class Config(Configuration):
    """Settings of the recipe."""

    narrowest: int = knob(64, 8, 256, "Units of each hidden layer of the narrowest networks.", log=True)
    doublings: int = knob(3, 1, 6, "How many times the width is doubled.")
    examples: int = knob(96, 32, 1000, "Digits.", log=True)
    lr: float = knob(0.5, 0.01, 2.0, "Learning rate at which the sharpness is followed.", log=True)
    steps: int = knob(60, 2, 5000, "Full-batch steps of gradient descent.", log=True)
    networks: int = knob(2, 1, 20, "Networks of each width and learning rate.")
    seed: int = knob(0, 0, 10_000, "Of the digits and the first initialisation.")


FULL = Config(narrowest=128, doublings=4, examples=512, steps=400, networks=5)


def widths_of(config: Config) -> list[int]:
    """Each twice the one before."""
    return [config.narrowest * 2**doubling for doubling in range(config.doublings + 1)]


def network(width: int, hidden: int = 2) -> nn.Sequential:
    """Hidden layers of ReLU units on 64 pixels, and ten outputs, without biases."""
    layers: list[nn.Module] = []
    for inputs in [64, *[width] * (hidden - 1)]:
        layers += [nn.Linear(inputs, width, bias=False), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 10, bias=False))


def slope(widths: np.ndarray, values: np.ndarray) -> float:
    """The exponent of the width by which values go."""
    return exponent(np.asarray(widths, dtype=float), values, np.ones(len(values)))[0]


@dataclass
class _Findings:
    """What was measured, by parametrisation, in the order of the widths."""

    steps: np.ndarray
    sharpness: dict[str, dict[int, np.ndarray]] = field(default_factory=lambda: {name: {} for name in _FOLLOWED})
    losses: dict[str, dict[int, np.ndarray]] = field(default_factory=lambda: {name: {} for name in _GRIDS})
    movement: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in PARAMETRISATIONS})
    nonlinear: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in _FOLLOWED})
    kernel: list[float] = field(default_factory=list)


def train(config: Config, runs: Path) -> Path:
    """Trains networks of every width in every parametrisation; returns the folder of the run."""
    torch.set_num_threads(1)  # the narrow networks are small: a second thread costs more than it brings
    (images, classes), _ = digits(config.examples, config.seed)
    data = images.flatten(1).to(device()), classes.to(device())
    marks = np.unique(np.geomspace(1, config.steps + 1, _MARKS).round().astype(int)) - 1
    found, widths = _Findings(marks), widths_of(config)
    with Study("width", config, runs, total=len(widths) * (2 + len(_GRIDS))) as study:
        for width in widths:
            found.kernel.append(_from_the_limit(config, width, data))
            for name in PARAMETRISATIONS:
                found.movement[name].append(_movement(config, name, width, data))
            for name in _FOLLOWED:
                _follow(config, name, width, data, found)
                study.advance()
                _show(study, widths, found)
            for name in _GRIDS:
                found.losses[name][width] = _swept(config, name, width, data)
                study.advance()
                _show(study, widths, found)
            if study.stopped:
                break
    return study.path


def _model(name: str, width: int, seed: int, hidden: int = 2) -> nn.Module:
    return parametrised(network(width, hidden), name, gain=_GAIN, seed=seed).to(device())


def _from_the_limit(config: Config, width: int, data: tuple[Tensor, Tensor]) -> float:
    """|K - K_infinity| / |K_infinity| of the tangent kernel at initialisation, the root mean square of ten networks."""
    x, y = (part[:_PROBES] for part in data)
    limit = infinite_width(x.cpu().numpy(), depth=2, weight_variance=_GAIN**2).ntk
    squares = []
    for seed in range(config.seed, config.seed + _DRAWS):
        gram = ntk(Objective(_model("ntk", width, seed), squared_error, (x, y)), len(x), kind="trace").gram
        assert gram is not None
        squares.append(np.square(gram - limit).sum() / np.square(limit).sum())
    return float(np.sqrt(np.mean(squares)))


def _movement(config: Config, name: str, width: int, data: tuple[Tensor, Tensor]) -> float:
    """How far the features of one hidden layer move in ten steps, the geometric mean of all networks."""
    rate = PARAMETRISATIONS[name].learning_rate(_SMALL, width)
    moved = [
        feature_movement(Objective(_model(name, width, config.seed + index, 1), squared_error, data), rate, _MOVES)
        for index in range(config.networks)
    ]
    return float(np.exp(np.log(moved).mean()))


def _follow(config: Config, name: str, width: int, data: tuple[Tensor, Tensor], found: _Findings) -> None:
    """Descends at one learning rate for all widths: lambda_max times it on the way, and how nonlinear the way was."""
    rate = PARAMETRISATIONS[name].learning_rate(config.lr, width)
    curves, ratios = [], []
    for seed in range(config.seed, config.seed + config.networks):
        objective = Objective(_model(name, width, seed), squared_error, data)
        start = theta = objective.theta().clone()
        curve = []
        for step in range(config.steps + 1):
            if step in found.steps:
                curve.append(rate * float(eigenvalues(objective, 1, theta=theta, tolerance=0.02).values[0]))
            if step < config.steps:
                theta = theta - rate * objective.gradient(theta)
        both = linearised(objective, start, theta=theta)
        error, moved = (np.linalg.norm(both.actual - other) for other in (both.linearised, both.initial))
        curves.append(curve)
        ratios.append(float(error / moved))
    found.sharpness[name][width] = np.exp(np.log(curves).mean(axis=0))
    found.nonlinear[name].append(float(np.exp(np.log(ratios).mean())))


def _swept(config: Config, name: str, width: int, data: tuple[Tensor, Tensor]) -> np.ndarray:
    """The loss after all steps at each learning rate, the geometric mean of all networks; infinite if one diverged."""
    rates = _rates(name)
    training = Training(
        model=lambda: _model(name, width, config.seed + torch.initial_seed()),
        loss=squared_error,
        data=data,
        steps=config.steps,
    )
    trained = Population(training).train(
        Settings(learning_rate=np.repeat(rates, config.networks), seed=np.tile(np.arange(config.networks), len(rates)))
    )
    last = np.where(trained.diverged, np.inf, trained.losses[:, -1].astype(np.float64))
    means: np.ndarray = np.exp(np.log(last).reshape(len(rates), config.networks).mean(axis=1))
    return means


def _rates(name: str) -> np.ndarray:
    low, high = _GRIDS[name]
    return 2 ** (np.arange(low, high + 1) / 2)


def _show(study: Study, widths: list[int], found: _Findings) -> None:
    """All exhibits of what is there."""
    for name, by_width in found.sharpness.items():
        told = "lie on each other" if name == "mup" else "fan out"
        study.exhibit(f"sharpness-{name}", lines(
            f"{_NAMES[name]}: the sharpness of all widths",
            f"λ max times the learning rate; at 2 descent is at the edge of stability. In theory curves {told}.",
            ("training (steps + 1)", "λ max × learning rate (no unit)"),
            {f"width {width}": (1 + found.steps, curve) for width, curve in by_width.items()},
            expected={"edge of stability": (1 + found.steps[[0, -1]], [2.0, 2.0])}, x_log=True,
        ))  # fmt: skip
    done = len(found.movement["mup"])
    first, along = widths[0], np.array(widths[:done])
    law = (along / first) ** -0.5
    study.exhibit("features", lines(
        "Features move at any width, or less the wider the network",
        "Movement of the features of one hidden layer in ten steps: level where features are learned, falling in the "
        "kernel regime. With one hidden layer mean-field and muP are the same.",
        ("width (units)", "‖H − H₀‖ / ‖H₀‖ (no unit)"),
        {_NAMES[name]: (along, values) for name, values in found.movement.items()},
        expected={"width^(−1/2)": (along, found.movement["ntk"][0] * law)}, x_log=True, y_log=True, marks="both",
    ))  # fmt: skip
    follow = {name: np.array(values) for name, values in found.nonlinear.items() if values}
    study.exhibit("limits", lines(
        "The NTK parametrisation nears its infinite limit",
        "Distance of the tangent kernel at initialisation from the infinitely wide network's, and of the trained "
        "outputs from those of the network that is linear in its weights.",
        ("width (units)", "relative distance (no unit)"),
        {"kernel from its limit": (along, found.kernel)}
        | {f"{_NAMES[name]}, outputs from linear": (along[: len(values)], values) for name, values in follow.items()},
        expected={"width^(−1/2)": (along, found.kernel[0] * law)}, x_log=True, y_log=True, marks="both",
    ))  # fmt: skip
    swept = {name: losses for name, losses in found.losses.items() if losses}
    for name, losses in swept.items():
        if name != "ntk":
            study.exhibit(f"rates-{name}", lines(
                f"{_NAMES[name]}: the best learning rate of all widths",
                "Loss reached against the learning rate, after equally many steps; gaps where it diverged.",
                ("learning rate (no unit)", "loss reached"),
                {f"width {width}": (_rates(name), np.where(at < np.inf, at, np.nan)) for width, at in losses.items()},
                x_log=True, y_log=True, marks="both",
            ))  # fmt: skip
    if swept:
        best = {name: [float(_rates(name)[at.argmin()]) for at in losses.values()] for name, losses in swept.items()}
        study.exhibit("optima", lines(
            "The best learning rate of narrow networks is that of wide ones, or not",
            "The learning rate of the lowest loss reached, of a grid with factor √2.",
            ("width (units)", "best learning rate (no unit)"),
            {_NAMES[name]: (along[: len(rates)], rates) for name, rates in best.items()},
            x_log=True, y_log=True, marks="both",
        ))  # fmt: skip


def picture(run: Run) -> Chart:
    """The sharpness of all widths in muP."""
    return exhibited(run, "sharpness-mup", Chart)


def judge(run: Run) -> list[Claim]:
    """Whether exponents are theory's, sharpness is one curve, and learning rates transfer in muP and not elsewhere."""
    features, limits, optima = (exhibited(run, name, Chart) for name in ("features", "limits", "optima"))
    moved = {name: slope(features.x[label], features.y[label]) for name, label in _NAMES.items()}
    kernel = slope(limits.x["kernel from its limit"], limits.y["kernel from its limit"])
    linear = {
        name: slope(limits.x[label], limits.y[label])
        for name, label in ((name, f"{_NAMES[name]}, outputs from linear") for name in _FOLLOWED)
    }
    spread = {name: _spread(exhibited(run, f"sharpness-{name}", Chart).y) for name in _FOLLOWED}
    best = {name: optima.y[_NAMES[name]] for name in _GRIDS}
    range_of = {name: float(rates.max() / rates.min()) for name, rates in best.items()}
    falls = float(best["standard"][0] / best["standard"][-1])  # of powers of sqrt(2): 2.1 is between two of them
    return [
        claim(
            "Features move by a power of the width above -0.2 in the mean-field and the maximal-update "
            "parametrisation, below -0.35 in the NTK and the standard one.",
            ", ".join(f"{_NAMES[name]} {power:.2f}" for name, power in moved.items()),
            holds=min(moved["mup"], moved["mean-field"]) > -0.2 and max(moved["ntk"], moved["standard"]) < -0.35,
            partly=moved["mup"] > moved["ntk"] + 0.2,
        ),
        claim(
            "The tangent kernel at initialisation nears the infinitely wide network's by width^(-1/2), within 0.15.",
            f"width^{kernel:.2f}",
            holds=abs(kernel + 0.5) < 0.15,
            partly=kernel < -0.2,
        ),
        claim(
            "Trained outputs near those of the network linear in its weights in the NTK parametrisation, by a power "
            "below -0.35; in muP they do not, the power is above -0.35.",
            f"NTK {linear['ntk']:.2f}, muP {linear['mup']:.2f}",
            holds=linear["ntk"] < -0.35 < linear["mup"],
            partly=linear["ntk"] < linear["mup"],
        ),
        claim(
            "In the later half of the measurements the sharpness of all widths agrees within a factor 1.5 in muP, and "
            "fans out by more than 2 in the NTK parametrisation.",
            f"largest over smallest: muP {spread['mup']:.2f}, NTK {spread['ntk']:.2f}",
            holds=spread["mup"] < 1.5 and spread["ntk"] > 2,
            partly=spread["mup"] < spread["ntk"],
        ),
        claim(
            "The best learning rate of all widths is the same in muP, within a factor 2; in the standard "
            "parametrisation that of the widest networks is less than half of the narrowest ones'.",
            f"over widths it varies by {range_of['mup']:.1f} in muP, {range_of['ntk']:.1f} in the NTK parametrisation; "
            f"in the standard one the narrowest networks' is {falls:.1f} times the widest's",
            holds=range_of["mup"] < 2.1 and falls > 2.1,
            partly=range_of["mup"] < 2.1 or falls > 2.1,
        ),
    ]


def _spread(curves: dict[str, np.ndarray]) -> float:
    """Largest over smallest of the curves' geometric means over their later half."""
    means = [np.exp(np.log(curve[len(curve) // 2 :]).mean()) for label, curve in curves.items() if "width" in label]
    return float(max(means) / min(means))
