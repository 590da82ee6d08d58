"""Lanczos with full reorthogonalisation: the outermost eigenpairs of a symmetric operator known by its products."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from landscope.curvature.long_vectors import combined, norm, overlaps
from landscope.curvature.probes import gaussian_probes
from landscope.derivatives import Operator

__all__ = [
    "KrylovSpace",
    "RitzPairs",
    "all_leading_eigenpairs",
    "basis_size",
    "error_bounds",
    "leading_eigenpairs",
    "outermost",
]

_BASIS = 64  # vectors kept before a restart, unless many eigenvalues are wanted
_MEMORY = 2**32  # bytes that they may take by default
_ROUNDING = 16  # an operator's products are right to this many units of rounding of its norm
_NOISE = 6  # errors of products are this many times what of them lies within the space
_DOUBT = 0.01  # accepted probability of having missed an eigenvalue


@dataclass(frozen=True)
class RitzPairs:
    """Approximate eigenpairs of a symmetric operator A, by descending value.

    Attributes:
        values: (k,) Ritz values, float64.
        vectors: (k, P) orthonormal Ritz vectors.
        residuals: (k,) norms |A v - value v|; an eigenvalue lies within that distance.
        errors: (k,) bounds on the values' errors: min(r, r^2 / gap + e) with r the residual and e the products' errors
            within the space (Parlett 1998, section 11.7), where the gap to the nearest other Ritz value is narrowed by
            that one's own residual.
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
        return max(_ROUNDING * float(torch.finfo(self._basis.dtype).eps) * self.norm, _NOISE * self.noise)

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
        return _descending(self._projected)

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


def leading_eigenpairs(
    operator: Operator,
    start: Tensor,
    k: int,
    *,
    smallest: int = 0,
    tolerance: float,
    max_products: int,
    generator: torch.Generator,
    basis: int | None = None,
) -> RitzPairs:
    """The k algebraically largest eigenpairs of a symmetric operator, by thick-restart Lanczos from one vector.

    The Krylov space of one vector serves both ends of the spectrum. It holds one eigenvector of each distinct
    eigenvalue: of a multiple one, further copies are found only once the space is invariant. `all_leading_eigenpairs`
    looks for them.

    Args:
        operator: v -> A v on vectors (P,).
        start: First vector (P,); the eigenvector of a nearby operator saves most of the work.
        k: Number of pairs.
        smallest: Number of pairs with the smallest eigenvalues, besides; at most P are returned in all.
        tolerance: Error bound, relative to each value, at which to stop.
        max_products: Largest number of products to spend.
        generator: Source of random vectors.
        basis: Vectors held at once, at most; by default `basis_size`.

    Raises:
        ValueError: if the basis has no room to work in.
        FloatingPointError: if a product is not finite.
    """
    limit = basis_size(start, k + smallest, basis)
    space = KrylovSpace(operator, start, generator, capacity=limit)
    return _lead(space, (k, smallest), tolerance, max_products, limit)


def all_leading_eigenpairs(
    operator: Operator,
    start: Tensor,
    k: int,
    *,
    smallest: int = 0,
    tolerance: float,
    max_products: int,
    generator: torch.Generator,
    basis: int | None = None,
) -> RitzPairs:
    """As `leading_eigenpairs`, and then looks for eigenvalues that were missed, as second copies of multiple ones are.

    The complement of what was found is searched from a random vector. If an eigenvalue there is at least `floor`, the
    probability that m steps leave the largest Ritz value below floor - eps * spread is at most
    1.648 sqrt(P) exp(-sqrt(eps) (2 m - 1)) (Kuczynski and Wozniakowski 1992, theorem 4.2); the search ends when that
    is one per cent, at the other end likewise. The vectors found count as part of the basis.
    """
    limit = basis_size(start, k + smallest, basis)
    found = leading_eigenpairs(
        operator, start, k, smallest=smallest, tolerance=tolerance, max_products=max_products, generator=generator,
        basis=limit,
    )  # fmt: skip
    ends = min(k, 1), min(smallest, 1)
    while found.products < max_products and len(found.values) < len(start):
        fresh, room = gaussian_probes(1, start, generator)[0], limit - len(found.values)
        space = KrylovSpace(operator, fresh, generator, locked=found.vectors, capacity=room)
        budget = max_products - found.products
        inner = float(found.values[k - 1]) if k else np.inf, float(found.values[-smallest]) if smallest else -np.inf
        bounds = found.errors[k - 1] if k else 0.0, found.errors[-smallest] if smallest else 0.0
        more = _lead(space, ends, tolerance, budget, room, inner=inner)
        crossing = space.crossing(*ends)
        del space
        found = _merge(found, more, crossing, (k, smallest))
        if more.values[0] <= inner[0] + bounds[0] and more.values[-1] >= inner[1] - bounds[1]:
            break
    return found


def basis_size(like: Tensor, wanted: int, basis: int | None = None) -> int:
    """Vectors that are held at once, at most: what was asked for, or 64 (thrice the wanted) if those fit into 4 GiB.

    At least 2 wanted + 4 are needed to work in. Beside them there are the wanted ones, and a few in each product.

    Args:
        like: A vector (P,).
        wanted: Number of eigenpairs.
        basis: What was asked for.

    Raises:
        ValueError: if too few were asked for.
    """
    least = 2 * wanted + 4
    if basis is None:
        return max(least, min(max(_BASIS, 3 * wanted), _MEMORY // like.nbytes))
    if basis < least:
        raise ValueError(f"basis must have room for at least {least} vectors for {wanted} eigenvalues, got {basis}")
    return basis


def outermost(size: int, largest: int, smallest: int) -> np.ndarray:
    """Positions of the first `largest` and last `smallest` of `size` values; each once."""
    largest = min(largest, size)
    positions: np.ndarray = np.r_[:largest, max(largest, size - smallest) : size]
    return positions


def _lead(
    space: KrylovSpace,
    ends: tuple[int, int],
    tolerance: float,
    max_products: int,
    limit: int,
    *,
    inner: tuple[float, float] | None = None,
) -> RitzPairs:
    """Expands the space until its outermost pairs have converged, or nothing beyond `inner` is likely to be left."""
    wanted = sum(ends)
    least = wanted + 2
    products = due = 0
    while True:
        space.expand()
        products += 1
        last = space.complete or products >= max_products
        if last or (products >= least and products >= due):
            values, residuals = space.ritz_values()
            errors = error_bounds(values, residuals, space.rounding / _NOISE * 2)
            converged = errors <= np.maximum(tolerance * np.abs(values), 2 * space.rounding)
            chosen = outermost(len(values), *ends)
            done = bool(converged[chosen].all())
            if inner is not None and not done:
                outer = values[0] + residuals[0], values[-1] - residuals[-1]
                above = not ends[0] or converged[0] or _nothing_beyond(
                    inner[0], values[0], outer[1], space.dimension, products
                )  # fmt: skip
                below = not ends[1] or converged[-1] or _nothing_beyond(
                    -inner[1], -values[-1], -outer[0], space.dimension, products
                )  # fmt: skip
                done = bool(above and below)
            if last or done:
                vectors = space.ritz_vectors(*ends)
                return RitzPairs(
                    values[chosen], vectors, residuals[chosen], errors[chosen], converged[chosen], products
                )
            due = products + products // 8
        if space.size >= limit:
            more = (limit - wanted) // 2
            largest = ends[0] + more * ends[0] // wanted
            space.restart(largest, wanted + more - largest)


def error_bounds(values: np.ndarray, residuals: np.ndarray, within: float) -> np.ndarray:
    """min(r, r^2 / gap + errors within the space) for Ritz values in descending order."""
    gaps = np.full(len(values), np.inf)
    between = values[:-1] - values[1:]
    gaps[:-1] = np.minimum(gaps[:-1], between - residuals[1:])
    gaps[1:] = np.minimum(gaps[1:], between - residuals[:-1])
    sharp = np.divide(residuals**2, gaps, out=residuals.copy(), where=gaps > 0)
    bounds: np.ndarray = np.minimum(residuals, sharp + within)
    return bounds


def _nothing_beyond(floor: float, largest: float, least: float, dimension: int, products: int) -> bool:
    """Whether an eigenvalue of at least `floor` would by now have shown in the largest Ritz value."""
    share = (floor - largest) / (floor - least) if largest < floor else 0.0
    chance = 1.648 * math.sqrt(dimension) * math.exp(-math.sqrt(share) * (2 * products - 1))
    return chance < _DOUBT


def _merge(found: RitzPairs, more: RitzPairs, crossing: np.ndarray, ends: tuple[int, int]) -> RitzPairs:
    """The outermost pairs from the span of both, by Rayleigh and Ritz; `crossing` is V A U^T of the two."""
    projected = np.block([[np.diag(found.values), crossing], [crossing.T, np.diag(more.values)]])
    values, rotation = _descending(projected)
    chosen = outermost(len(values), *ends)
    values, rotation = values[chosen], rotation[:, chosen]
    shares, origin = np.abs(rotation), np.abs(rotation).argmax(0)
    return RitzPairs(
        values,
        combined(rotation, [found.vectors, more.vectors]),
        np.concatenate([found.residuals, more.residuals]) @ shares,  # of the sum of the rotated defects
        np.concatenate([found.errors, more.errors])[origin],
        np.concatenate([found.converged, more.converged])[origin],
        found.products + more.products,
    )


def _descending(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, descending, and eigenvectors, in columns, of a symmetric matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return values[::-1].copy(), vectors[:, ::-1].copy()
