"""Sharpness against what the optimiser is stable at: sharpening, hovering, passing it, and coming back."""

from __future__ import annotations

import numpy as np

from landscope.dynamics.series import History, Series
from landscope.dynamics.states import Finding, Rule

__all__ = ["RULES"]

# Sharpness within this share of the threshold hovers at it; Cohen et al. 2021 see it oscillate just above 2/lr.
_EDGE = (0.9, 1.25)
# Readings of the sharpness that must lie in that band before it is called hovering.
_HOVER = 3
# A catapult: within so many readings the loss rose to so many times what it was, and the sharpness fell to this share.
_RECENT, _SPIKE, _FALLEN = 10, 1.5, 0.8
# Sharpness rises steadily if this share of the pairs of its recent readings is in order.
_STEADY = 0.75
# Share of the threshold up to which a rate is called low, and readings over which it must be.
_SLACK, _PATIENT = 0.25, 6
_FITTED = 0.99  # training accuracy from which on there is nothing to hurry for

_EVIDENCE = ("sharpness/lambda_max", "sharpness/threshold")


def _ratios(series: History) -> tuple[Series, np.ndarray, np.ndarray] | None:
    """The sharpness, the threshold at each of its readings, and their ratio; None where there is no threshold."""
    sharpness, threshold = series.get("sharpness/lambda_max"), series.get("sharpness/threshold")
    if sharpness is None or threshold is None or not len(sharpness.values) or not threshold.last > 0:
        return None
    limits = threshold.at(sharpness.steps)
    with np.errstate(divide="ignore", invalid="ignore"):
        return sharpness, limits, sharpness.values / limits


def _compared(series: History, sharpness: Series) -> str:
    error = series.get("sharpness/stderr")
    spread = "" if error is None or not error.last > 0 else f" ± {error.last:.2g}"
    threshold = series["sharpness/threshold"].last
    return f"sharpness {sharpness.last:.3g}{spread} against a stability threshold of {threshold:.3g}"


def _edge(series: History) -> Finding | None:
    found = _ratios(series)
    if found is None:
        return None
    sharpness, _, ratios = found
    at_edge = (ratios > _EDGE[0]) & (ratios < _EDGE[1])
    if len(ratios) < _HOVER or not bool(at_edge[-_HOVER:].all()):
        return None
    since = sharpness.holds_since(at_edge)
    recent = ratios[sharpness.steps >= since]
    text = (
        f"At the edge of stability: {_compared(series, sharpness)}. Since step {since:,} it hovers between "
        f"{recent.min():.2f} and {recent.max():.2f} of the threshold; steps overshoot."
    )
    return Finding("edge-of-stability", text, since, _EVIDENCE)


def _unstable(series: History) -> Finding | None:
    found = _ratios(series)
    if found is None or not found[2][-1] >= _EDGE[1]:
        return None
    sharpness, _, ratios = found
    text = (
        f"Above the stability threshold: {_compared(series, sharpness)}. Expect the loss to jump, or the sharpness "
        "to fall."
    )
    return Finding("unstable", text, sharpness.holds_since(ratios >= _EDGE[1]), _EVIDENCE)


def _catapult(series: History) -> Finding | None:
    """The loss jumped while the sharpness was above the threshold, and both have come down again."""
    found = _ratios(series)
    loss = series.get("step/loss") or series.get("train/loss")
    if found is None or loss is None:
        return None
    sharpness, limits, ratios = found
    start = max(0, len(ratios) - _RECENT)
    peak = start + int(np.argmax(ratios[start:]))
    if not ratios[peak] > 1 or not ratios[-1] < min(1.0, _FALLEN * ratios[peak]):
        return None
    below = np.flatnonzero(ratios[:peak] <= 1)
    begin = int(sharpness.steps[below[-1]]) if below.size else int(sharpness.steps[0])
    during = (loss.steps >= begin) & (loss.steps <= sharpness.steps[-1])
    if not during.any():
        return None
    before, highest = loss.value_at(begin), int(np.argmax(np.where(during, loss.values, -np.inf)))
    jump = float(loss.values[highest])
    if not (before > 0 and jump > _SPIKE * before and loss.last < (before + jump) / 2):
        return None
    text = (
        f"Catapult: sharpness {sharpness.values[peak]:.3g} passed the stability threshold of {limits[peak]:.3g} by "
        f"step {int(sharpness.steps[peak]):,}, the training loss jumped from {before:.3g} to {jump:.3g} at step "
        f"{int(loss.steps[highest]):,}, and the sharpness has fallen to {sharpness.last:.3g}: a flatter region."
    )
    return Finding("catapult", text, int(loss.steps[highest]), (*_EVIDENCE, "step/loss"))


def _sharpening(series: History) -> Finding | None:
    """The sharpness rises steadily, still below the threshold."""
    found = _ratios(series)
    if found is None:
        return None
    sharpness, limits, _ = found
    values, steps, threshold = sharpness.values, sharpness.steps, float(limits[-1])
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
    evidence = _compared(series, sharpness)
    text = f"Progressive sharpening: {evidence}, up from {values[0]:.3g} at step {int(steps[0]):,}{arrival}."
    return Finding("sharpening", text, int(when[0]), _EVIDENCE)


def _slack(series: History) -> Finding | None:
    """Sharpness far below the threshold for long, without growing, while the loss still falls."""
    found = _ratios(series)
    loss = series.get("train/loss")
    if found is None or loss is None or len(found[2]) < _PATIENT or len(loss.values) < _PATIENT:
        return None
    sharpness, _, ratios = found
    recent = ratios[-_PATIENT:]
    if not (recent.max() < _SLACK and recent[-1] < 1.1 * recent[0]):
        return None
    accuracy = series.get("train/accuracy")
    if accuracy is not None and accuracy.last >= _FITTED:
        return None
    began = int(sharpness.steps[-_PATIENT])
    before = loss.value_at(began)
    if not (before > 0 and 0.2 < loss.last / before < 0.98):
        return None  # fitted, at rest, or falling fast enough
    text = (
        f"The learning rate could be higher: {_compared(series, sharpness)}, below {_SLACK:.0%} of it since step "
        f"{began:,}, while the training loss falls slowly, from {before:.3g} to {loss.last:.3g}."
    )
    return Finding("slack", text, sharpness.holds_since(ratios < _SLACK), (*_EVIDENCE, "train/loss"))


_COHEN = "Cohen et al. 2021, Gradient descent on neural networks typically occurs at the edge of stability"
_DINH = "Dinh et al. 2017, Sharp minima can generalize for deep nets: flatter is not better by itself"

RULES = (
    Rule(
        "edge-of-stability",
        "Edge of stability",
        f"The last {_HOVER} readings of the sharpness lie between {_EDGE[0]} and {_EDGE[1]} of the optimiser's "
        "stability threshold (2/lr for gradient descent), around which it is seen to oscillate.",
        "Steps overshoot along the sharpest direction, and the loss falls over many steps though not in each.",
        "Neither good nor bad by itself; " + _DINH + ".",
        (_COHEN,),
        _edge,
    ),
    Rule(
        "unstable",
        "Above the stability threshold",
        f"The sharpness is {_EDGE[1]} times the stability threshold or more, where hovering ends.",
        "On a quadratic the steps would grow; on a network the loss jumps until a flatter region is found, or "
        "diverges.",
        "Just after a rise of the learning rate this may last for some steps without harm.",
        (_COHEN,),
        _unstable,
    ),
    Rule(
        "catapult",
        "Catapult",
        f"Within {_RECENT} readings the sharpness was above its threshold and fell to {_FALLEN:.0%} of its peak or "
        f"less, and the loss rose {_SPIKE} times and came back half of the way at least.",
        "A large step threw the weights to a flatter region, from which training goes on.",
        "A flatter region is not known to generalise better in general; " + _DINH + ".",
        ("Lewkowycz et al. 2020, The large learning rate phase of deep learning: the catapult mechanism",),
        _catapult,
    ),
    Rule(
        "sharpening",
        "Progressive sharpening",
        f"The sharpness is a tenth above its earlier median, and {_STEADY:.0%} of the pairs of its recent readings "
        "rise.",
        "Full-batch training sharpens until it meets the stability threshold.",
        "Under cross-entropy the sharpness falls again once the examples are fitted; small batches hold it lower.",
        (_COHEN,),
        _sharpening,
    ),
    Rule(
        "slack",
        "Learning rate could be higher",
        f"For {_PATIENT} readings the sharpness stayed below {_SLACK:.0%} of the stability threshold without "
        "growing, and the training loss fell slowly.",
        "Curvature would allow larger steps.",
        "Gradient noise may not, nor a warm-up that has just begun: compare with the gradient noise scale.",
        (_COHEN,),
        _slack,
    ),
)
