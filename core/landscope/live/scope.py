"""Line two: a training that is watched, told of each of its steps."""

from __future__ import annotations

import atexit
import os
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch import Tensor, nn

from landscope.live.alterations import Alterations
from landscope.live.budget import FIRST_PICTURE, Budget
from landscope.live.chronicle import Chronicle
from landscope.live.control import Control
from landscope.live.minibatches import Batches
from landscope.live.monitoring import Monitoring
from landscope.live.notebook import Inline, cell, page_of
from landscope.live.probes import Probe, Watched
from landscope.live.progress import ProgressLine
from landscope.live.runner import Runner
from landscope.live.training_state import Stateful
from landscope.runs import RunWriter

__all__ = ["Scope"]

_begun: weakref.WeakSet[Scope] = weakref.WeakSet()


class Scope:
    """A watched training. Use `watch` to make one.

    As a context manager it ends the run as "finished", or as "failed" or "stopped" after an exception; without, the
    end of the program does.
    """

    def __init__(
        self,
        watched: Watched,
        writer: RunWriter,
        probes: Sequence[Probe],
        budget: Budget,
        total_steps: int | None,
        progress: ProgressLine | None,
        background: bool = True,
        *,
        gradient_seconds: float,
        batch_size: int | None = None,
    ) -> None:
        self._watched = watched
        self._writer = writer
        self._budget = budget
        self._total_steps = total_steps
        self._chronicle = Chronicle(writer, total_steps, progress)
        self._monitoring = Monitoring(watched)
        self._batch_size = batch_size
        self._background = background
        self._runner = Runner(watched, probes, budget, writer, self._chronicle, background=background)
        self._control = Control(
            watched,
            writer,
            overhead=budget.overhead,
            gradient_seconds=gradient_seconds,
            before_waiting=self._say,
            enter=self._go_on,
        )
        self._alterations = Alterations(watched.train.model, watched.optimizer)
        self._closed = False
        self._process = os.getpid()
        self._cell = cell()
        _begun.add(self)
        self._training_seconds = self._left = 0.0
        atexit.register(self._flush)
        self._begin()

    @property
    def stopped(self) -> bool:
        """Whether the page has asked the training to stop; a loop that looks at it can end itself."""
        return self._control.stopped

    @property
    def step_number(self) -> int:
        """Optimiser steps taken so far."""
        return self._watched.step

    @property
    def batch_size(self) -> int | None:
        """Examples in a step, where that is known: of `batches`, of a DataLoader, or as a loop has set it here."""
        batches = self._control.knobs.batches
        return self._batch_size if batches is None else batches.batch_size

    @batch_size.setter
    def batch_size(self, examples: int) -> None:
        if self._control.knobs.batches is not None:
            raise ValueError("batches are drawn by scope.batches(); set the batch_size of what it returned")
        self._batch_size = examples

    @property
    def path(self) -> Path:
        """The folder of the run."""
        return self._writer.path

    @property
    def overhead(self) -> float:
        """Seconds by which watching has delayed each second of training, so far."""
        return self._budget.spent / max(self._training_seconds - self._runner.slowed, 1e-9)

    def step(self, loss: Tensor | float | None = None) -> None:
        """Tells that the optimiser has taken a step; measures what is due.

        A call before which the weights were left alone is not counted, and its loss not recorded, where that can be
        told (see `Alterations.stepped`). After the end of the run, and in a forked child, a call does nothing.

        Args:
            loss: The loss of the step's batch, not scaled, to be shown beside the measured ones. It may stay on the
                device.

        Raises:
            ValueError: if the loss is not one number.
        """
        if not self._active:
            return
        entered = time.perf_counter()
        self._training_seconds += entered - self._left
        stepped = self._alterations.stepped()
        if stepped:
            self._follow(loss, entered)
        self._control.obey(stepped=stepped)
        self._left = time.perf_counter()

    def measure(self, *names: str) -> None:
        """Measures the probes of those names now, to the end, whatever the budget; without names, all of them.

        Raises:
            ValueError: if there is no probe of a name, or it was switched off.
        """
        if not self._active:
            return
        began, measured = time.perf_counter(), self._spent_here()
        self._training_seconds += began - self._left
        with self._control.effective():
            self._runner.run(names)
        self._say()
        self._left = time.perf_counter()
        self._budget.charge_besides(self._left - began - (self._spent_here() - measured))

    def batches(self, data: Any, batch_size: int, *, seed: int = 0) -> Batches:
        """Shuffled batches of some data, whose size can be changed from the page, until the training is over.

        It is over when the page asks for that, or after `total_steps`; to end earlier, leave the loop.

        Args:
            data: A Dataset, or a tensor or a tuple, list or mapping of tensors whose first axis runs over the examples.
            batch_size: Examples in a batch, to begin with; with all of them, the data come as they are.
            seed: Of the order of each pass. No other generator is touched.

        Raises:
            ValueError: if this was called before, or the data or the size make no sense (see `Batches`).
            TypeError: if the data have another form.
        """
        if self._control.knobs.batches is not None:
            raise ValueError("batches of this training are drawn already; go on with what the first call returned")
        batches = Batches(data, batch_size, seed, self._over)
        self._control.knobs.batches = batches
        self.include(batches)
        return batches

    def include(self, *things: Stateful) -> None:
        """Makes the states of objects part of checkpoints, so that they go back too when the page asks to rewind.

        Args:
            things: What has `state_dict` and `load_state_dict`: schedules, a gradient scaler, a running average.

        Raises:
            TypeError: if one of them has not.
        """
        for thing in things:
            if not (hasattr(thing, "state_dict") and hasattr(thing, "load_state_dict")):
                raise TypeError(f"what is included needs state_dict and load_state_dict, got a {type(thing).__name__}")
        self._control.state.included += things
        self._control.checkpoints.complete(self._watched.step)

    def close(self, status: str = "finished") -> None:
        """Ends the run: "finished", "stopped" or "failed". A second call does nothing."""
        atexit.unregister(self._flush)
        if self._active:
            self._closed = True
            self._control.close()
            self._flush()
            self._writer.close(status)

    @staticmethod
    def end_replaced(name: str, model: nn.Module) -> None:
        """Ends what an earlier cell of the notebook began for what the present one watches again."""
        for scope in list(_begun):
            again = scope._cell is not None and scope._cell != cell()
            if again and (name == scope._writer.manifest.name or model is scope._watched.train.model):
                scope.close("stopped")

    def show(self, height: int = 720) -> Inline:
        """The run's page, inline in a notebook where this is the value of a cell; live, also while a cell trains.

        Its server is started for the folder of runs where there is none yet, and ends with this process.

        Args:
            height: In pixels.

        Raises:
            RuntimeError: if the server does not start.
        """
        return Inline(page_of(self.path), height)

    def _repr_html_(self) -> str:
        return self.show()._repr_html_()

    def state_dict(self) -> dict[str, Any]:
        """What belongs into a checkpoint of the training, for `watch(..., resume=...)`: the run and the step."""
        return {"run": self._writer.id, "step": self._watched.step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Counts on from the step of a checkpoint that was loaded after `watch`; better is `watch(..., resume=state)`.

        Raises:
            ValueError: if more steps than that have been recorded in this run already.
        """
        step = int(state["step"])
        if step < self._watched.step:
            raise ValueError(
                f"the checkpoint is of step {step}, and this run is at step {self._watched.step} already: "
                "start another with watch(..., resume=state)"
            )
        self._watched.step = step
        self._writer.event(step, "message", f"Training goes on from step {step:,} of run {state.get('run', 'unknown')}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close("stopped" if self.stopped else "finished")
        else:
            self.close("stopped" if isinstance(error, KeyboardInterrupt) else "failed")

    def _begin(self) -> None:
        """What the beginning of a run records."""
        self._remember()
        with self._control.effective():
            self._runner.first_picture()
        began = time.perf_counter()
        self._control.checkpoints.begin(self._writer.path, self._watched.step, FIRST_PICTURE)
        self._control.announce()
        self._budget.charge_besides(time.perf_counter() - began)
        self._say()
        self._left = time.perf_counter()

    def _go_on(self, writer: RunWriter) -> None:
        """Ends this run and goes on with its branch, from the step that the model has been taken back to."""
        parent = writer.manifest.parent
        assert parent is not None
        self._runner.end()
        chronicle = self._chronicle.branched(writer, parent.step)
        self._flush()
        self._writer.close("stopped")
        self._writer, self._chronicle = writer, chronicle
        atexit.unregister(self._flush)
        atexit.register(self._flush)  # again, as what was registered last runs first: before the writer closes
        self._watched.rewind(parent.step)
        self._monitoring = Monitoring(self._watched)
        probes = self._runner.probes
        for probe in probes:
            if hasattr(probe.measure, "rewound"):
                probe.measure.rewound(parent.step)
        self._budget = self._budget.renewed()
        self._runner = Runner(self._watched, probes, self._budget, writer, chronicle, background=self._background)
        self._training_seconds = 0.0
        self._control.begin(writer)
        self._begin()

    def _over(self) -> bool:
        return self.stopped or (self._total_steps is not None and self._watched.step >= self._total_steps)

    @property
    def _active(self) -> bool:
        return not self._closed and os.getpid() == self._process

    def _follow(self, loss: Tensor | float | None, entered: float) -> None:
        """Notes a step, and measures what is due after it."""
        measured = self._spent_here()
        self._watched.step += 1
        if loss is not None:
            self._chronicle.loss(self._watched.step, loss)
        if self._alterations.reformed():
            self._renew()
        self._monitoring.step(self._control.optimizers.rate())
        self._remember()
        if self._runner.wants(self._training_seconds, entered):
            with self._control.effective():
                self._runner.run_due(entered)
        self._control.checkpoints.keep_due(self._watched.step, self._training_seconds)
        if self._chronicle.due(entered):
            self._say()
        self._writer.progress(self._watched.step, self._total_steps)
        self._budget.charge_besides(time.perf_counter() - entered - (self._spent_here() - measured))

    def _renew(self) -> None:
        """Goes on with the model as it is by now."""
        self._runner.restart()
        added = self._watched.renew()
        self._monitoring.renew()
        if added:
            more = f" and {len(added) - 1} more" if len(added) > 1 else ""
            text = f"{added[0]}{more} can be trained from here on, and are measured with the rest"
            self._writer.event(self._watched.step, "message", text, {"parameters": list(added)})

    def _remember(self) -> None:
        """Keeps a snapshot of the weights where the path wants one."""
        watched = self._watched
        if not watched.trajectory.wants(watched.step):
            return
        with watched.train.measuring():
            theta = watched.train.theta()
            watched.trajectory.add(watched.step, theta, watched.sketch.value(theta))
        self._writer.measurement(watched.step, "snapshot", watched.snapshot())

    def _spent_here(self) -> float:
        """Seconds spent between steps, without those by which the steps themselves were lengthened."""
        return self._budget.spent - self._runner.slowed

    def _say(self) -> None:
        self._chronicle.say(self._watched.step, self._known_overhead(), self._monitoring.read(self.batch_size))

    def _flush(self) -> None:
        if os.getpid() == self._process:
            self._runner.end()
            self._chronicle.end(self._watched.step, self._known_overhead(), self._monitoring.read(self.batch_size))

    def _known_overhead(self) -> float | None:
        return self.overhead if self._training_seconds > 0 else None
