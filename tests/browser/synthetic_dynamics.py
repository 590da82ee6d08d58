"""Training dynamics without a training behind them: gradients, weights, examples learned one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from landscope.measurements import (
    Calibration,
    ExampleHistory,
    Forecast,
    GradientConflict,
    GradientStatistics,
    LossMixture,
    Measurement,
    OutputChange,
    Plasticity,
    UnitActivity,
    WeightStatistics,
)
from tests.browser.sources import EXAMPLES, source

PHASES = (
    (
        0.3,
        "sharpening",
        True,
        "Progressive sharpening: the sharpness rises towards 40.",
        ["sharpness/lambda_max", "sharpness/threshold"],
    ),
    (
        0.62,
        "edge-of-stability",
        True,
        "At the edge of stability: sharpness hovers about 40.",
        ["sharpness/lambda_max", "sharpness/threshold"],
    ),
    (0.7, "sharpening", False, "Progressive sharpening: the sharpness rises towards 40.", ["sharpness/lambda_max"]),
    (0.8, "gradient-noise", True, "Gradient noise limits each step.", ["gradients/noise_scale", "batch/size"]),
)
"""States that begin and end: share of the run, kind, whether it begins, sentence, evidence."""


def phase_data(kind: str, begins: bool, evidence: list[str]) -> dict[str, object]:
    """What a run keeps of such a state."""
    told = {"kind": kind, "begins": begins, "evidence": evidence}
    words = {
        "title": kind.replace("-", " ").capitalize(),
        "criterion": "Three readings lie <b>between</b> 0.9 and 1.25 of the threshold.",
        "meaning": "Steps overshoot along the sharpest direction.",
        "caution": "Neither good nor bad by itself.",
        "sources": ["Cohen et al. 2021, Gradient descent typically occurs at the edge of stability"],
    }
    return told | words if begins else told


def dynamics_at(step: int, steps: int, classes: int) -> Iterator[tuple[str, Measurement]]:
    """What the probes of training dynamics would have at one step."""
    done = step / steps
    yield "gradients", _noise(step, done)
    if classes > 1:
        yield "gradients/conflict", _conflict(step, done, classes)
    yield "weights", _weights(step, done)
    yield "units", _units(step, done)
    yield "plasticity", _plasticity(step, done)
    yield "examples/history", _history(step, steps, classes)
    yield "examples/mixture", _mixture(step, done)
    yield "outputs/calibration", _calibration(step, done)
    if step:
        yield "outputs/change", _change(step, done, classes)
        yield "forecast", _forecast(step)


def _noise(step: int, done: float) -> GradientStatistics:
    scale = 20.0 + 400 * done
    one = np.ones((1, 1))
    sizes = np.array([1.0, 2, 4, 8])
    return GradientStatistics(
        provenance=source("inner products of single examples' gradients", step, 0.05),
        groups=("all",),
        counts=np.array([128]),
        layers=("all",),
        norms=one,
        squared_norms=one,
        squared_norm_errors=0.1 * one,
        traces=scale * one,
        trace_errors=one,
        noise_scales=scale * one,
        noise_scale_errors=0.1 * scale * one,
        batch_sizes=sizes,
        batch_cosines=1 / np.sqrt(1 + scale / sizes),
        batch_cosine_deviations=0.05 + 0 * sizes,
        direction_variances=0.5 * scale / (sizes + scale),
    )


def _conflict(step: int, done: float, classes: int) -> GradientConflict:
    cosines = np.where(np.eye(classes) > 0, 1.0, 0.8 - 1.2 * done)
    return GradientConflict(
        provenance=source("gradients of several objectives", step, 0.03),
        parts=tuple(str(label) for label in range(classes)),
        counts=np.full(classes, EXAMPLES // classes),
        layers=("all",),
        cosines=cosines[None],
        norms=np.ones((1, classes)),
    )


def _weights(step: int, done: float) -> WeightStatistics:
    names, sizes = ("conv.weight", "conv.bias", "blocks.0.attention.out_proj.weight", "fc.weight"), (72, 8, 400, 640)
    start, moved = np.array([3.0, 0.5, 8.0, 6.0]), done * np.array([2.0, 0.4, 1.0, 5.0])
    matrices = np.array([1.0, np.nan, 1.0, 1.0])
    return WeightStatistics(
        provenance=source("singular values", step, 0.01),
        names=names,
        sizes=sizes,
        norms=start + moved,
        largest=matrices * (1 + moved),
        smallest=matrices * 0.1,
        stable_ranks=matrices * (start + moved) ** 2 / (1 + moved) ** 2,
        singular_values={name: np.array([1.0, 0.5, 0.1]) for name in names if not name.endswith("bias")},
        distances=moved,
        wassersteins=0.5 * moved / np.sqrt(sizes),
        start_norms=start,
    )


def _units(step: int, done: float) -> UnitActivity:
    return UnitActivity(
        provenance=source("activations of all units", step, 0.01),
        layers=("1", "4"),
        functions=("relu", "tanh"),
        units=np.array([32, 64]),
        dead=np.array([0.1 * done, 0.0]),
        dormant=np.array([0.3 * done, 0.02]),
        saturated=np.array([np.nan, 0.4 * done]),
        tolerance=0.025,
    )


def _plasticity(step: int, done: float) -> Plasticity:
    return Plasticity(
        provenance=source("random labels, 20 steps of Adam", step, 0.3),
        losses=np.linspace(3, 1.2 + done, 21),
        accuracies=np.linspace(0.1, 0.6, 21),
        fresh_losses=None,
        fresh_accuracies=None,
        classes=10,
        lr=0.01,
        lambda_max=4 + 30 * done,
        lambda_residual=0.01,
    )


def _history(step: int, steps: int, classes: int) -> ExampleHistory:
    """Example i of 40 is learned at i / 40 of the run, the last four never; positions are those of the embedding."""
    times = np.unique(np.linspace(0, step, 12).astype(int))
    place = np.arange(40)
    when = np.where(place < 36, place * steps / 40, np.inf)
    margins = np.where(times >= when[:, None], 3.0, -1.0)
    learned = np.where(when <= step, np.ceil(np.where(np.isfinite(when), when, 0)), -1).astype(np.int32)
    return ExampleHistory(
        provenance=source(f"scores of {len(times)} frames", step, 0.01),
        labels=place % max(classes, 1),
        steps=times,
        losses=np.log1p(np.exp(-margins)).astype(np.float32),
        margins=margins.astype(np.float32),
        frames=len(times),
        aum=margins.mean(1),
        forgotten=np.where(place % 9 == 4, 2, 0).astype(np.int32),
        first=learned,
        learned=learned,
        confidences=1 / (1 + np.exp(-margins.mean(1))),
        variability=np.full(40, 0.1),
        el2n=np.where(margins[:, -1] > 0, 0.1, 1.2).astype(np.float32),
        positions=(2 * place[::-1] + 1).astype(np.int32),
        available=2 * EXAMPLES,
    )


def _mixture(step: int, done: float) -> LossMixture:
    values = np.concatenate([np.linspace(0.01, 0.3 - 0.2 * done, 90), np.linspace(0.6, 0.99, 30)])
    noisy = (values > 0.45).astype(float)
    return LossMixture(
        provenance=source("mixture of two beta distributions of losses", step, 0.01),
        values=values,
        scale=4.0,
        shift=0.0,
        family="beta",
        shares=np.array([0.75, 0.25]),
        parameters=np.array([[1.5, 8.0], [8.0, 2.0]]),
        means=np.array([0.6, 3.2]),
        share_error=0.04,
        noisy=noisy,
        gain=0.8,
        iterations=12,
    )


def _calibration(step: int, done: float) -> Calibration:
    """Over-confident by a tenth at the end: right as often as its probability, less that."""
    probabilities = np.linspace(0.2, 1, 400)
    places = np.arange(400) * 0.618 % 1
    right = places < probabilities - 0.1 * done
    return Calibration(
        provenance=source("probabilities at temperature 1", step, 0.01),
        probabilities=probabilities,
        right=right,
        nll=0.5,
        nll_error=0.02,
        brier=0.3,
        brier_error=0.01,
        bins=15,
        ece_error=0.01,
    )


def _change(step: int, done: float, classes: int) -> OutputChange:
    labels = np.arange(40) % max(classes, 1)
    return OutputChange(
        provenance=source("outputs against those before, at temperature 1, 40 steps before", step, 0.01),
        labels=labels,
        kl=np.full(40, 0.1 * np.exp(-3 * done)) * (1 + 0.1 * np.cos(np.arange(40))),
        temperature=1.0,
        before=labels,
        now=labels,
        norms_before=np.full(40, 2 + 3 * done),
        norms_now=np.full(40, 2.1 + 3 * done),
    )


def _forecast(step: int) -> Forecast:
    ahead = np.unique(np.linspace(step + 1, 2 * step, 60).astype(int))
    expected = 0.2 + 2 * (ahead + 10.0) ** -0.4
    return Forecast(
        provenance=source(f"forecast of power-law from step {step:,}", step, 0.01),
        law="power-law",
        made_at=step,
        steps=ahead,
        expected=expected,
        low=0.9 * expected,
        high=1.1 * expected,
    )
