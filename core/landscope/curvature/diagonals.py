"""The diagonal of an objective's curvature: how sharply the loss bends along each parameter alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from landscope.curvature.hutchinson import columns
from landscope.curvature.leave_one_out import xdiag
from landscope.curvature.operators import OperatorName, curvature_operator, zero_vector
from landscope.curvature.probes import private_generator
from landscope.measurements import Diagonal
from landscope.objective import Objective

__all__ = ["diagonal"]


def diagonal(
    objective: Objective,
    *,
    budget: int = 60,
    theta: Tensor | None = None,
    operator: OperatorName = "hessian",
    seed: int = 0,
) -> Diagonal:
    """Diag A with a standard error for each element; exact where the budget allows for all P products.

    Otherwise XDiag (Epperly, Tropp and Webber 2024), which takes the range of A that the probes show exactly and the
    rest from E[z * A z] over random signs z (Bekas, Kokiopoulou and Saad 2007).

    Args:
        objective: What to measure.
        budget: Products to spend.
        theta: Where, (P,); the model's weights at this moment if left out.
        operator: "hessian", "ggn", "fisher" or "empirical-fisher".
        seed: Seed of the probes.

    Raises:
        ValueError: if there are fewer than four products, or an option is unknown or does not fit the objective.
        FloatingPointError: if a product is not finite.
    """
    if budget < 4:
        raise ValueError(f"budget must be at least 4 products, so that two probes show their scatter, got {budget}")
    with objective.measuring() as meter:
        like = zero_vector(objective)
        product = curvature_operator(objective, operator, theta)
        exact = len(like) <= budget
        if exact:
            pieces = [block[torch.arange(len(places)), places] for places, block in columns(product, like)]
            samples = torch.cat(pieces).unsqueeze(0)
        else:
            samples = xdiag(product, like, budget, private_generator(seed))
        values, stderr = _mean(samples)
        groups = samples.split(objective.layout.sizes, dim=1)
        means, mean_errors = _mean(torch.stack([group.double().mean(1) for group in groups], dim=1))
        return Diagonal(
            provenance=meter.provenance("exact" if exact else "XDiag", seed=None if exact else seed),
            values=values,
            stderr=stderr,
            means=means,
            mean_errors=mean_errors,
            names=objective.layout.names,
            sizes=objective.layout.sizes,
            probes=0 if exact else budget // 2,
            operator=operator,
        )


def _mean(samples: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The mean of n samples (n, ...) and its standard error, 0 for a single sample, which is exact."""
    scatter = samples.std(0) if len(samples) > 1 else torch.zeros_like(samples[0])
    return samples.mean(0).cpu().numpy(), (scatter / len(samples) ** 0.5).cpu().numpy()
