"""Memorising, about to grok, grokking, grokked; and noise in the labels being learnt by heart."""

from __future__ import annotations

import numpy as np

from landscope.dynamics.series import History, Series
from landscope.dynamics.states import Finding, Rule

__all__ = ["RULES"]

# A network has fitted its training data, or generalised, from this accuracy on.
_FITTED = 0.99
_GENERALISED = 0.95
# Held-out accuracy below this share of the training accuracy is memorisation rather than learning.
_LAGGING = 0.6
# From this rise of the held-out accuracy on, grokking has begun.
_RISING = 0.1
# Signs that must agree before generalisation is said to be near; each alone moves in runs that never grok, too.
_SIGNS = 3
# A fall of the held-out accuracy from its best that readings of one test set do not make by chance.
_FALLEN = 0.03
_READINGS = 5

_ACCURACIES = ("train/accuracy", "test/accuracy")


def _memorised(series: History) -> tuple[int, Series, float] | None:
    """When the training data were fitted, the held-out accuracy, and what that was then: far behind."""
    train, test = series.get("train/accuracy"), series.get("test/accuracy")
    if train is None or test is None:
        return None
    step = train.first_step_above(_FITTED)
    if step is None:
        return None
    before = test.values[test.steps <= step]
    if before.size == 0 or float(before[-1]) > _LAGGING:
        return None  # the network generalised while it learned
    return step, test, float(before[-1])


def _grokked(series: History) -> Finding | None:
    memorised = _memorised(series)
    if memorised is None:
        return None
    step, test, _ = memorised
    generalised = test.first_step_above(_GENERALISED)
    if generalised is None:
        return None
    text = (
        f"Grokked: training data fitted at step {step:,}, held-out accuracy above {_GENERALISED:.0%} only at "
        f"step {generalised:,}, {generalised / max(step, 1):.0f} times as late; now {test.last:.1%}."
    )
    return Finding("grokked", text, generalised, _ACCURACIES)


def _grokking(series: History) -> Finding | None:
    memorised = _memorised(series)
    if memorised is None:
        return None
    step, test, before = memorised
    if test.first_step_above(_GENERALISED) is not None or not test.last - before > _RISING:
        return None
    text = (
        f"Grokking: training data fitted since step {step:,}, and held-out accuracy is rising now: "
        f"{test.last:.1%}, up from {before:.1%}."
    )
    return Finding("grokking", text, test.holds_since(test.values - before > _RISING), _ACCURACIES)


def _about_to_grok(series: History) -> Finding | None:
    memorised = _memorised(series)
    if memorised is None:
        return None
    step, test, before = memorised
    if test.last - before > _RISING or test.first_step_above(_GENERALISED) is not None:
        return None
    signs = [sign for sign in (_sign(series, step, *one) for one in _PRECURSORS) if sign is not None]
    if len(signs) < _SIGNS:
        return None
    said = "; ".join(sentence for _, sentence in signs)
    text = f"About to grok: training data fitted since step {step:,}, held-out accuracy {test.last:.1%}, but {said}."
    return Finding("about-to-grok", text, None, (*_ACCURACIES, *(name for name, _ in signs)))


# Series, whether it rises or falls before generalisation, by how much (as a share; of accuracies and the like, added),
# and how that is said.
_PRECURSORS: tuple[tuple[str, int, float, str], ...] = (
    ("test/loss", -1, 0.03, "the held-out loss falls"),
    ("norm/weights", -1, 0.02, "the weight norm falls"),
    ("ntk/alignment", 1, 0.05, "the kernel turns to the labels"),
    ("tokens/restricted.test", -1, 0.05, "the loss of the key frequencies alone falls"),
    ("tokens/gini", 1, 0.10, "the embedding's spectrum concentrates"),
    ("geometry/nc1", -1, 0.10, "classes draw together"),
)


def _sign(series: History, step: int, name: str, direction: int, share: float, said: str) -> tuple[str, str] | None:
    """Whether a series has moved that way since its turn after the data were fitted, and goes on moving."""
    found = series.get(name)
    after = None if found is None else found.since(step)
    if after is None or len(after.values) < _READINGS:
        return None
    moved = direction * after.values
    turn = int(np.argmin(moved))  # the peak before a fall, the trough before a rise
    since = moved[turn:]
    if len(since) < 3 or not since[-1] - since[0] > share * abs(since[0]):
        return None
    half = since[len(since) // 2 :]
    return (name, said) if half[-1] >= half[0] else None


def _memorising(series: History) -> Finding | None:
    memorised = _memorised(series)
    if memorised is None:
        return None
    step, test, before = memorised
    if test.last - before > _RISING or test.first_step_above(_GENERALISED) is not None:
        return None
    weights = series.get("norm/weights")
    shrinking = weights is not None and len(weights.values) > 4 and weights.last < 0.98 * float(weights.values.max())
    hint = " The weight norm is falling, which often comes before generalisation." if shrinking else ""
    now = f"training data fitted since step {step:,}, held-out accuracy {test.last:.1%}"
    text = f"Memorised, not generalised: {now}.{hint}"
    return Finding("memorised", text, step, _ACCURACIES)


def _label_noise(series: History) -> Finding | None:
    """Held-out accuracy has been better and falls, while training accuracy rises over what it was at that best."""
    train, test = series.get("train/accuracy"), series.get("test/accuracy")
    if train is None or test is None or len(test.values) < 2 * _READINGS:
        return None
    smooth = np.convolve(test.values, np.ones(_READINGS) / _READINGS, mode="valid")
    best = int(np.argmax(smooth))
    peak_step = int(test.steps[best + _READINGS // 2])
    fall = float(smooth[best] - smooth[-1])
    gained = train.last - train.value_at(peak_step)
    if not (fall > _FALLEN and gained > 2 * fall and train.value_at(peak_step) < _FITTED):
        return None
    text = (
        f"Noise is being learnt by heart: held-out accuracy was best around step {peak_step:,} with "
        f"{smooth[best]:.1%} and is {test.last:.1%} now, while training accuracy went from "
        f"{train.value_at(peak_step):.1%} to {train.last:.1%}."
    )
    return Finding("label-noise", text, peak_step, _ACCURACIES)


_POWER = "Power et al. 2022, Grokking: generalization beyond overfitting on small algorithmic datasets"
_NANDA = "Nanda et al. 2023, Progress measures for grokking via mechanistic interpretability"
_KUMAR = "Kumar et al. 2024, Grokking as the transition from lazy to rich training dynamics"

RULES = (
    Rule(
        "grokked",
        "Grokked",
        f"Training accuracy reached {_FITTED:.0%} while held-out accuracy was below {_LAGGING:.0%}; later that reached "
        f"{_GENERALISED:.0%}.",
        "The network first memorised and then found a solution that generalises.",
        "How late depends on weight decay, the learning rate and the share of data trained on more than on the task.",
        (_POWER,),
        _grokked,
    ),
    Rule(
        "grokking",
        "Grokking",
        f"Training data fitted to {_FITTED:.0%}, held-out accuracy then below {_LAGGING:.0%} and now {_RISING:.0%} "
        "higher.",
        "Generalisation has begun long after memorisation.",
        "The measure is continuous: loss and structure have moved before accuracy does.",
        (_POWER, _NANDA),
        _grokking,
    ),
    Rule(
        "about-to-grok",
        "About to grok",
        f"Training data fitted, held-out accuracy flat, and {_SIGNS} signs at least of six have turned and go on: "
        "held-out loss, weight norm, kernel alignment, the key frequencies' loss, the embedding's concentration, "
        "class variability. No single threshold on drift tells grokking from other training.",
        "Structure that generalises is growing under the memorised solution.",
        "Not proof: runs exist in which the signs turn and accuracy never follows within the steps given.",
        (_NANDA, _KUMAR),
        _about_to_grok,
    ),
    Rule(
        "memorised",
        "Memorised, not generalised",
        f"Training accuracy reached {_FITTED:.0%} while held-out accuracy was below {_LAGGING:.0%}, and it has not "
        "risen.",
        "The solution found fits these examples and says little of others.",
        "With weight decay and enough data, waiting may be all that is needed; without, it may never generalise.",
        (_POWER,),
        _memorising,
    ),
    Rule(
        "label-noise",
        "Noise learnt by heart",
        f"Held-out accuracy, averaged over {_READINGS} readings, is {_FALLEN:.0%} below its best, and training "
        "accuracy has risen by more than twice that since.",
        "Typical of wrong labels: the clean examples are learnt first, and fitting the others costs accuracy.",
        "The same is seen when a small data set is overfitted without any wrong label. Look at the examples learnt "
        "last.",
        ("Arpit et al. 2017, A closer look at memorization in deep networks",),
        _label_noise,
    ),
)
