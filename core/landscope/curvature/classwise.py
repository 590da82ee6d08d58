"""The curvature of each class's own loss."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from landscope.curvature.lanczos import all_leading_eigenpairs
from landscope.curvature.operators import OperatorName, curvature_operator, start_vector, zero_vector
from landscope.curvature.probes import private_generator
from landscope.curvature.traces import trace
from landscope.measurements import ClassSpectra
from landscope.objective import Objective
from landscope.work import Work

__all__ = ["class_spectra"]


def class_spectra(
    objective: Objective,
    k: int = 1,
    *,
    theta: Tensor | None = None,
    operator: OperatorName = "hessian",
    tolerance: float = 1e-3,
    trace_budget: int = 30,
    seed: int = 0,
) -> ClassSpectra:
    """Both ends of the spectrum, and the trace, of the mean loss over the examples of each class.

    A minimum of the loss over all examples need not be one for a class that is rare among them: its own loss can be at
    a saddle there (Rangwani et al. 2022, "Escaping Saddle Points for Effective Generalization on Class-Imbalanced
    Data").

    Args:
        objective: Of a classification.
        k: Eigenvalues at each end.
        theta: Where, (P,); the model's weights at this moment if left out.
        operator: "hessian", "ggn", "fisher" or "empirical-fisher".
        tolerance: Error bound of the eigenvalues, relative to each; of the smaller ones, to the rounding of products.
        trace_budget: Products for the trace of each class.
        seed: Seed of the random starts and probes.

    Raises:
        ValueError: if the targets are not classes, k or the tolerance is not positive, or an option does not fit.
        FloatingPointError: if a product is not finite.
    """
    if k < 1:
        raise ValueError(f"k must be positive, got {k}")
    if tolerance <= 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}")
    if 2 * k > objective.layout.size:
        raise ValueError(f"k must leave both ends apart among {objective.layout.size} eigenvalues, got {k}")
    labels = objective.labels()
    if labels is None:
        raise ValueError("class_spectra needs one integer class per example as targets; measure subset()s instead")
    classes, counts = (part.numpy() for part in labels.unique(return_counts=True))
    with objective.measuring() as meter:
        ends, traces, losses = [], [], []
        for label in classes:
            own = objective.of_class(int(label))
            product = curvature_operator(own, operator, theta)
            generator = private_generator(seed)
            pairs = all_leading_eigenpairs(
                product,
                start_vector(None, zero_vector(own), generator),
                k,
                smallest=k,
                tolerance=tolerance,
                max_products=40 * k + 80,
                generator=generator,
            )
            ends.append((pairs.values, pairs.residuals))
            traces.append(trace(own, budget=trace_budget, theta=theta, operator=operator, seed=seed))
            losses.append(own.value(theta))
            _charge(objective.work, own.work, own.examples / objective.examples)
        values, residuals = (np.stack(column) for column in zip(*ends, strict=True))
        return ClassSpectra(
            provenance=meter.provenance("Lanczos, both ends, class by class", seed=seed),
            classes=classes,
            counts=counts,
            losses=np.array(losses),
            largest=values[:, :k],
            smallest=values[:, : -k - 1 : -1],
            largest_residuals=residuals[:, :k],
            smallest_residuals=residuals[:, : -k - 1 : -1],
            traces=np.array([one.value for one in traces]),
            trace_errors=np.array([one.stderr for one in traces]),
            operator=operator,
        )


def _charge(whole: Work, part: Work, share: float) -> None:
    """Counts what was spent on a share of the examples."""
    whole.forwards += share * part.forwards
    whole.gradients += share * part.gradients
    whole.products += share * part.products
    whole.backend = part.backend
