"""How far curvature along a direction is off because it was measured on a sample of the data."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from landscope.derivatives import accumulator
from landscope.objective import Objective

__all__ = ["curvature_stderr"]

_GROUPS = 8  # of examples: few, since each has a graph of its own; the error is known to a quarter of itself


def curvature_stderr(
    objective: Objective, vector: Tensor, theta: Tensor | None, generator: torch.Generator
) -> float | None:
    """The standard error of v^T H v = mean_i v^T H_i v over the examples i, as an estimate for all data.

    From the scatter of the means over random groups of about equal size, at the cost of one product and its graph. For
    the leading eigenvector v it is that of the eigenvalue, to first order: d lambda = v^T (dH) v.

    Args:
        objective: Whose examples are the sample.
        vector: v, (P,).
        theta: Where, (P,); the model's weights at this moment if left out.
        generator: Draws the groups.

    Returns:
        The error; None for a single example, and where examples depend on each other through batch statistics.
    """
    count = objective.examples
    if count < 2 or objective.batch_norm == "batch":
        return None
    parts = torch.randperm(count, generator=generator).tensor_split(min(_GROUPS, count))
    kind = accumulator(vector)
    forms = [float(vector.to(kind) @ objective.subset(part).hessian(theta)(vector).to(kind)) for part in parts]
    objective.work.gradients += 1
    objective.work.products += 1
    sizes, values = np.array([len(part) for part in parts]), np.array(forms)
    scatter = sizes @ (values - sizes @ values / count) ** 2 / (len(parts) - 1)  # of one example
    return float(np.sqrt(scatter / count))
