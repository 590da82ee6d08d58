"""Products with the inverse of a Fisher matrix that is known by a few gradients (M-FAC)."""

from __future__ import annotations

import torch
from torch import Tensor

from landscope.derivatives import accumulator

__all__ = ["GradientBuffer"]


class GradientBuffer:
    """F = damping + (1/m) sum_i g_i g_i^T of the last m gradients, and its inverse, without a matrix of size P.

    By Woodbury's identity, with the gradients as the rows of G (m, P),

        F^-1 v = (v - G^T (m damping + G G^T)^-1 G v) / damping.

    G G^T is kept in float64 and brought up to date row by row, m inner products for each gradient; a solve costs two
    products with G. It is the inverse of M-FAC's dynamic algorithm (Frantar, Kurtic and Alistarh 2021,
    arXiv:2107.03356). Of mini-batches' gradients F is their second moment, of single examples' the empirical Fisher
    matrix.

    Args:
        capacity: Gradients kept, the oldest replaced first.
        damping: Added to every eigenvalue; in the unit of a squared gradient.

    Raises:
        ValueError: if either is not positive.
    """

    def __init__(self, capacity: int, *, damping: float) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be positive, got {capacity}")
        if not damping > 0:
            raise ValueError(f"damping must be positive, got {damping}: without it F has no inverse")
        self.capacity, self.damping = capacity, damping
        self._pushed = 0
        self._rows: Tensor | None = None
        self._gram = torch.zeros(capacity, capacity, dtype=torch.float64)

    def __len__(self) -> int:
        """Number m of gradients kept."""
        return min(self._pushed, self.capacity)

    def push(self, gradient: Tensor) -> None:
        """Takes in a gradient (P,), in place of the oldest once there are `capacity`.

        Raises:
            ValueError: if its length differs from the others', or an element is not finite.
        """
        if gradient.ndim != 1 or not gradient.is_floating_point():
            raise ValueError(f"gradient must be floating point and of shape (P,), got {tuple(gradient.shape)}")
        if not bool(torch.isfinite(gradient).all()):
            raise ValueError("gradient must be finite: one that is not would stay in the matrix for many steps")
        if self._rows is None:
            kind = torch.promote_types(gradient.dtype, torch.float32)
            self._rows = gradient.new_zeros(self.capacity, len(gradient), dtype=kind)
        self._check(gradient, "gradient")
        slot = self._pushed % self.capacity
        self._rows[slot] = gradient.detach()
        kind = accumulator(self._rows)
        products = self._rows.to(kind) @ self._rows[slot].to(kind)  # rows not filled yet are zero
        self._gram[slot] = self._gram[:, slot] = products.cpu().double()
        self._pushed += 1

    def solve(self, vector: Tensor) -> Tensor:
        """F^-1 v for v (P,), in its type and on its device; v / damping as long as there is no gradient.

        Raises:
            ValueError: if its length is not that of the gradients.
        """
        if self._rows is None:
            return vector / self.damping
        self._check(vector, "vector")
        m, rows = len(self), self._rows[: len(self)]
        inner = self._times(rows, vector)
        ridge = m * self.damping * torch.eye(m, dtype=torch.float64)
        weights = torch.cholesky_solve(inner[:, None], torch.linalg.cholesky(self._gram[:m, :m] + ridge))[:, 0]
        kind = accumulator(vector)
        explained = self._combined(rows, weights).to(vector.device, kind)
        return ((vector.to(kind) - explained) / self.damping).to(vector.dtype)

    def multiply(self, vector: Tensor) -> Tensor:
        """F v for v (P,), in its type and on its device.

        Raises:
            ValueError: if its length is not that of the gradients.
        """
        if self._rows is None:
            return vector * self.damping
        self._check(vector, "vector")
        rows, kind = self._rows[: len(self)], accumulator(vector)
        spanned = self._combined(rows, self._times(rows, vector) / len(self)).to(vector.device, kind)
        return (self.damping * vector.to(kind) + spanned).to(vector.dtype)

    def _times(self, rows: Tensor, vector: Tensor) -> Tensor:
        """G v (m,), in float64 on the CPU."""
        kind = accumulator(rows)
        return (rows.to(kind) @ vector.to(rows.device, kind)).cpu().double()

    def _combined(self, rows: Tensor, weights: Tensor) -> Tensor:
        """G^T w (P,)."""
        kind = accumulator(rows)
        return rows.to(kind).T @ weights.to(rows.device, kind)

    def _check(self, vector: Tensor, name: str) -> None:
        assert self._rows is not None
        if vector.shape != (self._rows.shape[1],):
            raise ValueError(f"{name} must have shape ({self._rows.shape[1]},), got {tuple(vector.shape)}")
