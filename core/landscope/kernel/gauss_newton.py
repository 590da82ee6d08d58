"""The link of two spectra: the Gauss-Newton matrix has the eigenvalues of the tangent kernel, weighed by the loss."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from landscope.derivatives import hessian_operator
from landscope.kernel.empirical import grams, rows_of
from landscope.measurements import Eigenvalues
from landscope.objective import Objective

__all__ = ["ggn_eigenvalues", "output_curvature"]


def ggn_eigenvalues(objective: Objective, *, theta: Tensor | None = None) -> Eigenvalues:
    """All eigenvalues of the generalised Gauss-Newton matrix that are not zero for want of examples, from the kernel.

    With the curvature B of the loss by the outputs, G = J^T B J and B^(1/2) Theta B^(1/2) with Theta = J J^T have the
    same non-zero eigenvalues. B is block-diagonal, one block for each example: of the mean of squared errors over n
    examples and C outputs it is 2/(n C) I, so that they are 2/(n C) times the kernel's; of the mean cross-entropy
    (diag p_i - p_i p_i^T) / n.

    Args:
        objective: Whose network and examples; the full kernel has as many rows as examples times outputs.
        theta: Where; the model's weights by default.

    Returns:
        (n C,) values, descending, with the rounding of the arithmetic as their residuals; no products are needed.

    Raises:
        ValueError: if the loss is not convex in the outputs, or the kernel is not defined.
        TypeError: if the network's output is not a tensor.
    """
    with objective.measuring() as meter:
        found = grams([objective], theta=theta, kind="full")
        curvature = output_curvature(objective, theta).to(found.whole)
        values, vectors = torch.linalg.eigh(curvature)
        largest = float(values.abs().max())
        precision = torch.finfo(objective.layout.dtype).eps
        if float(values.min()) < -(precision**0.5) * largest:
            raise ValueError(
                f"the loss has curvature {float(values.min()):.2g} by the outputs, expected none below 0: the "
                "eigenvalues of its Gauss-Newton matrix do not follow from the kernel; use curvature.eigenvalues"
            )
        roots = (vectors * values.clamp(min=0).sqrt()[:, None, :]) @ vectors.mT
        n, outputs = curvature.shape[:2]
        weighed = torch.einsum("iab,ibjc,jcd->iajd", roots, found.whole.view(n, outputs, n, outputs), roots)
        spectrum = torch.linalg.eigvalsh(weighed.reshape(n * outputs, n * outputs)).flip(0).cpu().numpy()
        return Eigenvalues(
            provenance=meter.provenance("Gauss-Newton matrix, from the tangent kernel"),
            values=spectrum,
            residuals=np.full(len(spectrum), len(spectrum) * precision * abs(spectrum[0])),
            converged=np.ones(len(spectrum), dtype=bool),
            operator="ggn",
            hvps=0,
        )


def output_curvature(objective: Objective, theta: Tensor | None = None) -> Tensor:
    """The second derivative of L by each example's outputs, (n, C, C)."""
    blocks = []
    with objective.measuring(), objective._differentiating():
        named = objective.layout.unflatten(objective._point(theta).detach())
        for batch, share in objective._shares():
            with torch.no_grad():
                output = objective.function(named, batch)
            shape, rows = output.shape, rows_of(output.detach())
            target = objective.target(batch)
            product = hessian_operator(
                lambda values, shape=shape, target=target: objective.loss(values.view(shape), target),  # type: ignore[misc]
                rows.contiguous(),
            )
            columns = torch.eye(rows.shape[1]).to(rows)
            blocks.append(share * torch.stack([product(column.expand_as(rows)) for column in columns], dim=2))
    return torch.cat(blocks)
