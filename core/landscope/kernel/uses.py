"""Where a forward pass uses its parameters: the calls of operations that are linear in them.

A per-example gradient has a simple form where a parameter enters through an operation that is linear in it: for
z_t = W a_t at positions t it is sum_t g_t a_t^T, with g_t the derivative by z_t.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Literal

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

__all__ = ["BUDGET", "Kind", "Piece", "Use", "disjoint"]

BUDGET = 2**24  # elements of a temporary: 64 MiB in float32

Kind = Literal["linear", "convolution", "lookup", "formed"]


@dataclass(frozen=True)
class Piece:
    """Some elements of a parameter, as a view of its memory: all of it, a chunk, or its transpose.

    Attributes:
        name: The parameter.
        offset: Where in the parameter it begins.
        shape: Its shape.
        stride: Its strides.
    """

    name: str
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def of(self, flat: Tensor) -> Tensor:
        """The view of a parameter that is given as a vector."""
        return flat.as_strided(self.shape, self.stride, self.offset)

    @property
    def transposed(self) -> Piece:
        """The same elements with the dimensions in reverse."""
        return Piece(self.name, self.offset, self.shape[::-1], self.stride[::-1])

    @property
    def elements(self) -> tuple[str, int, frozenset[tuple[int, int]]]:
        """The same for two pieces with the same elements."""
        sizes = zip(self.stride, self.shape, strict=True)
        return self.name, self.offset, frozenset(pair for pair in sizes if pair[1] > 1)

    @property
    def numel(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def rows(self) -> int:
        """Length of the first dimension; 1 for a scalar."""
        return self.shape[0] if self.shape else 1


@dataclass(frozen=True)
class Use:
    """One call of an operation that is linear in its weight and bias, on a batch of b examples with T positions each.

    Attributes:
        kind: "linear" (z = W a + c), "convolution" (linear in its patches), "lookup" (z = W[a]), or "formed", whose
            per-example gradients come from the derivative by z directly, as those of a scale or a shift.
        weight: The weight (p, q), for a lookup the table (rows, p); None where it is no part of theta.
        bias: The bias (p,); None likewise.
        examples: Number b of examples.
        positions: Number T.
        width: What one row of `inputs` has: q; for a lookup 0.
        inputs: A chunk of the examples -> what the weight acts on, (c, T, q); for a lookup the row numbers, (c, T), -1
            where none is read.
        form: The derivative by z -> rows (b T, p); for a convolution and a formed use (b, T, p).
        edge: Where in the graph z was made, so that its derivative is found even if z is overwritten later.
        shape: Shape of z.
        like: An empty tensor of z's type and device.
        examples_first: Whether rows of z run over the positions of the first example first, or over the examples at
            the first position.
    """

    kind: Kind
    weight: Piece | None
    bias: Piece | None
    examples: int
    positions: int
    width: int
    inputs: Callable[[slice], Tensor]
    form: Callable[[Tensor], Tensor]
    edge: GradientEdge
    shape: torch.Size
    like: Tensor
    examples_first: bool = True

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The parameters of theta among weight and bias."""
        return tuple(piece for piece in (self.weight, self.bias) if piece is not None)

    @property
    def components(self) -> int:
        """Length p of the slopes at one position."""
        if self.kind == "formed":
            return self.pieces[0].numel
        piece = self.weight or self.bias
        assert piece is not None
        return piece.shape[1] if self.kind == "lookup" else piece.shape[0]

    def otherwise(self) -> Use:
        """The same use with rows that run over the examples first."""
        return replace(self, examples_first=False)

    def read(self, examples: slice = slice(None)) -> Tensor:
        """What the weight acts on: (c, T, q), or the row numbers (c, T)."""
        if self.kind == "convolution":
            return self.inputs(examples)
        return self._by_example(self.inputs(slice(None)))[examples]

    def slopes(self, derivative: Tensor | None) -> Tensor:
        """The derivative by z, as rows (b, T, p) over the positions; None stands for zero."""
        if derivative is None:
            derivative = self.like.new_zeros(self.shape)
        rows = self.form(derivative)
        if self.kind == "formed":
            return self._by_example(rows).sum(1, keepdim=True) if rows.ndim == 2 else rows
        return self._by_example(rows) if rows.ndim == 2 else rows

    def chunks(self) -> Iterator[slice]:
        """The examples, as many at a time as have a bounded number of inputs."""
        together = max(1, BUDGET // max(1, self.positions * self.width))
        for start in range(0, self.examples, together):
            yield slice(start, start + together)

    def gradient(self, piece: Piece, slopes: Tensor) -> Tensor:
        """The gradient by one of its pieces, summed over examples and positions, in the piece's shape."""
        if piece == self.bias or self.kind == "formed":
            return slopes.sum((0, 1)).reshape(piece.shape)
        result = slopes.new_zeros(piece.shape)
        if self.kind == "lookup":
            index = self.read()
            return result.index_add(0, index[index >= 0], slopes[index >= 0])
        for chunk in self.chunks():
            result += torch.einsum("btp,btq->pq", slopes[chunk], self.read(chunk).to(slopes.dtype))
        return result

    def gradients(self, piece: Piece, slopes: Tensor, rows: slice) -> Tensor:
        """Per-example gradients (b, k, r, c) by some rows of a piece, for slopes (b, T, k, p) of k outputs.

        Args:
            piece: A piece with the elements of this use's weight or bias, which may be its transpose.
            slopes: (b, T, k, p).
            rows: Of the piece's first dimension.
        """
        if self.kind == "formed" or (self.bias is not None and self.bias.elements == piece.elements):
            whole = slopes.sum(1).reshape(*slopes.shape[:1], slopes.shape[2], piece.rows, -1)
            return whole[:, :, rows]
        assert self.weight is not None
        same = self.weight == piece
        if self.kind == "lookup":
            return self._looked_up(slopes, rows) if same else self._looked_up(slopes[..., rows], slice(None)).mT
        inputs = self.read().to(slopes.dtype)
        if same:
            return torch.einsum("btkp,btq->bkpq", slopes[..., rows], inputs)
        return torch.einsum("btkp,btq->bkqp", slopes, inputs[..., rows])

    def _looked_up(self, slopes: Tensor, rows: slice) -> Tensor:
        assert self.weight is not None
        first, last, _ = rows.indices(self.weight.rows)
        index = self.read()
        inside = (index >= first) & (index < last)
        b, _, k, p = slopes.shape
        owners = torch.arange(b, device=index.device)[:, None].expand_as(index)[inside]
        result = slopes.new_zeros(b * (last - first), k, p)
        result.index_add_(0, owners * (last - first) + index[inside] - first, slopes[inside])
        return result.view(b, last - first, k, p).transpose(1, 2)

    def _by_example(self, rows: Tensor) -> Tensor:
        """Rows (b T, ...) as (b, T, ...)."""
        if self.examples_first:
            return rows.reshape(self.examples, -1, *rows.shape[1:])
        return rows.reshape(-1, self.examples, *rows.shape[1:]).transpose(0, 1)


def disjoint(pieces: Sequence[Piece], numel: int) -> bool:
    """Whether no element of a parameter with `numel` of them lies in two of the pieces."""
    counts = torch.zeros(numel, dtype=torch.uint8)
    for piece in pieces:
        piece.of(counts).add_(1)
    return int(counts.max()) <= 1
