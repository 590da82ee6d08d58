"""Lanczos with full reorthogonalisation: the leading eigenpairs of a symmetric operator known by its products alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from landscope.curvature.probes import gaussian_probes
from landscope.derivatives import Operator, accumulator

__all__ = ["KrylovSpace", "RitzPairs", "all_leading_eigenpairs", "leading_eigenpairs"]

_BASIS = 64  # vectors kept before a restart, unless many eigenvalues are wanted
_ROUNDING = 16  # an operator's products are right to this many units of rounding of its norm
_DOUBT = 0.01  # accepted probability of having missed an eigenvalue


@dataclass(frozen=True)
class RitzPairs:
    """Approximate eigenpairs of a symmetric operator A, by descending value.

    Attributes:
        values: (k,) Ritz values, float64.
        vectors: (k, P) orthonormal Ritz vectors.
        residuals: (k,) norms |A v - value v|; an eigenvalue lies within that distance.
        errors: (k,) bounds on the values' errors, min(r, r^2 / gap) with r the residual (Parlett 1998, section 11.7),
            where the gap to the nearest other Ritz value is narrowed by that one's own residual.
        converged: (k,) whether the error bound met the tolerance, or the limit of the arithmetic.
        products: Products with A spent.
    """

    values: np.ndarray
    vectors: Tensor
    residuals: np.ndarray
    errors: np.ndarray
    converged: np.ndarray
    products: int


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

    Attributes:
        dimension: Largest size the basis can have.
        norm: Largest |A v| over the basis, a lower bound of the norm of A.
    """

    def __init__(
        self, operator: Operator, start: Tensor, generator: torch.Generator, locked: Tensor | None = None
    ) -> None:
        self._operator, self._generator = operator, generator
        self._locked = start.new_zeros(0, len(start)) if locked is None else locked
        self.dimension = len(start) - len(self._locked)
        self._basis = start.new_empty(8, len(start))
        self._projected = np.zeros((0, 0))
        self._coupling = np.zeros(0)
        self._crossing = np.zeros((len(self._locked), 0))
        self.norm = 0.0
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
        """Size of the rounding errors in a product."""
        return _ROUNDING * float(torch.finfo(self._basis.dtype).eps) * self.norm

    def expand(self) -> None:
        """Takes the next vector into the basis, by one product.

        Raises:
            FloatingPointError: if the product is not finite.
        """
        vector, size = self._next, self.size
        self._append(vector)
        image = self._operator(vector)
        length = _norm(image)
        if not np.isfinite(length):
            raise FloatingPointError(
                "a product with the operator is not finite: the loss overflows or has no second derivative here; "
                "lower the learning rate, or measure in float64"
            )
        self.norm = max(self.norm, length)
        across = (self._locked @ image).to(torch.float64).cpu().numpy()
        self._crossing = np.column_stack([self._crossing, across])
        projected = np.zeros((size + 1, size + 1))
        projected[:size, :size] = self._projected
        projected[size, :size] = projected[:size, size] = self._coupling
        projected[size, size] = _dot(image, vector)
        self._projected = projected
        self._coupling = np.zeros(size + 1)
        if self.complete:
            return
        rest = self._orthogonal(image)
        beta = _norm(rest)
        if beta > self.rounding:
            self._next, self._coupling[-1] = rest / beta, beta
        else:
            self._next = self._random()

    def restart(self, keep: int) -> None:
        """Shrinks the space to its `keep` leading Ritz vectors (thick restart, Wu and Simon 2000)."""
        values, rotation = self._eigen()
        rotation = rotation[:, :keep]
        kept = self._combine(rotation)
        self._basis[:keep] = kept
        self._projected = np.diag(values[:keep])
        self._coupling = self._coupling @ rotation
        self._crossing = self._crossing @ rotation

    def ritz_values(self) -> tuple[np.ndarray, np.ndarray]:
        """All Ritz values (m,), descending, and their residuals (m,)."""
        values, rotation = self._eigen()
        return values, np.hypot(self._coupling @ rotation, self.rounding)

    def ritz_vectors(self, k: int) -> Tensor:
        """The k leading Ritz vectors (k, P)."""
        return self._combine(self._eigen()[1][:, :k])

    def crossing(self, k: int) -> np.ndarray:
        """Y A u for the k leading Ritz vectors u, (l, k): what locking left out."""
        product: np.ndarray = self._crossing @ self._eigen()[1][:, :k]
        return product

    def _eigen(self) -> tuple[np.ndarray, np.ndarray]:
        return _descending(self._projected)

    def _combine(self, rotation: np.ndarray) -> Tensor:
        weights = torch.as_tensor(rotation.T).to(self._basis)
        return weights @ self._basis[: self.size]

    def _append(self, vector: Tensor) -> None:
        if self.size == len(self._basis):
            self._basis = torch.cat([self._basis, torch.empty_like(self._basis)])
        self._basis[self.size] = vector

    def _orthogonal(self, vector: Tensor) -> Tensor:
        """The part orthogonal to basis and locked vectors, by classical Gram-Schmidt; twice is enough."""
        basis = self._basis[: self.size]
        for _ in range(2):
            vector = vector - basis.T @ (basis @ vector)
            vector = vector - self._locked.T @ (self._locked @ vector)
        return vector

    def _direction(self, vector: Tensor) -> Tensor:
        """The unit vector of the part that is orthogonal to basis and locked vectors."""
        unit = vector / _norm(vector)
        unit = self._orthogonal(unit)
        return unit / _norm(unit)

    def _random(self) -> Tensor:
        return self._direction(gaussian_probes(1, self._basis[0], self._generator)[0])


def leading_eigenpairs(
    operator: Operator,
    start: Tensor,
    k: int,
    *,
    tolerance: float,
    max_products: int,
    generator: torch.Generator,
) -> RitzPairs:
    """The k algebraically largest eigenpairs of a symmetric operator, by thick-restart Lanczos from one vector.

    The Krylov space of one vector holds one eigenvector of each distinct eigenvalue: of a multiple one, further copies
    are found only once the space is invariant. `all_leading_eigenpairs` looks for them.

    Args:
        operator: v -> A v on vectors (P,).
        start: First vector (P,); the eigenvector of a nearby operator saves most of the work.
        k: Number of pairs; at most P are returned.
        tolerance: Error bound, relative to each value, at which to stop.
        max_products: Largest number of products to spend.
        generator: Source of random vectors.

    Raises:
        FloatingPointError: if a product is not finite.
    """
    k = min(k, len(start))
    return _lead(KrylovSpace(operator, start, generator), k, tolerance, max_products)


def all_leading_eigenpairs(
    operator: Operator,
    start: Tensor,
    k: int,
    *,
    tolerance: float,
    max_products: int,
    generator: torch.Generator,
) -> RitzPairs:
    """As `leading_eigenpairs`, and then looks for eigenvalues that were missed, as second copies of multiple ones are.

    The complement of what was found is searched from a random vector. If an eigenvalue there is at least `floor`, the
    probability that m steps leave the largest Ritz value below floor - eps * spread is at most
    1.648 sqrt(P) exp(-sqrt(eps) (2 m - 1)) (Kuczynski and Wozniakowski 1992, theorem 4.2); the search ends when that
    is one per cent.
    """
    found = leading_eigenpairs(operator, start, k, tolerance=tolerance, max_products=max_products, generator=generator)
    while found.products < max_products and len(found.values) < len(start):
        fresh = gaussian_probes(1, start, generator)[0]
        space = KrylovSpace(operator, fresh, generator, locked=found.vectors)
        budget = max_products - found.products
        more = _lead(space, 1, tolerance, budget, floor=float(found.values[-1]))
        merged = _merge(found, more, space.crossing(1))
        if more.values[0] <= found.values[-1] + found.errors[-1]:
            return merged
        found = merged
    return found


def _lead(space: KrylovSpace, k: int, tolerance: float, max_products: int, *, floor: float | None = None) -> RitzPairs:
    """Expands the space until its k leading pairs have converged, or nothing above `floor` is likely to be left."""
    limit, least = max(_BASIS, 3 * k), k + 2
    products = due = 0
    while True:
        space.expand()
        products += 1
        last = space.complete or products >= max_products
        if last or (products >= least and products >= due):
            values, residuals = space.ritz_values()
            errors = _error_bounds(values, residuals)
            converged = errors <= np.maximum(tolerance * np.abs(values), 2 * space.rounding)
            done = bool(converged[:k].all())
            if floor is not None:
                done = done or _nothing_above(floor, values[0], values[-1] - residuals[-1], space.dimension, products)
            if last or done:
                vectors = space.ritz_vectors(k)
                return RitzPairs(values[:k], vectors, residuals[:k], errors[:k], converged[:k], products)
            due = products + products // 8
        if space.size >= limit:
            space.restart(k + (limit - k) // 2)


def _error_bounds(values: np.ndarray, residuals: np.ndarray) -> np.ndarray:
    """min(r, r^2 / gap) for Ritz values in descending order."""
    gaps = np.full(len(values), np.inf)
    between = values[:-1] - values[1:]
    gaps[:-1] = np.minimum(gaps[:-1], between - residuals[1:])
    gaps[1:] = np.minimum(gaps[1:], between - residuals[:-1])
    sharp = np.divide(residuals**2, gaps, out=residuals.copy(), where=gaps > 0)
    bounds: np.ndarray = np.minimum(residuals, sharp)
    return bounds


def _nothing_above(floor: float, largest: float, least: float, dimension: int, products: int) -> bool:
    """Whether an eigenvalue of at least `floor` would by now have shown in the largest Ritz value."""
    share = (floor - largest) / (floor - least) if largest < floor else 0.0
    chance = 1.648 * math.sqrt(dimension) * math.exp(-math.sqrt(share) * (2 * products - 1))
    return chance < _DOUBT


def _merge(found: RitzPairs, more: RitzPairs, crossing: np.ndarray) -> RitzPairs:
    """As many pairs as in `found` from the span of both, by Rayleigh and Ritz; `crossing` is V A U^T of the two."""
    k = len(found.values)
    projected = np.block([[np.diag(found.values), crossing], [crossing.T, np.diag(more.values)]])
    values, rotation = (part[..., :k] for part in _descending(projected))
    vectors = torch.cat([found.vectors, more.vectors])
    shares, origin = np.abs(rotation), np.abs(rotation).argmax(0)
    return RitzPairs(
        values,
        torch.as_tensor(rotation.T).to(vectors) @ vectors,
        np.concatenate([found.residuals, more.residuals]) @ shares,  # of the sum of the rotated defects
        np.concatenate([found.errors, more.errors])[origin],
        np.concatenate([found.converged, more.converged])[origin],
        found.products + more.products,
    )


def _descending(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, descending, and eigenvectors, in columns, of a symmetric matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return values[::-1].copy(), vectors[:, ::-1].copy()


def _norm(vector: Tensor) -> float:
    return float(torch.linalg.vector_norm(vector, dtype=accumulator(vector)))


def _dot(one: Tensor, other: Tensor) -> float:
    kind = accumulator(one)
    return float(torch.dot(one.to(kind), other.to(kind)))
