"""The objective L(theta): a model's mean loss over fixed data, as a function of its trainable parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from landscope.batch_norm import BATCH_NORM_POLICIES, BatchNormPolicy, recomputed_buffers
from landscope.batches import batch_size_of, collect, to_device
from landscope.derivatives import (
    Operator,
    accumulator,
    averaged,
    blockwise,
    derivative,
    hessian_operator,
    pullback_operator,
)
from landscope.derived_objectives import Derivable
from landscope.evaluation import Forward, Loss, ModelFunction, default_target, per_example
from landscope.hessian_products import Backend, Chosen, HessianProducts
from landscope.isolation import activations_kept, autograd_tensors
from landscope.parameters import ParameterLayout
from landscope.points import averages
from landscope.validity import check_batch
from landscope.work import Meter, Work

__all__ = ["Objective", "Work"]


class Objective(Derivable):
    """L(theta) = (1/N) sum_i loss(model(x_i; theta), y_i) over N fixed examples.

    Everything is measured of an objective. It never changes the user's model: not its weights, buffers, gradients,
    requires_grad flags, training mode, attributes or hooks, and not the state of any random number generator.

    Methods take `theta`, a vector (P,) laid out as `layout` says; left out, the model's weights at that moment. What
    is not part of theta (frozen parameters, buffers) has the model's values at that moment too.
    Dropout and autocast are off. Hooks that the user registered on the model are part of it, and run.

    The loss of a batch is taken to be the mean over its examples, and batches weigh by their number of examples. A loss
    that weighs examples itself (class weights, `ignore_index`) is then a mean of the batches' weighted means, which
    depends a little on how the data are batched; with a single batch it is exactly the user's loss.

    Args:
        model: The network. Frozen parameters (`requires_grad=False`) are constants, tied ones are counted once.
        loss: `loss(output, target)`, a floating-point scalar tensor that is the mean over the batch's examples.
        data: `(x, y)` tensors, a mapping of tensors, a Dataset, a DataLoader, or an iterable of batches of any pytree.
            Read once, now; tensors are kept as they are, not copied.
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
        self.function = ModelFunction(model, forward)
        self.loss = loss
        self.target = target
        self.batch_norm: BatchNormPolicy = batch_norm
        self.split = split
        self.layout = ParameterLayout.of(self.model, parameters)
        self.work, self._points, self._chosen = Work(), self._evaluator(), Chosen()
        with self.function.isolated():
            batches = collect(data, batch_size=batch_size, examples=examples, target=target)
        self.batches = batches.resident(self.layout.device)
        self._check()

    @property
    def digest(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the data, which need not be divided into the same batches."""
        return self.batches.together().digest

    @contextmanager
    def measuring(self) -> Iterator[Meter]:
        """A measurement made of several calls: isolates the model once, and yields the meter of its cost."""
        with self._isolated():
            yield Meter(self)

    # Values

    def theta(self) -> Tensor:
        """A copy of the model's parameters as a vector (P,)."""
        with autograd_tensors(), torch.no_grad():
            return self.layout.vector_of(self.model)

    def value(self, theta: Tensor | None = None) -> float:
        """L(theta)."""
        return float(self.metrics(self._point(theta).unsqueeze(0))["loss"])

    def values(self, thetas: Tensor) -> Tensor:
        """L at each of K points, as float64 (K,), for `thetas` (K, P)."""
        return self.metrics(thetas)["loss"]

    def metrics(self, thetas: Tensor) -> dict[str, Tensor]:
        """Loss and, for classification, accuracy at each of K points (K, P); each a float64 tensor (K,) on the CPU.

        Accuracy is the share of labels that have the largest output, those that the loss ignores left out. Points are
        evaluated several at once or one after the other, whichever the first points showed to be faster.

        Raises:
            ValueError: if `thetas` has another shape.
        """
        self.layout.check("thetas", thetas, 2)
        if not len(thetas):
            return {name: torch.empty(0).double() for name in ("loss", "accuracy")[: 1 + (self.classes is not None)]}
        with self._isolated(), torch.no_grad():
            found, evaluations = self._points(self._averages, thetas)
            self.work.forwards += evaluations
        return {name: values.cpu().double() for name, values in found.items()}

    def losses(self, theta: Tensor | None = None) -> Tensor:
        """The loss of each example, (N,): the user's loss of a batch that consists of it alone.

        Their mean is L(theta) for a loss that is a plain mean over examples. Where the loss weighs examples, each
        counts for itself here: class weights cancel, and an example that `ignore_index` leaves nothing of has loss NaN.
        With batch_norm="batch" the statistics are those of the whole batch.

        Raises:
            TypeError: if outputs or targets are not tensors.
            ValueError: if outputs do not have one row for each example.
        """
        with self._isolated(), torch.no_grad():
            self.work.forwards += 1
            pairs = zip(self.forward(self.layout.unflatten(self._point(theta))), self.batches.sizes, strict=True)
            return torch.cat(
                [per_example(self.loss, output, self.target(batch), size) for (batch, output), size in pairs]
            )

    def outputs(self, theta: Tensor | None = None) -> Tensor:
        """The model's outputs on all examples, (N, ...).

        Raises:
            TypeError: if the model's output is not a tensor.
        """
        with self._isolated(), torch.no_grad():
            self.work.forwards += 1
            outputs = [output for _, output in self.forward(self.layout.unflatten(self._point(theta)))]
        if not isinstance(outputs[0], Tensor):
            raise TypeError(
                f"the model's output is a {type(outputs[0]).__name__}, expected a tensor; "
                "pass forward=lambda model, batch: ... that returns the tensor to look at"
            )
        return torch.cat(outputs)

    def labels(self) -> Tensor | None:
        """The class of each example, (N,), on the CPU; None when targets are not one class per example."""
        if self.classes is None:
            return None
        labels = [self.classes.labels(self.target(batch)) for batch, _ in self.batches_on_device()]
        return torch.cat([piece.cpu() for piece in labels]) if labels[0].ndim == 1 else None

    # Derivatives

    def gradient(self, theta: Tensor | None = None) -> Tensor:
        """The gradient of L, (P,)."""
        return self.value_and_gradient(theta)[1]

    def value_and_gradient(self, theta: Tensor | None = None) -> tuple[float, Tensor]:
        """L(theta) and its gradient (P,); sums over batches are accumulated in float64."""
        with self._differentiating():
            self.work.gradients += 1
            point = self._point(theta)
            value, gradient = 0.0, torch.zeros_like(point, dtype=accumulator(point))
            for batch, share in self._shares():
                leaf = point.detach().requires_grad_()
                loss = self._loss(leaf, batch)
                value += share * float(loss.detach())
                gradient += share * derivative(loss, leaf)
            return value, gradient.to(point.dtype)

    def hessian(self, theta: Tensor | None = None, *, backend: Backend = "auto") -> Operator:
        """The Hessian of L at theta as a function from vectors (P,) or blocks (K, P) to the same shape.

        With a single batch what products have in common is computed once, with several anew for each block, so that
        only one is in memory.

        Args:
            theta: Where, (P,).
            backend: One of `landscope.hessian_products`; "auto" finds the fastest where many products are wanted.
        """
        if self.function.alone and backend == "auto":
            backend = "retained"  # the others trace or differentiate forward, which is the whole process's matter
        products = HessianProducts(backend, self._chosen, self.work, single=len(self.batches.items) == 1)
        return self.operator(lambda point, batch, _: products.at(lambda theta: self._loss(theta, batch), point), theta)

    def ggn(self, theta: Tensor | None = None) -> Operator:
        """The generalised Gauss-Newton matrix J^T (d^2 loss / d output^2) J at theta, as `hessian` is given."""

        def of_batch(point: Tensor, batch: Any, _: int) -> Operator:
            def curvature(output: Tensor) -> Operator:
                return hessian_operator(lambda output: self.loss(output, self.target(batch)), output)

            return pullback_operator(lambda theta: self.function(self.layout.unflatten(theta), batch), curvature, point)

        return self.operator(of_batch, theta)

    def operator(self, of_batch: Callable[[Tensor, Any, int], Operator], theta: Tensor | None = None) -> Operator:
        """The mean over batches of operators at theta, as `hessian` is given.

        Args:
            of_batch: An operator on blocks (K, P) for a point (P,), a batch and its number; the same at every call.
            theta: Where.
        """
        self._need_derivatives()
        with autograd_tensors():
            point = self._point(theta).clone()

        def parts() -> Iterator[tuple[Operator, float]]:
            for number, (batch, share) in enumerate(self._shares()):
                yield of_batch(point, batch, number), share

        mean = averaged(parts, single=len(self.batches.items) == 1)

        def product(block: Tensor) -> Tensor:
            with self._differentiating():
                self.work.products += len(block)
                self.work.backend = ""
                return mean(block.to(point.device))

        return blockwise(product, self.layout.size)

    # Evaluation of batches

    def batches_on_device(self) -> Iterator[tuple[Any, int]]:
        """The batches, on the parameters' device, with their sizes."""
        for item, size in zip(self.batches.items, self.batches.sizes, strict=True):
            yield to_device(item, self.layout.device), size

    def _shares(self) -> Iterator[tuple[Any, float]]:
        for batch, size in self.batches_on_device():
            yield batch, size / self.examples

    def forward(self, named: Mapping[str, Tensor]) -> Iterator[tuple[Any, Any]]:
        """Each batch with the model's output on it, with `named` parameters; to be used within `measuring`."""
        buffers = self._recomputed_buffers(named) if self.batch_norm == "recompute" else None
        for batch, _ in self.batches_on_device():
            yield batch, self.function(named, batch, buffers)

    def _loss(self, theta: Tensor, batch: Any) -> Tensor:
        return self.loss(self.function(self.layout.unflatten(theta), batch), self.target(batch))

    def _averages(self, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
        pairs = ((output, self.target(batch)) for batch, output in self.forward(named))
        return averages(pairs, self.batches.sizes, self.loss, self.classes)

    def _recomputed_buffers(self, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
        self.work.forwards += 1

        def evaluate(batch: Any, buffers: dict[str, Tensor]) -> Any:
            return self.function(named, batch, buffers)

        return recomputed_buffers(self.model, evaluate, self.batches_on_device())

    def _isolated(self) -> AbstractContextManager[None]:
        return self.function.isolated(batch_statistics=self.batch_norm == "batch")

    @contextmanager
    def _differentiating(self) -> Iterator[None]:
        self._need_derivatives()
        with self._isolated(), activations_kept(), torch.enable_grad():
            yield

    def _point(self, theta: Tensor | None) -> Tensor:
        if theta is None:
            return self.theta()
        self.layout.check("theta", theta, 1)
        with autograd_tensors():
            point = theta.detach().to(self.layout.device, self.layout.dtype)
            return point.clone() if point.is_inference() else point

    def _need_derivatives(self) -> None:
        if self.batch_norm == "recompute":
            raise ValueError(
                "batch_norm='recompute' has values but no derivatives: its statistics come from a pass of their own; "
                "use batch_norm='batch', or 'eval'"
            )

    # Checks

    def _check(self) -> None:
        """Evaluates the first batch, so that what cannot be measured is refused before anything is."""
        batch = to_device(self.batches.items[0], self.layout.device)
        with self._isolated(), torch.enable_grad():
            leaf = self.theta().requires_grad_()
            named = self.layout.unflatten(leaf)

            def output() -> Any:
                buffers = None if self.batch_norm != "recompute" else self._recomputed_buffers(named)
                return self.function(named, batch, buffers)

            self.classes = check_batch(output, lambda: self.target(batch), self.loss, batch_size_of(batch, self.target))
