"""Gram matrices of per-example gradients, from the two factors that make them up, without forming the gradients.

A gradient with the form sum_t g_t a_t^T over positions t has the inner products
K_ij = sum_tt' (a_it . a_jt') (g_it . g_jt'), and only the slopes g differ between the network's outputs. Products are
made in the network's precision and summed in float64.

Either the inner products are summed over outputs, (n, n), or each output of an example is paired with each output of
another, (n k, n k) with the k outputs of the first example first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from landscope.derivatives import accumulator
from landscope.kernel.sums import add_products
from landscope.kernel.uses import BUDGET, Piece, Use

__all__ = ["Contraction", "Formed", "Lookup", "Outer", "Pairwise", "Patches", "contraction_of", "lookup_is_cheaper"]

_OVERHEAD = 2e5  # multiplications in the time that it takes to call a small product


class Contraction(Protocol):
    """A Gram matrix built up a few outputs, or a few of the slopes' components, at a time."""

    def add(self, slopes: Sequence[Tensor]) -> None:
        """Adds the slopes (n, T, k, p) of k outputs; of mixed uses, those of each use."""

    def add_to(self, total: Tensor) -> None:
        """Adds the sum, or at least its lower triangle, to a Gram matrix."""


class Patches:
    """The inputs (n, T, q) of convolutions, made for a few examples at a time.

    Args:
        uses: All uses, of one batch.
    """

    def __init__(self, uses: Sequence[Use]) -> None:
        self._uses = uses
        self.shape = (uses[0].examples, sum(use.positions for use in uses), uses[0].width)

    def __getitem__(self, examples: slice) -> Tensor:
        """Those of some examples, (c, T, q)."""
        return torch.cat([use.read(examples) for use in self._uses], dim=1)


class Pairwise:
    """All pairs of positions: (A A^T) o (G G^T), of which A A^T (nT, nT) is the same for every output.

    Args:
        inputs: (n, T, q).
        bias: Whether 1 is added to the inner products of inputs, for a bias.
        paired: Whether outputs are paired.
    """

    def __init__(self, inputs: Tensor, bias: bool, paired: bool) -> None:
        self._examples, self._positions = inputs.shape[:2]
        rows = inputs.reshape(-1, inputs.shape[-1])
        self._inputs = rows @ rows.T
        if bias:
            self._inputs += 1
        self._paired = paired
        self._slopes: list[Tensor] = []  # rows (n k T, p) of paired outputs
        self._products: Tensor | None = None  # summed over outputs

    def add(self, slopes: Sequence[Tensor]) -> None:
        """As the protocol says."""
        (all_slopes,) = slopes
        if self._paired:
            self._slopes.append(all_slopes.transpose(1, 2).flatten(0, 2))
            return
        rows = all_slopes.flatten(2).flatten(0, 1)
        products = rows @ rows.T
        self._products = products.to(accumulator(products)) if self._products is None else self._products.add_(products)

    def add_to(self, total: Tensor) -> None:
        """As the protocol says."""
        n, positions = self._examples, self._positions
        if not self._paired:
            assert self._products is not None
            pairs = self._products.mul_(self._inputs)
            total += pairs.view(n, positions, n, positions).sum((1, 3)) if positions > 1 else pairs
            return
        rows = torch.cat(self._slopes, dim=1) if len(self._slopes) > 1 else self._slopes[0]
        if positions == 1:
            add_products(total, rows, self._inputs)
            return
        outputs = len(rows) // (n * positions)
        pairs = (rows @ rows.T).view(n, outputs, positions, n, outputs, positions)
        pairs *= self._inputs.view(n, 1, positions, n, 1, positions)
        total += pairs.sum((2, 5)).view(n * outputs, n * outputs)


class Outer:
    """The gradients themselves, sum_t g_t a_t^T, a slab at a time: cheaper where positions outnumber weights.

    Args:
        inputs: (n, T, q).
        bias: Whether the gradient by a bias belongs to it, which is the sum of the slopes.
        paired: Whether outputs are paired.
    """

    def __init__(self, inputs: Tensor | Patches, bias: bool, paired: bool) -> None:
        self._inputs, self._bias, self._paired = inputs, bias, paired
        self._gram: Tensor | None = None

    def add(self, slopes: Sequence[Tensor]) -> None:
        """As the protocol says."""
        (all_slopes,) = slopes
        n, _, outputs, p = all_slopes.shape
        slab = max(1, BUDGET // (n * outputs * self._inputs.shape[-1]))
        for start in range(0, p, slab):
            some = all_slopes[..., start : start + slab]
            rows = self._gradients(some.flatten(2))
            self._gram = _with_products(self._gram, rows.reshape(n * outputs, -1) if self._paired else rows.flatten(1))
            if self._bias:
                rows = some.sum(1)
                self._gram = _with_products(self._gram, rows.flatten(0, 1) if self._paired else rows.flatten(1))

    def add_to(self, total: Tensor) -> None:
        """As the protocol says."""
        assert self._gram is not None
        total += self._gram

    def _gradients(self, slopes: Tensor) -> Tensor:
        """(n, k p, q) for slopes (n, T, k p)."""
        if isinstance(self._inputs, Tensor):
            return torch.bmm(slopes.mT, self._inputs.to(slopes.dtype))
        n, positions, width = self._inputs.shape
        result = slopes.new_empty(n, slopes.shape[2], width)
        together = max(1, BUDGET // (positions * width))
        for start in range(0, n, together):
            chunk = slice(start, start + together)
            torch.bmm(slopes[chunk].mT, self._inputs[chunk].to(slopes.dtype), out=result[chunk])
        return result


class Lookup:
    """Rows of a table: a . a' is 1 where two positions read the same row and 0 elsewhere, so only those are paired.

    Args:
        index: (n, T) the row read at each position, -1 where none is.
        paired: Whether outputs are paired.
    """

    def __init__(self, index: Tensor, paired: bool) -> None:
        self._examples, self._paired = len(index), paired
        flat, positions = index.flatten().sort(stable=True)
        positions = positions[flat >= 0]
        counts = flat[flat >= 0].unique_consecutive(return_counts=True)[1].tolist()
        self._same = positions.split(counts)
        self._owners = (positions // index.shape[1]).split(counts)
        self._gram: Tensor | None = None

    def add(self, slopes: Sequence[Tensor]) -> None:
        """As the protocol says."""
        (all_slopes,) = slopes
        outputs = all_slopes.shape[2] if self._paired else 1
        side = self._examples * outputs
        if self._gram is None:
            self._gram = all_slopes.new_zeros((side, side), dtype=accumulator(all_slopes))
        rows = all_slopes.flatten(0, 1)
        numbers = torch.arange(outputs, device=rows.device)
        for positions, owners in zip(self._same, self._owners, strict=True):
            reading = rows[positions].flatten(0, 1) if self._paired else rows[positions].flatten(1)
            where = (owners[:, None] * outputs + numbers).flatten()
            block = (reading @ reading.T).to(self._gram.dtype)
            self._gram.index_put_((where[:, None], where[None, :]), block, accumulate=True)

    def add_to(self, total: Tensor) -> None:
        """As the protocol says."""
        assert self._gram is not None
        total += self._gram


class Formed:
    """Gradients by a piece that is read in several ways, or by few rows of a table, a slab of rows at a time.

    Args:
        uses: The uses, for each batch.
        piece: What they read.
        paired: Whether outputs are paired.
    """

    def __init__(self, uses: Sequence[Sequence[Use]], piece: Piece, paired: bool) -> None:
        self._uses, self._piece, self._paired = uses, piece, paired
        self._gram: Tensor | None = None

    def add(self, slopes: Sequence[Tensor]) -> None:
        """As the protocol says, for the slopes of each batch's uses, one batch after the other."""
        n, outputs = sum(own[0].examples for own in self._uses), slopes[0].shape[2]
        rows, width = self._piece.rows, self._piece.numel // self._piece.rows
        slab = max(1, BUDGET // (n * outputs * width))
        for start in range(0, rows, slab):
            given = iter(slopes)
            batches = []
            for own in self._uses:
                parts = [use.gradients(self._piece, next(given), slice(start, start + slab)) for use in own]
                batches.append(sum(parts[1:], parts[0]))
            gradients = torch.cat(batches)
            gradients = gradients.flatten(0, 1).flatten(1) if self._paired else gradients.flatten(1)
            self._gram = _with_products(self._gram, gradients)

    def add_to(self, total: Tensor) -> None:
        """As the protocol says."""
        assert self._gram is not None
        total += self._gram


def contraction_of(inputs: Tensor | Patches, bias: bool, outputs: int, paired: bool) -> Pairwise | Outer:
    """The cheaper contraction for inputs (n, T, q), by its multiplications for one component of the slopes.

    Pairs cost (nT)^2, and k^2 as much for k paired outputs (what they take of q is shared by all outputs); gradients
    n T q + n^2 q, with k n in place of n for paired outputs.
    """
    n, positions, q = inputs.shape
    k = outputs if paired else 1
    pairs, formed = (n * positions * k) ** 2, n * k * q * (positions + n * k)
    if isinstance(inputs, Tensor) and (positions == 1 or (pairs <= BUDGET and pairs < formed)):
        return Pairwise(inputs, bias, paired)
    return Outer(inputs, bias, paired)


def lookup_is_cheaper(index: Tensor, rows: int) -> bool:
    """Whether pairing positions that read the same row takes less than forming gradients by all rows of the table."""
    counts = index[index >= 0].unique(return_counts=True)[1].double()
    return float((counts**2).sum()) + _OVERHEAD * len(counts) < float(len(index)) ** 2 * rows


def _with_products(gram: Tensor | None, rows: Tensor) -> Tensor:
    """A Gram matrix, or zero, with the inner products of rows (m, d) added to its lower triangle at least."""
    if gram is None:
        gram = rows.new_zeros(len(rows), len(rows), dtype=accumulator(rows))
    add_products(gram, rows)
    return gram
