"""The objective L(theta): a model's mean loss over fixed data, as a function of its trainable parameters."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap

from landscope.batches import batch_size_of, collect, to_device
from landscope.derivatives import Operator, accumulator, derivative, ggn_operator, hessian_operator
from landscope.evaluation import (
    Forward,
    Loss,
    ModelFunction,
    class_labels,
    default_target,
    per_example,
    predicted_classes,
)
from landscope.isolation import BATCH_NORM_POLICIES, BatchNormPolicy, batch_norm_layers, isolated
from landscope.measurements import Provenance
from landscope.parameters import ParameterLayout
from landscope.validity import check_loss, check_repeats

__all__ = ["Objective", "Work"]

logger = logging.getLogger(__name__)


@dataclass
class Work:
    """What measuring has cost, in units of one pass over the objective's data."""

    forwards: float = 0.0
    gradients: float = 0.0
    products: float = 0.0


@dataclass
class Meter:
    """A running measurement: knows when it began and what was spent since."""

    objective: Objective
    began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self._before = copy(self.objective.work)

    def provenance(self, method: str, *, seed: int | None = None) -> Provenance:
        """The provenance of what was measured since the meter began."""
        objective, work, before = self.objective, self.objective.work, self._before
        return Provenance(
            method=method,
            split=objective.split,
            examples=objective.examples,
            parameters=objective.layout.size,
            batch_norm=objective.batch_norm,
            precision=str(objective.layout.dtype).removeprefix("torch."),
            device=str(objective.layout.device),
            seed=seed,
            seconds=time.perf_counter() - self.began,
            forwards=work.forwards - before.forwards,
            gradients=work.gradients - before.gradients,
            products=work.products - before.products,
        )


class Objective:
    """L(theta) = (1/N) sum_i loss(model(x_i; theta), y_i) over N fixed examples.

    Everything is measured of an objective. It never changes the user's model: not its weights, buffers, gradients,
    requires_grad flags, training mode or hooks, and not the state of any random number generator.

    Methods take `theta`, a vector (P,) laid out as `layout` says; left out, the model's weights at that moment.
    Dropout is off. Forward hooks that the user registered on the model are part of it, and run.

    Args:
        model: The network. Frozen parameters (`requires_grad=False`) are constants, tied ones are counted once.
        loss: `loss(output, target)`, a floating-point scalar that is the mean over the batch's examples.
        data: `(x, y)` tensors, a mapping of tensors, a Dataset, a DataLoader, or an iterable of batches of any pytree.
        forward: `forward(model, batch)`, for models that are not called as `model(x)`.
        target: `target(batch)`, what the loss compares with; by default the last element of a sequence, the labels of
            a mapping, and otherwise the batch itself.
        batch_norm: "eval" normalises by running statistics, "batch" by those of each batch of `batch_size` examples,
            "recompute" by statistics computed anew over the data at each theta (values only: it has no derivatives).
        batch_size: Examples per evaluation where the data are not in batches already.
        examples: Use at most this many examples.
        parameters: Names or patterns ("layer1.*") of the parameters that make up theta; by default all trainable ones.
        split: What the data are, for provenance: "train", "test" or any word.

    Raises:
        ValueError: if there is no data or no trainable parameter, the loss is not a finite floating-point scalar that
            depends on the parameters, or two calls of the model on the same batch differ.
        TypeError: if the data or the loss have a form that cannot be used.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        data: Any,
        *,
        forward: Forward | None = None,
        target: Callable[[Any], Any] = default_target,
        batch_norm: BatchNormPolicy = "eval",
        batch_size: int = 1024,
        examples: int | None = None,
        parameters: Sequence[str] | None = None,
        split: str = "",
    ) -> None:
        if batch_norm not in BATCH_NORM_POLICIES:
            raise ValueError(f"batch_norm must be one of {', '.join(BATCH_NORM_POLICIES)}, got {batch_norm!r}")
        if getattr(loss, "reduction", "mean") not in ("mean", "batchmean"):
            raise ValueError(
                f"loss has reduction={loss.reduction!r}, expected a mean over examples; "  # type: ignore[attr-defined]
                "build it with reduction='mean'"
            )
        self.function = ModelFunction(model, forward)
        self.loss = loss
        self.target = target
        self.batch_norm: BatchNormPolicy = batch_norm
        self.split = split
        self.layout = ParameterLayout.of(self.model, parameters)
        self.work = Work()
        self._batched: bool | None = None  # whether many thetas are evaluated at once; None until it has been timed
        with isolated(self.model):
            batches = collect(data, batch_size=batch_size, examples=examples)
        self.batches = batches.resident(self.layout.device)
        self._check()

    @property
    def model(self) -> nn.Module:
        """The user's module."""
        return self.function.model

    @property
    def examples(self) -> int:
        """Number N of examples averaged over."""
        return self.batches.examples

    @contextmanager
    def measuring(self) -> Iterator[Meter]:
        """A measurement made of several calls: isolates the model once, and yields the meter of its cost."""
        with self._isolated():
            yield Meter(self)

    # Derived objectives

    def subset(self, chosen: Tensor | Sequence[int]) -> Objective:
        """The objective over some of the examples: positions (n,), or a mask (N,) of booleans.

        Raises:
            ValueError: if nothing is chosen, a position is out of range, or a mask has the wrong length.
        """
        chosen = torch.as_tensor(chosen)
        if chosen.dtype == torch.bool:
            if chosen.shape != (self.examples,):
                raise ValueError(f"mask must have shape ({self.examples},), got {tuple(chosen.shape)}")
            chosen = chosen.nonzero().flatten()
        return self._derived(batches=self.batches.select(chosen.cpu()))

    def of_class(self, label: int) -> Objective:
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

    def with_loss(self, loss: Loss) -> Objective:
        """The same model and data under another loss, e.g. one term of a sum."""
        derived = self._derived(loss=loss)
        derived._check()
        return derived

    def with_parameters(self, patterns: Sequence[str]) -> Objective:
        """The objective as a function of some parameters alone, the others held at the model's values."""
        return self._derived(layout=ParameterLayout.of(self.model, patterns))

    def _derived(self, **changes: Any) -> Objective:
        derived = copy(self)
        derived.work, derived._batched = Work(), None
        for name, value in changes.items():
            setattr(derived, name, value)
        return derived

    # Values

    def theta(self) -> Tensor:
        """A copy of the model's parameters as a vector (P,)."""
        named = dict(self.model.named_parameters())
        with torch.no_grad():
            return self.layout.flatten(named).clone()

    def value(self, theta: Tensor | None = None) -> float:
        """L(theta)."""
        return float(self.metrics(self._point(theta).unsqueeze(0))["loss"])

    def values(self, thetas: Tensor) -> Tensor:
        """L at each of K points, as float64 (K,), for `thetas` (K, P)."""
        return self.metrics(thetas)["loss"]

    def metrics(self, thetas: Tensor) -> dict[str, Tensor]:
        """Loss and, for classification, accuracy at each of K points (K, P); each a float64 tensor (K,) on the CPU.

        Points are evaluated several at once or one after the other, whichever the first points showed to be faster.
        """
        with self._isolated(), torch.no_grad():
            self.work.forwards += len(thetas)
            if self.batch_norm == "recompute" or len(thetas) == 1 or self._batched is False:
                rows = [self._metrics_of(theta) for theta in thetas]
            else:
                rows = self._many(thetas)
            return {name: torch.cat([row[name].reshape(-1).cpu() for row in rows]) for name in rows[0]}

    def losses(self, theta: Tensor | None = None) -> Tensor:
        """The loss of each example, (N,)."""
        with self._isolated(), torch.no_grad():
            self.work.forwards += 1
            point = self._point(theta)
            return torch.cat([per_example(self.loss, out, self.target(b)) for b, out in self._forward(point)])

    def outputs(self, theta: Tensor | None = None) -> Tensor:
        """The model's outputs on all examples, (N, ...).

        Raises:
            TypeError: if the model's output is not a tensor.
        """
        with self._isolated(), torch.no_grad():
            self.work.forwards += 1
            outputs = [output for _, output in self._forward(self._point(theta))]
        if not isinstance(outputs[0], Tensor):
            raise TypeError(
                f"the model's output is a {type(outputs[0]).__name__}, expected a tensor; "
                "pass forward=lambda model, batch: ... that returns the tensor to look at"
            )
        return torch.cat(outputs)

    def labels(self) -> Tensor | None:
        """The class of each example, (N,), on the CPU; None when targets are not one class per example."""
        with self._isolated(), torch.no_grad():
            pairs = ((out, self.target(b)) for b, out in self._forward(self._point(None)))
            labels = [class_labels(output, target) for output, target in pairs]
        if any(piece is None or piece.ndim != 1 for piece in labels):
            return None
        return torch.cat([piece.cpu() for piece in labels if piece is not None])

    # Derivatives

    def gradient(self, theta: Tensor | None = None) -> Tensor:
        """The gradient of L, (P,)."""
        return self.value_and_gradient(theta)[1]

    def value_and_gradient(self, theta: Tensor | None = None) -> tuple[float, Tensor]:
        """L(theta) and its gradient (P,); sums over batches are accumulated in float64."""
        self._need_derivatives()
        with self._isolated(), torch.enable_grad():
            self.work.gradients += 1
            point = self._point(theta)
            value, gradient = 0.0, torch.zeros_like(point, dtype=accumulator(point))
            for batch, share in self._shares():
                leaf = point.detach().requires_grad_()
                loss = self._loss(leaf, batch)
                value += share * float(loss.detach())
                gradient += share * derivative(loss, leaf)
            return value, gradient.to(point.dtype)

    def hessian(self, theta: Tensor | None = None) -> Operator:
        """The Hessian of L at theta as a function from vectors (P,) or blocks (K, P) to the same shape.

        Reverse over reverse: H v = d(g . v)/d theta. With a single batch the graph of g is built once and shared by
        all products (Pearlmutter 1994 in that order); with several it is built anew, so that only one is in memory.
        """

        def of_batch(point: Tensor, batch: Any) -> Operator:
            return hessian_operator(lambda theta: self._loss(theta, batch), point)

        return self._operator(theta, of_batch)

    def ggn(self, theta: Tensor | None = None) -> Operator:
        """The generalised Gauss-Newton matrix J^T (d^2 loss / d output^2) J at theta, as `hessian` is given.

        Schraudolph 2002. J v comes from differentiating u -> J^T u twice in reverse, so that every layer with a first
        derivative will do.
        """

        def of_batch(point: Tensor, batch: Any) -> Operator:
            return ggn_operator(
                lambda theta: self.function(self.layout.unflatten(theta), batch),
                lambda output: self.loss(output, self.target(batch)),
                point,
            )

        return self._operator(theta, of_batch)

    def _operator(self, theta: Tensor | None, of_batch: Callable[[Tensor, Any], Operator]) -> Operator:
        self._need_derivatives()
        point = self._point(theta).clone()
        shared: list[Operator] = []

        def product(vectors: Tensor) -> Tensor:
            block = vectors.unsqueeze(0) if vectors.ndim == 1 else vectors
            with self._isolated(), torch.enable_grad():
                total = torch.zeros_like(block, dtype=accumulator(block))
                for batch, share in self._shares():
                    operator = shared[0] if shared else of_batch(point, batch)
                    if len(self.batches.items) == 1 and not shared:
                        shared.append(operator)
                    total += share * torch.stack([operator(vector) for vector in block])
                self.work.products += len(block)
            return total.to(vectors.dtype).reshape(vectors.shape)

        return product

    # Evaluation of batches

    def batches_on_device(self) -> Iterator[tuple[Any, int]]:
        """The batches, on the parameters' device, with their sizes."""
        for item, size in zip(self.batches.items, self.batches.sizes, strict=True):
            yield to_device(item, self.layout.device), size

    def _shares(self) -> Iterator[tuple[Any, float]]:
        for batch, size in self.batches_on_device():
            yield batch, size / self.examples

    def _forward(self, theta: Tensor) -> Iterator[tuple[Any, Any]]:
        """Each batch with the model's output on it."""
        named = self.layout.unflatten(theta)
        buffers = self._recomputed_buffers(named) if self.batch_norm == "recompute" else None
        for batch, _ in self.batches_on_device():
            yield batch, self.function(named, batch, buffers)

    def _loss(self, theta: Tensor, batch: Any) -> Tensor:
        return self.loss(self.function(self.layout.unflatten(theta), batch), self.target(batch))

    def _metrics_of(self, theta: Tensor) -> dict[str, Tensor]:
        return self._average(self._forward(theta))

    def _many(self, thetas: Tensor) -> list[dict[str, Tensor]]:
        """Metrics of many points; the first two chunks are timed against each other if that has not been done."""

        def average(named: dict[str, Tensor]) -> dict[str, Tensor]:
            pairs = ((batch, self.function(named, batch)) for batch, _ in self.batches_on_device())
            return self._average(pairs)

        def at_once(chunk: Tensor) -> dict[str, Tensor]:
            return vmap(average)(self.layout.unflatten(chunk))

        chunks = list(thetas.split(_CHUNK))
        if self._batched:
            return [at_once(chunk) for chunk in chunks]
        rows: list[dict[str, Tensor]] = []
        try:
            at_once(chunks[0][:1])  # compiles nothing, but warms caches and finds out whether vmap takes the model
            batched, together = _timed(lambda: at_once(chunks[0]), self.layout.device)
            single, alone = _timed(lambda: self._metrics_of(chunks[0][0]), self.layout.device)
            del single
            self._batched = together < alone * len(chunks[0])
            rows.append(batched)
            how = "at once" if self._batched else "one after the other"
            logger.info("evaluating points %s: %d took %.2g s, one %.2g s", how, len(chunks[0]), together, alone)
        except (RuntimeError, ValueError, NotImplementedError) as reason:
            self._batched = False
            logger.info("evaluating points one after the other: vmap refused the model (%s)", reason)
        rest = thetas[len(chunks[0]) :] if rows else thetas
        return rows + (
            [at_once(chunk) for chunk in rest.split(_CHUNK) if len(chunk)]
            if self._batched
            else [self._metrics_of(theta) for theta in rest]
        )

    def _average(self, pairs: Iterator[tuple[Any, Any]]) -> dict[str, Tensor]:
        """Means over the data of a loss and the share of right classes, summed in float64."""
        total: Tensor | float = 0.0
        right: Tensor | float = 0.0
        counted = 0
        for (batch, output), size in zip(pairs, self.batches.sizes, strict=True):
            target = self.target(batch)
            loss = self.loss(output, target)
            total = total + loss.to(accumulator(loss)) * (size / self.examples)
            if self._classifies:
                labels = class_labels(output, target)
                assert labels is not None, "the first batch named classes"
                right = right + (predicted_classes(output, labels) == labels).sum()
                counted += labels.numel()
        assert isinstance(total, Tensor)
        if not counted:
            return {"loss": total}
        return {"loss": total, "accuracy": torch.as_tensor(right).to(total.dtype) / counted}

    def _recomputed_buffers(self, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The model's buffers with batch-norm statistics averaged over the data at these parameters.

        Batches weigh by their size: after n examples, a batch of b moves the averages by b / (n + b).
        """
        buffers = {name: buffer.detach().clone() for name, buffer in self.model.named_buffers()}
        layers = batch_norm_layers(self.model)
        kept = [(layer, layer.training, layer.momentum) for layer in layers]
        seen = 0
        try:
            for batch, size in self.batches_on_device():
                seen += size
                for layer in layers:
                    layer.training, layer.momentum = True, size / seen
                self.function(named, batch, buffers)
        finally:
            for layer, training, momentum in kept:
                layer.training, layer.momentum = training, momentum
        self.work.forwards += 1
        return buffers

    @contextmanager
    def _isolated(self) -> Iterator[None]:
        with isolated(self.model, batch_statistics=self.batch_norm == "batch"):
            yield

    def _point(self, theta: Tensor | None) -> Tensor:
        if theta is None:
            return self.theta()
        if theta.shape != (self.layout.size,):
            raise ValueError(f"theta must have shape ({self.layout.size},), got {tuple(theta.shape)}")
        return theta.detach().to(self.layout.device, self.layout.dtype)

    def _need_derivatives(self) -> None:
        if self.batch_norm == "recompute":
            raise ValueError(
                "batch_norm='recompute' has values but no derivatives: its statistics come from a pass of their own; "
                "use batch_norm='batch', or 'eval'"
            )

    # Checks

    def _check(self) -> None:
        """Evaluates the first batch twice, so that what cannot be measured is refused before anything is."""
        batch = to_device(self.batches.items[0], self.layout.device)
        with self._isolated(), torch.enable_grad():
            leaf = self.theta().requires_grad_()
            named = self.layout.unflatten(leaf)
            buffers = None if self.batch_norm != "recompute" else self._recomputed_buffers(named)
            try:
                output, again = (self.function(named, batch, buffers) for _ in range(2))
                loss = self.loss(output, self.target(batch))
            except Exception as failure:
                failure.add_note(
                    f"while evaluating the objective on its first batch of {batch_size_of(batch)} examples"
                )
                raise
            check_loss(loss)
            check_repeats(output, again)
            self._classifies = class_labels(output, self.target(batch)) is not None


_CHUNK = 8  # points evaluated at once: enough to fill the processor, few enough for memory


def _timed(call: Callable[[], Any], device: torch.device) -> tuple[Any, float]:
    def wait() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    began = wait()
    result = call()
    return result, wait() - began
