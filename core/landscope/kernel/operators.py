"""The tangent kernel by its products alone, for probe sets whose Gram matrix does not fit into memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from landscope.curvature.lanczos import all_leading_eigenpairs
from landscope.curvature.probes import gaussian_probes, private_generator
from landscope.derivatives import Operator, accumulator, blockwise, derivative
from landscope.kernel.empirical import refuse_batch_statistics, rows_of
from landscope.measurements import Eigenvalues
from landscope.objective import Objective

__all__ = ["jacobian_products", "leading_eigenvalues", "ntk_operator"]


def ntk_operator(objective: Objective, *, theta: Tensor | None = None) -> Operator:
    """V -> Theta v = J (J^T v) with the full kernel of all of the objective's examples.

    Vectors have length n C, the outputs of the first example first. J^T v takes one backward pass, and J u is the
    derivative of v -> J^T v, which is linear in v: every layer with a second derivative will do, and memory is that of
    two backward passes over one batch.

    Args:
        objective: Whose network, and whose examples; `sample` and `subset` choose some.
        theta: Where; the model's weights by default.

    Returns:
        The operator, on vectors (n C,) and blocks (K, n C).

    Raises:
        ValueError: if the objective normalises by batches.
    """
    refuse_batch_statistics(objective)
    point = objective._point(theta).detach().clone()
    widths = objective.outputs(theta).numel() // objective.examples
    sizes = [size * widths for size in objective.batches.sizes]
    shared: dict[int, tuple[Operator, Operator]] = {}

    def of_batch(number: int, batch: Any) -> tuple[Operator, Operator]:
        if number in shared:
            return shared[number]
        named = objective.layout.unflatten
        _, pull, push = jacobian_products(lambda leaf: rows_of(objective.function(named(leaf), batch)), point)
        if len(sizes) == 1:
            shared[number] = pull, push
        return pull, push

    def product(block: Tensor) -> Tensor:
        block = block.to(point)
        with objective._differentiating():
            pulled = torch.zeros(len(block), len(point), dtype=accumulator(point), device=point.device)
            for number, (batch, _) in enumerate(objective.batches_on_device()):
                pull = of_batch(number, batch)[0]
                for row, vector in zip(pulled, block.split(sizes, dim=1)[number], strict=True):
                    row += pull(vector)
            pieces = []
            for number, (batch, _) in enumerate(objective.batches_on_device()):
                push = of_batch(number, batch)[1]
                pieces.append(torch.stack([push(vector.to(point)) for vector in pulled]))
            objective.work.products += len(block)
        return torch.cat(pieces, dim=1)

    return blockwise(product, sum(sizes))


def leading_eigenvalues(
    objective: Objective,
    k: int = 5,
    *,
    theta: Tensor | None = None,
    tolerance: float = 1e-3,
    max_products: int | None = None,
    seed: int = 0,
) -> Eigenvalues:
    """The k largest eigenvalues of the full kernel of all of the objective's examples, by Lanczos, without the kernel.

    Args:
        objective: Whose network, and whose examples.
        k: How many; where the kernel has fewer rows than that, as many as it has.
        theta: Where; the model's weights by default.
        tolerance: Error bound at which a value counts as converged, relative to it.
        max_products: Largest number of products with the kernel; by default 20 k + 80.
        seed: Seed of the random start.

    Raises:
        ValueError: if k or the tolerance is not positive, or the objective normalises by batches.
        FloatingPointError: if a product is not finite.
    """
    if k < 1:
        raise ValueError(f"k must be positive, got {k}")
    if tolerance <= 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}")
    generator = private_generator(seed)
    with objective.measuring() as meter:
        operator = ntk_operator(objective, theta=theta)
        rows = objective.outputs(theta).numel()
        like = torch.zeros(rows, device=objective.layout.device, dtype=objective.layout.dtype)
        like = like.to(torch.promote_types(like.dtype, torch.float32))
        pairs = all_leading_eigenpairs(
            operator,
            gaussian_probes(1, like, generator)[0],
            min(k, rows),
            tolerance=tolerance,
            max_products=20 * k + 80 if max_products is None else max_products,
            generator=generator,
        )
        return Eigenvalues(
            provenance=meter.provenance("Lanczos on the tangent kernel", seed=seed),
            values=pairs.values,
            residuals=pairs.residuals,
            converged=pairs.converged,
            operator="full tangent kernel",
            hvps=pairs.products,
            vectors=pairs.vectors.cpu().numpy(),
        )


def jacobian_products(outputs: Callable[[Tensor], Tensor], point: Tensor) -> tuple[Tensor, Operator, Operator]:
    """The outputs (b, C) at a point (P,), v -> J^T v for vectors (b C,), and u -> J u (b C,) for vectors (P,)."""
    leaf = point.detach().requires_grad_()
    output = outputs(leaf)
    dummy = torch.zeros_like(output, requires_grad=True)
    pulled = derivative(output, leaf, dummy, create_graph=True)

    def pull(vector: Tensor) -> Tensor:
        return derivative(output, leaf, vector.reshape(output.shape), retain_graph=True)

    def push(vector: Tensor) -> Tensor:
        return derivative(pulled, dummy, vector, retain_graph=True).flatten()

    return output, pull, push
