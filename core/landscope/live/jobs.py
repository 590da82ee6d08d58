"""Measurements that the page asks for while a training goes on: one at a time, in slots between the steps."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from landscope import lab
from landscope.lab.places import Place, marked
from landscope.lab.selections import Selection
from landscope.live.planes import held_plane
from landscope.live.watched import Watched
from landscope.measurements import Measurement, Slice2D
from landscope.objective import Objective
from landscope.runs import Command, RunWriter, open_run

__all__ = ["Jobs"]

_SLOT = 0.1  # seconds at a time
_INTERVAL = 0.5  # seconds between two events of a job, but for its beginning and its end
_MOST = 8  # that may wait: each holds a copy of the weights


@dataclass
class _Job:
    """A measurement underway.

    Attributes:
        number: Of the command that asked for it.
        what: Is measured.
        step: Whose weights it measures.
        examples: Of which examples, in words, where not of all.
        steps: What is still to come.
        remark: Where on a plane it measures, and what the loss is there.
        said: When its last event was recorded; 0 before it runs.
    """

    number: int
    what: str
    step: int
    examples: str
    steps: Iterator[lab.Progress]
    remark: str = ""
    said: float = 0.0

    @property
    def frame(self) -> str:
        """The name of its results."""
        return f"lab/{self.number}/{self.what}"


class Jobs:
    """Carries out what is asked for, in order, at the weights at which it was asked.

    They take about a tenth of a second of every step of the training, beyond the budget, until they are done.

    Args:
        watched: What is in training.
        writer: Of the run.
        listen: Called often from within a measurement; may cancel it.
    """

    def __init__(self, watched: Watched, writer: RunWriter, listen: Callable[[], None]) -> None:
        self._watched = watched
        self._writer = writer
        self._listen = listen
        self._waiting: deque[_Job] = deque()
        self._cancelled: set[int] = set()
        self._advancing = False
        self._plane: dict[str, Measurement] = {}  # the newest that was asked for

    @property
    def busy(self) -> bool:
        """Whether there is something to measure."""
        return bool(self._waiting)

    def plane(self, place: Place) -> Slice2D:
        """The plane that a place is on, with its centre and its directions.

        Raises:
            ValueError: if the training does not hold them.
        """
        return held_plane(place, open_run(self._writer.path).frames(), {**self._watched.latest, **self._plane})

    def ask(self, command: Command, step: int | None = None, remark: Callable[[Objective], str] | None = None) -> None:
        """Takes in a "measure" command, of the weights that the model has at present.

        Args:
            command: The command.
            step: Whose weights they are, if not those that the training has reached.
            remark: Says of what is measured where that is, if not at the weights of the step.

        Raises:
            ValueError: if it cannot be measured, or too many wait.
        """
        asked = command.params
        watched = self._watched
        objectives = {"train": watched.focus, "test": watched.held_out}
        wholes = {"train": watched.train, "test": watched.test}
        split, examples = asked.get("objective") or "train", asked.get("examples")
        objective = objectives.get(split) if examples is None else wholes.get(split)
        if objective is None:
            known = ", ".join(name for name, known in objectives.items() if known is not None)
            raise ValueError(f"objective must be one of {known}, got {split!r}")
        selection = Selection.read(asked)
        if selection:
            within = [whole for whole in (wholes[split], objectives[split]) if whole is not None]
            read = open_run(self._writer.path).frame_bytes
            objective = selection.of(lambda available: within, examples or objective.examples, read)
        elif examples is not None:
            objective = objective.sample(examples)
        if asked.get("steps"):
            raise ValueError(
                "a live training is measured at one step at a time; ask for each, or when the run has ended"
            )
        if len(self._waiting) >= _MOST:
            raise ValueError(f"at most {_MOST} measurements may wait; cancel one, or ask when they are done")
        trajectory = watched.trajectory
        also = {"test": watched.held_out} if split == "train" and watched.held_out is not None else {}
        subject = lab.Subject(
            objective,
            optimizer=watched.optimizer if step is None else None,
            path=trajectory.path(objective.layout.device) if trajectory.steps else None,
            path_steps=trajectory.steps[:],
            also=also,
        )
        what = str(asked.get("what"))
        steps = lab.begin(what, subject, asked.get("parameters") or {}, report=self._report)
        about = selection.words(split, objective.examples) if selection else ""
        where = "" if remark is None else remark(objective)
        job = _Job(command.seq, what, watched.step if step is None else step, about, steps, where)
        self._waiting.append(job)
        self._say(job, "queued", f"{what} at step {job.step:,} waits for its turn", done=0.0)

    def cancel(self, number: Any) -> None:
        """Ends a job, or keeps it from beginning.

        Raises:
            ValueError: if no such job is underway.
        """
        if number not in (job.number for job in self._waiting):
            raise ValueError(f"no measurement {number!r} is underway")
        self._cancelled.add(number)
        if not self._advancing:
            self._sweep()

    def cancel_all(self) -> None:
        """Ends whatever is underway."""
        for job in list(self._waiting):
            self.cancel(job.number)

    def advance(self) -> None:
        """Goes on with the first of them for a slot; never raises for what a measurement does."""
        if not self._waiting:
            return
        job, until = self._waiting[0], time.perf_counter() + _SLOT
        self._advancing = True
        try:
            while time.perf_counter() < until and job.number not in self._cancelled:
                progress = next(job.steps)
                if progress.result is not None:
                    self._record(job, progress.result.at(job.step))
                if progress.done == 1:
                    self._waiting.popleft()
                    self._say(job, "done", f"{job.what} at step {job.step:,} is done", done=1.0, frame=job.frame)
                    return
                self._tell(progress)
        except lab.Cancelled:
            self._cancelled.add(job.number)
        except Exception as failure:  # noqa: BLE001 whatever a measurement does, training goes on
            self._waiting.popleft()
            self._say(job, "failed", f"{job.what} at step {job.step:,} failed: {lab.reason(failure)}")
        finally:
            self._advancing = False
            self._sweep()

    def _record(self, job: _Job, result: Measurement) -> None:
        if job.remark:
            result = marked(result, job.remark)
        elif isinstance(result, Slice2D):
            self._plane = {job.frame: self._watched.bounded(result)}
        self._writer.measurement(job.step, job.frame, result)

    def _report(self, progress: lab.Progress) -> None:
        self._listen()
        if self._waiting[0].number in self._cancelled:
            raise lab.Cancelled
        self._tell(progress)

    def _sweep(self) -> None:
        """Takes out what was cancelled."""
        for job in [job for job in self._waiting if job.number in self._cancelled]:
            self._waiting.remove(job)
            self._say(job, "cancelled", f"{job.what} at step {job.step:,} was cancelled")
        self._cancelled.clear()

    def _tell(self, progress: lab.Progress) -> None:
        """Says how far the present job is, if that was not said a moment ago."""
        job = self._waiting[0]
        if time.perf_counter() - job.said >= _INTERVAL:
            text = f"{job.what} at step {job.step:,} is measured"
            self._say(job, "running", text, done=progress.done, seconds_left=progress.seconds_left)
            job.said = time.perf_counter()

    def _say(
        self,
        job: _Job,
        state: str,
        text: str,
        *,
        done: float | None = None,
        seconds_left: float | None = None,
        frame: str | None = None,
    ) -> None:
        numbers = {"job": job.number, "what": job.what, "state": state, "done": done, "seconds_left": seconds_left}
        about = {"examples": job.examples} if job.examples else {}
        about |= {"remark": job.remark} if job.remark else {}
        self._writer.event(self._watched.step, "job", text, {**numbers, "frame": frame, **about})
