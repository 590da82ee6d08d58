"""What is read off a model's outputs at many points of weight space at once: losses, their errors, further metrics."""

from __future__ import annotations

import copy
import functools
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from landscope.derivatives import accumulator
from landscope.evaluation import Loss, per_example, vmapped
from landscope.landscape.samples import SamplingErrors
from landscope.objective import Objective
from landscope.points import REFUSALS

__all__ = ["Reader", "Readings", "joined", "stacked"]

logger = logging.getLogger(__name__)

ExampleLoss = Callable[[Any, Any, int], Tensor]

_NONE: dict[str, Any] = {"reduction": "none"}
# A loss is a plain mean over examples if its value is the mean of single examples' losses to this relative accuracy.
_PLAIN = 1e-4


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
        if per_class:
            found = objective.labels()
            assert found is not None
            self.labels = found.unique().tolist()
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
        for candidate in (_unreduced(self.objective.loss), functools.partial(per_example, self.objective.loss)):
            if candidate is None:
                continue
            try:
                losses = self._losses(candidate, outputs)
            except (TypeError, *REFUSALS) as reason:
                logger.info("losses of single examples cannot be had (%s)", reason)
                continue
            if losses is not None:
                self._examples, self._centre = candidate, losses
                self._exact = not isinstance(candidate, functools.partial)
                return
        if self.labels:
            raise ValueError(
                "per_class needs a loss that is a plain mean over examples, which this one is not; give metrics="
            )
        logger.info("the loss is no plain mean over examples, so slices of it carry no sampling error")

    def _losses(self, candidate: ExampleLoss, outputs: Sequence[Any]) -> list[Tensor] | None:
        losses = []
        batches = zip(self.objective.batches_on_device(), outputs, strict=True)
        for (batch, size), output in batches:
            target = self.objective.target(batch)
            one = candidate(output, target, size)
            value = self.objective.loss(output, target)
            if one.shape != (size,) or not bool((one.mean() - value).abs() <= _PLAIN * value.abs() + 1e-12):
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

    def add(self, number: int, outputs: Any, batch: Any, size: int) -> None:
        """Reads one batch.

        Args:
            number: Which batch it is.
            outputs: The model's outputs, tensors (G, ...).
            batch: The batch.
            size: Its number of examples.
        """
        reader, objective = self._reader, self._reader.objective
        target = objective.target(batch)
        if reader.plain:
            losses = over_points(lambda output: reader.examples(output, target, size), outputs)
            self._errors.add(losses, reader._centre[number])
            if reader.labels:
                assert objective.classes is not None
                of_class = objective.classes.labels(target)
                for label, errors in zip(reader.labels, self._by_class, strict=True):
                    chosen = of_class == label
                    if bool(chosen.any()):
                        errors.add(losses[:, chosen], reader._centre[number][chosen])
        if not reader.exact:
            losses = over_points(lambda output: objective.loss(output, target), outputs)
            self._loss += size * losses.to(self._loss)
        for name, metric in reader.metrics.items():
            values = over_points(functools.partial(_with_target, metric, target), outputs)
            self._metrics[name] += size * values.to(self._loss)
        if objective.classes is not None:
            classes = objective.classes
            right, counted = over_points(lambda output: torch.stack(classes.right(output, target)), outputs).T
            self._right += right
            self._counted += counted

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


def over_points(function: Callable[[Any], Tensor], outputs: Any) -> Tensor:
    """`function` of the output at each of G points, (G, ...): at once, or one by one where vmap refuses it."""
    try:
        together: Tensor = vmapped(function)(outputs)
        return together
    except REFUSALS as reason:
        logger.info("a loss or metric is computed point by point: vmap refused it (%s)", reason)
        leaves, spec = tree_flatten(outputs)
        points = [function(tree_unflatten([leaf[g] for leaf in leaves], spec)) for g in range(len(leaves[0]))]
        return torch.stack([torch.as_tensor(point) for point in points])


def joined(pieces: Sequence[Any], dim: int) -> Any:
    """Outputs on pieces of a batch as those on the batch: their tensors, one behind the other along `dim`."""
    return pieces[0] if len(pieces) == 1 else tree_map(lambda *tensors: torch.cat(tensors, dim), *pieces)


def stacked(points: Sequence[Any]) -> Any:
    """Outputs at single points as those at several: their tensors with a leading dimension."""

    def together(*leaves: Any) -> Any:
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


def _unreduced(loss: Loss) -> ExampleLoss | None:
    """Torch's own losses with reduction="none" in place of "mean"; None for any other."""
    plain: Any = None
    if isinstance(loss, nn.modules.loss._Loss) and type(loss).__module__ == nn.modules.loss.__name__:
        plain = copy.copy(loss)
        plain.reduction = "none"
    else:
        function = loss.func if isinstance(loss, functools.partial) else loss
        own = getattr(functional, getattr(function, "__name__", ""), None) is function
        if own and "reduction" in inspect.signature(function).parameters:
            plain = functools.partial(loss, **_NONE)
    if plain is None:
        return None
    return lambda output, target, size: plain(output, target).reshape(size, -1).mean(1)
