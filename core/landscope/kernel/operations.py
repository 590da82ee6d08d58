"""The operations whose use of parameters has a known form, and how each call is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge
from torch.nn import functional

from landscope.kernel.uses import Kind, Piece, Use

__all__ = ["FORMS", "Arguments", "Call", "shift"]


class Arguments(dict[str, Any]):
    """The arguments of a call by name; those not given are None."""

    def __missing__(self, name: str) -> None:
        return None


@dataclass(frozen=True)
class Call:
    """A call of an operation.

    Attributes:
        given: Its arguments.
        result: What it returned.
        examples: Number b of examples in the batch.
        piece: A tensor -> the part of a parameter that it is; None for other tensors.
    """

    given: Arguments
    result: Tensor
    examples: int
    piece: Callable[[Any], Piece | None]

    def use(
        self,
        kind: Kind,
        weight: Piece | None,
        bias: Piece | None,
        positions: int,
        width: int,
        inputs: Callable[[slice], Tensor],
        form: Callable[[Tensor], Tensor],
    ) -> Use:
        """A use with this call's result."""
        result = self.result
        like = result.detach().new_empty(0)
        edge = get_gradient_edge(result)
        return Use(kind, weight, bias, self.examples, positions, width, inputs, form, edge, result.shape, like)

    def rows_of(self, values: Tensor) -> int | None:
        """Positions per example, if the rows of a tensor (all dimensions but the last) run over examples."""
        rows = prod(values.shape[:-1])
        return rows // self.examples if rows and rows % self.examples == 0 else None

    def linear(self, weight: Piece | None, bias: Piece | None, values: Tensor) -> list[Use]:
        """Z = W a + c along the last dimension of some values."""
        positions = self.rows_of(values) if values.ndim >= 2 else None
        if positions is None or self.piece(values) is not None:
            return []
        flat, form = values.detach().reshape(-1, values.shape[-1]), _rows
        return [self.use("linear", weight, bias, positions, flat.shape[1], lambda _: flat, form)]

    def formed(self, piece: Piece | None, values: Tensor | None) -> list[Use]:
        """Z = w o x or z = x + w: the gradient by w is the derivative, times x, summed to the shape of w."""
        if piece is None:
            return []
        shape = piece.shape[next((i for i, size in enumerate(piece.shape) if size > 1), len(piece.shape)) :]
        kept = self.result.ndim - len(shape)
        lead = prod(self.result.shape[:kept])
        if not lead or lead % self.examples or kept < 1:
            return []
        inputs = None if values is None else values.detach()
        ones = torch.ones(self.examples, 1, dtype=self.result.dtype, device=self.result.device)
        summed = tuple(1 + i for i, size in enumerate(shape) if size == 1)

        def form(derivative: Tensor) -> Tensor:
            gradient = derivative if inputs is None else derivative * inputs
            gradient = gradient.reshape(lead, *gradient.shape[kept:])
            return (gradient.sum(summed) if summed else gradient).reshape(lead, -1)

        return [self.use("formed", piece, None, 1, 1, lambda _: ones, form)]

    def lookup(self, table: Piece | None, index: Tensor) -> list[Use]:
        """Z = W[a]; the index has as many elements as z has rows."""
        count = index.numel()
        if table is None or len(table.shape) != 2 or not count or count % self.examples:
            return []
        numbers = index.detach().reshape(-1) % table.rows
        padding = self.given["padding_idx"]
        if padding is not None:
            numbers = numbers.masked_fill(numbers == padding % table.rows, -1)
        return [self.use("lookup", table, None, count // self.examples, 0, lambda _: numbers, _rows)]

    def of_fixed_rows(self, rows: Tensor, table: Piece, index: Tensor) -> list[Use]:
        """Z = x + W[a] with the same a for every example."""
        tail = rows.shape[next((i for i, size in enumerate(rows.shape) if size > 1), rows.ndim) :]
        if not tail or self.result.shape[self.result.ndim - len(tail) :] != tail:
            return []
        repeats = self.result.numel() // rows.numel()
        return self.lookup(table, index.flatten().repeat(repeats))

    def is_plain_lookup(self) -> bool:
        """Whether an embedding reads rows and does nothing else."""
        given = self.given
        index, weight = given["input"], given["weight"]
        return (
            isinstance(weight, Tensor)
            and isinstance(index, Tensor)
            and not index.is_floating_point()
            and index.dtype != torch.bool
            and index.ndim >= 1
            and not (given["max_norm"] is not None or given["scale_grad_by_freq"] or given["sparse"])
        )


def _rows(derivative: Tensor) -> Tensor:
    return derivative.reshape(-1, derivative.shape[-1])


def _linear(call: Call) -> list[Use]:
    weight = call.given["weight"]
    if not isinstance(weight, Tensor) or weight.ndim != 2:
        return []
    return call.linear(call.piece(weight), call.piece(call.given["bias"]), call.given["input"])


def _matmul(call: Call) -> list[Use]:
    weight = call.piece(call.given["weight"])
    if weight is None or len(weight.shape) != 2:
        return []
    return call.linear(weight.transposed, None, call.given["input"])


def _embedding(call: Call) -> list[Use]:
    return call.lookup(call.piece(call.given["weight"]), call.given["input"]) if call.is_plain_lookup() else []


def _scale(call: Call) -> list[Use]:
    return [
        use
        for one, other in (("input", "other"), ("other", "input"))
        if isinstance(call.given[other], Tensor) and call.piece(call.given[other]) is None
        for use in call.formed(call.piece(call.given[one]), call.given[other])
    ]


def shift(call: Call) -> list[Use]:
    """The parameter in z = x + w."""
    if call.given["alpha"] not in (None, 1):
        return []
    return [use for name in ("input", "other") for use in call.formed(call.piece(call.given[name]), None)]


def _normalised(normalise: Callable[[Arguments], Tensor], channels: bool) -> Callable[[Call], list[Use]]:
    """Scale and shift after a normalisation, along the last dimensions or along the channels, dimension 1."""

    def uses_of(call: Call) -> list[Use]:
        if call.piece(call.given["input"]) is not None:
            return []
        if call.given["training"]:  # by the statistics of the batch
            return []
        with torch.no_grad():
            values = normalise(call.given)
        pieces = [call.piece(call.given[name]) for name in ("weight", "bias")]
        if channels:
            tail = (1,) * (values.ndim - 2)
            pieces = [p and Piece(p.name, p.offset, (*p.shape, *tail), (*p.stride, *tail)) for p in pieces]
        return [*call.formed(pieces[0], values), *call.formed(pieces[1], None)]

    return uses_of


def _layer_norm(given: Arguments) -> Tensor:
    eps = 1e-5 if given["eps"] is None else given["eps"]
    return functional.layer_norm(given["input"], given["normalized_shape"], eps=eps)


def _rms_norm(given: Arguments) -> Tensor:
    return functional.rms_norm(given["input"], given["normalized_shape"], eps=given["eps"])


def _group_norm(given: Arguments) -> Tensor:
    eps = 1e-5 if given["eps"] is None else given["eps"]
    return functional.group_norm(given["input"], given["num_groups"], eps=eps)


def _batch_norm(given: Arguments) -> Tensor:
    eps = 1e-5 if given["eps"] is None else given["eps"]
    return functional.batch_norm(given["input"], given["running_mean"], given["running_var"], eps=eps)


def _convolution(call: Call) -> list[Use]:
    """A convolution is linear in its patches (b, T, q); with groups, each group of channels in its own."""
    given, result, examples = call.given, call.result, call.examples
    values, weight, padding, groups = given["input"], given["weight"], given["padding"], given["groups"] or 1
    if isinstance(padding, str) or values.ndim != weight.ndim or len(values) != examples:
        return []
    piece, bias = call.piece(weight), call.piece(given["bias"])
    if call.piece(values) is not None or (piece is not None and not weight.is_contiguous()):
        return []
    values = values.detach()
    space = weight.ndim - 2
    stride = _per_dimension(given["stride"], 1, space)
    padding = _per_dimension(padding, 0, space)
    dilation = _per_dimension(given["dilation"], 1, space)
    kernel = tuple(weight.shape[2:])
    if space == 1:  # as an image of height 1
        values, kernel = values.unsqueeze(2), (1, *kernel)
        stride, padding, dilation = (1, *stride), (0, *padding), (1, *dilation)

    def patches(chunk: slice) -> Tensor:
        return functional.unfold(values[chunk], kernel, dilation, padding, stride).transpose(1, 2)

    def columns(derivative: Tensor) -> Tensor:
        return derivative.flatten(2).transpose(1, 2)

    channels, positions = result.shape[1], prod(result.shape[2:])
    width = prod(weight.shape[1:])
    if piece is not None:
        piece = Piece(piece.name, piece.offset, (channels, width), (width, 1))
    if groups == 1:
        return [call.use("convolution", piece, bias, positions, width, patches, columns)]
    ones = values.new_ones(examples, 1)

    def gradients(derivative: Tensor) -> Tensor:
        rows = derivative.reshape(examples, groups, channels // groups, positions)
        inputs = patches(slice(None)).reshape(examples, positions, groups, width)
        return torch.einsum("bgpt,btgq->bgpq", rows, inputs.to(rows.dtype)).reshape(examples, 1, -1)

    uses = [] if piece is None else [call.use("formed", piece, None, 1, 1, lambda _: ones, gradients)]
    if bias is not None:
        uses.append(
            call.use("formed", bias, None, 1, 1, lambda _: ones, lambda derivative: columns(derivative).sum(1, True))
        )
    return uses


def _per_dimension(value: Any, default: int, dimensions: int) -> tuple[int, ...]:
    value = default if value is None else value
    return (value,) * dimensions if isinstance(value, int) else tuple(value) * (dimensions // len(value))


_CONVOLUTION = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_EMBEDDING = ("input", "weight", "padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse")
_LAYER = ("input", "normalized_shape", "weight", "bias", "eps")
_BINARY = ("input", "other")

FORMS: dict[Any, tuple[tuple[str, ...], Callable[[Call], list[Use]]]] = {
    functional.linear: (("input", "weight", "bias"), _linear),
    functional.conv1d: (_CONVOLUTION, _convolution),
    functional.conv2d: (_CONVOLUTION, _convolution),
    functional.embedding: (_EMBEDDING, _embedding),
    torch.Tensor.__getitem__: (("weight", "input"), _embedding),
    functional.layer_norm: (_LAYER, _normalised(_layer_norm, channels=False)),
    functional.rms_norm: (("input", "normalized_shape", "weight", "eps"), _normalised(_rms_norm, channels=False)),
    functional.group_norm: (("input", "num_groups", "weight", "bias", "eps"), _normalised(_group_norm, channels=True)),
    functional.batch_norm: (
        ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
        _normalised(_batch_norm, channels=True),
    ),
} | {
    function: (signature, uses_of)
    for signature, uses_of, functions in (
        (("input", "weight"), _matmul, (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.mm)),
        (_BINARY, _scale, (torch.mul, torch.Tensor.mul, torch.Tensor.__mul__, torch.Tensor.__rmul__)),
        (_BINARY, shift, (torch.add, torch.Tensor.add, torch.Tensor.__add__, torch.Tensor.__radd__)),
    )
    for function in functions
}
