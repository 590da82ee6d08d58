"""Derivatives by reverse mode, operators made of them, and how operators are put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

__all__ = [
    "Operator",
    "accumulator",
    "averaged",
    "blockwise",
    "derivative",
    "hessian_operator",
    "pullback_operator",
    "rowwise",
]

Operator = Callable[[Tensor], Tensor]


def derivative(
    of: Tensor,
    at: Tensor,
    weights: Tensor | None = None,
    *,
    create_graph: bool = False,
    retain_graph: bool | None = None,
) -> Tensor:
    """d(of . weights)/d at, in the shape of `at`; zero where `of` does not depend on it."""
    (result,) = torch.autograd.grad(
        of,
        at,
        None if weights is None else weights.to(of.dtype),
        create_graph=create_graph,
        retain_graph=retain_graph,
        allow_unused=True,
        materialize_grads=True,
    )
    return result


def hessian_operator(loss: Callable[[Tensor], Tensor], point: Tensor) -> Operator:
    """V -> H v at `point`, the graph of the gradient g built once: H v = d(g . v)/d theta (Pearlmutter 1994).

    Args:
        loss: A scalar function of a tensor of any shape.
        point: Where.
    """
    leaf = point.detach().requires_grad_()
    gradient = derivative(loss(leaf), leaf, create_graph=True)
    if not gradient.requires_grad:  # the loss is linear in theta
        return torch.zeros_like
    return lambda vector: derivative(gradient, leaf, vector, retain_graph=True)


def pullback_operator(
    outputs: Callable[[Tensor], Tensor], curvature: Callable[[Tensor], Operator], point: Tensor
) -> Operator:
    """J^T C J on blocks (K, P) at `point` (P,), with J = d outputs/d theta and a symmetric C (Schraudolph 2002).

    With the Hessian of the loss by the outputs as C it is the generalised Gauss-Newton matrix, with outer products of
    scores a Fisher matrix. J v is the derivative of u -> J^T u, which is linear in u, so that it too takes reverse mode
    alone.

    Args:
        outputs: The network's outputs, a tensor of any shape, as a function of a vector (P,).
        curvature: C, a function from a tensor of the outputs' shape to another, for given outputs.
        point: Where.

    Raises:
        TypeError: if the outputs are not a tensor.
    """
    leaf = point.detach().requires_grad_()
    output = outputs(leaf)
    if not isinstance(output, Tensor):
        raise TypeError(
            f"the Gauss-Newton matrix needs a tensor as the model's output, got {type(output).__name__}; "
            "pass forward=lambda model, batch: ... that returns one"
        )
    curved = curvature(output.detach())
    dummy = torch.zeros_like(output, requires_grad=True)
    pulled = derivative(output, leaf, dummy, create_graph=True)
    if not pulled.requires_grad:  # the outputs do not depend on theta
        return torch.zeros_like

    def product(vector: Tensor) -> Tensor:
        pushed = derivative(pulled, dummy, vector, retain_graph=True)
        return derivative(output, leaf, curved(pushed), retain_graph=True)

    return rowwise(product)


def averaged(parts: Callable[[], Iterable[tuple[Operator, float]]], *, single: bool) -> Operator:
    """The weighted sum of operators on blocks (K, P), accumulated in float64.

    Args:
        parts: Yields operators with their weights, built anew for each product, so that only one is in memory.
        single: Whether there is but one, of weight 1, which is then kept.
    """
    kept: list[Operator] = []

    def product(block: Tensor) -> Tensor:
        if single:
            if not kept:
                kept.extend(operator for operator, _ in parts())
            return kept[0](block)
        total = torch.zeros_like(block, dtype=accumulator(block))
        for operator, weight in parts():
            total += weight * operator(block)
        return total

    return product


def rowwise(product: Operator) -> Operator:
    """A product with vectors (P,) as one with blocks (K, P)."""
    return lambda block: torch.stack([product(vector) for vector in block])


def blockwise(product: Operator, size: int) -> Operator:
    """A product with blocks (K, P) as one with vectors (P,) too, in the type and on the device of what it is given.

    Args:
        product: Takes blocks (K, P).
        size: P.

    Raises:
        ValueError: by the operator, if it is given another shape or integers.
    """

    def of_vectors(vectors: Tensor) -> Tensor:
        if vectors.ndim not in (1, 2) or vectors.shape[-1] != size:
            raise ValueError(f"vectors must have shape ({size},) or (K, {size}), got {tuple(vectors.shape)}")
        if not vectors.is_floating_point():
            raise ValueError(f"vectors must be floating point, got {vectors.dtype}")
        if not vectors.numel():
            return vectors.clone()
        result = product(vectors.reshape(-1, size))
        return result.to(vectors.device, vectors.dtype).reshape(vectors.shape)

    return of_vectors


def accumulator(like: Tensor) -> torch.dtype:
    """The type in which sums over data are kept: float64 where the device has it."""
    return like.dtype if like.device.type == "mps" else torch.float64
