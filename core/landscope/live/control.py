"""Obeying the page: what it asks of a training is carried out between two steps."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

import torch
from torch import Tensor

from landscope.lab.places import Place, compared
from landscope.live.announcement import Announcement
from landscope.live.checkpoints import Checkpoints
from landscope.live.cross_check import cross_check
from landscope.live.jobs import Jobs
from landscope.live.knobs import Knobs
from landscope.live.planes import weights_on
from landscope.live.steered import Steered
from landscope.live.training_state import TrainingState
from landscope.live.watched import Watched
from landscope.measurements import Slice2D, Snapshot
from landscope.objective import Objective
from landscope.optimizers import as_optimizers
from landscope.runs import Command, Parent, RunWriter, open_run

__all__ = ["Control"]

logger = logging.getLogger(__name__)

_PAUSE_POLL = 0.05


class Control:
    """The commands of the page.

    Whatever it asks for and cannot have is refused with the reason, as an event; nothing of it ends a training.

    Attributes:
        stopped: Whether the page has asked the training to stop.
        knobs: What can be turned.
        state: Of the training.
        checkpoints: Of the training.

    Args:
        watched: What is in training.
        writer: Of the run, through which commands come and what was done is noted.
        overhead: Seconds of measuring for each second of training.
        gradient_seconds: What a gradient of the training objective takes, for what the page foretells.
        before_waiting: Called when the training is about to wait.
        enter: Called with the writer of a branch, in whose run the training goes on.
    """

    def __init__(
        self,
        watched: Watched,
        writer: RunWriter,
        *,
        overhead: float,
        gradient_seconds: float,
        before_waiting: Callable[[], None],
        enter: Callable[[RunWriter], None],
    ) -> None:
        self.stopped = False
        self.optimizers = Steered(as_optimizers(watched.optimizer))
        self.knobs = Knobs(self.optimizers)
        self.state = TrainingState(watched.train.model, self.optimizers)
        self.checkpoints = Checkpoints(self.state, overhead)
        self._watched = watched
        self._writer = writer
        self._before_waiting = before_waiting
        self._enter = enter
        self._announcement = Announcement(self.optimizers, self.knobs, self.state, self.checkpoints, gradient_seconds)
        self._jobs = Jobs(watched, writer, self._listen)
        self._kept: list[Command] = []  # what came while a measurement went on
        self._paused = False
        self._through = 0  # steps to let through while paused
        self._doing: dict[str, Callable[[Command], None]] = {
            "pause": lambda command: self._pause(True),
            "resume": lambda command: self._pause(False),
            "step": self._step,
            "stop": self._stop,
            "cross-check": self._cross_check,
            "set": self._set,
            "optimizer": self._optimizer,
            "snapshot": lambda command: self.checkpoints.keep(self._watched.step),
            "rewind": self._rewind,
            "measure": self._measure,
            "cancel": lambda command: self._jobs.cancel(command.params.get("job")),
        }

    def effective(self) -> AbstractContextManager[None]:
        """Within, the optimisers hold the values with which they step."""
        return self.optimizers.effective()

    def begin(self, writer: RunWriter) -> None:
        """Goes on in another run."""
        self._writer = writer
        self._jobs = Jobs(self._watched, writer, self._listen)
        self._announcement.forget()
        if self._paused:
            writer.event(self._watched.step, "status", "paused")

    def announce(self) -> None:
        """Records what can be asked for, if that has changed."""
        news = self._announcement.news()
        if news is not None:
            self._writer.event(self._watched.step, "controls", "", news)

    def obey(self, *, stepped: bool = True) -> None:
        """Carries out what the page asked for, after a step or a part of one; while paused, waits here."""
        if stepped:
            self.optimizers.after_step()
            self._through = max(0, self._through - 1)
        waited = False
        while True:
            for command in self._commands():
                self._carry_out(command)
            if self._jobs.busy:
                with self.effective():
                    self._jobs.advance()
            self.announce()
            if not self._paused or self._through:
                return
            if not waited:
                waited = True
                self._before_waiting()
            if not self._jobs.busy:
                time.sleep(_PAUSE_POLL)

    def close(self) -> None:
        """Ends what is underway."""
        self._jobs.cancel_all()

    def _commands(self) -> list[Command]:
        kept, self._kept = self._kept, []
        return kept + self._writer.commands()

    def _listen(self) -> None:
        """While a measurement goes on: carries out what ends it, and keeps everything else for afterwards."""
        for command in self._writer.commands():
            if command.kind in ("cancel", "stop"):
                self._carry_out(command)
            else:
                self._kept.append(command)

    def _carry_out(self, command: Command) -> None:
        writer, step = self._writer, self._watched.step  # a rewind changes both
        try:
            if command.kind not in self._doing:
                raise ValueError(f"this version cannot do {command.kind!r}")
            self._doing[command.kind](command)
        except Exception as failure:  # noqa: BLE001 whatever the page asks for, training goes on
            logger.warning("%s is refused at step %d: %s", command.kind, step, failure)
            self._writer.event(step, "refused", str(failure), {"seq": command.seq, "kind": command.kind})
            return
        self._announcement.expedite()
        if writer is self._writer:
            writer.event(step, "command", command.kind, {"seq": command.seq})

    def _pause(self, paused: bool) -> None:
        if paused != self._paused:
            self._writer.event(self._watched.step, "status", "paused" if paused else "running")
        self._paused, self._through = paused, 0

    def _step(self, command: Command) -> None:
        through = self._through
        self._pause(True)
        self._through = through + 1

    def _stop(self, command: Command) -> None:
        self._jobs.cancel_all()
        self.stopped, self._paused = True, False

    def _cross_check(self, command: Command) -> None:
        try:
            text, numbers = cross_check(self._watched)
        except Exception as failure:  # noqa: BLE001 whatever a measurement does, training goes on
            text, numbers = f"PyHessian could not check this: {failure}", {}
        self._writer.event(self._watched.step, "cross-check", text, numbers)

    def _set(self, command: Command) -> None:
        asked = command.params
        turn = self.knobs.turn(asked.get("name"), asked.get("value"), asked.get("group"))
        self._intervened(command, turn.text, turn.name, turn.before, turn.after, turn.group)

    def _optimizer(self, command: Command) -> None:
        optimizer = self.optimizers.single()
        before, rate = optimizer.name, optimizer.value("lr", 0)
        optimizer.use(str(command.params.get("name")))
        self.knobs.renew_ranges()
        self._watched.optimizer = optimizer.active
        text = f"optimiser {before} → {optimizer.name}"
        if optimizer.value("lr", 0) != rate:
            text += f", with its learning rate {optimizer.value('lr', 0):g} instead of {rate:g}"
        self._intervened(command, text, "optimizer", before, optimizer.name)

    def _measure(self, command: Command) -> None:
        step, at = command.params.get("step"), command.params.get("at")
        if at is not None:
            self._measure_at(command, Place.read(at))
            return
        if step in (None, self._watched.step):
            self._jobs.ask(command)
            return
        with self.state.weights(self._earlier(step)):
            self._jobs.ask(command, step)

    def _measure_at(self, command: Command, place: Place) -> None:
        if command.params.get("step") is not None:
            raise ValueError("a place on a plane is of the plane's own step; give either at or a step")
        plane = self._jobs.plane(place)
        step = plane.provenance.step
        assert step is not None
        weights = weights_on(plane, place, self._watched.train.layout)
        with self.state.weights({**self._buffers(step), **weights}):
            self._jobs.ask(command, step, lambda objective: _said(plane, place, objective))

    def _buffers(self, step: int) -> dict[str, Tensor]:
        """Those of a step, by name; none where the model's own are still these."""
        if step == self._watched.step or not any(True for _ in self._watched.train.model.buffers()):
            return {}
        if step not in self.checkpoints.steps:
            raise ValueError(
                f"the model has buffers, as running statistics, which are no longer those of step {step:,} around "
                "whose weights the plane lies; ask when the run has ended"
            )
        buffers: dict[str, Tensor] = self.checkpoints.load(step)[1]["buffers"]
        return buffers

    def _earlier(self, step: Any) -> dict[str, Tensor]:
        """Parameters and buffers of a checkpoint, or the parameters of a snapshot of a model that has no buffers."""
        model, layout = self._watched.train.model, self._watched.train.layout
        if step not in self.checkpoints.steps and isinstance(step, int) and not any(True for _ in model.buffers()):
            with suppress(KeyError):
                found = open_run(self._writer.path).measurement("snapshot", step)
                if isinstance(found, Snapshot) and found.provenance.step == step and found.names == layout.names:
                    return dict(layout.unflatten(torch.from_numpy(found.theta)))
        _, state = self.checkpoints.load(step)
        return {**state["parameters"], **state["buffers"]}

    def _rewind(self, command: Command) -> None:
        """Loads a checkpoint and goes on in a branch of the run that it was kept in."""
        now = self._watched.step
        folder, state = self.checkpoints.load(command.params.get("step"))
        step = state["step"]
        before = copy.deepcopy(self.state.taken(now))
        try:
            self.state.load(state)
            branch = self._writer.branch(Parent(folder.name, step))
        except BaseException:
            self.state.load(before)
            raise
        self._jobs.cancel_all()
        if len(self.optimizers) == 1:
            self._watched.optimizer = self.optimizers.single().active
        text = f"rewound from step {now:,} to step {step:,}"
        self._intervened(command, text, "rewind", now, step)
        seq = {"seq": command.seq}
        self._writer.event(now, "branch", f"{text}: goes on as {branch.id}", {"run": branch.id, "step": step, **seq})
        self._writer.event(now, "command", command.kind, seq)
        self._enter(branch)

    def _intervened(
        self, command: Command, text: str, name: str, before: Any, after: Any, group: int | None = None
    ) -> None:
        data = {"name": name, "before": before, "after": after, "group": group, "seq": command.seq}
        self._writer.event(self._watched.step, "intervention", text, data)


def _said(plane: Slice2D, place: Place, objective: Objective) -> str:
    """Where the model's present weights lie on a plane, and the loss there beside what the plane says."""
    loss = objective.value(objective.theta())
    return f"{place.words(plane)}: {compared(plane, place, objective, loss)}"
