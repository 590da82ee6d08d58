"""Sharpness: the largest curvature as the optimiser sees it, against the limit above which its steps overshoot."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from landscope.curvature.lanczos import leading_eigenpairs
from landscope.curvature.operators import preconditioned_operator, start_vector, zero_vector
from landscope.curvature.probes import private_generator
from landscope.curvature.sampling import curvature_stderr
from landscope.curvature.stability import StabilityRule, stability_rule
from landscope.measurements import Sharpness
from landscope.objective import Objective
from landscope.optimizers import Optimizers, kinds

__all__ = ["sharpness"]

_MAX_PRODUCTS = 200


def sharpness(
    objective: Objective,
    optimizer: Optimizers | None = None,
    *,
    theta: Tensor | None = None,
    start: Tensor | np.ndarray | None = None,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> Sharpness:
    """The largest eigenvalue of P^-1/2 H P^-1/2, with the preconditioner P and threshold of the optimiser as it is now.

    Its standard error as an estimate for all data comes from the scatter over the examples, at one product more.

    Args:
        objective: What to measure.
        optimizer: The live optimiser of this model, or several; without one P = 1 and there is no threshold.
        theta: Where, (P,); the model's weights at this moment if left out.
        start: `vector` of the previous measurement: following sharpness through training then takes a few products.
        tolerance: Error bound to reach, relative to the eigenvalue.
        seed: Seed of the random part of the start.

    Raises:
        ValueError: if the tolerance is not positive, `start` does not fit, or the optimiser is another model's.
        FloatingPointError: if a product is not finite.
    """
    if tolerance <= 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}")
    rule = StabilityRule(None, "")
    if optimizer is not None:
        rule = stability_rule(optimizer, objective.layout, objective.model)
    generator = private_generator(seed)
    with objective.measuring() as meter:
        like = zero_vector(objective)
        pairs = leading_eigenpairs(
            preconditioned_operator(objective.hessian(theta), rule),
            start_vector(start, like, generator),
            1,
            tolerance=tolerance,
            max_products=_MAX_PRODUCTS,
            generator=generator,
        )
        vector = pairs.vectors[0]
        seen = vector if rule.scaling is None else rule.scaling.to(vector) * vector
        stderr = curvature_stderr(objective, seen, theta, generator)
        return Sharpness(
            provenance=meter.provenance("Lanczos, full reorthogonalisation", seed=seed),
            lambda_max=float(pairs.values[0]),
            residual=float(pairs.errors[0]),
            threshold=rule.threshold,
            optimizer=kinds(optimizer),
            rule=rule.text,
            preconditioned=rule.scaling is not None,
            hvps=pairs.products,
            stderr=stderr,
            vector=vector.cpu().numpy(),
        )
