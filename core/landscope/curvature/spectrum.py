"""The outermost eigenvalues of an objective's Hessian, Gauss-Newton or Fisher matrix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from torch import Tensor

from landscope.curvature.lanczos import eigenpairs_by_steps
from landscope.curvature.operators import OperatorName, curvature_operator, start_vector, zero_vector
from landscope.curvature.probes import private_generator
from landscope.curvature.pyhessian_backend import pyhessian_eigenvalues
from landscope.measurements import Eigenvalues
from landscope.objective import Objective
from landscope.work import Meter

__all__ = ["eigenvalues", "eigenvalues_by_steps"]


def eigenvalues(
    objective: Objective,
    k: int = 5,
    *,
    theta: Tensor | None = None,
    operator: OperatorName = "hessian",
    which: Literal["largest", "smallest", "both"] = "largest",
    tolerance: float = 1e-3,
    max_products: int | None = None,
    basis: int | None = None,
    start: Tensor | np.ndarray | None = None,
    seed: int = 0,
    backend: Literal["landscope", "pyhessian"] = "landscope",
) -> Eigenvalues:
    """The k algebraically largest eigenvalues, the k smallest, or both, descending, each with its residual.

    Lanczos with full reorthogonalisation and thick restarts, one Krylov space for both ends; then a search of the
    complement for further copies of multiple eigenvalues. Each value is iterated until its error bound
    min(r, r^2 / gap) is below `tolerance` of it. Products and vectors are in the parameters' type, but vectors no
    shorter than float32; residuals say what products in half precision are worth.

    Args:
        objective: What to measure.
        k: How many at each end; where there are fewer parameters than that, as many as there are.
        theta: Where, (P,); the model's weights at this moment if left out.
        operator: "hessian", "ggn", "fisher" or "empirical-fisher".
        which: The end of the spectrum, by algebraic value: "smallest" has the most negative ones.
        tolerance: Error bound at which a value counts as converged, relative to it.
        max_products: Largest number of matrix-vector products; by default 20 a value, and 80.
        basis: Lanczos vectors held at once, at most; by default 64 (three a value if that is more), or what fits into
            4 GiB. At least two a value, and four. Beside them there are the eigenvectors, and what products take.
        start: Eigenvectors (P,) or (k, P) of a nearby operator, e.g. of the previous training step.
        seed: Seed of the random start.
        backend: "landscope", or "pyhessian" for a cross-check by PyHessian's power iteration: the eigenvalues largest
            in magnitude, to its own tolerance, sorted, with residuals that we compute by one product each; `hvps`
            counts those alone. It takes one batch (x, y) or several, of models that are called as `model(x)`.

    Raises:
        ValueError: if k or the tolerance is not positive, or an option is unknown or does not fit the objective.
        FloatingPointError: if a product is not finite.
    """
    if backend == "pyhessian":
        if which != "largest":
            raise ValueError(f"backend='pyhessian' finds the largest eigenvalues, got which={which!r}")
        return pyhessian_eigenvalues(objective, k, theta=theta, operator=operator, tolerance=tolerance, seed=seed)
    if backend != "landscope":
        raise ValueError(f"backend must be 'landscope' or 'pyhessian', got {backend!r}")
    with objective.measuring():
        *_, found = eigenvalues_by_steps(
            objective, k, theta=theta, operator=operator, which=which, tolerance=tolerance, max_products=max_products,
            basis=basis, start=start, seed=seed,
        )  # fmt: skip
    assert found is not None
    return found


def eigenvalues_by_steps(
    objective: Objective,
    k: int = 5,
    *,
    theta: Tensor | None = None,
    operator: OperatorName = "hessian",
    which: Literal["largest", "smallest", "both"] = "largest",
    tolerance: float = 1e-3,
    max_products: int | None = None,
    basis: int | None = None,
    start: Tensor | np.ndarray | None = None,
    seed: int = 0,
) -> Iterator[Eigenvalues | None]:
    """As `eigenvalues`, yielding after each product: None, now and then the values as they are then; the result last.

    The model is the user's again whenever this yields. Values that are not the last are without vectors.
    """
    if k < 1:
        raise ValueError(f"k must be positive, got {k}")
    if which not in ("largest", "smallest", "both"):
        raise ValueError(f"which must be 'largest', 'smallest' or 'both', got {which!r}")
    largest, smallest = k * (which != "smallest"), k * (which != "largest")
    budget = 20 * (largest + smallest) + 80 if max_products is None else max_products
    if budget < k:
        raise ValueError(f"max_products must be at least k = {k}, got {max_products}")
    if tolerance <= 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}")
    generator, meter = private_generator(seed), Meter(objective)
    for pairs in eigenpairs_by_steps(
        curvature_operator(objective, operator, theta),
        start_vector(start, zero_vector(objective), generator),
        largest,
        smallest=smallest,
        tolerance=tolerance,
        max_products=budget,
        generator=generator,
        basis=basis,
    ):
        if pairs is None:
            yield None
            continue
        yield Eigenvalues(
            provenance=meter.provenance("Lanczos, full reorthogonalisation", seed=seed),
            values=pairs.values,
            residuals=pairs.residuals,
            converged=pairs.converged,
            operator=operator,
            which=which,
            hvps=pairs.products,
            vectors=pairs.vectors.cpu().numpy() if len(pairs.vectors) else None,
        )
