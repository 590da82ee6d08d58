"""What is happening, in plain words: the latest numbers of a run against what theory says they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

__all__ = ["Finding", "Series", "diagnose"]

# A network has fitted its training data, or generalised, from this accuracy on.
_FITTED = 0.99
_GENERALISED = 0.95
# Held-out accuracy below this share of the training accuracy is memorisation rather than learning.
_LAGGING = 0.6
# Sharpness within this share of the threshold hovers at it; Cohen et al. 2021 see it oscillate just above 2/lr.
_EDGE = (0.9, 1.25)
# Readings of the sharpness that must lie in that band before it is called hovering.
_HOVER = 3
# A catapult: within so many readings the loss rose to so many times what it was, and the sharpness fell to this share.
_RECENT, _SPIKE, _FALLEN = 10, 1.5, 0.8
# Sharpness rises steadily if this share of the pairs of its recent readings is in order.
_STEADY = 0.75


@dataclass(frozen=True)
class Series:
    """A scalar over time: `steps` (n,) ascending and `values` (n,)."""

    steps: np.ndarray
    values: np.ndarray

    @property
    def last(self) -> float:
        """The newest value."""
        return float(self.values[-1])

    def first_step_above(self, level: float) -> int | None:
        """The first step at which the value reached `level`; None if it never has."""
        reached = np.flatnonzero(self.values >= level)
        return int(self.steps[reached[0]]) if reached.size else None

    def at(self, steps: np.ndarray) -> np.ndarray:
        """The newest value known at each of some steps, (n,); the first one before there is any."""
        return self.values[np.maximum(np.searchsorted(self.steps, steps, side="right") - 1, 0)]


@dataclass(frozen=True)
class Finding:
    """One sentence about a run, with its evidence in it.

    Attributes:
        kind: A short name that stays the same while the state lasts, e.g. "edge-of-stability".
        text: The sentence.
    """

    kind: str
    text: str


def diagnose(series: Mapping[str, Series]) -> Finding:
    """What the newest numbers say, the most telling first: divergence, grokking, stability, plain learning.

    Args:
        series: Scalars over time by name: "train/loss", "test/loss", "train/accuracy", "test/accuracy",
            "step/loss", "sharpness/lambda_max", "sharpness/threshold", "sharpness/stderr"; any may be missing.

    Sources: progressive sharpening, divergence against 2/lr and hovering at it, Cohen et al. 2021 ("Gradient Descent on
    Neural Networks Typically Occurs at the Edge of Stability", sections 3 and 4); catapults, Lewkowycz et al. 2020
    ("The large learning rate phase of deep learning: the catapult mechanism"); generalisation long after memorisation,
    Power et al. 2022 ("Grokking").
    """
    for rule in (_diverged, _grokking, _stability, _learning):
        found = rule(series)
        if found is not None:
            return found
    return Finding("starting", "Waiting for the first measurements.")


def _diverged(series: Mapping[str, Series]) -> Finding | None:
    loss = series.get("train/loss") or series.get("step/loss")
    if loss is None:
        return None
    if not np.isfinite(loss.last):
        return Finding("diverged", f"Diverged: the training loss is {loss.last}. Lower the learning rate.")
    start = float(loss.values[0])
    if len(loss.values) > 2 and start > 0 and loss.last > 10 * start:
        text = (
            f"Diverging: the training loss is {loss.last:.3g}, {loss.last / start:.0f} times what it was at the start."
        )
        return Finding("diverging", text)
    return None


def _grokking(series: Mapping[str, Series]) -> Finding | None:
    train, test = series.get("train/accuracy"), series.get("test/accuracy")
    if train is None or test is None:
        return None
    memorised = train.first_step_above(_FITTED)
    if memorised is None:
        return None
    before = test.values[test.steps <= memorised]
    if before.size == 0 or float(before[-1]) > _LAGGING:
        return None  # the network generalised while it learned
    generalised = test.first_step_above(_GENERALISED)
    if generalised is not None:
        delay = generalised / max(memorised, 1)
        return Finding(
            "grokked",
            f"Grokked: training data fitted at step {memorised:,}, held-out accuracy above {_GENERALISED:.0%} only at "
            f"step {generalised:,}, {delay:.0f} times as late; now {test.last:.1%}.",
        )
    rise = test.last - float(before[-1])
    if rise > 0.1:
        return Finding(
            "grokking",
            f"Grokking: training data fitted since step {memorised:,}, and held-out accuracy is rising now: "
            f"{test.last:.1%}, up from {float(before[-1]):.1%}.",
        )
    weights = series.get("norm/weights")
    shrinking = weights is not None and len(weights.values) > 4 and weights.last < 0.98 * float(weights.values.max())
    hint = " The weight norm is falling, which often comes before generalisation." if shrinking else ""
    return Finding(
        "memorised",
        f"Memorised, not generalised: training data fitted since step {memorised:,}, "
        f"held-out accuracy {test.last:.1%}.{hint}",
    )


def _stability(series: Mapping[str, Series]) -> Finding | None:
    sharpness, threshold = series.get("sharpness/lambda_max"), series.get("sharpness/threshold")
    if sharpness is None or threshold is None or not threshold.last > 0:
        return None
    limits = threshold.at(sharpness.steps)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = sharpness.values / limits
    at_edge = (ratios > _EDGE[0]) & (ratios < _EDGE[1])
    error = series.get("sharpness/stderr")
    spread = "" if error is None or not error.last > 0 else f" ± {error.last:.2g}"
    evidence = f"sharpness {sharpness.last:.3g}{spread} against a stability threshold of {threshold.last:.3g}"
    if len(ratios) >= _HOVER and bool(at_edge[-_HOVER:].all()):
        outside = np.flatnonzero(~at_edge)
        since = int(outside[-1]) + 1 if outside.size else 0
        low, high = ratios[since:].min(), ratios[since:].max()
        return Finding(
            "edge-of-stability",
            f"At the edge of stability: {evidence}. Since step {int(sharpness.steps[since]):,} it hovers between "
            f"{low:.2f} and {high:.2f} of the threshold; steps overshoot.",
        )
    if ratios[-1] >= _EDGE[1]:
        text = f"Above the stability threshold: {evidence}. Expect the loss to jump, or the sharpness to fall."
        return Finding("unstable", text)
    return _catapult(series, sharpness, limits, ratios) or _sharpening(sharpness, threshold.last, evidence)


def _catapult(
    series: Mapping[str, Series], sharpness: Series, limits: np.ndarray, ratios: np.ndarray
) -> Finding | None:
    """The loss jumped while the sharpness was above the threshold, and both have come down again."""
    loss = series.get("step/loss") or series.get("train/loss")
    start = max(0, len(ratios) - _RECENT)
    peak = start + int(np.argmax(ratios[start:]))
    if loss is None or not ratios[peak] > 1 or not ratios[-1] < min(1.0, _FALLEN * ratios[peak]):
        return None
    below = np.flatnonzero(ratios[:peak] <= 1)
    begin = int(sharpness.steps[below[-1]]) if below.size else int(sharpness.steps[0])
    during = (loss.steps >= begin) & (loss.steps <= sharpness.steps[-1])
    if not during.any():
        return None
    before, highest = float(loss.at(np.array([begin]))[0]), int(np.argmax(np.where(during, loss.values, -np.inf)))
    jump = float(loss.values[highest])
    if not (before > 0 and jump > _SPIKE * before and loss.last < (before + jump) / 2):
        return None
    return Finding(
        "catapult",
        f"Catapult: sharpness {sharpness.values[peak]:.3g} passed the stability threshold of {limits[peak]:.3g} by "
        f"step {int(sharpness.steps[peak]):,}, the training loss jumped from {before:.3g} to {jump:.3g} at step "
        f"{int(loss.steps[highest]):,}, and the sharpness has fallen to {sharpness.last:.3g}: a flatter region.",
    )


def _sharpening(sharpness: Series, threshold: float, evidence: str) -> Finding | None:
    """The sharpness rises steadily, still below the threshold."""
    values, steps = sharpness.values, sharpness.steps
    half = max(1, len(values) // 2)
    if len(values) < 2 * _HOVER or not sharpness.last > 1.1 * float(np.median(values[:half])):
        return None
    recent, when = values[-min(half, _RECENT) :], steps[-min(half, _RECENT) :]
    first, second = np.triu_indices(len(recent), 1)
    if np.mean(recent[second] > recent[first]) < _STEADY:
        return None
    pace = float(np.polyfit(when - when[-1], recent, 1)[0])
    arrival = ""
    if pace > 0 and sharpness.last < threshold:
        arrival = f"; at this pace it is there by step {int(steps[-1] + (threshold - sharpness.last) / pace):,}"
    text = f"Progressive sharpening: {evidence}, up from {values[0]:.3g} at step {int(steps[0]):,}{arrival}."
    return Finding("sharpening", text)


def _learning(series: Mapping[str, Series]) -> Finding | None:
    loss = series.get("train/loss") or series.get("step/loss")
    if loss is None:
        return None
    accuracy = series.get("test/accuracy")
    tail = "" if accuracy is None else f"; held-out accuracy {accuracy.last:.1%}"
    recent = loss.values[-max(3, len(loss.values) // 5) :]
    if len(recent) >= 3 and recent[0] > 0 and abs(recent[-1] / recent[0] - 1) < 0.01:
        return Finding("plateau", f"On a plateau: the training loss stays near {loss.last:.3g}{tail}.")
    return Finding("learning", f"Learning: training loss {loss.last:.3g}{tail}.")
