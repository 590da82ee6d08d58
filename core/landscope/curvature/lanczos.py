"""Lanczos with full reorthogonalisation: the outermost eigenpairs of a symmetric operator known by its products."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from landscope.curvature.krylov_spaces import NOISE, KrylovSpace, descending, outermost
from landscope.curvature.long_vectors import combined
from landscope.curvature.probes import gaussian_probes
from landscope.derivatives import Operator

__all__ = [
    "RitzPairs",
    "all_leading_eigenpairs",
    "basis_size",
    "eigenpairs_by_steps",
    "error_bounds",
    "leading_eigenpairs",
]

_BASIS = 64  # vectors kept before a restart, unless many eigenvalues are wanted
_MEMORY = 2**32  # bytes that they may take by default
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
    return _at_the_end(_lead(space, (k, smallest), tolerance, max_products, limit))


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
    *_, found = eigenpairs_by_steps(
        operator, start, k, smallest=smallest, tolerance=tolerance, max_products=max_products, generator=generator,
        basis=basis,
    )  # fmt: skip
    assert found is not None
    return found


def eigenpairs_by_steps(
    operator: Operator,
    start: Tensor,
    k: int,
    *,
    smallest: int = 0,
    tolerance: float,
    max_products: int,
    generator: torch.Generator,
    basis: int | None = None,
) -> Iterator[RitzPairs | None]:
    """As `all_leading_eigenpairs`, yielding after each product; the result comes last.

    What comes before it are Nones and, more rarely as time goes on, the pairs as they are then, without their vectors.
    """
    limit = basis_size(start, k + smallest, basis)
    space = KrylovSpace(operator, start, generator, capacity=limit)
    found = yield from _lead(space, (k, smallest), tolerance, max_products, limit)
    ends = min(k, 1), min(smallest, 1)
    while found.products < max_products and len(found.values) < len(start):
        fresh, room = gaussian_probes(1, start, generator)[0], limit - len(found.values)
        space = KrylovSpace(operator, fresh, generator, locked=found.vectors, capacity=room)
        budget = max_products - found.products
        inner = float(found.values[k - 1]) if k else np.inf, float(found.values[-smallest]) if smallest else -np.inf
        bounds = found.errors[k - 1] if k else 0.0, found.errors[-smallest] if smallest else 0.0
        more = yield from _lead(space, ends, tolerance, budget, room, inner=inner)
        crossing = space.crossing(*ends)
        del space
        found = _merge(found, more, crossing, (k, smallest))
        if more.values[0] <= inner[0] + bounds[0] and more.values[-1] >= inner[1] - bounds[1]:
            break
    yield found


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


def _at_the_end(steps: Generator[RitzPairs | None, None, RitzPairs]) -> RitzPairs:
    """What a generator returns, once it has come to its end."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: RitzPairs = end.value
            return found


def _lead(
    space: KrylovSpace,
    ends: tuple[int, int],
    tolerance: float,
    max_products: int,
    limit: int,
    *,
    inner: tuple[float, float] | None = None,
) -> Generator[RitzPairs | None, None, RitzPairs]:
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
            errors = error_bounds(values, residuals, space.rounding / NOISE * 2)
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
            vectors = space.ritz_vectors(*ends) if last or done else torch.empty(0, space.dimension)
            found = RitzPairs(values[chosen], vectors, residuals[chosen], errors[chosen], converged[chosen], products)
            if last or done:
                return found
            due = products + products // 8
            yield found if inner is None else None
        else:
            yield None
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
    values, rotation = descending(projected)
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
