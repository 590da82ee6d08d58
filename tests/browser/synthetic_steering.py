"""How a synthetic training obeys the page: with numbers that stand for an optimiser's."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from landscope.measurements import Measurement
from landscope.runs import Command, RunWriter

__all__ = ["Job", "Steering"]

JOB_SECONDS = 1.5
OPTIMIZERS = ("SGD", "SAM", "Adam", "AdamW")
LABELS = {"lr": "learning rate", "weight_decay": "weight decay", "momentum": "momentum"}


@dataclass
class Job:
    """A measurement that was asked for, and how far it is: work is counted in seconds."""

    seq: int
    what: str
    parameters: dict[str, Any]
    done: float = 0.0
    told: float = -1.0


@dataclass
class Steering:
    """Obeys what the page asks of a run, and says how it stands.

    Attributes:
        writer: Of the run; another one after a rewind.
        step: The training's next step.
        measured: Measures on demand: what, step -> the measurement.
        values: The numbers that can be set.
        optimizer: The optimiser's name.
        paused: Whether the training waits.
        stopped: Whether it was asked to end.
        checkpoints: Steps that were kept.
        jobs: Measurements that were asked for and are not over.
        single: Whether one step is to be let through.
    """

    root: Path
    writer: RunWriter
    measured: Callable[[str, int], Measurement]
    step: int = 0
    values: dict[str, float] = field(default_factory=lambda: {"lr": 0.05, "weight_decay": 0.0, "momentum": 0.9})
    optimizer: str = "SGD"
    paused: bool = False
    stopped: bool = False
    checkpoints: list[int] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    single: bool = False

    def obey(self) -> None:
        """Carries out what was asked before the next step; while paused, waits here."""
        if self.single:
            self.paused, self.single = True, False
        while not self.stopped:
            for command in self.writer.commands():
                self._carry_out(command)
            self._work()
            if not self.paused or self.single:
                return
            time.sleep(0.02)

    def say(self) -> None:
        """Records what can be changed."""
        knobs = [
            self._knob("lr", 1e-4, 1.0, "log"),
            self._knob("weight_decay", 0.0, 0.1, "linear"),
            self._knob("momentum", 0.0, 0.99, "linear"),
        ]
        state = {
            "knobs": knobs if self.optimizer in ("SGD", "SAM") else knobs[:2],
            "optimizers": OPTIMIZERS,
            "optimizer": self.optimizer,
            "checkpoints": self.checkpoints,
            "measurements": ["slice2d", "eigenvalues", "density"],
            "reasons": {
                "batch_size": "The loop's own data loader decides on its batches.",
                **({} if self.optimizer in ("SGD", "SAM") else {"momentum": f"{self.optimizer} has betas instead."}),
            },
            "gradient_seconds": 0.004,
        }
        self.writer.event(self.step, "controls", "", state)

    def _knob(self, name: str, low: float, high: float, scale: str) -> dict[str, Any]:
        value = self.values[name]
        shown = {"name": name, "label": LABELS[name], "value": value, "low": low, "high": high, "scale": scale}
        return shown | {"group": None, "unit": ""}

    def _carry_out(self, command: Command) -> None:
        try:
            sentence, changes = self._done(command.kind, command.params, command.seq)
        except ValueError as refusal:
            self.writer.event(self.step, "refused", str(refusal), {"seq": command.seq, "kind": command.kind})
            return
        self.writer.event(self.step, "command", command.kind, {"seq": command.seq})
        if sentence:
            self.writer.event(self.step, "intervention", sentence, {**changes, "seq": command.seq})
            self.say()

    def _done(self, kind: str, params: dict[str, Any], seq: int) -> tuple[str, dict[str, Any]]:
        """Does it; what to say of it, if it is an intervention, and the numbers."""
        if kind in ("pause", "resume", "step"):
            self.paused, self.single = kind != "resume", kind == "step"
            self.writer.event(self.step, "status", "paused" if self.paused else "running")
        elif kind == "stop":
            self.stopped = True
        elif kind == "cross-check":
            self.writer.event(self.step, "cross-check", "The largest eigenvalue is 40, and by PyHessian 41.")
        elif kind == "set":
            return self._set(params["name"], params["value"])
        elif kind == "optimizer":
            before, self.optimizer = self.optimizer, params["name"]
            return f"optimiser {before} → {self.optimizer}", {"name": kind, "before": before, "after": self.optimizer}
        elif kind == "snapshot":
            self.checkpoints.append(self.step)
            return f"snapshot of step {self.step}", {"name": kind}
        elif kind == "rewind":
            return self._rewind(params["step"], seq)
        elif kind == "measure":
            self.jobs.append(Job(seq, params["what"], params["parameters"]))
        elif kind == "cancel":
            for job in [job for job in self.jobs if job.seq == params["job"]]:
                self.jobs.remove(job)
                self._tell(job, "cancelled")
        return "", {}

    def _set(self, name: str, value: float) -> tuple[str, dict[str, Any]]:
        if value < 0 or (name == "momentum" and value >= 1):
            raise ValueError(f"{LABELS[name]} cannot be {value:g}")
        before, self.values[name] = self.values[name], value
        return f"{LABELS[name]} {before:g} → {value:g}", {"name": name, "before": before, "after": value, "group": None}

    def _rewind(self, step: int, seq: int) -> tuple[str, dict[str, Any]]:
        parent = {"run": self.writer.id, "step": step}
        branch = RunWriter.create(self.root, name="branch", recipe="synthetic", parent=parent)
        self.writer.event(self.step, "branch", f"rewound to step {step}", {"run": branch.id, "step": step, "seq": seq})
        self.writer.close("stopped")
        self.writer, self.step, self.paused = branch, step, False
        self.checkpoints = [kept for kept in self.checkpoints if kept <= step]
        self.writer.progress(step)
        return f"branched from {parent['run']} at step {step}", {"name": "rewind"}

    def _work(self) -> None:
        """A little of the first job."""
        for job in self.jobs[:1]:
            job.done += 0.02
            if job.done >= JOB_SECONDS:
                self.jobs.remove(job)
                frame = f"lab/{job.seq}/{job.what}"
                self.writer.measurement(self.step, frame, self.measured(job.what, self.step))
                self._tell(job, "done", frame=frame)
        for job in self.jobs:
            if time.monotonic() - job.told > 0.5:
                job.told = time.monotonic()
                self._tell(job, "running" if job is self.jobs[0] else "queued")

    def _tell(self, job: Job, state: str, frame: str | None = None) -> None:
        running = state == "running"
        data = {
            "job": job.seq,
            "what": job.what,
            "state": state,
            "done": job.done / JOB_SECONDS if running else None,
            "seconds_left": JOB_SECONDS - job.done if running else None,
            "frame": frame,
        }
        self.writer.event(self.step, "job", f"{job.what}: {state}", data)
