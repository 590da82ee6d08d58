"""Classification: where a batch's outputs and targets name classes, and how many are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from landscope.evaluation import Loss, setting

__all__ = ["Classification"]


@dataclass(frozen=True)
class Classification:
    """How outputs and targets are read as classes.

    Attributes:
        dim: The dimension of the outputs along which classes run.
        one_hot: Whether targets are rows (n, C) with a single one, not the classes' numbers.
        ignored: The class number that the loss leaves out.
    """

    dim: int
    one_hot: bool
    ignored: int

    @classmethod
    def of(cls, output: Any, target: Any, loss: Loss) -> Classification | None:
        """How a batch is read; None where the task is not a classification.

        Integer targets are classes if they have the outputs' shape less one dimension of at least two classes:
        dimension 1 as in torch's losses, or else the last. One-hot targets have the outputs' shape (n, C).
        """
        if not (isinstance(output, Tensor) and isinstance(target, Tensor) and output.is_floating_point()):
            return None
        ignored = setting(loss, "ignore_index", -100)
        if output.ndim == 2 and target.shape == output.shape and output.shape[1] > 1:
            one_hot = bool(((target == 0) | (target == 1)).all()) and bool((target.sum(1) == 1).all())
            return cls(1, True, ignored) if one_hot else None
        if target.is_floating_point() or target.dtype == torch.bool or output.ndim != target.ndim + 1:
            return None
        for dim in (1, output.ndim - 1):
            if dim < output.ndim and output.shape[:dim] + output.shape[dim + 1 :] == target.shape:
                return cls(dim, False, ignored) if output.shape[dim] > 1 else None
        return None

    def labels(self, target: Tensor) -> Tensor:
        """The class of each position, (n,) or (n, ...)."""
        return target.int().argmax(1) if self.one_hot else target

    def right(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """How many positions have their class as the largest output, and of how many; ignored ones are left out."""
        labels = self.labels(target)
        counted = (labels >= 0) & (labels != self.ignored)
        return ((output.argmax(self.dim) == labels) & counted).sum(), counted.sum()

    def right_at_points(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """As `right`, for outputs (G, n, ...) at G points: how many are right at each, (G,), and of how many.

        The label's output is held against the largest of the others, which takes a fraction of the time of finding
        where the largest of all is. That is looked for only where the two are equal, or are no numbers.
        """
        labels, dim = self.labels(target), self.dim + 1
        classes = outputs.shape[dim]
        counted = (labels >= 0) & (labels != self.ignored)
        index = labels.long().clamp(0, classes - 1).unsqueeze(self.dim)
        index = index.expand(len(outputs), *index.shape)
        own = outputs.gather(dim, index).squeeze(dim)
        other = outputs.scatter(dim, index, -torch.inf).amax(dim)
        right = own > other
        undecided = ~(right | (own < other))
        if bool(undecided.any()):
            right = torch.where(undecided, outputs.argmax(dim) == labels, right)
        return (right & counted & (labels < classes)).flatten(1).sum(1), counted.sum()
