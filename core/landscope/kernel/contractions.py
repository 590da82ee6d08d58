"""Gram matrices of per-example gradients, from the two factors that make them up, without forming the gradients.

A gradient with the form sum_t g_t a_t^T over positions t has the inner products
K_ij = sum_tt' (a_it . a_jt') (g_it . g_jt'), and only the slopes g differ between the network's outputs. Products are
made in the network's precision and summed in float64.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from landscope.derivatives import accumulator

__all__ = ["Contraction", "Lookup", "Outer", "Pairwise", "contraction_of"]

BUDGET = 2**24  # elements of a temporary: 64 MiB in float32


class Contraction(Protocol):
    """A sum over outputs of the inner products of gradients, built up a few outputs at a time."""

    def add(self, slopes: Tensor) -> None:
        """Adds k outputs, given the slopes (n, T, k, p) at the positions."""

    def gram(self) -> Tensor:
        """The sum so far, (n, n)."""


class Pairwise:
    """All pairs of positions: (A A^T) o (G G^T), of which A A^T (nT, nT) is the same for every output.

    Args:
        inputs: (n, T, q).
    """

    def __init__(self, inputs: Tensor) -> None:
        self.examples, self.positions = inputs.shape[:2]
        rows = inputs.reshape(-1, inputs.shape[-1])
        self._inputs = (rows @ rows.T).to(accumulator(inputs))
        self._slopes = torch.zeros_like(self._inputs)

    def add(self, slopes: Tensor) -> None:
        """As the protocol says."""
        rows = slopes.flatten(2).flatten(0, 1)
        self._slopes += rows @ rows.T

    def gram(self) -> Tensor:
        """As the protocol says."""
        pairs = self._inputs * self._slopes
        return pairs.view(self.examples, self.positions, self.examples, self.positions).sum((1, 3))


class Outer:
    """The gradients themselves, sum_t g_t a_t^T, a slab at a time: cheaper where positions outnumber weights.

    Args:
        inputs: (n, T, q).
    """

    def __init__(self, inputs: Tensor) -> None:
        self._inputs = inputs
        self._gram = inputs.new_zeros((len(inputs), len(inputs)), dtype=accumulator(inputs))

    def add(self, slopes: Tensor) -> None:
        """As the protocol says."""
        n, _, q = self._inputs.shape
        for slab in slopes.flatten(2).split(max(1, BUDGET // (n * q)), dim=2):
            rows = torch.bmm(slab.mT, self._inputs).flatten(1)
            self._gram += rows @ rows.T

    def gram(self) -> Tensor:
        """As the protocol says."""
        return self._gram


class Lookup:
    """Rows of a table: a . a' is 1 where two positions read the same row and 0 elsewhere, so only those are paired.

    Args:
        index: (n, T) the row read at each position, -1 where none is.
        like: A tensor of the table's type and device.
    """

    def __init__(self, index: Tensor, like: Tensor) -> None:
        self._gram = like.new_zeros((len(index), len(index)), dtype=accumulator(like))
        flat, positions = index.flatten().sort(stable=True)
        positions = positions[flat >= 0]
        counts = flat[flat >= 0].unique_consecutive(return_counts=True)[1].tolist()
        self._same = positions.split(counts)
        self._owners = (positions // index.shape[1]).split(counts)

    def add(self, slopes: Tensor) -> None:
        """As the protocol says."""
        rows = slopes.flatten(2).flatten(0, 1)
        for positions, owners in zip(self._same, self._owners, strict=True):
            reading = rows[positions]
            block = (reading @ reading.T).to(self._gram.dtype)
            self._gram.index_put_((owners[:, None], owners[None, :]), block, accumulate=True)

    def gram(self) -> Tensor:
        """As the protocol says."""
        return self._gram


def contraction_of(inputs: Tensor) -> Pairwise | Outer:
    """The cheaper contraction for inputs (n, T, q), by its multiplications for one output with p slopes.

    Pairs cost (nT)^2 p (what they take of q is shared by all outputs), gradients n T p q + n^2 p q.
    """
    n, positions, q = inputs.shape
    pairs = (n * positions) ** 2
    if positions == 1 or (pairs <= BUDGET and pairs < n * q * (positions + n)):
        return Pairwise(inputs)
    return Outer(inputs)
