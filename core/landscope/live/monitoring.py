"""What is known of every step: measured on the device, where the numbers stay until they are written down."""

from __future__ import annotations

import logging

import numpy as np

from landscope.dynamics import StepMonitor
from landscope.live.watched import Watched

__all__ = ["Monitoring"]

logger = logging.getLogger(__name__)

_MOST_PARAMETERS = 2**26  # of which two more vectors are kept
_NUMBERS = ("gradient_norm", "update_ratio", "update_cosine")


class Monitoring:
    """Gradient norm, update over weights and the turn of the updates, of every step.

    Steps of more than 67 million parameters are not measured, since the weights and the update before are kept. A
    failure ends it, once and for all, and is logged.

    Args:
        watched: What is in training.
    """

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._steps: list[int] = []
        self._waiting: list[tuple[int, dict[str, float]]] = []
        self._batch_size: int | None = None
        self._rate: float | None = None
        self._monitor: StepMonitor | None = None
        self.renew()

    def renew(self) -> None:
        """Goes on with the model's parameters as they are by now."""
        self._waiting += self._taken()
        few = self._watched.train.layout.size <= _MOST_PARAMETERS
        self._monitor = StepMonitor(self._watched.train.model.parameters()) if few else None

    def step(self, rate: float | None = None) -> None:
        """Takes in the step that was just made.

        Args:
            rate: Its learning rate, told once, and again where it has changed.
        """
        if rate is not None and rate != self._rate:
            self._rate = rate
            self._waiting.append((self._watched.step, {"step/learning_rate": rate}))
        if self._monitor is None:
            return
        try:
            self._monitor.step()
            self._steps.append(self._watched.step)
        except Exception as failure:  # noqa: BLE001 whatever measuring does, training goes on
            self._monitor = None
            logger.warning("steps are not measured from step %d on: %s", self._watched.step, failure)

    def read(self, batch_size: int | None = None) -> list[tuple[int, dict[str, float]]]:
        """Every step since the last time with its finite numbers, by the names they are recorded under.

        Args:
            batch_size: Examples in a step, told once, and again where it has changed.
        """
        found, self._waiting = self._waiting + self._taken(), []
        if batch_size is not None and batch_size != self._batch_size:
            self._batch_size = batch_size
            found.append((self._watched.step, {"batch/size": float(batch_size)}))
        return found

    def _taken(self) -> list[tuple[int, dict[str, float]]]:
        if self._monitor is None:
            return []
        seen = self._monitor.read()
        steps, self._steps = self._steps[len(self._steps) - len(seen.steps) :], []
        columns = {f"step/{name}": getattr(seen, name) for name in _NUMBERS}
        rows = (
            {name: float(values[at]) for name, values in columns.items() if np.isfinite(values[at])}
            for at in range(len(steps))
        )
        return [(step, row) for step, row in zip(steps, rows, strict=True) if row]
