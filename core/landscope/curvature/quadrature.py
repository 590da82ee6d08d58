"""The distribution of all eigenvalues, by stochastic Lanczos quadrature with the leading ones taken out.

Ubaru, Chen and Saad 2017; for networks, Papyan 2018 and Ghorbani, Krishnan and Xiao 2019.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from landscope.curvature.lanczos import RitzPairs, leading_eigenpairs
from landscope.curvature.operators import OperatorName, curvature_operator, start_vector, zero_vector
from landscope.curvature.probes import gaussian_probes, private_generator
from landscope.derivatives import Operator, accumulator
from landscope.measurements import SpectralDensity
from landscope.objective import Objective

__all__ = ["density"]

_GRID = 241
_RESAMPLES = 500
_BAND = (5, 95)  # percentiles
_MEMORY = 2**30  # bytes of Lanczos vectors held at once


def density(
    objective: Objective,
    *,
    probes: int = 5,
    steps: int = 20,
    spikes: int = 5,
    theta: Tensor | None = None,
    operator: OperatorName = "hessian",
    start: Tensor | np.ndarray | None = None,
    tolerance: float = 1e-3,
    threshold: float | None = None,
    seed: int = 0,
) -> SpectralDensity:
    """The spectral density phi(lambda) = (1/P) sum_i delta(lambda - lambda_i), smoothed on a signed-log axis.

    The `spikes` leading eigenvectors are found first and projected out; each keeps its exact weight 1/P. On their
    complement, Gauss quadrature of `steps` nodes from each of `probes` directions, uniform on the sphere, gives the
    rest, with weight 1 - spikes/P. The axis is u = asinh(lambda / scale), its scale the mean absolute eigenvalue of
    that rest; the kernel is Gaussian in u, as wide as half the mean distance of the nodes. The band is the 90 %
    bootstrap interval of the mean over probes: it does not contain the smoothing.

    Args:
        objective: What to measure.
        probes: Random directions, at least two, from whose scatter the errors come.
        steps: Lanczos steps, and nodes, of each.
        spikes: Leading eigenvalues to take out.
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
        leading = _leading(product, start, like, spikes, tolerance, generator)
        rest = len(like) - len(leading.values)  # dimension of the complement
        steps = min(steps, rest)
        bulk, shares = _bulk(product, gaussian_probes(probes, like, generator), steps, leading.vectors)
        nodes = np.hstack([bulk, np.tile(leading.values, (probes, 1))])
        weights = np.hstack([shares * (rest / len(like)), np.full((probes, len(leading.values)), 1 / len(like))])
        traces = len(like) * (weights * nodes).sum(1)
        scale = _scale(bulk, shares, leading.values)
        grid, curves = _smoothed(nodes, weights, scale, steps)
        low, high = _band(curves, seed)
        return SpectralDensity(
            provenance=meter.provenance("stochastic Lanczos quadrature, leading eigenvectors deflated", seed=seed),
            nodes=nodes,
            weights=weights,
            spikes=leading.values,
            spike_residuals=leading.residuals,
            grid=grid,
            density=curves.mean(0),
            low=low,
            high=high,
            scale=scale,
            trace=float(traces.mean()),
            trace_stderr=float(traces.std(ddof=1) / np.sqrt(probes)),
            operator=operator,
            hvps=leading.products + probes * steps,
            threshold=threshold,
        )


def _leading(
    product: Operator,
    start: Tensor | np.ndarray | None,
    like: Tensor,
    k: int,
    tolerance: float,
    generator: torch.Generator,
) -> RitzPairs:
    if k == 0:
        none = np.zeros(0)
        return RitzPairs(none, like.new_zeros(0, len(like)), none, none, none.astype(bool), 0)
    first = start_vector(start, like, generator)
    return leading_eigenpairs(product, first, k, tolerance=tolerance, max_products=20 * k + 80, generator=generator)


def _bulk(product: Operator, probes: Tensor, steps: int, deflated: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights (R, steps) of the quadrature on the complement of `deflated`; each row of weights sums to 1."""
    if steps == 0:
        return np.zeros((len(probes), 0)), np.zeros((len(probes), 0))
    together = max(1, _MEMORY // (steps * probes[0].nbytes))
    pieces = [_tridiagonal(product, block, steps, deflated) for block in probes.split(together)]
    diagonal = np.concatenate([piece[0] for piece in pieces])
    beside = np.concatenate([piece[1] for piece in pieces])
    rows = np.arange(steps - 1)
    matrices = np.zeros((len(probes), steps, steps))
    matrices[:, range(steps), range(steps)] = diagonal
    matrices[:, rows, rows + 1] = matrices[:, rows + 1, rows] = beside
    nodes, vectors = np.linalg.eigh(matrices)
    return nodes, vectors[:, 0, :] ** 2


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
