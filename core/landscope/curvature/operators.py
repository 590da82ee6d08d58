"""The curvature operators of an objective by name, and the vectors they take."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from landscope.curvature.probes import gaussian_probes
from landscope.derivatives import Operator
from landscope.objective import Objective

__all__ = ["curvature_operator", "start_vector", "vector_block", "zero_vector"]

_NOVELTY = 0.1  # length of the random part of a warm start, so that a new leading direction is met


def curvature_operator(objective: Objective, name: str, theta: Tensor | None) -> Operator:
    """The objective's "hessian" or "ggn" at theta, on vectors (P,) and blocks (K, P).

    Raises:
        ValueError: if the name is neither.
    """
    if name == "hessian":
        return objective.hessian(theta)
    if name == "ggn":
        return objective.ggn(theta)
    raise ValueError(f"operator must be 'hessian' or 'ggn', got {name!r}")


def zero_vector(objective: Objective) -> Tensor:
    """A vector (P,) of the type in which curvature is computed: the parameters', but no shorter than float32."""
    layout = objective.layout
    return torch.zeros(layout.size, device=layout.device, dtype=torch.promote_types(layout.dtype, torch.float32))


def vector_block(vectors: Tensor | np.ndarray, like: Tensor, name: str) -> Tensor:
    """Vectors (P,) or (K, P) as a block (K, P) of the type and on the device of `like` (P,).

    Raises:
        ValueError: if their length is not P, or an element is not finite.
    """
    block: Tensor = torch.atleast_2d(torch.as_tensor(vectors).detach().to(like))
    if block.ndim != 2 or block.shape[1] != len(like):
        raise ValueError(
            f"{name} must have shape ({len(like)},) or (k, {len(like)}), got {tuple(vectors.shape)}; "
            "vectors of another model or of another choice of parameters do not fit"
        )
    if not bool(torch.isfinite(block).all()):
        raise ValueError(f"{name} must be finite")
    return block


def start_vector(start: Tensor | np.ndarray | None, like: Tensor, generator: torch.Generator) -> Tensor:
    """The first Lanczos vector (P,): random, or the sum of the given unit vectors and a small random one.

    Args:
        start: Eigenvectors of a nearby operator, (P,) or (k, P); None for a random vector.
        like: A vector of the right length, type and device.
        generator: Source of random numbers.

    Raises:
        ValueError: if `start` does not fit, or is zero.
    """
    fresh = gaussian_probes(1, like, generator)[0]
    if start is None:
        return fresh
    block = vector_block(start, like, "start")
    lengths = torch.linalg.vector_norm(block, dim=1, keepdim=True)
    if not bool((lengths > 0).all()):
        raise ValueError("start must not be zero; leave it out to start from a random vector")
    mixed: Tensor = (block / lengths).sum(0) + _NOVELTY * fresh / torch.linalg.vector_norm(fresh)
    return mixed
