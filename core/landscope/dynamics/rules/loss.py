"""What the training loss alone says: that it diverges, stands still, or falls."""

from __future__ import annotations

import numpy as np

from landscope.dynamics.series import History, Series
from landscope.dynamics.states import Finding, Rule

__all__ = ["RULES"]

_EXPLODED = 25.0  # times the loss at the start: catapults go up twentyfold and come back
_FLAT = 0.01  # relative change of the loss over a fifth of its readings


def _loss(series: History) -> tuple[str, Series] | None:
    name = "train/loss" if "train/loss" in series else "step/loss"
    loss = series.get(name)
    return None if loss is None or not len(loss.values) else (name, loss)


def _began(loss: Series) -> int:
    """The last step at which the loss was no higher than twice the least it had been: there the way up began."""
    values = np.where(np.isfinite(loss.values), loss.values, np.inf)
    low = np.flatnonzero(values <= 2 * np.minimum.accumulate(values))
    finite = low[np.isfinite(values[low])]
    return int(loss.steps[finite[-1]]) if finite.size else int(loss.steps[0])


def _diverged(series: History) -> Finding | None:
    found = _loss(series)
    if found is None or np.isfinite(found[1].last):
        return None
    name, loss = found
    began = _began(loss)
    after = "" if began == loss.steps[0] else f" It was still low at step {began:,}, and rose from there."
    text = f"Diverged: the training loss is {loss.last}.{after} Lower the learning rate."
    since = loss.holds_since(~np.isfinite(loss.values))
    return Finding("diverged", text, since, (name,))


def _diverging(series: History) -> Finding | None:
    found = _loss(series)
    if found is None:
        return None
    name, loss = found
    if not (len(loss.values) > 2 and loss.first > 0 and loss.last > _EXPLODED * loss.first):
        return None
    text = (
        f"Diverging: the training loss is {loss.last:.3g}, {loss.last / loss.first:.0f} times what it was at the start."
    )
    return Finding("diverging", text, _began(loss), (name,))


def _plateau(series: History) -> Finding | None:
    found = _loss(series)
    if found is None:
        return None
    name, loss = found
    recent = loss.values[-max(3, len(loss.values) // 5) :]
    if not (len(recent) >= 3 and recent[0] > 0 and abs(recent[-1] / recent[0] - 1) < _FLAT):
        return None
    text = f"On a plateau: the training loss stays near {loss.last:.3g}{_held_out(series)}."
    return Finding("plateau", text, int(loss.steps[-len(recent)]), (name,))


def _learning(series: History) -> Finding | None:
    found = _loss(series)
    if found is None:
        return None
    name, loss = found
    return Finding("learning", f"Learning: training loss {loss.last:.3g}{_held_out(series)}.", None, (name,))


def _held_out(series: History) -> str:
    accuracy = series.get("test/accuracy")
    return "" if accuracy is None else f"; held-out accuracy {accuracy.last:.1%}"


RULES = (
    Rule(
        "diverged",
        "Diverged",
        "The training loss is not a finite number.",
        "The weights are lost. The loss began to rise at the step named, which is where to look for the cause.",
        "The cause may lie before the rise, in a step whose gradient was already large.",
        (),
        _diverged,
    ),
    Rule(
        "diverging",
        "Diverging",
        f"The training loss is {_EXPLODED:.0f} times what it was at the start: catapults rise less, and come back.",
        "The learning rate is too high for the curvature here, or the data of some batch are not what they should be.",
        "A catapult from far above the threshold may rise as high for a few steps.",
        ("Lewkowycz et al. 2020, The large learning rate phase of deep learning: the catapult mechanism",),
        _diverging,
    ),
    Rule(
        "plateau",
        "Plateau",
        f"The training loss has changed by less than {_FLAT:.0%} over the last fifth of its readings.",
        "Either it is fitted as far as it can be, or training is stuck near a saddle or waits for structure to form.",
        "Networks that grok stand still for long before they move.",
        (),
        _plateau,
    ),
    Rule("learning", "Learning", "There is a training loss, and no other rule says more.", "", "", (), _learning),
)
