"""Studies: recipes whose result is a comparison of several trainings, recorded as one run."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from landscope.live.progress import ProgressLine
from landscope.measurements import Measurement
from landscope.recipes.settings import Configuration
from landscope.runs import Run, RunWriter

__all__ = ["Study", "exhibited"]

_PAUSE = 0.1
_REFRESH = 1.0  # seconds


Kind = TypeVar("Kind", bound=Measurement)


def exhibited(run: Run, name: str, kind: type[Kind]) -> Kind:
    """What a run showed last under a name.

    Raises:
        KeyError: if it showed nothing of that name.
        TypeError: if what it showed is of another kind.
    """
    shown = run.measurement(f"exhibit/{name}")
    if not isinstance(shown, kind):
        raise TypeError(f"exhibit {name} must be a {kind.__name__}, got a {type(shown).__name__}")
    return shown


class Study:
    """A run of a recipe that trains many models: what it shows are exhibits, each in a panel of its own.

    As a context manager it ends the run as "finished", "failed" or "stopped".

    Example:
        >>> with Study("width", config, runs, total=400) as study:  # doctest: +SKIP
        ...     while study.step < 400 and not study.stopped:
        ...         study.advance()
        ...         if study.due():
        ...             study.exhibit("sharpness", chart)

    Args:
        recipe: Its name.
        config: Its settings.
        runs: The folder of runs.
        total: Steps in all, whatever a step of this recipe is.

    Attributes:
        step: Steps taken.
        stopped: Whether the page has asked it to end; a loop that looks at it can end itself.
    """

    def __init__(self, recipe: str, config: Configuration, runs: Path, *, total: int) -> None:
        self._writer = RunWriter.create(
            runs, name=recipe, recipe=recipe, config=dict(vars(config)), panels={"probes": [], "study": True}
        )
        self._total = total
        self._line = ProgressLine() if os.environ.get("LANDSCOPE_PROGRESS") else None
        self._shown: set[str] = set()
        self._latest: dict[str, float] = {}
        self._refreshed = -math.inf
        self.step = 0
        self.stopped = False
        self._writer.progress(0, total)

    @property
    def path(self) -> Path:
        """The folder of the run."""
        return self._writer.path

    def exhibit(
        self, name: str, measurement: Measurement, title: str = "", summary: str = "", window: Sequence[str] = ()
    ) -> None:
        """Shows a measurement at the present step, in place of the earlier ones of that name.

        Args:
            name: Short name; panels stand in the order in which names first come.
            measurement: What `landscope.figures` can draw.
            title: What is to be seen; may be left out where the measurement has a title of its own.
            summary: One sentence on how to read it, likewise.
            window: Settings that a box dragged in its picture stands for: left, right, bottom and top, in powers of
                ten where an axis is logarithmic. The page offers to run the recipe again for that box.
        """
        if name not in self._shown:
            self._shown.add(name)
            heading = title or getattr(measurement, "title", name)
            words = {"name": name, "title": heading, "summary": summary or getattr(measurement, "summary", "")}
            box = {"window": list(window)} if window else {}
            self._writer.event(self.step, "exhibit", heading, {**words, **box})
        self._writer.measurement(self.step, f"exhibit/{name}", measurement.at(self.step))

    def scalars(self, values: Mapping[str, float]) -> None:
        """Records numbers of the present step."""
        self._writer.scalars(self.step, values)
        self._latest |= values

    def due(self) -> bool:
        """Whether to show exhibits anew: a second after they last were due, and at the end."""
        now = time.monotonic()
        if now - self._refreshed < _REFRESH and self.step < self._total and not self.stopped:
            return False
        self._refreshed = now
        return True

    def say(self, text: str) -> None:
        """Tells what is being done now."""
        self._writer.event(self.step, "message", text)

    def advance(self, steps: int = 1) -> None:
        """Tells that steps have been taken, and obeys the page: pause, go on, stop."""
        self.step += steps
        self._writer.progress(self.step, self._total)
        if self._line is not None:
            self._line.show(self.step, self._total, self._latest)
        waiting = False
        while True:
            for command in self._writer.commands():
                self.stopped |= command.kind == "stop"
                wanted = {"pause": True, "resume": False, "stop": False}.get(command.kind, waiting)
                if wanted != waiting:
                    waiting = wanted
                    self._writer.event(self.step, "status", "paused" if waiting else "running")
            if not waiting:
                return
            time.sleep(_PAUSE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._line is not None:
            self._line.end([])
        self._writer.__exit__(kind, error, traceback)
