"""What a law fitted to a run says of a learning rate that somebody has drawn for the steps ahead."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from landscope.comparison import ascending
from landscope.loss_laws import fit_annealing_law, forecast
from landscope.measurements import Forecast, LossLaw
from landscope.runs import Run

__all__ = ["drawn_rates", "held_rates", "imagined", "knots_of", "what_if"]

Array = NDArray[np.float64]

_RATE = "step/learning_rate"
_LOSSES = {"train/loss": "the training loss", "step/loss": "the loss of batches"}
_MOST_KNOTS, _POINTS = 16, 200
_FEWEST = 16  # losses, as of the forecast that a run makes of itself
_MOST_STEPS = 2_000_000  # whose areas are summed one by one
_ORIGIN = "A law of language models (Tissue et al. 2024), and a guess elsewhere."
_BELOW = " It comes to 0 and below, as no loss does: the law does not reach so far ahead."


def knots_of(text: str) -> Array:
    """The learning rates that an address gives, separated by commas.

    Raises:
        ValueError: if there are fewer than 2 or more than 16, or one is no finite positive number.
    """
    parts = text.split(",")
    if not 2 <= len(parts) <= _MOST_KNOTS:
        raise ValueError(f"knots must be 2 to {_MOST_KNOTS} learning rates, separated by commas, got {len(parts)}")
    try:
        knots = np.array([float(part) for part in parts])
    except ValueError:
        raise ValueError(f"knots must be numbers, separated by commas, got {text[:80]!r}") from None
    if not (np.isfinite(knots) & (knots > 0)).all():
        raise ValueError(f"knots must be finite and positive, got {text[:80]!r}")
    return knots


def drawn_rates(knots: Array, steps: int) -> Array:
    """Straight lines through knots that are evenly spaced from the first of `steps` to the last, (steps,)."""
    return np.interp(np.linspace(0, 1, steps), np.linspace(0, 1, len(knots)), knots)


def held_rates(at: NDArray[np.int64], rates: Array, last: int) -> Array:
    """The learning rate of steps 1 to `last`, from one told where it changed: each holds until the next, (last,)."""
    latest = np.searchsorted(at, np.arange(1, last + 1), side="right") - 1
    held: Array = rates[np.maximum(latest, 0)]
    return held


def imagined(steps: NDArray[np.int64], losses: Array, past: Array, knots: Array) -> tuple[LossLaw, Forecast]:
    """The annealing law of a loss curve, and its forecast for drawn knots over as many steps again.

    Args:
        steps: (n,) ascending, from 1 and up to T.
        losses: (n,) positive.
        past: (T,) the learning rate of every step so far.
        knots: (k,) learning rates ahead, from step T + 1 to 2 T.

    Raises:
        ValueError: as `fit_annealing_law`.
    """
    law, last = fit_annealing_law(steps, losses, past), len(past)
    rates = np.concatenate([past, drawn_rates(knots, last)])
    return law, forecast(law, 2 * last, rates, first=last + 1)


def what_if(run: Run, knots: Array, step: int | None = None) -> dict[str, Any]:
    """The forecast for a drawn learning rate, of a run as it stood at a step, or why there is none.

    Args:
        run: The run.
        knots: (k,) learning rates over as many steps again.
        step: Up to which the run is known; by default all of it.

    Returns:
        `refused`, in words, or else `words`, `made_at` and up to 200 of `steps`, `expected`, `low` and `high`.
    """
    try:
        which, law, made, past = _forecast(run, knots, step)
    except ValueError as reason:
        return {"refused": str(reason)}
    shown = np.unique(np.linspace(0, len(made.steps) - 1, _POINTS).astype(int))
    lines = {name: getattr(made, name)[shown].tolist() for name in ("steps", "expected", "low", "high")}
    return {
        "refused": "",
        "made_at": made.made_at,
        "words": _words(which, law, past) + (_BELOW if made.expected.min() <= 0 else ""),
        **lines,
    }


def _forecast(run: Run, knots: Array, step: int | None) -> tuple[str, LossLaw, Forecast, Array]:
    if _RATE not in run.scalar_names():
        raise ValueError("This run has no recorded learning rate, without which no law of it can be fitted.")
    newest = run.head().step
    last = newest if step is None else min(step, newest)
    if last > _MOST_STEPS:
        raise ValueError(f"What if is worked out for runs of up to {_MOST_STEPS:,} steps; this one has {last:,}.")
    which, at, losses = _losses(run, last)
    past = held_rates(*ascending(*run.scalars(_RATE)), last)
    return which, *imagined(at, losses, past, knots), past


def _losses(run: Run, last: int) -> tuple[str, NDArray[np.int64], Array]:
    """The training losses up to a step, and what they are called; those of batches where the others are too few."""
    most = 0
    for name, called in _LOSSES.items():
        if name not in run.scalar_names():
            continue
        at, losses = ascending(*run.scalars(name))
        usable = (at > 0) & (at <= last) & np.isfinite(losses)
        most = max(most, int(usable.sum()))
        if usable.sum() >= _FEWEST:
            return called, at[usable], losses[usable]
    raise ValueError(f"A law needs {_FEWEST} training losses, and up to here there are {most}.")


def _words(which: str, law: LossLaw, past: Array) -> str:
    """Which law, fitted to what, and how far it can be trusted."""
    fitted = f"fitted to {len(law.steps)} points of {which} up to step {len(past):,}"
    power = f"L = {law.floor:.3g} + {law.scale:.3g} S₁^−{law.exponent:.2g}"
    if np.ptp(past) == 0:
        return (
            f"The learning rate never changed, so the annealing term cannot be fitted: this is the power law in the "
            f"sum S₁ of learning rates alone, {power}, {fitted}. It says nothing of what annealing gains. {_ORIGIN}"
        )
    whole = f"Annealing law {power} − {law.annealing:.3g} S₂, {fitted}."
    if law.annealing == 0:
        whole += " The fit leaves the annealing term no part."
    elif (np.diff(past) >= 0).all():
        whole += " The rate has only risen so far, and what annealing gains is read from that."
    return f"{whole} {_ORIGIN}"
