"""Obeying the page: what it asks of a training is carried out between two steps."""

from __future__ import annotations

import logging
import time

from landscope.live.cross_check import cross_check
from landscope.live.watched import Watched
from landscope.runs import RunWriter

__all__ = ["Control"]

logger = logging.getLogger(__name__)

_PAUSE_POLL = 0.05


class Control:
    """The commands of the page.

    Attributes:
        stopped: Whether the page has asked the training to stop.

    Args:
        watched: What is in training.
        writer: Of the run, through which commands come and what was done is noted.
    """

    def __init__(self, watched: Watched, writer: RunWriter) -> None:
        self.stopped = False
        self._watched = watched
        self._writer = writer
        self._paused = False

    def obey(self) -> None:
        """Carries out what the page asked for; while paused, waits here."""
        while True:
            for command in self._writer.commands():
                if command.kind in ("pause", "resume"):
                    self._paused = command.kind == "pause"
                    self._writer.event(self._watched.step, "status", "paused" if self._paused else "running")
                elif command.kind == "stop":
                    self.stopped, self._paused = True, False
                elif command.kind == "cross-check":
                    self._cross_check()
                else:
                    logger.warning("the page asked for %r, which this version cannot do", command.kind)
                    continue
                self._writer.event(self._watched.step, "command", command.kind, {"seq": command.seq})
            if not self._paused:
                return
            time.sleep(_PAUSE_POLL)

    def _cross_check(self) -> None:
        try:
            text, numbers = cross_check(self._watched)
        except Exception as failure:  # noqa: BLE001 whatever a measurement does, training goes on
            text, numbers = f"PyHessian could not check this: {failure}", {}
        self._writer.event(self._watched.step, "cross-check", text, numbers)
