"""Objectives made of an objective: of some of its examples, other parameters, another loss, the same model later on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Self

import torch
from torch import Tensor, nn

from landscope.batch_norm import BatchNormPolicy
from landscope.batches import Batches, positions
from landscope.evaluation import Loss, ModelFunction
from landscope.hessian_products import Chosen
from landscope.isolation import autograd_tensors
from landscope.parameters import ParameterLayout
from landscope.points import PointEvaluator
from landscope.work import Work

__all__ = ["Derivable"]


class Derivable(ABC):
    """What an objective is made of, and the objectives that differ from it in one part of that; all share the rest."""

    function: ModelFunction
    batches: Batches
    layout: ParameterLayout
    loss: Loss
    batch_norm: BatchNormPolicy
    split: str
    work: Work
    _points: PointEvaluator
    _chosen: Chosen

    @property
    def model(self) -> nn.Module:
        """The user's module."""
        return self.function.model

    @property
    def examples(self) -> int:
        """Number N of examples averaged over."""
        return self.batches.examples

    @abstractmethod
    def labels(self) -> Tensor | None:
        """The class of each example, (N,), on the CPU; None when targets are not one class per example."""

    @abstractmethod
    def _check(self) -> None:
        """Refuses what cannot be measured."""

    def subset(self, chosen: Tensor | Sequence[int]) -> Self:
        """The objective over some of the examples: positions (n,), each counted once, or a mask (N,) of booleans.

        They stay in the batches they were in, which with batch_norm="batch" are what is normalised by.

        Raises:
            ValueError: if nothing is chosen, a position is no integer or out of range, or a mask has the wrong length.
        """
        chosen = positions(chosen, self.examples)
        with autograd_tensors():
            return self._derived(batches=self.batches.select(chosen.cpu()))

    def sample(self, count: int, *, seed: int = 0) -> Self:
        """The objective over at most `count` random examples, the same ones at every call with the same seed.

        They come in one batch where that is possible, which makes derivatives cheaper; with batch_norm="batch" they
        stay in the batches they were in, which are what is normalised by.

        Raises:
            ValueError: if the count is not positive.
        """
        positions = self.sampled(count, seed=seed)
        chosen = self if count >= self.examples else self.subset(positions)
        if self.batch_norm == "batch":
            return chosen
        with autograd_tensors():
            return chosen._derived(batches=chosen.batches.together())

    def sampled(self, count: int, *, seed: int = 0) -> Tensor:
        """The positions (n,), increasing, of the examples that `sample` takes.

        Raises:
            ValueError: if the count is not positive.
        """
        if count < 1:
            raise ValueError(f"count of examples must be positive, got {count}")
        if count >= self.examples:
            return torch.arange(self.examples, device="cpu")
        order = torch.randperm(self.examples, generator=torch.Generator("cpu").manual_seed(seed), device="cpu")
        return order[:count].sort().values

    def of_class(self, label: int) -> Self:
        """The objective over the examples of one class.

        Raises:
            ValueError: if the targets are not classes, or none is `label`.
        """
        labels = self.labels()
        if labels is None:
            raise ValueError("of_class needs one integer class per example as targets; choose examples with subset()")
        if not bool((labels == label).any()):
            raise ValueError(f"no example has class {label}; classes are {labels.unique().tolist()}")
        return self.subset(labels == label)

    def with_loss(self, loss: Loss) -> Self:
        """The same model and data under another loss, e.g. one term of a sum."""
        derived = self._derived(loss=loss)
        derived._check()
        return derived

    def named(self, split: str) -> Self:
        """The same objective, whose data are called so in the provenance of what is measured of it."""
        return self._derived(split=split)

    def with_parameters(self, patterns: Sequence[str]) -> Self:
        """The objective as a function of some parameters alone, the others held at the model's values."""
        return self._derived(layout=ParameterLayout.of(self.model, patterns))

    def pinned(self, pulse: Callable[[], None] | None = None) -> Self:
        """The same objective, with what is not part of theta (frozen parameters, buffers) held as it is at this moment.

        For measurements that go on while the model is trained, and for those that may be ended: `pulse` is called
        before every batch and every derivative, and what it raises ends the measurement.
        """
        held = self._derived(function=self.function.pinned(self.layout.names, pulse))
        held._chosen = self._chosen  # of the same data, so that what is fastest is the same
        return held

    def of(self, function: ModelFunction) -> Self:
        """The same objective of another module of the same make, as `ModelFunction.on` gives it."""
        moved = self._derived(function=function)
        moved._points.at_once = self._points.at_once
        return moved

    def renewed(self) -> Self:
        """The objective for the model as it is by now: on another device, of another type, with more of it trainable.

        Data of the type that the parameters had are of the new one too. Parameters that were frozen meanwhile stay part
        of theta.
        """
        layout = self.layout.renewed(self.model)
        with autograd_tensors():
            batches = self.batches.moved(layout.device, {self.layout.dtype: layout.dtype})
        return self._derived(layout=layout, batches=batches)

    def _derived(self, **changes: Any) -> Self:
        derived = copy(self)
        for name, value in changes.items():
            setattr(derived, name, value)
        derived.work, derived._points, derived._chosen = Work(), derived._evaluator(), Chosen()
        return derived

    def _evaluator(self) -> PointEvaluator:
        # Statistics that are recomputed at each point are written to buffers, one point at a time.
        return PointEvaluator(self.layout, at_once=False if self.batch_norm == "recompute" else None)
