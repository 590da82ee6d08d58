"""Short trainings of which it is known what happens in them, and what does not."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Set
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from landscope.curvature import class_spectra, eigenvalues
from landscope.dynamics import gradient_statistics
from landscope.embedding import progress_measures
from landscope.experiments import Experiment
from landscope.live.probes import Probe, Result, Watched, default_probes
from landscope.recipes import digits as digits_recipe
from landscope.recipes import grokking

__all__ = ["LABELLED", "LabelledRun"]


@dataclass(frozen=True)
class LabelledRun:
    """A training and its truth.

    Attributes:
        name: What it is, the same for all its seeds.
        seed: Of data, initialisation and order.
        build: The experiment at its start.
        steps: How many to take.
        every: Steps between two measurements.
        present: Kinds of findings that must begin.
        allowed: Kinds that may, or need not.
        usual: Names of the default probes that measure it, beside losses and accuracies.
        probes: Others.
        batch: Examples of a step; all of them by default.
        task: Steps after which labels are drawn anew, of ten classes; never by default. Losses that are measured are
            of the first labels.
    """

    name: str
    seed: int
    build: Callable[[int], Experiment]
    steps: int
    every: int
    present: frozenset[str]
    allowed: frozenset[str] = frozenset()
    usual: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = field(default=(), repr=False)
    batch: int | None = None
    task: int | None = None

    def schedule(self) -> list[Probe]:
        """Its probes, each every so many steps. They are made anew: some remember the run they began with."""
        chosen = [probe for probe in default_probes() if probe.name in ("evaluate", *self.usual)]
        return [replace(probe, every=self.every) for probe in (*chosen, *self.probes)]


def _digits_cnn(seed: int, *, lr: float, loss: Callable[[Tensor, Tensor], Tensor]) -> Experiment:
    experiment = digits_recipe.build(digits_recipe.Config(examples=300, seed=seed))
    assert experiment.optimizer is not None
    for group in experiment.optimizer.param_groups:
        group["lr"] = lr  # beyond what the recipe takes, where it is to diverge
    return replace(experiment, loss_fn=loss)


def _grokking(seed: int, *, decay: float = 1.0, shuffled: bool = False) -> Experiment:
    experiment = grokking.build(grokking.Config(seed=seed, weight_decay=decay))
    if not shuffled:
        return experiment
    generator = torch.Generator().manual_seed(seed)
    (pairs, sums), (held_pairs, held_sums) = experiment.train, experiment.test
    sums, held_sums = (part[torch.randperm(len(part), generator=generator)] for part in (sums, held_sums))
    return replace(experiment, train=(pairs, sums), test=(held_pairs, held_sums))


def _tokens(watched: Watched) -> Result:
    return progress_measures(watched.focus)


def _mlp(*widths: int, activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers[:-1])


def _digits_mlp(
    seed: int,
    *,
    widths: tuple[int, ...] = (64, 128, 10),
    examples: int = 400,
    noise: float = 0.0,
    lr: float = 1e-3,
    sgd: bool = False,
    tail: bool = False,
    squared: bool = False,
) -> Experiment:
    """Cross-entropy on digits; a share `noise` of the labels drawn anew, or classes ever rarer (`tail`)."""
    torch.manual_seed(seed)
    (images, labels), test = digits_recipe.digits(examples, seed)
    if noise:
        wrong = torch.rand(len(labels)) < noise
        labels = torch.where(wrong, torch.randint(10, labels.shape), labels)
    if tail:
        rank = torch.zeros(len(labels), dtype=torch.long)
        for label in range(10):
            members = labels == label
            rank[members] = torch.arange(int(members.sum()))
        kept = rank < (len(labels) / 10 * 0.6 ** labels.double()).ceil()
        images, labels = images[kept], labels[kept]
    model = _mlp(*widths)
    optimizer: torch.optim.Optimizer = (
        torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9) if sgd else torch.optim.Adam(model.parameters(), lr=lr)
    )
    loss = digits_recipe.squared_error if squared else nn.CrossEntropyLoss()
    return Experiment(model, loss, (images, labels), test, optimizer)


class _Scaled(nn.Module):
    """alpha (f(x; theta) - f(x; theta_0)): the larger alpha, the lazier (Chizat, Oyallon and Bach 2019)."""

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = alpha
        self.network = _mlp(64, 128, 10, activation=nn.Tanh)
        self.start = _mlp(64, 128, 10, activation=nn.Tanh)
        self.start.load_state_dict(self.network.state_dict())
        self.start.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (n, 10)."""
        return self.alpha * (self.network(x) - self.start(x))


def _scaled(seed: int, *, alpha: float, rate: float = 0.03) -> Experiment:
    torch.manual_seed(seed)
    train, test = digits_recipe.digits(200, seed)
    model = _Scaled(alpha)
    optimizer = torch.optim.SGD(model.network.parameters(), lr=rate / alpha**2)
    return Experiment(model, digits_recipe.squared_error, train, test, optimizer)


class _Wide(nn.Module):
    """v relu(W x) / sqrt(width): one output, in the parametrisation in which catapults were found."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden, self.readout = nn.Linear(64, width, bias=False), nn.Linear(width, 1, bias=False)
        nn.init.normal_(self.hidden.weight)
        nn.init.normal_(self.readout.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (n, 1)."""
        hidden = torch.relu(self.hidden(x.flatten(1)) / 8)
        return self.readout(hidden) / math.sqrt(self.readout.in_features)


def _signed_error(outputs: Tensor, classes: Tensor) -> Tensor:
    """Half the mean squared distance from +1 for even and -1 for odd digits."""
    return 0.5 * (outputs.squeeze(1) - (1 - 2.0 * (classes % 2))).square().mean()


def _thrown(seed: int, *, factor: float) -> Experiment:
    """A learning rate of `factor` / lambda_max: above 2 the first steps overshoot, below 4 they come back."""
    torch.manual_seed(seed)
    train, test = digits_recipe.digits(100, seed)
    model = _Wide(512)
    start = Experiment(model, _signed_error, train, test)
    largest = float(eigenvalues(start.objective(), 1, tolerance=1e-3).values[0])
    return replace(start, optimizer=torch.optim.SGD(model.parameters(), lr=factor / largest))


def _bottleneck(seed: int, *, width: int) -> Experiment:
    """Features of 64 directions behind a layer of `width`."""
    torch.manual_seed(seed)
    train, test = digits_recipe.digits(300, seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, 64), nn.Linear(64, 10))
    return Experiment(model, nn.CrossEntropyLoss(), train, test, torch.optim.Adam(model.parameters(), lr=3e-3))


def _classes(watched: Watched) -> Result:
    return class_spectra(watched.focus, tolerance=1e-2, trace_budget=2)


def _noise_at(batch: int | None) -> tuple[Probe, ...]:
    def size(watched: Watched) -> Result:
        return {"batch/size": float(batch or watched.focus.examples)}

    return Probe("batch", size), Probe("gradients", lambda watched: gradient_statistics(watched.focus, 200))


_ERROR = digits_recipe.squared_error
_FLAT = {"sharpening", "slack"}
_OVERSHOT = {"edge-of-stability", "unstable", "catapult", "sharpening"}
_TOKENS = (Probe("tokens", _tokens),)
_BY_CLASS = (Probe("classes", _classes),)
_EDGE = {"sharpening", "edge-of-stability"}


def _run(
    seeds: int,
    name: str,
    build: Callable[[int], Experiment],
    steps: int,
    every: int,
    present: Set[str] = frozenset(),
    allowed: Set[str] = frozenset(),
    **rest: Any,
) -> tuple[LabelledRun, ...]:
    run = LabelledRun(name, 0, build, steps, every, frozenset(present), frozenset(allowed), **rest)
    return tuple(replace(run, seed=seed) for seed in range(seeds))


def _sharpness(seeds: int, *what: Any) -> tuple[LabelledRun, ...]:
    return _run(seeds, *what, usual=("sharpness",))


def _tokens_of(seeds: int, *what: Any) -> tuple[LabelledRun, ...]:
    return _run(seeds, *what, usual=("norms", "ntk"), probes=_TOKENS)


def _regime(seeds: int, *what: Any) -> tuple[LabelledRun, ...]:
    return _run(seeds, *what, usual=("ntk", "linearised"))


def _features(seeds: int, *what: Any) -> tuple[LabelledRun, ...]:
    return _run(seeds, *what, usual=("geometry",))


_wide = partial(_digits_mlp, widths=(64, 256, 10))
_deep = partial(_digits_mlp, widths=(64, 256, 256, 10), examples=150, lr=0.05, sgd=True, squared=True)
_early = partial(_digits_mlp, widths=(64, 128, 64, 10), lr=0.005, sgd=True)
_small = partial(_digits_mlp, widths=(64, 32, 10), lr=0.05, sgd=True)
_few = partial(_digits_mlp, lr=0.01, sgd=True)
_cnn = partial(_digits_cnn, loss=_ERROR)
_groks = {"memorised", "about-to-grok", "grokking", "grokked"}

LABELLED = (
    *_sharpness(
        4, "edge", partial(_cnn, lr=0.2), 700, 10, {"sharpening", "edge-of-stability"}, {"unstable", "catapult"}
    ),
    *_sharpness(3, "a tenth of that rate", partial(_cnn, lr=0.02), 400, 10, {"slack"}, {"sharpening"}),
    *_sharpness(3, "cross-entropy", partial(_digits_cnn, lr=0.3, loss=nn.CrossEntropyLoss()), 400, 10, set(), _FLAT),
    *_sharpness(3, "rate too high", partial(_cnn, lr=60.0), 60, 2, {"diverged"}, {"diverging", *_OVERSHOT}),
    *_sharpness(3, "thrown", partial(_thrown, factor=3.0), 80, 1, {"catapult"}, {"unstable", *_FLAT}),
    *_sharpness(3, "not thrown", partial(_thrown, factor=1.0), 80, 1, set(), _FLAT),
    *_tokens_of(4, "grokking", _grokking, 3600, 100, _groks),
    *_tokens_of(3, "no weight decay", partial(_grokking, decay=0.0), 2400, 100, {"memorised"}),
    *_tokens_of(3, "random sums", partial(_grokking, shuffled=True), 2400, 100, {"memorised"}),
    *_run(3, "wrong labels", partial(_wide, noise=0.4), 500, 10, {"label-noise"}, {"memorised"}),
    *_run(3, "right labels", _wide, 500, 10),
    *_regime(3, "lazy", partial(_scaled, alpha=30.0), 300, 20, {"lazy"}),
    *_regime(3, "rich", partial(_scaled, alpha=0.1), 800, 40, {"rich"}),
    *_features(3, "squared error, trained on", _deep, 400, 10, {"neural-collapse"}),
    *_features(2, "ended before fitting", _early, 60, 4),
    *_features(3, "bottleneck", partial(_bottleneck, width=2), 200, 10, {"dimensional-collapse"}),
    *_features(2, "no bottleneck", partial(_bottleneck, width=48), 200, 10),
    *_run(
        2,
        "small batches",
        partial(_digits_mlp, lr=0.01, sgd=True),
        600,
        30,
        {"gradient-noise"},
        probes=_noise_at(4),
        batch=4,
    ),
    *_run(2, "all at once", partial(_digits_mlp, lr=0.05, sgd=True), 200, 10, probes=_noise_at(None)),
    *_run(
        2,
        "one task after the other",
        partial(_digits_mlp, widths=(64, 64, 64, 10), examples=256, lr=1e-2),
        1200,
        60,
        {"plasticity-loss"},
        usual=("plasticity",),
        task=60,
    ),
    *_run(
        2,
        "one task",
        partial(_digits_mlp, widths=(64, 64, 64, 10), examples=256, lr=0.05, sgd=True),
        200,
        20,
        usual=("plasticity",),
    ),
    *_run(3, "rare classes", partial(_small, tail=True), 150, 15, {"class-saddle"}, probes=_BY_CLASS),
    *_run(3, "equal classes", _small, 150, 15, probes=_BY_CLASS),
)
"""All of them, each with its seed."""
