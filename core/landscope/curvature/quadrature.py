"""The distribution of all eigenvalues, by stochastic Lanczos quadrature with the outlying ones taken out.

Ubaru, Chen and Saad 2017; for networks, Papyan 2018 and Ghorbani, Krishnan and Xiao 2019.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from landscope.curvature.krylov_spaces import KrylovSpace
from landscope.curvature.lanczos import RitzPairs, basis_size, error_bounds
from landscope.curvature.operators import OperatorName, curvature_operator, start_vector, zero_vector
from landscope.curvature.probes import gaussian_probes, private_generator
from landscope.derivatives import Operator, accumulator
from landscope.measurements import SpectralDensity
from landscope.objective import Objective

__all__ = ["density", "gauss_rules"]

Check = tuple[str, str, str]  # name; "pass" or "fail"; what was found

_GRID = 241
_RESAMPLES = 500
_BAND = (5, 95)  # percentiles
_MEMORY = 2**30  # bytes of Lanczos vectors held at once


def density(
    objective: Objective,
    *,
    probes: int = 5,
    steps: int = 20,
    spikes: int = 10,
    theta: Tensor | None = None,
    operator: OperatorName = "hessian",
    start: Tensor | np.ndarray | None = None,
    tolerance: float = 1e-3,
    threshold: float | None = None,
    seed: int = 0,
) -> SpectralDensity:
    """The spectral density phi(lambda) = (1/P) sum_i delta(lambda - lambda_i), smoothed on a signed-log axis.

    The `spikes` leading eigenvectors are found first, in a Krylov space. All d Ritz vectors of that space are projected
    out, of either end, and each keeps its weight 1/P: what outlies is known before anything is left to chance. On their
    complement, Gauss quadrature of `steps` nodes from each of `probes` directions, uniform on the sphere, gives the
    rest, with weight 1 - d/P. The axis is u = asinh(lambda / scale), its scale the mean absolute eigenvalue of
    that rest; the kernel is Gaussian in u, as wide as half the mean distance of the nodes. The band is the 90 %
    bootstrap interval of the mean over probes: it does not contain the smoothing.

    Args:
        objective: What to measure.
        probes: Random directions, at least two, from whose scatter the errors come.
        steps: Lanczos steps, and nodes, of each.
        spikes: Leading eigenvalues to find, by no more than 64 products (or three times as many as they are);
            with 0, nothing is taken out.
        theta: Where, (P,); the model's weights at this moment if left out.
        operator: "hessian", "ggn", "fisher" or "empirical-fisher".
        start: Eigenvectors (P,) or (k, P) of a nearby operator, e.g. of the previous training step.
        tolerance: Error bound of the leading eigenvalues, relative to each.
        threshold: The optimiser's stability threshold at this moment, to be drawn beside the density.
        seed: Seed of the probes.

    Raises:
        ValueError: if a count is too small, or an option is unknown or does not fit the objective.
        FloatingPointError: if a product is not finite.
    """
    for name, value, least in (("probes", probes, 2), ("steps", steps, 1), ("spikes", spikes, 0)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    if tolerance <= 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}")
    generator = private_generator(seed)
    with objective.measuring() as meter:
        like = zero_vector(objective)
        product = curvature_operator(objective, operator, theta)
        known = _known(product, start_vector(start, like, generator), spikes, tolerance, generator)
        rest = len(like) - len(known.values)  # dimension of the complement
        steps = min(steps, rest)
        bulk, shares, forms = gauss_rules(product, gaussian_probes(probes, like, generator), steps, known.vectors)
        nodes = np.hstack([bulk, np.tile(known.values[::-1], (probes, 1))])
        weights = np.hstack([shares * (rest / len(like)), np.full((probes, len(known.values)), 1 / len(like))])
        traces = len(like) * (weights * nodes).sum(1)
        scale = _scale(bulk, shares, known.values)
        grid, curves = _smoothed(nodes, weights, scale, steps)
        low, high = _band(curves, seed)
        k, below = min(spikes, len(like)), _negative(known, spikes)
        return SpectralDensity(
            provenance=meter.provenance("stochastic Lanczos quadrature beside a Krylov space", seed=seed),
            nodes=nodes,
            weights=weights,
            spikes=known.values[:k],
            spike_residuals=known.residuals[:k],
            negative_spikes=known.values[below],
            negative_residuals=known.residuals[below],
            grid=grid,
            density=curves.mean(0),
            low=low,
            high=high,
            scale=scale,
            trace=float(traces.mean()),
            trace_stderr=float(traces.std(ddof=1) / np.sqrt(probes)),
            operator=operator,
            hvps=known.products + probes * steps,
            deflated=len(known.values),
            threshold=threshold,
            checks=_checks(weights, traces, known.values.sum() + rest * forms, scale * len(like)),
        )


def _known(product: Operator, start: Tensor, k: int, tolerance: float, generator: torch.Generator) -> RitzPairs:
    """All Ritz pairs of the first Krylov space in which the k leading ones have converged, or of one that is large.

    Treating their span and its complement as uncoupled moves the spectrum by no more than twice the sum of the
    residuals over P, in the Wasserstein distance.
    """
    if k == 0:
        none = np.zeros(0)
        return RitzPairs(none, start.new_zeros(0, len(start)), none, none, none.astype(bool), 0)
    space, most = KrylovSpace(product, start, generator), basis_size(start, k)
    while True:
        space.expand()
        last = space.complete or space.size == most
        if last or (space.size > k + 1 and space.size % 3 == 0):
            values, residuals = space.ritz_values()
            errors = error_bounds(values, residuals, space.rounding)
            converged = errors <= np.maximum(tolerance * np.abs(values), 2 * space.rounding)
            if last or converged[:k].all():
                return RitzPairs(values, space.ritz_vectors(space.size), residuals, errors, converged, space.size)


def _negative(known: RitzPairs, most: int) -> slice:
    """Where the negative values at the lower end are that have converged along with the leading ones."""
    outer = (known.values < 0) & known.converged
    unbroken = int(np.logical_and.accumulate(outer[::-1]).sum())
    return slice(len(outer) - min(unbroken, most), None)


def _checks(weights: np.ndarray, traces: np.ndarray, expected: np.ndarray, size: float) -> tuple[Check, ...]:
    """Whether each row is a distribution, and has the mean that its probe's first product says.

    Args:
        weights: (R, m).
        traces: (R,) P times the mean of each row.
        expected: (R,) the trace as each probe's quadratic form gives it.
        size: Sum of all absolute eigenvalues, as a yardstick.
    """
    total = float(np.abs(weights.sum(1) - 1).max())
    apart = float(np.abs(traces - expected).max())
    return (
        ("weights", "pass" if total < 1e-9 else "fail", f"each probe's weights sum to one (to {total:.1g})"),
        (
            "first moment",
            "pass" if apart <= 1e-6 * max(size, np.abs(expected).max()) else "fail",
            f"P times the mean eigenvalue is {traces.mean():.6g}, the probes' quadratic forms give the trace "
            f"{expected.mean():.6g} ({apart:.1g} apart at most)",
        ),
    )


def gauss_rules(
    product: Operator, probes: Tensor, steps: int, deflated: Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes and weights (R, steps) of the quadrature on the complement of `deflated`, and v^T A v (R,) of the probes.

    Each row of weights sums to 1.
    """
    if steps == 0:
        return np.zeros((len(probes), 0)), np.zeros((len(probes), 0)), np.zeros(len(probes))
    together = max(1, _MEMORY // (steps * probes[0].nbytes))
    pieces = [_tridiagonal(product, block, steps, deflated) for block in probes.split(together)]
    diagonal = np.concatenate([piece[0] for piece in pieces])
    beside = np.concatenate([piece[1] for piece in pieces])
    rows = np.arange(steps - 1)
    matrices = np.zeros((len(probes), steps, steps))
    matrices[:, range(steps), range(steps)] = diagonal
    matrices[:, rows, rows + 1] = matrices[:, rows + 1, rows] = beside
    nodes, vectors = np.linalg.eigh(matrices)
    return nodes, vectors[:, 0, :] ** 2, diagonal[:, 0]


def _tridiagonal(product: Operator, starts: Tensor, steps: int, deflated: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Diagonals (R, steps) and off-diagonals (R, steps - 1) of Lanczos from R vectors at once, (R, P).

    A row whose space becomes invariant goes on with zero vectors: what follows is not coupled to the start, and has no
    weight.
    """
    kind, count = accumulator(starts), len(starts)
    basis = starts.new_zeros(count, steps, starts.shape[1])
    diagonal = torch.zeros(count, steps, dtype=kind, device=starts.device)
    beside = torch.zeros_like(diagonal)
    norm = torch.zeros(count, dtype=kind, device=starts.device)
    rounding = 16 * torch.finfo(starts.dtype).eps
    vectors, _ = _normalised(_orthogonal(starts, basis[:, :0], deflated), norm)
    for step in range(steps):
        basis[:, step] = vectors
        images = product(vectors)
        diagonal[:, step] = (images.to(kind) * vectors.to(kind)).sum(1)
        norm = torch.maximum(norm, torch.linalg.vector_norm(images, dim=1, dtype=kind))
        rest = _orthogonal(images, basis[:, : step + 1], deflated)
        vectors, beside[:, step] = _normalised(rest, rounding * norm)
    if not bool(torch.isfinite(norm).all()):
        raise FloatingPointError(
            "a product with the operator is not finite: the loss overflows or has no second derivative here; "
            "lower the learning rate, or measure in float64"
        )
    return diagonal.cpu().numpy(), beside[:, :-1].cpu().numpy()


def _orthogonal(vectors: Tensor, basis: Tensor, deflated: Tensor) -> Tensor:
    """The parts of vectors (R, P) orthogonal to their own bases (R, m, P) and to `deflated` (k, P); twice is enough."""
    for _ in range(2):
        vectors = vectors - (vectors @ deflated.T) @ deflated
        overlaps = torch.einsum("rmp,rp->rm", basis, vectors)
        vectors = vectors - torch.einsum("rm,rmp->rp", overlaps, basis)
    return vectors


def _normalised(vectors: Tensor, negligible: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors and lengths; both zero where the length is negligible."""
    lengths = torch.linalg.vector_norm(vectors, dim=1, dtype=negligible.dtype)
    kept = lengths > negligible
    factors = torch.where(kept, 1 / lengths, 0.0)
    return vectors * factors.to(vectors.dtype)[:, None], torch.where(kept, lengths, 0.0)


def _scale(nodes: np.ndarray, weights: np.ndarray, spikes: np.ndarray) -> float:
    """Mean absolute eigenvalue of the bulk; of the spikes where there is no bulk, and 1 where all is zero."""
    bulk = float((weights * np.abs(nodes)).sum() / len(nodes))
    largest = float(np.abs(np.concatenate([nodes.ravel(), spikes])).max(initial=0.0))
    return max(bulk, 1e-6 * largest) or 1.0


def _smoothed(nodes: np.ndarray, weights: np.ndarray, scale: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """A grid (G,) of eigenvalues and each probe's density (R, G) per unit of u = asinh(lambda / scale)."""
    places = np.arcsinh(nodes / scale)
    low, high = places.min(), places.max()
    width = max((high - low) / (2 * max(steps, 10)), 0.05)
    grid = np.linspace(low - 5 * width, high + 5 * width, _GRID)
    kernel = np.exp(-0.5 * ((grid - places[:, :, None]) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    return scale * np.sinh(grid), (weights[:, :, None] * kernel).sum(1)


def _band(curves: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Percentiles of the mean of curves (R, G) under resampling of the R rows."""
    drawn = np.random.default_rng(seed).integers(len(curves), size=(_RESAMPLES, len(curves)))
    low, high = np.percentile(curves[drawn].mean(1), _BAND, axis=0)
    return low, high
