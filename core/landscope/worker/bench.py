"""The experiment of a run with any of its weights: what jobs measure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from landscope.batch_norm import batch_norm_layers
from landscope.curvature import stability_rule
from landscope.experiments import Experiment
from landscope.lab import Subject
from landscope.lab.places import Place, compared
from landscope.lab.selections import Selection
from landscope.landscape import point_on_plane, rebuilt_directions
from landscope.measurements import Measurement, Slice2D
from landscope.objective import Objective
from landscope.runs import FrameRef, Run
from landscope.worker.requests import EXAMPLES
from landscope.worker.weights import kept_steps, kept_weights, load_weights, read_checkpoint

__all__ = ["Bench"]

logger = logging.getLogger(__name__)

_KEPT = 4  # examples that a training keeps in memory for each of those whose features it shows


class Bench:
    """Gives the subject of a measurement at any step that a run has weights of.

    The experiment is built when it is first needed.

    Attributes:
        store: Folder for the finished points of slices.

    Args:
        run: Whose weights.
        build: Builds the experiment.
        files: Bare checkpoints by step; they come before what the run has.
        store: Folder for the finished points of slices.
    """

    def __init__(
        self, run: Run, build: Callable[[], Experiment], files: Mapping[int, Path] | None = None, *, store: Path
    ) -> None:
        self._run = run
        self._build = build
        self._files = dict(files or {})
        self.store = store
        self._objectives: dict[tuple[str, int, bool], Objective] = {}

    @cached_property
    def experiment(self) -> Experiment:
        """The experiment."""
        return self._build()

    def steps(self) -> list[int]:
        """The steps that there are weights of, ascending."""
        return sorted({*self._files} | {*kept_steps(self._run)})

    def weights(self, step: int) -> dict[str, Tensor]:
        """The weights of a step.

        Raises:
            ValueError: if there are none.
        """
        return read_checkpoint(self._files[step]) if step in self._files else kept_weights(self._run, step)

    def subject(self, step: int, split: str, examples: int, selection: Selection, *, path: bool) -> Subject:
        """What is measured at a step.

        Args:
            step: Whose weights are put into the model.
            split: "train" or "test".
            examples: At most so many.
            selection: Which of them.
            path: Whether the weights before that step are wanted too.

        Raises:
            ValueError: if there are no such weights or data, or the weights are another model's.
        """
        experiment = self.experiment
        weights = self.weights(step)
        normalised = bool(batch_norm_layers(experiment.model))
        without = normalised and not any(name.endswith("running_mean") for name in weights)
        # At the weights of its beginning, which are finite; how these are is to be said of the measurement.
        objective = self._selected(selection, split, examples, without)
        also = {}
        if split == "train" and experiment.test is not None:
            also["test"] = self._objective("test", examples, without)
        load_weights(experiment.model, weights)
        optimizer = experiment.optimizer
        if optimizer is not None and stability_rule(optimizer, objective.layout, objective.model).pending:
            optimizer = None  # its preconditioner is not known, so that there is no limit to compare with
        earlier = [at for at in kept_steps(self._run) if at <= step] if path else []
        thetas = [self._vector(objective, kept_weights(self._run, at)) for at in earlier]
        return Subject(
            objective,
            optimizer=optimizer,
            path=torch.stack(thetas) if thetas else None,
            path_steps=earlier or None,
            also=also,
            store=self.store,
        )

    def step_of(self, place: Place) -> int:
        """The step around whose weights the plane lies that a place is on.

        Raises:
            ValueError: if there is no such slice any more, or those weights were not kept.
        """
        frame = self._frame(place)
        steps = self.steps()
        if frame.step not in steps:
            nearest = min(steps, key=lambda kept: abs(kept - frame.step), default=None)
            instead = "" if nearest is None else f"; the nearest weights are those of step {nearest:,}"
            raise ValueError(f"the weights of step {frame.step:,}, around which the plane lies, were not kept{instead}")
        return frame.step

    def move(self, subject: Subject, place: Place) -> str:
        """Puts the weights of a place on a plane into the model, which has those of the plane's centre.

        Returns:
            Where that is, and the loss there beside what the plane says, in words.

        Raises:
            ValueError: if the plane cannot be built again exactly, or the place lies outside of the slice.
        """
        objective, frame = subject.objective, self._frame(place)
        slice2d = Measurement.from_bytes(self._run.frame_bytes(frame.seq)).at(frame.step)
        assert isinstance(slice2d, Slice2D)
        centre, path = objective.theta(), None
        if slice2d.plane == "trajectory" and slice2d.path_steps is not None:
            steps = slice2d.path_steps.tolist()
            path = torch.stack([self._vector(objective, kept_weights(self._run, at)) for at in steps])
        directions = rebuilt_directions(objective, slice2d, centre, path)
        theta = point_on_plane(centre, directions, (place.alpha, place.beta))
        said = compared(slice2d, place, objective, objective.value(theta))
        load_weights(objective.model, objective.layout.unflatten(theta))
        return f"{place.words(slice2d)}: {said}"

    def _frame(self, place: Place) -> FrameRef:
        frame = next((frame for frame in self._run.frames() if frame.seq == place.frame), None)
        if frame is None or frame.kind != Slice2D.kind:
            raise ValueError(f"frame {place.frame} is no slice on a plane that the run still has; choose another place")
        return frame

    def _selected(self, selection: Selection, split: str, examples: int, without: bool) -> Objective:
        def wholes(available: int) -> Iterator[Objective]:
            yield self._objective(split, max(EXAMPLES, examples), without)
            yield self._objective(split, _KEPT * available, without)

        if not selection:
            return self._objective(split, examples, without)
        return selection.of(wholes, examples, self._run.frame_bytes)

    def _objective(self, split: Any, examples: int, without: bool) -> Objective:
        key = (split, examples, without)
        if key not in self._objectives:
            experiment = self.experiment
            if without and experiment.batch_norm == "eval":
                logger.warning("weights without running statistics: batches are normalised by their own")
                experiment = replace(experiment, batch_norm="batch")
            self._objectives[key] = experiment.objective(split, examples=examples)
        return self._objectives[key]

    @staticmethod
    def _vector(objective: Objective, weights: Mapping[str, Tensor]) -> Tensor:
        layout = objective.layout
        return torch.cat([weights[name].reshape(-1) for name in layout.names]).to(layout.device, layout.dtype)
