"""Harmonic loss: modular addition read out by distances to class centres, beside cross-entropy.

Every network adds its two tokens' vectors, has one layer of ReLU units, and gives a point x in the space of the tokens'
vectors, which are the classes' centres w_i as well. The probability of class i is

    cross-entropy   exp(w_i x) / sum_j exp(w_j x)
    harmonic        d_i^-n / sum_j d_j^-n   with d_i = |w_i - x|, or 1 - cos(w_i, x)

and the loss -log p of the sum (Baek et al. 2025). Copies of all heads, with the same splits and initial weights, are
trained in one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from landscope.embedding.fourier import frequency_norms, gini
from landscope.measurements import Chart, Matrix, Measurement, Provenance
from landscope.recipes.charts import lines
from landscope.recipes.claims import Claim, claim
from landscope.recipes.descent import device
from landscope.recipes.grokking import split_pairs
from landscope.recipes.settings import Configuration, knob
from landscope.recipes.studies import Study
from landscope.runs import Run

__all__ = ["FULL", "HEADS", "Adders", "Config", "cosine", "distance", "judge", "product", "train"]

_MOMENTS = 120
_NEAR = 1e-6  # of d^2 and of 1 - cos: nearer counts as that, as p has no limit there
_MEMORISED, _UNDERSTOOD = 0.99, 0.95
_STEPS = "training (steps)"


def product(points: Tensor, centres: Tensor, exponent: float) -> Tensor:
    """Logits w_i x (K, n, p) of points x (K, n, d) and centres w (K, p, d); there is no exponent."""
    return points @ centres.mT


def distance(points: Tensor, centres: Tensor, exponent: float) -> Tensor:
    """Logits -n log |w_i - x|, whose softmax is d_i^-n / sum_j d_j^-n."""
    lengths = points.square().sum(dim=2)[:, :, None] + centres.square().sum(dim=2)[:, None, :]
    return -exponent / 2 * (lengths - 2 * points @ centres.mT).clamp_min(_NEAR).log()


def cosine(points: Tensor, centres: Tensor, exponent: float) -> Tensor:
    """Logits -n log(1 - cos(w_i, x))."""
    return -exponent * (1 - normalize(points, dim=2) @ normalize(centres, dim=2).mT).clamp_min(_NEAR).log()


HEADS: Mapping[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "cross-entropy": product,
    "harmonic, Euclid": distance,
    "harmonic, cosine": cosine,
}


@dataclass(frozen=True)
class Config(Configuration):
    """Settings of the recipe."""

    exponent: float = knob(4.0, 0.5, 64.0, "Harmonic exponent n; about the root of the embedding's length.", log=True)
    prime: int = knob(53, 5, 199, "The modulus p.")
    fraction: float = knob(0.6, 0.1, 0.9, "Share of the pairs {a, b} to train on.")
    embedding: int = knob(16, 3, 256, "Length of a token's vector.", log=True)
    width: int = knob(96, 8, 1024, "Hidden units.", log=True)
    copies: int = knob(3, 1, 16, "Networks of each head, with splits and initial weights of their own.")
    lr: float = knob(2e-3, 1e-5, 0.1, "Learning rate of AdamW.", log=True)
    weight_decay: float = knob(0.3, 0.0, 3.0, "Its decoupled weight decay; without it weights grow.")
    steps: int = knob(2500, 2, 100_000, "Full-batch steps.", log=True)
    seed: int = knob(0, 0, 10_000, "Of splits and initialisations.")


FULL = Config(exponent=6.0, prime=113, embedding=36, width=256, copies=8, steps=20_000)


class Adders(nn.Module):
    """K networks for each of the heads, with K initialisations.

    Attributes:
        embedding: (H K, p, d) tokens' vectors, the classes' centres.
        hidden: (H K, d, width).
        back: (H K, width, d).
    """

    def __init__(self, config: Config, generator: torch.Generator) -> None:
        super().__init__()
        self.exponent = config.exponent

        def drawn(into: int, out: int, deviation: float) -> nn.Parameter:
            weights = deviation * torch.randn(config.copies, into, out, generator=generator)
            return nn.Parameter(weights.repeat(len(HEADS), 1, 1))

        self.embedding = drawn(config.prime, config.embedding, config.embedding**-0.5)
        self.hidden = drawn(config.embedding, config.width, config.embedding**-0.5)
        self.back = drawn(config.width, config.embedding, config.width**-0.5)

    def forward(self, pairs: Tensor) -> Tensor:
        """Logits (H, K, n, p) for the pairs (K, n, 2) of each copy."""
        carried = (self.embedding @ self.hidden).unflatten(0, (len(HEADS), -1))
        copies = torch.arange(len(pairs), device=pairs.device)[:, None]
        sums = carried[:, copies, pairs[..., 0]] + carried[:, copies, pairs[..., 1]]
        points = torch.relu(sums) @ self.back.unflatten(0, (len(HEADS), -1))
        centres = self.embedding.unflatten(0, (len(HEADS), -1))
        return torch.stack(
            [head(x, w, self.exponent) for head, x, w in zip(HEADS.values(), points, centres, strict=True)]
        )


def train(config: Config, runs: Path) -> Path:
    """Trains all networks side by side; returns the folder of the run."""
    torch.set_num_threads(1)  # the matrices are small: a second thread costs more than it brings
    splits = [split_pairs(config.prime, config.fraction, config.seed + copy) for copy in range(config.copies)]
    training, held_out = (
        tuple(torch.stack(tensors).to(device()) for tensors in zip(*parts, strict=True))
        for parts in zip(*splits, strict=True)
    )
    adders = Adders(config, torch.Generator().manual_seed(config.seed)).to(device())
    optimizer = torch.optim.AdamW(adders.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    found: dict[int, dict[str, np.ndarray]] = {}
    with Study("harmonic", config, runs, total=config.steps) as study:
        moments = set(np.geomspace(1, config.steps, _MOMENTS).astype(int).tolist())
        while study.step < config.steps and not study.stopped:
            optimizer.zero_grad()
            losses(adders(training[0]), training[1]).sum().backward()
            optimizer.step()
            study.advance()
            if study.step in moments:
                found[study.step] = _measured(adders, training, held_out)
                study.scalars(_of_copies(found[study.step]))
                if study.due():
                    for name, exhibit in _exhibits(found, adders.embedding).items():
                        study.exhibit(name, exhibit)
    return study.path


def losses(logits: Tensor, classes: Tensor) -> Tensor:
    """Mean -log p (H, K) of logits (H, K, n, p) for classes (K, n)."""
    repeated = classes.expand(logits.shape[:-1])
    each = cross_entropy(logits.flatten(0, 2), repeated.flatten(), reduction="none")
    return each.view(repeated.shape).mean(dim=2)


def judge(run: Run) -> list[Claim]:
    """Whether distances shortened the delay, kept the weights small, and made the embedding of a few waves."""
    copies = range(run.manifest.config["copies"])

    def of(measure: str, head: str) -> list[tuple[np.ndarray, np.ndarray]]:
        return [run.scalars(f"{measure}/{head}/{copy}") for copy in copies]

    delay, growth, waves, planes = {}, {}, {}, {}
    for head in HEADS:
        delay[head] = np.array(
            [_delay(trained, held) for trained, held in zip(of("train", head), of("test", head), strict=True)]
        )
        growth[head] = np.array([values.max() / values[0] for _, values in of("norm", head)])
        waves[head], planes[head] = (np.array([v[-1] for _, v in of(kind, head)]) for kind in ("gini", "explained"))
    plain, *others = HEADS
    return [
        *(
            claim(
                f"Understanding comes at most half as long after memorising, {head} against {plain}, at each start.",
                f"{_listed(delay[head])} steps, with {plain} {_listed(delay[plain])}",
                holds=bool((delay[head] <= delay[plain] / 2).all() and np.isfinite(delay[head]).all()),
                partly=bool(np.median(delay[head]) < np.median(delay[plain])),
            )
            for head in others
        ),
        _compared(
            "The weights grow less by distances than by products, at each start.",
            "largest norm over the first",
            growth,
            -1,
        ),
        _compared(
            "The embedding is of fewer waves by distances, at each start.", "Gini coefficient of the spectrum", waves, 1
        ),
        _compared(
            "Two principal components explain more of the embedding by distances, at each start.", "share", planes, 1
        ),
    ]


def _compared(text: str, what: str, values: Mapping[str, np.ndarray], sign: int) -> Claim:
    """A claim that every copy of every distance is above (or below, sign -1) that of the products."""
    plain, *others = values.values()
    above = [sign * (other - plain) > 0 for other in others]
    told = "; ".join(f"{head} {_listed(each)}" for head, each in values.items())
    return claim(text, f"{what}: {told}", holds=bool(np.all(above)), partly=bool(np.any(np.all(above, axis=1))))


@torch.no_grad()
def _measured(adders: Adders, training: Sequence[Tensor], held_out: Sequence[Tensor]) -> dict[str, np.ndarray]:
    """Accuracies, norms of all weights, and how the embedding is made, (H, K) each."""
    shape = len(HEADS), len(training[0])
    tokens = adders.embedding.double()
    singular = torch.linalg.svdvals(tokens - tokens.mean(dim=1, keepdim=True)).square()
    squares = torch.stack([weights.square().sum(dim=(1, 2)) for weights in adders.parameters()])
    spectra = [gini(frequency_norms(each)) for each in tokens.cpu().numpy()]
    return {
        **{
            split: (adders(pairs).argmax(dim=3) == sums).double().mean(dim=2).cpu().numpy()
            for split, (pairs, sums) in {"train": training, "test": held_out}.items()
        },
        "norm": squares.sum(dim=0).sqrt().view(shape).cpu().numpy(),
        "gini": np.reshape(spectra, shape),
        "explained": (singular[:, :2].sum(dim=1) / singular.sum(dim=1)).view(shape).cpu().numpy(),
    }


def _of_copies(measured: Mapping[str, np.ndarray]) -> dict[str, float]:
    """By "measure/head/copy"."""
    return {
        f"{name}/{head}/{copy}": float(value)
        for name, values in measured.items()
        for head, row in zip(HEADS, values, strict=True)
        for copy, value in enumerate(row)
    }


def _exhibits(found: Mapping[int, Mapping[str, np.ndarray]], embedding: Tensor) -> dict[str, Measurement]:
    """Accuracies, delays, norms and embeddings of the heads so far; lines are means, bands reach over the copies."""
    steps = np.array(list(found))
    series = {name: np.array([moment[name] for moment in found.values()]) for name in found[steps[0]]}

    def chart(name: str, title: str, summary: str, unit: str, *more: str) -> Chart:
        drawn = {(kind, head): series[kind][:, h] for kind in (name, *more) for h, head in enumerate(HEADS)}
        label = {key: key[1] if key[0] == name else f"{key[1]}, {key[0]}" for key in drawn}
        return lines(
            title,
            summary,
            (_STEPS, unit),
            {label[key]: (steps, values.mean(axis=1)) for key, values in drawn.items()},
            bands={label[key]: (v.min(axis=1), v.max(axis=1)) for key, v in drawn.items() if key[0] == name},
            x_log=True,
        )

    return {
        "understanding": chart(
            "test",
            "How long after memorising a network understands",
            "Accuracy on held-out pairs, means with bands over copies, and on the training pairs.",
            "accuracy",
            "train",
        ),
        "delay": _delays(steps, series),
        "norms": chart("norm", "Products need large weights", "Norm of all weights of a network.", "‖θ‖"),
        "waves": chart(
            "gini", "Distances make an embedding of few waves", "Gini coefficient of its Fourier spectrum.", "Gini"
        ),
        "planes": chart(
            "explained", "And a flat one", "Share of its variance in two principal components.", "share of the variance"
        ),
        "embedding": _circles(embedding.detach().double().cpu().numpy()),
    }


def _delays(steps: np.ndarray, series: Mapping[str, np.ndarray]) -> Matrix:
    """When each head's copies had memorised and understood, in the median."""
    levels = {"memorised": ("train", _MEMORISED), "understood": ("test", _UNDERSTOOD)}
    return Matrix(
        provenance=Provenance(method="first steps at which accuracies are reached"),
        title="From memorising to understanding",
        summary=f"Median steps to {_MEMORISED:.0%} of the training and {_UNDERSTOOD:.0%} of the held-out pairs.",
        row_name="head",
        column_name="reached",
        value_name="steps",
        rows=tuple(HEADS),
        columns=tuple(levels),
        values=np.array(
            [
                [
                    _median([_first(steps, copy, level) for copy in series[kind][:, h].T])
                    for kind, level in levels.values()
                ]
                for h in range(len(HEADS))
            ]
        ),
    )


def _circles(embedding: np.ndarray) -> Chart:
    """The tokens of each head's first copy in the plane of two principal components, scaled to mean length one."""
    points = {}
    for head, tokens in zip(HEADS, embedding.reshape(len(HEADS), -1, *embedding.shape[1:])[:, 0], strict=True):
        left, sizes, _ = np.linalg.svd(tokens - tokens.mean(axis=0), full_matrices=False)
        plane = left[:, :2] * sizes[:2]
        points[head] = tuple((plane / np.linalg.norm(plane, axis=1).mean()).T)
    return lines(
        "Where the tokens are",
        "Each token of the first copies in the plane of two principal components: on a circle if it is one wave.",
        ("first component", "second component"),
        points,
        marks="points",
    )


def _first(steps: np.ndarray, values: np.ndarray, level: float) -> float:
    """The first step at which a level is reached; infinite if none is."""
    there = np.flatnonzero(values >= level)
    return float(steps[there[0]]) if len(there) else float("inf")


def _delay(trained: tuple[np.ndarray, np.ndarray], held_out: tuple[np.ndarray, np.ndarray]) -> float:
    """Steps from memorising to understanding, of accuracies over steps; infinite if it never understands."""
    understood = _first(*held_out, _UNDERSTOOD)
    return max(understood - _first(*trained, _MEMORISED), 0.0) if np.isfinite(understood) else float("inf")


def _median(steps: Sequence[float]) -> float:
    """NaN where it is not finite."""
    middle = float(np.median(steps))
    return middle if np.isfinite(middle) else float("nan")


def _listed(values: np.ndarray) -> str:
    return ", ".join(f"{value:.3g}" for value in values)
