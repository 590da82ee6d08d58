"""What the page is told about a training's controls: what it can ask for, and why not for the rest."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from landscope import lab
from landscope.live.checkpoints import Checkpoints
from landscope.live.knobs import Knob, Knobs
from landscope.live.steered import OPTIMIZERS, Steered
from landscope.live.training_state import TrainingState

__all__ = ["Announcement"]

_INTERVAL = 1.0  # seconds
_SHARE = 0.01  # of the time since the beginning of a run, between two changes by a schedule
_PATIENCE = 10  # steps of a training within which an optimiser should have taken one

_NO_OPTIMIZER = "watch was not given the optimiser; pass optimizer=..."
_OWN_BATCHES = "the loop draws its batches itself; let it draw them from scope.batches(data, batch_size)"
_NO_CLOSURE = "SAM needs the loss at other weights than the present ones; pass a closure to optimizer.step"
_SEVERAL = "the loop has several optimisers, each with parameters of its own; change them where they are made"
_UNREACHED = (
    "the loop does not call step of the optimiser that watch was given, perhaps a compiled copy of it, which nothing "
    "that is set here reaches; call optimizer.step()"
)
_SCHEDULE = "rewinding does not take back the schedule of the learning rate; name it: scope.include(schedule)"


class Announcement:
    """The contents of "controls" events.

    Args:
        optimizers: The loop's.
        knobs: What can be turned.
        state: Of the training.
        checkpoints: Of the training.
        gradient_seconds: What a gradient of the training objective takes.
    """

    def __init__(
        self, optimizers: Steered, knobs: Knobs, state: TrainingState, checkpoints: Checkpoints, gradient_seconds: float
    ) -> None:
        self._optimizers = optimizers
        self._knobs = knobs
        self._state = state
        self._checkpoints = checkpoints
        self._gradient_seconds = gradient_seconds
        self._said: tuple[list[Knob], dict[str, Any]] | None = None
        self._began = time.perf_counter()
        self._looked = self._told = float("-inf")

    def forget(self) -> None:
        """Says everything anew the next time, as in another run."""
        self._said, self._looked, self._began = None, float("-inf"), time.perf_counter()

    def expedite(self) -> None:
        """Lets the next change of a value be told as soon as any other."""
        self._told = float("-inf")

    def news(self) -> dict[str, Any] | None:
        """What there is to say; None if nothing has changed noticeably, or it was asked less than a second ago.

        Values that nobody but a schedule has changed are told the more rarely the longer the training goes on, so that
        a run's events do not grow with its length.
        """
        now = time.perf_counter()
        if now - self._looked < _INTERVAL:
            return None
        self._looked = now
        knobs, rest = self._knobs.all(), self._rest()
        if self._said is not None and rest == self._said[1]:
            same = len(knobs) == len(self._said[0]) and all(map(Knob.resembles, knobs, self._said[0]))
            if same or now - self._told < _SHARE * (now - self._began):
                return None
        self._said, self._told = (knobs, rest), now
        return {"knobs": [asdict(knob) for knob in knobs], **rest}

    def _rest(self) -> dict[str, Any]:
        return {
            "optimizers": self._choices(),
            "optimizer": self._optimizers.name,
            "checkpoints": self._checkpoints.steps,
            "measurements": list(lab.ENTRIES),
            "reasons": self._reasons(),
            "gradient_seconds": self._gradient_seconds,
        }

    def _choices(self) -> list[str]:
        if len(self._optimizers) != 1:
            return []
        (optimizer,) = self._optimizers
        without = () if optimizer.closure else ("SAM",)
        return list(dict.fromkeys((type(optimizer.own).__name__, *(n for n in OPTIMIZERS if n not in without))))

    def _reasons(self) -> dict[str, str]:
        reasons: dict[str, str] = {}
        if not self._optimizers:
            reasons |= dict.fromkeys(("lr", "weight_decay", "momentum", "optimizer"), _NO_OPTIMIZER)
        elif len(self._optimizers) > 1:
            reasons["optimizer"] = _SEVERAL
        elif not self._optimizers[0].closure:
            reasons["SAM"] = _NO_CLOSURE
        if any(optimizer.unreached > _PATIENCE for optimizer in self._optimizers):
            reasons |= dict.fromkeys(("lr", "weight_decay", "momentum", "optimizer"), _UNREACHED)
        if self._knobs.batches is None:
            reasons["batch_size"] = _OWN_BATCHES
        if self._checkpoints.off:
            reasons["rewind"] = self._checkpoints.off
        elif self._optimizers.scheduled and not self._state.has_schedule:
            reasons["rewind"] = _SCHEDULE
        return reasons
