"""The Krylov space of a symmetric operator and a vector, on which Lanczos' method rests."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from landscope.curvature.long_vectors import combined, norm, overlaps
from landscope.curvature.probes import gaussian_probes
from landscope.derivatives import Operator

__all__ = ["NOISE", "KrylovSpace", "descending", "outermost"]

NOISE = 6  # errors of products are this many times what of them lies within the space
_ROUNDING = 16  # an operator's products are right to this many units of rounding of its norm


class KrylovSpace:
    """An orthonormal basis V (m, P) grown by one product at a time, and T = V A V^T of a symmetric operator A.

    Always A V^T = V^T T + next coupling^T. T is tridiagonal, bordered by an arrow after a restart, and dense here; it
    is kept in float64, whatever the type of the vectors. Where the space becomes invariant, a random vector orthogonal
    to it goes on, so that further copies of multiple eigenvalues are found.

    Args:
        operator: v -> A v.
        start: First vector (P,), of any length but zero.
        generator: Source of random vectors.
        locked: (l, P) orthonormal vectors Y; the operator is then (I - Y^T Y) A (I - Y^T Y) on their complement.
        capacity: Vectors for which there is room from the beginning.

    Attributes:
        dimension: Largest size the basis can have.
        norm: Largest |A v| over the basis, a lower bound of the norm of A.
        noise: Largest part of an A v along the basis that a symmetric operator cannot have: errors of the products.
    """

    def __init__(
        self,
        operator: Operator,
        start: Tensor,
        generator: torch.Generator,
        locked: Tensor | None = None,
        capacity: int = 8,
    ) -> None:
        self._operator, self._generator = operator, generator
        self._locked = start.new_zeros(0, len(start)) if locked is None else locked
        self.dimension = len(start) - len(self._locked)
        self._basis = start.new_empty(min(capacity, self.dimension), len(start))
        self._projected = np.zeros((0, 0))
        self._coupling = np.zeros(0)
        self._crossing = np.zeros((len(self._locked), 0))
        self.norm = self.noise = 0.0
        self._next = self._direction(start)

    @property
    def size(self) -> int:
        """Number m of basis vectors."""
        return len(self._projected)

    @property
    def complete(self) -> bool:
        """Whether the basis spans all of the space."""
        return self.size >= self.dimension

    @property
    def rounding(self) -> float:
        """Size of the errors in a product, by the type of the vectors or, where they are larger, as they were seen."""
        return max(_ROUNDING * float(torch.finfo(self._basis.dtype).eps) * self.norm, NOISE * self.noise)

    def expand(self) -> None:
        """Takes the next vector into the basis, by one product.

        Raises:
            FloatingPointError: if the product is not finite.
        """
        vector, size = self._next, self.size
        self._append(vector)
        image = self._operator(vector)
        length = norm(image)
        if not np.isfinite(length):
            raise FloatingPointError(
                "a product with the operator is not finite: the loss overflows or has no second derivative here; "
                "lower the learning rate, or measure in float64"
            )
        self.norm = max(self.norm, length)
        across = overlaps(self._locked, image).to(torch.float64).cpu().numpy()
        self._crossing = np.column_stack([self._crossing, across])
        projected = np.zeros((size + 1, size + 1))
        projected[:size, :size] = self._projected
        projected[size, :size] = projected[:size, size] = self._coupling
        projected[size, size] = float(overlaps(image[None], vector))
        self._projected = projected
        self._coupling = np.zeros(size + 1)
        if self.complete:
            return
        rest, along = self._orthogonal(image)
        self.noise = max(self.noise, float(np.linalg.norm(along[:size] - projected[size, :size])))
        beta = norm(rest)
        if beta > self.rounding:
            self._next, self._coupling[-1] = rest / beta, beta
        else:
            self._next = self._random()

    def restart(self, largest: int, smallest: int = 0) -> None:
        """Shrinks the space to its outermost Ritz vectors (thick restart, Wu and Simon 2000)."""
        values, rotation = self._eigen()
        kept = outermost(self.size, largest, smallest)
        rotation = rotation[:, kept]
        combined(rotation, [self._basis[: self.size]], self._basis[: len(kept)])
        self._projected = np.diag(values[kept])
        self._coupling = self._coupling @ rotation
        self._crossing = self._crossing @ rotation

    def ritz_values(self) -> tuple[np.ndarray, np.ndarray]:
        """All Ritz values (m,), descending, and their residuals (m,)."""
        values, rotation = self._eigen()
        return values, np.hypot(self._coupling @ rotation, self.rounding)

    def ritz_vectors(self, largest: int, smallest: int = 0) -> Tensor:
        """The outermost Ritz vectors (k, P)."""
        rotation = self._eigen()[1][:, outermost(self.size, largest, smallest)]
        return combined(rotation, [self._basis[: self.size]])

    def crossing(self, largest: int, smallest: int = 0) -> np.ndarray:
        """Y A u for the outermost Ritz vectors u, (l, k): what locking left out."""
        product: np.ndarray = self._crossing @ self._eigen()[1][:, outermost(self.size, largest, smallest)]
        return product

    def _eigen(self) -> tuple[np.ndarray, np.ndarray]:
        return descending(self._projected)

    def _append(self, vector: Tensor) -> None:
        if self.size == len(self._basis):
            self._basis = torch.cat([self._basis, torch.empty_like(self._basis)])
        self._basis[self.size] = vector

    def _orthogonal(self, vector: Tensor) -> tuple[Tensor, np.ndarray]:
        """The part orthogonal to basis and locked vectors, by classical Gram-Schmidt; twice is enough.

        Also the vector's components (m,) along the basis.
        """
        basis = self._basis[: self.size]
        along = overlaps(basis, vector)
        for again in (False, True):
            vector = vector - basis.T @ (overlaps(basis, vector) if again else along).to(vector)
            vector = vector - self._locked.T @ overlaps(self._locked, vector).to(vector)
        return vector, along.to(torch.float64).cpu().numpy()

    def _direction(self, vector: Tensor) -> Tensor:
        """The unit vector of the part that is orthogonal to basis and locked vectors."""
        unit = vector / norm(vector)
        unit, _ = self._orthogonal(unit)
        return unit / norm(unit)

    def _random(self) -> Tensor:
        return self._direction(gaussian_probes(1, self._basis[0], self._generator)[0])


def outermost(size: int, largest: int, smallest: int) -> np.ndarray:
    """Positions of the first `largest` and last `smallest` of `size` values; each once."""
    largest = min(largest, size)
    positions: np.ndarray = np.r_[:largest, max(largest, size - smallest) : size]
    return positions


def descending(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, descending, and eigenvectors, in columns, of a symmetric matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return values[::-1].copy(), vectors[:, ::-1].copy()
