"""Where a forward pass uses its parameters, seen operation by operation.

A per-example gradient has a simple form where a parameter enters through an operation that is linear in it: for
z_t = W a_t at positions t it is sum_t g_t a_t^T, with g_t the derivative by z_t. Which operations a parameter goes
through is not asked of the modules (they may be bypassed, shared or tied) but watched as they are called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

__all__ = ["Recorder", "Use"]

Kind = Literal["linear", "matmul", "convolution", "lookup"]


@dataclass(frozen=True)
class Use:
    """One call of an operation that is linear in its weight and bias, on a batch of b examples with T positions each.

    Attributes:
        kind: "linear" (z = a W^T + c), "matmul" (z = a W), "convolution" (linear in its patches), or
            "lookup" (z = W[a]).
        weight: Name of the weight; None where it is no part of theta.
        bias: Name of the bias; None likewise.
        inputs: What the weight acts on, (b, T, q); for a lookup the row numbers, (b, T), -1 where none is read.
        edge: Where in the graph z was made, so that its derivative is found even if z is overwritten later.
        shape: Shape of z.
        dtype: Type of z.
    """

    kind: Kind
    weight: str | None
    bias: str | None
    inputs: Tensor
    edge: GradientEdge
    shape: torch.Size
    dtype: torch.dtype

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters of theta among weight and bias."""
        return tuple(name for name in (self.weight, self.bias) if name is not None)

    def slopes(self, derivative: Tensor | None) -> Tensor:
        """The derivative by z, as rows (b, T, p) over the positions; None stands for zero."""
        if derivative is None:
            derivative = torch.zeros(self.shape, dtype=self.dtype, device=self.inputs.device)
        if self.kind == "convolution":  # (b, p, *space)
            derivative = derivative.flatten(2).transpose(1, 2)
        return derivative.reshape(*self.inputs.shape[:2], -1)

    def gradient(self, name: str, slopes: Tensor, like: Tensor) -> Tensor:
        """The gradient by one of its parameters, summed over examples and positions, in the shape of `like`."""
        if name != self.weight:
            return slopes.sum((0, 1)).reshape(like.shape)
        if self.kind == "lookup":
            read = self.inputs >= 0
            return torch.zeros_like(like).index_add(0, self.inputs[read], slopes[read])
        left, right = (self.inputs, slopes) if self.kind == "matmul" else (slopes, self.inputs)
        return torch.einsum("btp,btq->pq", left, right).reshape(like.shape)


class Recorder(TorchFunctionMode):
    """Within, every operation that reads a parameter is recorded: as a use where its form is known, else by name.

    Attributes:
        uses: The uses of known form, in the order of execution.
        elsewhere: Names of the parameters that some operation of another form reads.
    """

    def __init__(self, parameters: Mapping[str, Tensor], examples: int) -> None:
        super().__init__()
        self.uses: list[Use] = []
        self.elsewhere: set[str] = set()
        self._names = {id(tensor): name for name, tensor in parameters.items()}
        self._examples = examples

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        read = {self._names[id(leaf)] for leaf in tree_leaves((args, kwargs)) if id(leaf) in self._names}
        if read and any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in tree_leaves(result)):
            use = self._use(func, args, kwargs or {}, result)
            if use is not None:
                self.uses.append(use)
                read -= set(use.names)
            self.elsewhere |= read
        return result

    def _use(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Use | None:
        known = _FORMS.get(func)
        if known is None:
            return None
        kind, signature, inputs_of = known
        given = _Arguments({**dict(zip(signature, args, strict=False)), **kwargs})
        weight, bias = (self._names.get(id(given[name])) for name in ("weight", "bias"))
        if not isinstance(given["input"], Tensor) or id(given["input"]) in self._names:
            return None
        with torch.no_grad():
            inputs = inputs_of(given)
        # Rows of the first dimension are examples, or examples times positions; contractions are checked for it.
        if inputs is None or inputs.shape[0] % self._examples:
            return None
        shape = (self._examples, -1) if kind == "lookup" else (self._examples, -1, inputs.shape[-1])
        return Use(
            kind, weight, bias, inputs.detach().reshape(shape), get_gradient_edge(result), result.shape, result.dtype
        )


class _Arguments(dict[str, Any]):
    """The arguments of a call by name; those not given are None."""

    def __missing__(self, name: str) -> None:
        return None


def _rows(given: _Arguments) -> Tensor | None:
    """The inputs of a linear map; None unless they are a batch and its weight a matrix."""
    values, weight = given["input"], given["weight"]
    return values if values.ndim >= 2 and isinstance(weight, Tensor) and weight.ndim == 2 else None


def _patches(given: _Arguments) -> Tensor | None:
    """The patches (b, T, q) on which the kernels of a one- or two-dimensional convolution act."""
    values, weight, padding = given["input"], given["weight"], given["padding"]
    if (given["groups"] or 1) != 1 or isinstance(padding, str) or values.ndim != weight.ndim:
        return None
    space = weight.ndim - 2
    stride = _per_dimension(given["stride"], 1, space)
    padding = _per_dimension(padding, 0, space)
    dilation = _per_dimension(given["dilation"], 1, space)
    kernel = tuple(weight.shape[2:])
    if space == 1:  # as an image of height 1
        values, kernel = values.unsqueeze(2), (1, *kernel)
        stride, padding, dilation = (1, *stride), (0, *padding), (1, *dilation)
    return functional.unfold(values, kernel, dilation=dilation, padding=padding, stride=stride).transpose(1, 2)


def _per_dimension(value: Any, default: int, dimensions: int) -> tuple[int, ...]:
    value = default if value is None else value
    return (value,) * dimensions if isinstance(value, int) else tuple(value) * (dimensions // len(value))


def _row_numbers(given: _Arguments) -> Tensor | None:
    """The rows that an embedding or an index reads; None where reading does more than that."""
    index, weight = given["input"], given["weight"]
    if not isinstance(weight, Tensor) or index.is_floating_point() or index.dtype == torch.bool or index.ndim < 1:
        return None
    if given["max_norm"] is not None or given["scale_grad_by_freq"] or given["sparse"]:
        return None
    numbers: Tensor = index % len(weight)
    padding = given["padding_idx"]
    return numbers if padding is None else numbers.masked_fill(numbers == padding % len(weight), -1)


_CONVOLUTION = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_EMBEDDING = ("input", "weight", "padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse")

_FORMS: dict[Any, tuple[Kind, tuple[str, ...], Callable[[_Arguments], Tensor | None]]] = {
    functional.linear: ("linear", ("input", "weight", "bias"), _rows),
    torch.matmul: ("matmul", ("input", "weight"), _rows),
    torch.Tensor.matmul: ("matmul", ("input", "weight"), _rows),
    torch.Tensor.__matmul__: ("matmul", ("input", "weight"), _rows),
    functional.conv1d: ("convolution", _CONVOLUTION, _patches),
    functional.conv2d: ("convolution", _CONVOLUTION, _patches),
    functional.embedding: ("lookup", _EMBEDDING, _row_numbers),
    torch.Tensor.__getitem__: ("lookup", ("weight", "input"), _row_numbers),
}
