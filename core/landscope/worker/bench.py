"""The experiment of a run with any of its weights: what jobs measure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
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
from landscope.objective import Objective
from landscope.runs import Run
from landscope.worker.weights import kept_steps, kept_weights, load_weights, read_checkpoint

__all__ = ["Bench"]

logger = logging.getLogger(__name__)


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

    def subject(self, step: int, split: str, examples: int, *, path: bool) -> Subject:
        """What is measured at a step.

        Args:
            step: Whose weights are put into the model.
            split: "train" or "test".
            examples: At most so many.
            path: Whether the weights before that step are wanted too.

        Raises:
            ValueError: if there are no such weights or data, or the weights are another model's.
        """
        experiment = self.experiment
        weights = self.weights(step)
        normalised = bool(batch_norm_layers(experiment.model))
        without = normalised and not any(name.endswith("running_mean") for name in weights)
        # At the weights of its beginning, which are finite; how these are is to be said of the measurement.
        objective = self._objective(split, examples, without)
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
