"""The trace and the Frobenius norm of an objective's curvature, within a budget of products."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from landscope.curvature.hutchinson import Moments, complement, exact, hutch_pp, hutchinson, krylov, on_span
from landscope.curvature.leave_one_out import xtrace
from landscope.curvature.operators import OperatorName, curvature_operator, vector_block, zero_vector
from landscope.curvature.probes import private_generator
from landscope.curvature.pyhessian_backend import pyhessian_trace
from landscope.derivatives import Operator
from landscope.measurements import Trace
from landscope.objective import Objective

__all__ = ["trace"]

TraceMethod = Literal["auto", "hutchinson", "hutch++", "xtrace", "krylov"]

_METHODS = {
    # name -> estimator, fewest products with which it shows an error, what it is in words
    "hutchinson": (hutchinson, 2, "Hutchinson, random signs"),
    "hutch++": (hutch_pp, 3, "Hutch++"),
    "xtrace": (xtrace, 4, "XTrace"),
    "krylov": (krylov, 4, "Hutchinson beside a Krylov space"),
}


def trace(
    objective: Objective,
    *,
    method: TraceMethod = "auto",
    budget: int = 60,
    probes: int | None = None,
    deflate: Tensor | np.ndarray | None = None,
    theta: Tensor | None = None,
    operator: OperatorName = "hessian",
    seed: int = 0,
    backend: Literal["landscope", "pyhessian"] = "landscope",
) -> Trace:
    """Tr A and ||A||_F, each with its standard error; exact where the budget allows for all P products.

    With Q = 1 - Y^T Y, tr A = tr Y A Y^T + tr Q A Q for any orthonormal Y (k, P), known vectors that cost k products;
    the second term is estimated. Leading eigenvectors, even a little stale, take the largest part of the variance away.

    Args:
        objective: What to measure.
        method: "hutchinson" (random signs, Hutchinson 1990), "hutch++" (Meyer et al. 2021), "xtrace" (Epperly, Tropp
            and Webber 2024), "krylov" (random signs beside a Krylov space, Chen and Hallman 2023), or "auto":
            Hutchinson's for fewer than 30 products beside those on known vectors, "krylov" from there on.
        budget: Products to spend, those on known vectors included.
        probes: Number of Hutchinson's random vectors, instead of a method and a budget.
        deflate: Vectors (k, P) to project out, e.g. `eigenvalues(...).vectors`; they are orthonormalised.
        theta: Where, (P,); the model's weights at this moment if left out.
        operator: "hessian", "ggn", "fisher" or "empirical-fisher".
        seed: Seed of the probes.
        backend: "landscope", or "pyhessian" for a cross-check by PyHessian's own Hutchinson estimator in float32, on a
            copy of the model, with `budget` probes.

    Raises:
        ValueError: if there are too few products to show an error, or an option is unknown or does not fit.
        FloatingPointError: if a product is not finite.
    """
    if probes is not None:
        if probes < 2:
            raise ValueError(f"probes must be at least 2, so that they show their scatter, got {probes}")
        if method not in ("auto", "hutchinson"):
            raise ValueError(f"probes are Hutchinson's; for method={method!r} give budget instead")
        method, budget = "hutchinson", probes + (0 if deflate is None else len(np.atleast_2d(deflate)))
    if method != "auto" and method not in _METHODS:
        raise ValueError(f"method must be 'auto' or one of {', '.join(map(repr, _METHODS))}, got {method!r}")
    if backend == "pyhessian":
        if deflate is not None or method not in ("auto", "hutchinson"):
            raise ValueError("backend='pyhessian' has Hutchinson's method alone; leave out method and deflate")
        return pyhessian_trace(objective, budget, theta=theta, operator=operator, seed=seed)
    if backend != "landscope":
        raise ValueError(f"backend must be 'landscope' or 'pyhessian', got {backend!r}")
    with objective.measuring() as meter:
        like = zero_vector(objective)
        product = curvature_operator(objective, operator, theta)
        basis = like.new_zeros(0, len(like))
        if deflate is not None:
            basis = torch.linalg.qr(vector_block(deflate, like, "deflate").T)[0].T.contiguous()
        name, found = _estimate(product, like, basis, method, budget, private_generator(seed))
        norm = float(np.sqrt(max(found.square, 0.0)))
        return Trace(
            provenance=meter.provenance(_METHODS[name][2] if name in _METHODS else "exact", seed=seed),
            value=found.trace,
            stderr=found.trace_error,
            probes=found.probes,
            operator=operator,
            method=name,
            frobenius=norm,
            frobenius_stderr=found.square_error / (2 * norm) if norm > 0 else 0.0,
        )


def _estimate(
    product: Operator, like: Tensor, basis: Tensor, method: str, budget: int, generator: torch.Generator
) -> tuple[str, Moments]:
    """The method's name, "exact" where P products fit the budget, and what it found."""
    if len(like) <= budget:
        return "exact", exact(product, like)
    left = budget - len(basis)
    if method == "auto":
        method = "hutchinson" if left < 30 else "krylov"
    estimator, fewest, _ = _METHODS[method]
    if left < fewest:
        known = f" beside the {len(basis)} on known vectors" if len(basis) else ""
        raise ValueError(f"budget of method {method!r} must be at least {fewest} products{known}, got {left}")
    if not len(basis):
        return method, estimator(product, like, left, generator)
    return method, on_span(product, basis) + estimator(complement(product, basis), like, left, generator)
