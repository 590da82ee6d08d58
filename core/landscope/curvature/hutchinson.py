"""The trace of an objective's Hessian or Gauss-Newton matrix, from random probes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from landscope.curvature.operators import OperatorName, curvature_operator, vector_block, zero_vector
from landscope.curvature.probes import private_generator, rademacher_probes
from landscope.derivatives import Operator, accumulator
from landscope.measurements import Trace
from landscope.objective import Objective

__all__ = ["trace"]

_BLOCK = 8  # probes multiplied at once


def trace(
    objective: Objective,
    *,
    probes: int = 30,
    deflate: Tensor | np.ndarray | None = None,
    theta: Tensor | None = None,
    operator: OperatorName = "hessian",
    seed: int = 0,
) -> Trace:
    """The trace of A, as tr(Y A Y^T) + E[z^T Q A Q z], over random signs z, with Q = 1 - Y^T Y (Hutchinson 1990).

    Any orthonormal Y leaves the estimate unbiased; leading eigenvectors, even a little stale, take the largest part of
    its variance away, at one product each.

    Args:
        objective: What to measure.
        probes: Number of random vectors, at least two.
        deflate: Vectors (k, P) to project out, e.g. `eigenvalues(...).vectors`; they are orthonormalised.
        theta: Where, (P,); the model's weights at this moment if left out.
        operator: "hessian", "ggn", "fisher" or "empirical-fisher".
        seed: Seed of the probes.

    Raises:
        ValueError: if there are fewer than two probes, or an option is unknown or does not fit the objective.
        FloatingPointError: if a product is not finite.
    """
    if probes < 2:
        raise ValueError(f"probes must be at least 2, so that they show their scatter, got {probes}")
    generator = private_generator(seed)
    with objective.measuring() as meter:
        like = zero_vector(objective)
        product = curvature_operator(objective, operator, theta)
        basis = like.new_zeros(0, len(like))
        if deflate is not None:
            basis = torch.linalg.qr(vector_block(deflate, like, "deflate").T)[0].T
        exact = _quadratic_forms(product, basis).sum()
        signs = rademacher_probes(probes, like, generator)
        samples = exact + _quadratic_forms(product, signs - (signs @ basis.T) @ basis)
        if not np.isfinite(samples).all():
            raise FloatingPointError(
                "a product with the operator is not finite: the loss overflows or has no second derivative here; "
                "lower the learning rate, or measure in float64"
            )
        return Trace(
            provenance=meter.provenance("Hutchinson, random signs", seed=seed),
            value=float(samples.mean()),
            stderr=float(samples.std(ddof=1) / np.sqrt(probes)),
            probes=probes,
            operator=operator,
        )


def _quadratic_forms(product: Operator, vectors: Tensor) -> np.ndarray:
    """v^T A v for each of vectors (K, P), in float64."""
    if not len(vectors):
        return np.zeros(0)
    kind = accumulator(vectors)
    pieces = [(block.to(kind) * product(block).to(kind)).sum(1) for block in vectors.split(_BLOCK)]
    return torch.cat(pieces).cpu().numpy().astype(np.float64)
