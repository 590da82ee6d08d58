"""Learning one dimension at a time: linear Barlow Twins beside its closed form, and SimCLR at several temperatures.

Both on scikit-learn's digits, whose views are moved by a pixel and covered with noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from landscope.embedding import participation_ratio
from landscope.embedding.contrasts import contrast_of
from landscope.measurements import Chart
from landscope.recipes.charts import lines
from landscope.recipes.claims import Claim, claim
from landscope.recipes.descent import device
from landscope.recipes.digits import digits
from landscope.recipes.joint_embeddings import (
    Encoders,
    augmented,
    contrastive_losses,
    cross_moment,
    half_times,
    linear_twins,
    logistic,
    starting_sizes,
)
from landscope.recipes.settings import Configuration, knob
from landscope.recipes.studies import Study, exhibited
from landscope.runs import Run

__all__ = ["FULL", "Config", "judge", "train"]

_PAIRS = 20  # views of each image that the linear loss is taken over
_FINE = 0.001  # learning rate of the linear embedding over 1 / gamma_1: descent is flow to a hundredth
_LONGER = 1.3  # times what the last step is foretold to take
_MOMENTS = 120
_TINY = 1e-3  # size of what the encoders' embeddings begin to differ by
_FACTORS = (0.25, 0.5, 1.0, 2.0)  # temperatures, over that of the settings
_SHOWN = 8  # eigenvalues
_FORETOLD = "foretold"
_STEPS, _TIME, _EIGENVALUE = "training (steps)", "learning rate x steps", "eigenvalue"
_UNIFORMITY, _TOLERANCE, _NEIGHBOURS = "uniformity", "tolerance", "accuracy of the 10 nearest"


@dataclass(frozen=True)
class Config(Configuration):
    """Settings of the recipe."""

    temperature: float = knob(0.5, 0.02, 4.0, "SimCLR's; a quarter, a half and twice it are trained too.", log=True)
    scale: float = knob(1e-4, 1e-10, 0.03, "Size of the linear embedding's initial weights: small for steps.", log=True)
    dimensions: int = knob(10, 2, 16, "Of the embeddings.")
    noise: float = knob(0.3, 0.0, 1.0, "Standard deviation of the noise in a view, in units of the pixels'.")
    examples: int = knob(600, 100, 1700, "Digits to learn from.")
    width: int = knob(96, 8, 1024, "Units in each layer of SimCLR's encoder.", log=True)
    batch: int = knob(96, 8, 1024, "Pairs of views in a step.", log=True)
    lr: float = knob(0.3, 0.001, 10.0, "Learning rate of SimCLR, of the loss times its temperature.", log=True)
    steps: int = knob(3000, 1, 200_000, "Steps of SimCLR.", log=True)
    seed: int = knob(0, 0, 10_000, "Of data, views and initialisation.")


FULL = Config(dimensions=16, examples=1700, width=512, batch=512, steps=30_000)


def train(config: Config, runs: Path) -> Path:
    """Follows the linear embedding to its end, then trains the encoders; returns the folder of the run."""
    torch.set_num_threads(1)  # the matrices are small: a second thread costs more than it brings
    generator = torch.Generator().manual_seed(config.seed)
    (images, classes), _ = digits(config.examples, config.seed)
    temperatures = config.temperature * torch.tensor(_FACTORS)
    encoders = Encoders(len(_FACTORS), images[0].numel(), config.width, config.dimensions, _TINY, generator).to(
        device()
    )
    optimizer = torch.optim.SGD(encoders.parameters(), lr=config.lr)
    clean, temperatures = images.flatten(1).to(device()), temperatures.to(device())
    seen: dict[int, np.ndarray] = {}
    with Study("stepwise", config, runs, total=config.steps) as study:
        study.say("Linear Barlow Twins, from its own directions and from random ones")
        for name, chart in _linear(config, images, generator).items():
            study.exhibit(name, chart)
        study.say(f"SimCLR at temperatures {', '.join(f'{t:.3g}' for t in temperatures.tolist())}")
        moments = set(np.linspace(1, config.steps, _MOMENTS).astype(int).tolist())
        while study.step < config.steps and not study.stopped:
            chosen = torch.randperm(len(images), generator=generator)[: config.batch]
            views = torch.cat([augmented(images[chosen], generator, noise=config.noise) for _ in range(2)]).to(device())
            optimizer.zero_grad()
            # Times the temperature, so that pairs pull equally hard at each.
            (contrastive_losses(encoders(views), temperatures) * temperatures).sum().backward()
            optimizer.step()
            study.advance()
            if study.step in moments:
                seen[study.step] = _spectra(encoders, clean)
                if study.due():
                    units = encoders(clean).detach().cpu()
                    for name, chart in _contrastive(temperatures.tolist(), seen, units, classes).items():
                        study.exhibit(name, chart)
    return study.path


def judge(run: Run) -> list[Claim]:
    """Whether linear steps came as foretold, SimCLR's one by one, and temperature traded uniformity for tolerance."""
    aligned, random, spectra, traded = (
        exhibited(run, name, Chart) for name in ("aligned", "random", "contrastive", "temperature")
    )
    modes = [label for label in aligned.labels if label != _FORETOLD]
    off = max(float(np.abs(aligned.y[m] - line).max()) for m, line in zip(modes, _parted(aligned), strict=True))
    times = random.x[modes[0]]
    found, foretold = (
        [_reached(times, line) for line in group] for group in ([random.y[m] for m in modes], _parted(random))
    )
    late = np.abs(np.array(found) / foretold - 1)
    final = np.array([spectra.y[label][-1] for label in spectra.labels])
    came = [label for label, value in zip(spectra.labels, final, strict=True) if value > 0.1 * final[0]]
    waiting = np.array([_share(spectra, one, after) for one, after in pairwise(came)])
    uniformity, tolerance = traded.y[_UNIFORMITY], traded.y[_TOLERANCE]
    return [
        claim(
            "From the eigenvectors of the views' cross-moment, linear eigenvalues follow logistic curves, within 0.03.",
            f"at most {off:.3f} off, of {len(modes)} modes",
            holds=off < 0.03,
            partly=off < 0.1,
        ),
        claim(
            "From random weights each reaches a half within a tenth of the time foretold by their QR decomposition.",
            f"{np.sum(late < 0.1)} of {len(late)} do, the median is {np.median(late):.1%} off",
            holds=bool((late < 0.1).all()),
            partly=bool(np.median(late) < 0.1),
        ),
        claim(
            "SimCLR's come one at a time: when one has half of its last value, the next has not a quarter of its own.",
            f"of {len(came)} that came, the next had {', '.join(f'{share:.2f}' for share in waiting)}",
            holds=len(waiting) > 1 and bool((waiting < 0.25).all()),
            partly=len(waiting) > 1 and bool(np.mean(waiting < 0.25) >= 0.5),
        ),
        claim(
            "The lower the temperature, the more uniform SimCLR's embedding, and the less tolerant of equal classes.",
            f"from {traded.x[_TOLERANCE][0]:.3g} to {traded.x[_TOLERANCE][-1]:.3g}: uniformity {_listed(uniformity)}, "
            f"tolerance {_listed(tolerance)}",
            holds=bool((np.diff(uniformity) > 0).all() and (np.diff(tolerance) > 0).all()),
            partly=bool(uniformity[-1] > uniformity[0] and tolerance[-1] > tolerance[0]),
        ),
    ]


def _linear(config: Config, images: Tensor, generator: torch.Generator) -> dict[str, Chart]:
    """Eigenvalues of the linear embedding from its own directions and from random ones, and the loss of the latter."""
    first, second = (
        torch.cat([augmented(images, generator, noise=config.noise) for _ in range(_PAIRS)]).double().cpu().numpy()
        for _ in range(2)
    )
    gamma = cross_moment(first, second)
    values, vectors = (part[..., ::-1][..., : config.dimensions] for part in np.linalg.eigh(gamma))
    drawn = torch.randn(config.dimensions, len(gamma), generator=generator, dtype=torch.float64).numpy()
    starts = {"aligned": config.scale * vectors.T, "random": config.scale * drawn}
    sizes = {name: starting_sizes(weights, vectors) for name, weights in starts.items()}
    rate = _FINE / values[0]
    foretold = np.concatenate([half_times(values, size) for size in sizes.values()])
    begin, end = (max(time / rate, 1.0) for time in (foretold.min() / 10, _LONGER * foretold.max()))
    moments = np.unique(np.geomspace(begin, end, 2 * _MOMENTS).astype(int))
    times, charts = rate * moments, {}
    said = {
        "aligned": "Small weights along the eigenvectors of the views' cross-moment: logistic curves, exactly.",
        "random": "Small random weights; dashed is foretold from the eigenvalues and the weights' QR decomposition.",
    }
    titles = {"aligned": "Linear Barlow Twins learns a dimension at a time", "random": "From random weights, too"}
    for name, weights in starts.items():
        found, losses, _ = linear_twins(weights, gamma, rate, moments.tolist())
        theory = logistic(values, sizes[name], times)
        charts[name] = lines(
            titles[name],
            said[name],
            (_TIME, "eigenvalue of the cross-correlation"),
            {f"mode {k + 1}": (times, line) for k, line in enumerate(found.T)},
            expected={_FORETOLD: _joined(times, np.sort(theory)[:, ::-1].T)},
            x_log=True,
        )
    charts["loss"] = lines(
        "Each dimension that is learnt takes one from the loss",
        "Of the linear embedding from random weights; dashed is the sum of (1 - λ)² over the modes foretold.",
        (_TIME, "loss"),
        {"measured": (times, losses)},
        expected={_FORETOLD: (times, np.square(1 - theory).sum(axis=1))},
        x_log=True,
    )
    return charts


def _joined(x: np.ndarray, lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Several lines (k, n) over the same x as one, k (n + 1) points with a gap after each."""
    return np.tile(np.append(x, x[-1]), len(lines)), np.append(lines, np.full((len(lines), 1), np.nan), axis=1).ravel()


def _parted(chart: Chart) -> np.ndarray:
    """The lines (k, n) foretold, as they were before they were joined."""
    lines: np.ndarray = chart.y[_FORETOLD].reshape(len(chart.labels) - 1, -1)[:, :-1]
    return lines


@torch.no_grad()
def _spectra(encoders: Encoders, examples: Tensor) -> np.ndarray:
    """(K, d) eigenvalues of the embeddings' covariance, the largest first."""
    units = encoders(examples).double()
    centred = units - units.mean(dim=1, keepdim=True)
    found: np.ndarray = torch.linalg.eigvalsh(centred.mT @ centred / len(examples)).flip(1).cpu().numpy()
    return found


def _contrastive(
    temperatures: Sequence[float], seen: Mapping[int, np.ndarray], units: Tensor, classes: Tensor
) -> dict[str, Chart]:
    """SimCLR's eigenvalues so far, their number, and how temperature places the embeddings."""
    steps, spectra = np.array(list(seen)), np.array(list(seen.values()))
    asked = _FACTORS.index(1.0)
    placed = [contrast_of(each, "embedding", classes.numpy()) for each in units]
    measures = {_UNIFORMITY: "uniformity", _TOLERANCE: "tolerance", _NEIGHBOURS: "knn_accuracy"}
    ranks = [[participation_ratio(values) for values in spectra[:, k]] for k in range(len(temperatures))]
    return {
        "contrastive": lines(
            "SimCLR learns a dimension at a time, too",
            f"Covariance of its embeddings at temperature {temperatures[asked]:.3g}, which begin at nearly one point.",
            (_STEPS, _EIGENVALUE),
            {f"{_EIGENVALUE} {k + 1}": (steps, line) for k, line in enumerate(spectra[:, asked, :_SHOWN].T)},
            y_log=True,
        ),
        "rank": lines(
            "The hotter, the fewer dimensions",
            "Participation ratio of those eigenvalues at each temperature.",
            (_STEPS, "dimensions in use"),
            {f"τ = {temperature:.3g}": (steps, rank) for temperature, rank in zip(temperatures, ranks, strict=True)},
        ),
        "temperature": lines(
            "Cold separates all, hot keeps classes together",
            "Uniformity: log mean exp(-2|u - v|²) of all pairs. Tolerance: mean cosine within a class.",
            ("temperature τ", "see the legend"),
            {name: (temperatures, [found[field] for found in placed]) for name, field in measures.items()},
            x_log=True,
            marks="both",
        ),
    }


def _reached(x: np.ndarray, y: np.ndarray) -> float:
    """Where a line first reaches a half, between its points; infinite if it never does."""
    there = np.flatnonzero(y >= 0.5)
    if not len(there):
        return float("inf")
    around = slice(max(there[0] - 1, 0), there[0] + 1)
    return float(np.interp(0.5, y[around], x[around]))


def _share(chart: Chart, one: str, after: str) -> float:
    """What share of its last value the line `after` has when `one` first has half of its own."""
    lead, follow = chart.y[one], chart.y[after]
    return float(follow[np.argmax(lead >= lead[-1] / 2)] / follow[-1])


def _listed(values: np.ndarray) -> str:
    return ", ".join(f"{value:.2f}" for value in values)
