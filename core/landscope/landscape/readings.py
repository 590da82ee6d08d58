"""What is read off a model's outputs at many points of weight space at once: losses, their errors, further metrics."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from landscope.derivatives import accumulator
from landscope.evaluation import Loss, per_example, vmapped
from landscope.landscape.example_losses import NotAMeanError, element_losses, in_order
from landscope.landscape.samples import SamplingErrors
from landscope.objective import Objective
from landscope.points import REFUSALS

__all__ = ["Part", "Reader", "Readings", "joined", "stacked"]

logger = logging.getLogger(__name__)

ExampleLoss = Callable[[Any, Any, int], Tensor]

# A loss is a plain mean over examples if its value is the mean of single examples' losses to this relative accuracy.
_PLAIN = 1e-4


@dataclass(frozen=True)
class Part:
    """Outputs on some examples of a batch at some of G points.

    Attributes:
        points: Which of the points.
        rows: Which of the examples.
        outputs: The model's outputs, tensors (points, rows, ...).
        batch: These examples as a batch.
    """

    points: slice
    rows: slice
    outputs: Any
    batch: Any


class Reader:
    """Knows how losses and metrics are read off the outputs of an objective's model.

    Args:
        objective: Whose loss, targets and classes.
        metrics: Further functions of (output, target) by name, each the mean over a batch.
        per_class: Whether to read the loss of each class, "class/0" and so on.
        errors: Whether to read sampling errors.
    """

    def __init__(self, objective: Objective, *, metrics: Mapping[str, Loss], per_class: bool, errors: bool) -> None:
        if per_class and (objective.classes is None or objective.labels() is None):
            raise ValueError("per_class needs one integer class per example as targets; leave it out, or give metrics=")
        self.objective = objective
        self.metrics = dict(metrics)
        self.labels: Sequence[int] = ()
        self._classes: Sequence[Tensor] = ()
        if per_class:
            found = objective.labels()
            assert found is not None
            self.labels = found.unique().tolist()
            self._classes = found.to(objective.layout.device).split(list(objective.batches.sizes))
        self._wanted = errors or per_class
        self._examples: ExampleLoss | None = None
        self._exact = False
        self._centre: list[Tensor] = []

    @property
    def plain(self) -> bool:
        """Whether the loss is a plain mean over examples at the centre, which is what sampling errors are of."""
        return self._examples is not None

    @property
    def exact(self) -> bool:
        """Whether it is the mean of `examples` everywhere, as torch's own losses are."""
        return self._exact

    @property
    def divisible(self) -> bool:
        """Whether parts of a batch may be read one by one."""
        return self.exact and not self.metrics

    def examples(self, output: Any, target: Any, size: int) -> Tensor:
        """The loss of each example of a batch, (n,)."""
        assert self._examples is not None
        return self._examples(output, target, size)

    def at_centre(self, outputs: Sequence[Any]) -> None:
        """Learns the examples' losses at the centre, and how they are best computed.

        Args:
            outputs: The model's output on each batch.
        """
        if not self._wanted:
            return
        for function in (element_losses, per_example):
            candidate = functools.partial(function, self.objective.loss)
            try:
                losses = self._losses(candidate, outputs, ordered=function is per_example)
            except (TypeError, *REFUSALS) as reason:
                logger.info("losses of single examples cannot be had by %s (%s)", function.__name__, reason)
                continue
            if losses is not None:
                self._examples, self._centre = candidate, losses
                self._exact = function is element_losses
                return
        if self.labels:
            raise ValueError(
                "per_class needs a loss that is a plain mean over examples, which this one is not; give metrics="
            )
        logger.info("the loss is no plain mean over examples, so slices of it carry no sampling error")

    def by_definition(self, reason: NotAMeanError) -> None:
        """From now on, losses are those that the user's function returns, whatever it computes within."""
        logger.info("losses are taken as they are returned: %s", reason)
        self._examples, self._exact = functools.partial(per_example, self.objective.loss), False

    def _losses(self, candidate: ExampleLoss, outputs: Sequence[Any], *, ordered: bool) -> list[Tensor] | None:
        losses = []
        batches = zip(self.objective.batches_on_device(), outputs, strict=True)
        for (batch, size), output in batches:
            target = self.objective.target(batch)
            one = candidate(output, target, size)
            value = self.objective.loss(output, target)
            if one.shape != (size,) or not bool((one.mean() - value).abs() <= _PLAIN * value.abs() + 1e-12):
                return None
            if not ordered and not in_order(self.objective.loss, output, target, one, _PLAIN):
                return None
            losses.append(one)
        return losses

    def empty(self, points: int, like: Tensor) -> Readings:
        """Readings of no batch yet."""
        return Readings(self, points, like)


class Readings:
    """Sums over the batches read so far, at G points.

    Args:
        reader: What to read.
        points: G.
        like: A tensor on the device to sum on.
    """

    def __init__(self, reader: Reader, points: int, like: Tensor) -> None:
        self._reader = reader
        self._errors = SamplingErrors.empty(points, like)
        self._by_class = [SamplingErrors.empty(points, like) for _ in reader.labels]
        zeros = torch.zeros(points, dtype=accumulator(like), device=like.device)
        self._loss, self._right, self._counted = zeros, zeros.clone(), zeros.clone()
        self._metrics = {name: zeros.clone() for name in reader.metrics}

    def add(self, number: int, parts: Iterable[Part]) -> None:
        """Reads one batch.

        Args:
            number: Which batch it is.
            parts: Outputs on all of it at all points; on all examples at once unless the reader is `divisible`.
        """
        reader, objective = self._reader, self._reader.objective
        losses: Tensor | None = None
        for part in parts:
            target, size = objective.target(part.batch), part.rows.stop - part.rows.start
            if reader.plain:
                found = over_points(functools.partial(_examples, reader, target, size), part.outputs)
                if losses is None:
                    losses = found.new_empty(len(self._loss), objective.batches.sizes[number])
                losses[part.points, part.rows] = found
            if not reader.exact:
                values = over_points(functools.partial(_with_target, objective.loss, target), part.outputs)
                self._loss[part.points] += size * values.to(self._loss)
            for name, metric in reader.metrics.items():
                values = over_points(functools.partial(_with_target, metric, target), part.outputs)
                self._metrics[name][part.points] += size * values.to(self._loss)
            if objective.classes is not None:
                right, counted = objective.classes.right_at_points(part.outputs, target)
                self._right[part.points] += right
                self._counted[part.points] += counted
        if losses is not None:
            self._errors.add(losses, reader._centre[number])
            for label, errors in zip(reader.labels, self._by_class, strict=True):
                chosen = reader._classes[number] == label
                if bool(chosen.any()):
                    errors.add(losses[:, chosen], reader._centre[number][chosen])

    def found(self) -> dict[str, Tensor]:
        """Everything by name, each (G,), in float64 on the CPU."""
        reader, examples = self._reader, self._reader.objective.examples
        found = {"loss": self._errors.losses.mean if reader.exact else self._loss / examples}
        if reader.plain:
            found["error"] = self._errors.losses.standard_error()
            found["contrast_error"] = self._errors.contrasts.standard_error()
        if reader.objective.classes is not None:
            found["accuracy"] = self._right / self._counted
        for label, errors in zip(reader.labels, self._by_class, strict=True):
            found[f"class/{label}"] = errors.losses.mean
        for name in reader.metrics:
            found[name] = self._metrics[name] / examples
        return {name: values.cpu().double() for name, values in found.items()}


def _with_target(metric: Loss, target: Any, output: Any) -> Tensor:
    return metric(output, target)


def _examples(reader: Reader, target: Any, size: int, output: Any) -> Tensor:
    return reader.examples(output, target, size)


def over_points(function: Callable[[Any], Tensor], outputs: Any) -> Tensor:
    """`function` of the output at each of G points, (G, ...): at once, or one by one where vmap refuses it."""
    leaves, spec = tree_flatten(outputs)
    if len(leaves[0]) > 1:
        try:
            together: Tensor = vmapped(function)(outputs)
            return together
        except REFUSALS as reason:
            logger.info("a loss or metric is computed point by point: vmap refused it (%s)", reason)
    points = [function(tree_unflatten([leaf[g] for leaf in leaves], spec)) for g in range(len(leaves[0]))]
    return torch.stack([torch.as_tensor(point) for point in points])


def joined(pieces: Sequence[Any], dim: int) -> Any:
    """Outputs on pieces of a batch as those on the batch: their tensors, one behind the other along `dim`."""
    return pieces[0] if len(pieces) == 1 else tree_map(lambda *tensors: torch.cat(tensors, dim), *pieces)


def stacked(points: Sequence[Any]) -> Any:
    """Outputs at single points as those at several: their tensors with a leading dimension."""

    def together(*leaves: Any) -> Any:
        if len(leaves) == 1 and isinstance(leaves[0], Tensor):
            return leaves[0].unsqueeze(0)
        alike = all(isinstance(leaf, Tensor) and leaf.shape == leaves[0].shape for leaf in leaves)
        return torch.stack(leaves) if alike else _Apart(leaves)

    return tree_map(together, *points)


class _Apart:
    """What is no tensor, or not of one shape, at several points; vmap refuses it."""

    def __init__(self, leaves: Sequence[Any]) -> None:
        self._leaves = leaves

    def __len__(self) -> int:
        return len(self._leaves)

    def __getitem__(self, point: int) -> Any:
        return self._leaves[point]
