"""Carrying out what was asked for of a run, one job after the other, and telling how far it is."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from landscope import lab
from landscope.experiments import Experiment
from landscope.lab.places import marked
from landscope.measurements import Measurement
from landscope.runs import Run, RunAppender
from landscope.runs.commands import Inbox
from landscope.worker.bench import Bench
from landscope.worker.requests import MeasureRequest, measured, pasts

__all__ = ["JobQueue"]

_ATTEMPTS = 2
_POLL = 0.2  # seconds between two looks for commands
_INTERVAL = 0.5  # seconds between two events of a job, but for its beginning and its end
_UNFINISHED = "unfinished"  # folder for the points of slices underway


class JobQueue:
    """The jobs of a run whose training has ended.

    A job that was begun before and has no end goes on where it was. One that took its process down twice is given up.

    Attributes:
        bench: What is measured.
        current: What is carried out; None between jobs.

    Args:
        run: The run.
        appender: Its writer.
        build: Builds the run's experiment.
        files: Bare checkpoints by step.
        show: Called several times a second with what is measured, the step, and how far the whole job is.
    """

    def __init__(
        self,
        run: Run,
        appender: RunAppender,
        build: Callable[[], Experiment],
        files: Mapping[int, Path] | None = None,
        *,
        show: Callable[[MeasureRequest, int, lab.Progress], None] = lambda request, step, progress: None,
    ) -> None:
        self.bench = Bench(run, build, files, store=run.path / _UNFINISHED)
        self.current: MeasureRequest | None = None
        self._appender = appender
        self._show = show
        self._inbox = Inbox(run.path)
        self._polled = self._said = float("-inf")
        self._waiting: dict[int, MeasureRequest] = {}
        self._examples: dict[int, str] = {}  # of which a job measures, and how many those are
        self._remarks: dict[int, str] = {}  # where on a plane a job measures, and what the loss is there
        self._cancelled: set[int] = set()
        events = run.events("job")
        self._pasts, self._measured = pasts(events), measured(events)
        self._over = {job for job, past in self._pasts.items() if past.ended}  # or begun here
        self.take()

    @property
    def waiting(self) -> list[MeasureRequest]:
        """What is to be done, oldest first."""
        return list(self._waiting.values())

    def take(self) -> None:
        """Takes in new commands, if it is time to look for them again."""
        now = time.monotonic()
        if now - self._polled < _POLL:
            return
        self._polled = now
        for command in self._inbox.poll():
            if command.kind == "cancel":
                self._cancel(command.params.get("job"))
            elif command.kind == "measure" and command.seq not in self._over:
                self._enqueue(command.seq, command.params)

    def carry_out(self, request: MeasureRequest) -> bool:
        """Does a job, whatever it takes; whether it came to its end.

        Raises:
            OSError: if the run cannot be written any more.
            sqlite3.Error: if the disk refuses what is recorded.
        """
        self._over.add(request.job)
        attempts = self._pasts[request.job].attempts if request.job in self._pasts else 0
        if attempts >= _ATTEMPTS:
            self._waiting.pop(request.job, None)
            text = (
                f"{request.what} failed: it ended the process that measured it {attempts} times, as happens when "
                "memory is short: ask for fewer points, eigenvalues or examples"
            )
            self._tell(request, _first(request.steps), "failed", text)
            return False
        steps: tuple[int, ...] = request.steps
        self.current = request
        try:
            steps = request.steps or self._where(request)
            self._tell(request, steps[0], "running", f"{request.what} is measured", done=0.0, attempt=attempts + 1)
            for number, step in enumerate(steps):
                if (request.key, step) not in self._measured:
                    self._measure(request, step, number, len(steps))
        except (lab.Cancelled, KeyboardInterrupt) as end:
            self.abandon(request)
            if isinstance(end, KeyboardInterrupt):
                raise
            return False
        except Exception as failure:  # noqa: BLE001 whatever a measurement does, the next one has its turn
            self._tell(request, _first(steps), "failed", f"{request.what} failed: {lab.reason(failure)}")
            return False
        finally:
            self.current = None
            self._waiting.pop(request.job, None)
        shutil.rmtree(self.bench.store, ignore_errors=True)
        facts = {"done": 1.0, "seconds_left": 0.0, "frame": request.frame, **self._said_of(request)}
        self._tell(request, steps[-1], "done", f"{request.what} is done", **facts)
        return True

    def abandon(self, request: MeasureRequest) -> None:
        """Records that a job was cancelled."""
        self._tell(request, _first(request.steps), "cancelled", f"{request.what} was cancelled")

    def _measure(self, request: MeasureRequest, step: int, number: int, of: int) -> None:
        def report(progress: lab.Progress) -> None:
            self.take()
            if request.job in self._cancelled:
                raise lab.Cancelled
            whole = _whole(progress, number, of)
            self._show(request, step, whole)
            if time.monotonic() - self._said >= _INTERVAL:
                done, left = whole.done, whole.seconds_left
                self._tell(request, step, "running", f"{request.what} at step {step:,}", done=done, seconds_left=left)

        report(lab.Progress(0.0, None))
        path, selection = request.what == "slice2d", request.selection
        subject = self.bench.subject(step, request.split, request.examples, selection, path=path)
        if selection:
            self._examples[request.job] = selection.words(request.split, subject.objective.examples)
        if request.place is not None:
            self._remarks[request.job] = self.bench.move(subject, request.place)
        for progress in lab.begin(request.what, subject, request.parameters, report=report):
            if progress.result is not None:
                self._appender.measurement(step, request.frame, self._marked(request, progress.result.at(step)))
            report(progress)
        self._measured.add((request.key, step))
        text = f"{request.what} at step {step:,} is measured"
        facts = {"done": (number + 1) / of, "key": request.key, "measured": step, "frame": request.frame}
        facts |= self._said_of(request)
        self._tell(request, step, "running", text, **facts)

    def _marked(self, request: MeasureRequest, result: Measurement) -> Measurement:
        """The result, which says where it was measured if that is not at the weights of its step."""
        return marked(result, self._remarks[request.job]) if request.job in self._remarks else result

    def _said_of(self, request: MeasureRequest) -> dict[str, Any]:
        return {"remark": self._remarks[request.job]} if request.job in self._remarks else {}

    def _where(self, request: MeasureRequest) -> tuple[int, ...]:
        """The step of the weights that a request without one is about."""
        return self._last() if request.place is None else (self.bench.step_of(request.place),)

    def _last(self) -> tuple[int, ...]:
        steps = self.bench.steps()
        if not steps:
            raise ValueError("the run has no weights: it was recorded without snapshots")
        return (steps[-1],)

    def _enqueue(self, job: int, params: Mapping[str, Any]) -> None:
        try:
            request = MeasureRequest.read(job, params)
        except ValueError as wrong:
            what = str(params.get("what"))
            self._tell(MeasureRequest(job, what), 0, "failed", f"{what} cannot be measured: {wrong}")
            return
        if self._waiting or self.current is not None:
            self._tell(request, _first(request.steps), "queued", f"{request.what} waits for its turn", done=0.0)
        self._waiting[job] = request

    def _cancel(self, job: Any) -> None:
        self._cancelled.add(job)
        if job in self._waiting and not (self.current and job == self.current.job):
            self.abandon(self._waiting.pop(job))

    def _tell(self, request: MeasureRequest, step: int, state: str, text: str, **facts: Any) -> None:
        self._said = time.monotonic()
        data = {"job": request.job, "what": request.what, "state": state, "done": None, "seconds_left": None, **facts}
        if request.selection:
            data["examples"] = self._examples.get(request.job, request.selection.words(request.split))
        self._appender.event(step, "job", text, data)


def _whole(progress: lab.Progress, number: int, of: int) -> lab.Progress:
    """How far all steps are, when one of them is that far."""
    done = None if progress.done is None else (number + progress.done) / of
    left = progress.seconds_left
    if left is not None and of > number + 1:
        share = progress.done or 0.0
        each = left / (1 - share) if share < 1 else None
        left = None if each is None else left + each * (of - number - 1)
    return lab.Progress(done, left)


def _first(steps: tuple[int, ...]) -> int:
    return steps[0] if steps else 0
