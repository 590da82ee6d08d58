"""A run with plausible numbers, written at a chosen pace: what the page shows, without a training behind it.

python -m tests.browser.synthetic ROOT [--steps 2000] [--every 40] [--pace 0.0] [--name NAME] [--classes 10]
    [--examples 512]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from landscope.measurements import (
    NTK,
    Eigenmodes,
    Linearisation,
    Measurement,
    QuadraticModel,
    Sharpness,
    SharpnessMeasures,
    Slice2D,
    SpectralDensity,
)
from landscope.runs import RunWriter
from tests.browser.sources import EXAMPLES, source
from tests.browser.synthetic_dynamics import PHASES, dynamics_at, phase_data
from tests.browser.synthetic_features import (
    embedding_at,
    examples_behind,
    geometry_at,
    similarities_at,
    tokens_at,
)
from tests.browser.synthetic_steering import Steering

LEARNING_RATE = 0.05
STAGES = (5, 9, 17, 33)


def losses(step: float, steps: int) -> tuple[float, float]:
    """Loss on the training and the test data."""
    progress = step / steps
    train = 2.4 * np.exp(-7 * progress) + 0.012
    return float(train), float(2.4 * np.exp(-6 * progress) + 0.16 + 0.12 * progress)


def sharpness_at(step: float, steps: int, noise: float = 0.0) -> float:
    """Progressive sharpening up to 2/lr, then hovering about it."""
    threshold = 2 / LEARNING_RATE
    rise = 4 + 1.1 * threshold * (1 - np.exp(-4 * step / steps))
    return float(min(rise, threshold * (1 + 0.05 * noise)))


def stderr_at(step: float, steps: int) -> float:
    """The standard error of the sharpness over the examples."""
    return 0.03 * sharpness_at(step, steps) + 0.1


PLANES = {
    "random": ("filter", "first random direction, filter norms (seed 0)", "second random direction, filter norms"),
    "trajectory": ("none", "distance along the path's first principal direction", "along its second"),
    "hessian": ("filter", "leading eigenvector of the Hessian, filter norms", "second eigenvector, filter norms"),
    "gradient": ("none", "distance along the gradient", "along the optimiser's update"),
}
CHECKS = (
    ("centre", "pass", "the grid's centre and the model's own loss differ by 0"),
    ("lengths", "pass", "filters of both directions are as long as the model's, to 1e-7"),
    ("angle", "pass", "cosine between the directions 1.2e-9"),
    ("data", "pass", "512 examples, SHA-256 3fa9c1d2e07b5564"),
    ("seed", "pass", "0"),
    ("weights", "pass", "the model's weights are as they were before"),
)


def heights_at(a: np.ndarray, b: np.ndarray, step: float, steps: int) -> np.ndarray:
    """A bowl with ripples whose minimum deepens, over the square from -1 to 1; symmetric under nothing."""
    train, _ = losses(step, steps)
    sharp = 1 + 3 * step / steps
    bowl = 2.6 * sharp * (a**2 + 0.35 * b**2 + 0.3 * a * b)
    ripples = 0.25 * (1 - np.cos(7 * a + 1)) * (a**2 + b**2) + 0.1 * (1 - np.cos(9 * b)) * a**2
    return np.asarray(train + bowl + ripples + 60 * np.maximum(a + b - 1.2, 0) ** 3)


def slice_at(step: int, steps: int, plane: str, stage: int = len(STAGES)) -> Slice2D:
    """One of the nested grids over `heights_at`; on the plane of the trajectory, the path that curves into it."""
    train, _ = losses(step, steps)
    scale = 1.0 if plane in ("random", "hessian") else 4.0
    points = STAGES[stage - 1]
    alpha = beta = np.linspace(-scale, scale, points)
    a, b = np.meshgrid(alpha / scale, beta / scale, indexing="ij")
    loss = heights_at(a, b, step, steps)
    away_from_centre = np.hypot(a, b)
    if plane == "random" and step == 0:
        loss[a + b > 1.75] = np.inf
    right = np.exp(-0.5 * np.where(np.isfinite(loss), loss, 9.0))
    normalisation, *axes = PLANES[plane]
    path: dict[str, Any] = {}
    if plane == "trajectory":
        at = np.linspace(0, step, 40).astype(np.int64)
        left = np.exp(-3.5 * at / steps) - np.exp(-3.5 * step / steps)
        flat = np.stack([-0.85 * left, 0.8 * left**2 + 0.1 * np.sin(6 * left)], axis=1)
        path = {
            "path": scale * flat,
            "path_steps": at,
            "path_distances": 1.5 * left * (1 - left),
            "path_losses": heights_at(*flat.T, step, steps) * (1 + 0.3 * left),
            "explained": 0.93,
        }
    caution = (
        "batch norm",
        "note",
        "2 layers, with the statistics of the centre over the whole plane",
    )
    return Slice2D(
        provenance=source(f"{points} x {points} points, {plane} plane", step, 0.42, forwards=points**2),
        alpha=alpha,
        beta=beta,
        loss=loss,
        accuracy=right,
        metrics={"test/loss": 1.3 * loss + 0.1, "test/accuracy": 0.95 * right},
        error=0.02 + 0.04 * np.sqrt(right),
        contrast_error=0.3 * away_from_centre,
        centre_loss=train,
        plane=plane,
        normalisation=normalisation,
        axes=tuple(axes),
        gram=np.eye(2),
        checks=(*CHECKS, caution) if plane == "random" else CHECKS,
        stage=stage,
        stages=len(STAGES),
        **path,
    )


def density_at(step: int, steps: int, rng: np.random.Generator) -> SpectralDensity:
    """A bulk around zero that narrows, with nine outliers that grow."""
    top = sharpness_at(step, steps)
    spikes = top * 0.72 ** np.arange(9)
    scale = 1e-3 * top
    grid = scale * np.sinh(np.linspace(np.arcsinh(-0.2 * top / scale), np.arcsinh(1.3 * top / scale), 257))
    u = np.arcsinh(grid / scale)
    width = 2.2 - 0.8 * step / steps
    density = np.exp(-0.5 * ((u - 0.4) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    for spike in spikes:
        density += 3e-4 * np.exp(-0.5 * ((u - np.arcsinh(spike / scale)) / 0.12) ** 2)
    spread = 1 + 0.3 * rng.random(len(grid))
    nodes = rng.normal(0, scale, (4, 20))
    return SpectralDensity(
        provenance=source("stochastic Lanczos quadrature, 4 probes of 20 steps", step, 1.9, products=92),
        nodes=nodes,
        weights=np.full((4, 20), 0.05),
        spikes=spikes,
        spike_residuals=1e-3 * spikes,
        grid=grid,
        density=density,
        low=density / spread**2,
        high=density * spread**2,
        scale=scale,
        trace=float(spikes.sum() * 1.3),
        trace_stderr=float(spikes.sum() * 0.02),
        operator="hessian",
        hvps=92,
        threshold=2 / LEARNING_RATE,
        negative_spikes=np.array([-0.05, -0.08]) * top,
        negative_residuals=np.array([0.002, 0.001]) * top,
        deflated=11,
        checks=(("trace", "pass", "the quadrature's and Hutchinson's agree"),),
    )


def quadratic_at(step: int, steps: int) -> QuadraticModel:
    """Parabolas that bend away by a cubic and a quartic term, along four directions."""
    train, _ = losses(step, steps)
    top = sharpness_at(step, steps)
    slopes = np.array([0.02, 0.01, 3 * train, 0.001])
    curvatures = np.array([top, -0.08 * top, 0.5 * top, 0.02 * top])
    cubic, quartic = np.array([-0.6, 0.4, 0.5, 0.0]) * np.abs(curvatures), np.array([-0.3, 0.9, 0.2, 0.0]) * top

    def change(s: np.ndarray) -> np.ndarray:
        return np.asarray(s * slopes[:, None] + s**2 * curvatures[:, None] / 2)

    def bend(s: np.ndarray) -> np.ndarray:
        return np.asarray(s**3 * cubic[:, None] + s**4 * quartic[:, None])

    tolerance, r = 0.1, np.linspace(1e-3, 1, 1000)
    s = np.tile(r, (4, 1))
    wrong = np.maximum(np.abs(bend(s)), np.abs(bend(-s)))
    whole = np.maximum(np.abs(change(s) + bend(s)), np.abs(change(-s) + bend(-s)))
    fails = np.maximum.accumulate(wrong, 1) > tolerance * np.maximum.accumulate(whole, 1)
    radii = np.where(fails.any(1), r[fails.argmax(1)], np.inf)
    distances = np.where(np.isfinite(radii), 2 * radii, 1.0)[:, None] * np.linspace(-1, 1, 33)
    return QuadraticModel(
        provenance=source("Taylor polynomial along 4 directions", step, 0.2, products=40),
        names=("sharpest eigenvector", "most negative", "gradient", "random"),
        distances=distances,
        losses=train + change(distances) + bend(distances),
        predictions=train + change(distances),
        slopes=slopes,
        curvatures=curvatures,
        radii=radii,
        tolerance=tolerance,
    )


def measures_at(step: int, steps: int) -> SharpnessMeasures:
    """What a landscape of that sharpness would give by several definitions."""
    train, _ = losses(step, steps)
    top = sharpness_at(step, steps)
    rho = 0.05 * np.array([0.25, 0.5, 1.0, 2.0, 4.0])
    one_step, multi_step = 3 * train * rho + 0.2 * top * rho**2, 3 * train * rho + 0.5 * top * rho**2
    rows = (
        ("largest eigenvalue", "lambda_max(H)", top, 1e-3 * top, ""),
        ("least eigenvalue", "lambda_min(H)", -0.08 * top, 1e-3 * top, ""),
        ("trace", "tr H", 4.4 * top, 0.1 * top, "10 probes"),
        (
            "share of the stability limit",
            "lambda_max(H) / limit",
            top * LEARNING_RATE / 2,
            1e-3,
            f"limit 2 / lr = {2 / LEARNING_RATE:g}",
        ),
        ("SAM", "max L(w + e) - L(w), |e| <= rho", multi_step[2], np.nan, "rho = 0.05, 20 steps"),
        ("SAM one step", "L(w + rho g/|g|) - L(w)", one_step[2], np.nan, "rho = 0.05"),
        ("adaptive worst case", "max L(w + e) - L(w), |e / |w|| <= rho", 0.8, np.nan, "rho = 0.5, 20 steps"),
        (
            "adaptive average case",
            "mean L(w + e) - L(w), e ~ N(0, s^2 w^2)",
            2e-4 * top,
            3e-5 * top,
            "s = 0.05, 20 draws",
        ),
        ("epsilon-sharpness", "100 (max L(w + e) - L(w)) / (1 + L(w))", 0.3 * top, np.nan, "epsilon = 0.001, 20 steps"),
        ("m-sharpness", "mean over batches of max L_B(w + e) - L_B(w)", 2 * multi_step[2], 0.01, "rho = 0.05, m = 16"),
    )
    names, symbols, values, errors, settings = zip(*rows, strict=True)
    return SharpnessMeasures(
        provenance=source("projected ascent, 20 steps; Lanczos; random signs", step, 1.1, gradients=140),
        names=names,
        symbols=symbols,
        values=np.array(values),
        errors=np.array(errors),
        settings=settings,
        rho=rho,
        sam_one_step=one_step,
        sam_multi_step=multi_step,
    )


def kernel_at(step: int, steps: int) -> NTK:
    """A spectrum that decays as a power; its leading values grow while features are learned."""
    rank = np.arange(1, 65)
    values = 40 * rank**-1.4 * (1 + 5 * step / steps * (rank < 11))
    done = 1 - float(np.exp(-3 * step / steps))
    return NTK(
        provenance=source("empirical kernel, trace over outputs", step, 0.3, gradients=64),
        eigenvalues=np.sort(values)[::-1],
        gram_kind="trace",
        outputs=10,
        effective_rank=float(values.sum() ** 2 / (values**2).sum()),
        alignment=0.08 + 0.6 * (1 - float(np.exp(-3 * step / steps))),
        movement={
            "drift": np.array(0.3 * done),
            "features": np.array(1.2 * done),
            "weights": np.array(0.5 * done),
            "test_alignment": np.array(0.07 + 0.5 * done),
            "label_energy": np.array(0.2 + 0.7 * done),
        },
        cosines=cosines_at(done),
        borders=(12.0, 32.0),
    )


def cosines_at(done: float) -> np.ndarray:
    """Three classes of 12, 20 and 16 blocks, that come to be treated as one each."""
    classes = np.repeat([0, 1, 2], [12, 20, 16])
    same = classes[:, None] == classes[None, :]
    return np.where(same, 0.3 + 0.5 * done, 0.3 - 0.4 * done).astype(np.float32)


def modes_at(step: int, steps: int) -> Eigenmodes:
    """Residuals that decay as predicted at first, and then no further."""
    times = np.concatenate([[0.0], np.geomspace(0.1, 0.1 + 10 * step / steps, 12)])
    eigenvalues = 2.0 / np.arange(1, 5)
    start = np.array([4.0, -2.0, 1.0, 0.5])
    predicted = start * np.exp(-0.5 * np.outer(times, eigenvalues))
    return Eigenmodes(
        provenance=source("residuals along the leading eigenvectors of the initial kernel", step, 0.02, forwards=1),
        eigenvalues=eigenvalues,
        rate=0.5,
        times=times,
        residuals=predicted + 0.01 * np.sign(start) * times[:, None],
        predicted=predicted,
    )


def linearised_at(step: int, steps: int) -> Linearisation:
    """Three outputs of forty examples, further and further from what is linear."""
    rng = np.random.default_rng(3)
    initial = rng.normal(size=(40, 3)).astype(np.float32)
    moved = (step / steps * rng.normal(size=(40, 3))).astype(np.float32)
    return Linearisation(
        provenance=source("linearisation in the weights", step, 0.02),
        initial=initial,
        actual=initial + 2 * moved,
        linearised=initial + 2 * moved - moved**2,
        loss=0.9 - 0.5 * step / steps,
        linearised_loss=0.9 - 0.3 * step / steps,
        distance=6.0 * step / steps,
        labels=np.arange(40) % 3,
    )


def frames_at(
    step: int, steps: int, classes: int, rng: np.random.Generator, examples: int = EXAMPLES
) -> Iterator[tuple[str, Measurement]]:
    """All measurements of one step, by their names in a run."""
    for stage in range(1, len(STAGES) + 1):
        yield "slice/trajectory", slice_at(step, steps, "trajectory", stage)
    for plane in ("random", "hessian"):
        yield f"slice/{plane}", slice_at(step, steps, plane)
    yield "density", density_at(step, steps, rng)
    yield "quadratic", quadratic_at(step, steps)
    yield "sharpness/measures", measures_at(step, steps)
    yield "ntk", kernel_at(step, steps)
    yield "modes", modes_at(step, steps)
    yield "linearised", linearised_at(step, steps)
    yield "embedding", (picture := embedding_at(step, steps, classes, examples))
    if step == 0:
        yield "examples", examples_behind(picture)
    yield "embedding/umap", embedding_at(step, steps, classes, method="umap")
    yield "geometry", geometry_at(step, steps, classes)
    yield from similarities_at(step, steps)
    yield "tokens", tokens_at(step, steps)
    yield from dynamics_at(step, steps, classes)
    yield (
        "sharpness",
        Sharpness(
            provenance=source("Lanczos, warm start", step, 0.05, products=6),
            lambda_max=sharpness_at(step, steps, rng.normal()),
            residual=1e-3,
            threshold=2 / LEARNING_RATE,
            optimizer="SGD",
            rule="2 / lr",
            preconditioned=False,
            hvps=6,
            stderr=stderr_at(step, steps),
        ),
    )


FINDINGS = (
    (0.0, "The loss falls quickly; curvature is well below the stability limit."),
    (0.3, "Sharpness grows while the loss falls: progressive sharpening."),
    (0.62, "Sharpness hovers about 2/lr = 40: training at the edge of stability."),
    (0.85, "Test loss rises while its accuracy stays: the network grows over-confident."),
)


def write_step(
    writer: RunWriter,
    step: int,
    steps: int,
    every: int,
    classes: int,
    rng: np.random.Generator,
    examples: int = EXAMPLES,
) -> None:
    """Everything that a training would record at one step."""
    train, test = losses(step, steps)
    updates = {"step/update_ratio": 0.01 * train, "step/update_cosine": 0.9 - 1.6 * step / steps}
    writer.scalars(step, {"step/loss": train * float(np.exp(0.18 * rng.normal())), **updates})
    if step == 0:
        writer.scalars(step, {"batch/size": 64.0})
    if step % max(every // 4, 1) == 0:
        right = 1 - 0.9 * train / 2.412
        numbers = {
            "train/loss": train,
            "test/loss": test,
            "train/accuracy": right,
            "test/accuracy": right - 0.02 * step / steps,
        }
        norms = {"norm/gradient": 3 * train * (1 + 0.1 * rng.normal()), "norm/weights": 18 + 6 * np.sqrt(step / steps)}
        writer.scalars(step, {**numbers, **norms, "overhead/share": 0.08})
    if step % every == 0:
        for name, measurement in frames_at(step, steps, classes, rng, examples):
            writer.measurement(step, name, measurement)
            writer.scalars(step, {f"{name}/{key}": value for key, value in measurement.scalars().items()})
    for share, text in FINDINGS:
        if step == int(share * steps):
            writer.event(step, "finding", text)
    for share, kind, begins, text, evidence in PHASES:
        if step == int(share * steps):
            writer.event(step, "phase", text, phase_data(kind, begins, evidence))


def main(arguments: list[str] | None = None) -> None:
    """Write a run, and say its id at once."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.synthetic")
    parser.add_argument("root", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--every", type=int, default=40, help="steps between measurements")
    parser.add_argument("--pace", type=float, default=0.0, help="seconds per step; 0 writes as fast as it goes")
    parser.add_argument("--name", default="synthetic")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="points of the embedding")
    parser.add_argument("--until", type=int, default=None, help="step to stop at")
    chosen = parser.parse_args(arguments)
    rng = np.random.default_rng(0)
    writer = RunWriter.create(chosen.root, name=chosen.name, recipe="synthetic", config={"lr": LEARNING_RATE})
    print(writer.id, flush=True)
    steering = Steering(chosen.root, writer, lambda what, step: on_demand(what, step, chosen.steps, rng))
    if chosen.pace:
        steering.say()
    while steering.step <= (chosen.until or chosen.steps):
        steering.writer.progress(steering.step, chosen.steps)
        steering.obey()
        if steering.stopped:
            break
        write_step(steering.writer, steering.step, chosen.steps, chosen.every, chosen.classes, rng, chosen.examples)
        steering.step += 1
        time.sleep(chosen.pace)
    steering.writer.close("stopped" if steering.stopped else "finished")


def on_demand(what: str, step: int, steps: int, rng: np.random.Generator) -> Measurement:
    """What is measured when the page asks for it."""
    return density_at(step, steps, rng) if what == "density" else slice_at(step, steps, "random")


if __name__ == "__main__":
    sys.exit(main())
