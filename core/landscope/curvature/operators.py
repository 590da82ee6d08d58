"""The curvature operators of an objective by name, and the vectors they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from landscope.curvature.probes import gaussian_probes
from landscope.curvature.scores import empirical_fisher, fisher
from landscope.curvature.stability import StabilityRule
from landscope.derivatives import Operator, blockwise
from landscope.objective import Objective
from landscope.parameters import ParameterLayout

__all__ = [
    "OperatorName",
    "block_diagonal",
    "curvature_operator",
    "preconditioned_operator",
    "start_vector",
    "vector_block",
    "zero_vector",
]

OperatorName = Literal["hessian", "ggn", "fisher", "empirical-fisher"]
"""The Hessian, the generalised Gauss-Newton matrix, the Fisher matrix of sampled targets, that of the data's own."""

_TOGETHER = 2**27  # elements of the vectors that are multiplied at once: 512 MiB in float32
_NOVELTY = 0.1  # length of the random part of a warm start, so that a new leading direction is met


def curvature_operator(objective: Objective, name: str, theta: Tensor | None) -> Operator:
    """The objective's curvature of that name at theta, on vectors (P,) and blocks (K, P).

    Args:
        objective: Of which loss.
        name: One of `OperatorName`; "fisher" draws one target for each example, with seed 0.
        theta: Where, (P,); None for the model's weights at this moment.

    Raises:
        ValueError: if there is no such operator, or the objective has no likelihood and "fisher" is asked for.
    """
    if name == "hessian":
        return objective.hessian(theta)
    if name == "ggn":
        return objective.ggn(theta)
    if name == "fisher":
        return fisher(objective, theta)
    if name == "empirical-fisher":
        return empirical_fisher(objective, theta)
    raise ValueError(f"operator must be one of {', '.join(map(repr, get_args(OperatorName)))}, got {name!r}")


def block_diagonal(
    operator: Operator, layout: ParameterLayout, groups: Mapping[str, Sequence[str]] | None = None
) -> Operator:
    """The operator without what couples parameters of different groups: diag(A_1, ..., A_G).

    A_g v_g is the part g of A (0, ..., v_g, ..., 0): G products for each vector, taken together as blocks of vectors
    within a bounded memory.

    Args:
        operator: A, on blocks (K, P).
        layout: Of its vectors.
        groups: Names of the parameters in each group; by default the parameters of each module are one.

    Raises:
        ValueError: if a parameter is in no group or in several, or is none of the layout's.
    """
    if groups is None:
        groups = {}
        for name in layout.names:
            groups.setdefault(name.rpartition(".")[0], []).append(name)  # type: ignore[attr-defined]
    members = [name for names in groups.values() for name in names]
    if sorted(members) != sorted(layout.names):
        wrong = sorted({name for name in members if members.count(name) > 1} | set(members) ^ set(layout.names))
        raise ValueError(f"each parameter must be in one group, which is not so of {', '.join(wrong)}")
    places = {name: number for number, names in enumerate(groups.values()) for name in names}
    sizes = torch.tensor(layout.sizes)
    group_of = torch.tensor([places[name] for name in layout.names]).repeat_interleave(sizes)
    at_once = max(1, _TOGETHER // layout.size)

    def product(block: Tensor) -> Tensor:
        owner, total = group_of.to(block.device), torch.zeros_like(block)
        for numbers in torch.arange(len(groups), device=block.device).split(at_once):
            masks = owner == numbers[:, None]
            for vector, row in zip(block, total, strict=True):
                row += (operator(masks * vector) * masks).sum(0)
        return total

    return blockwise(product, layout.size)


def preconditioned_operator(operator: Operator, rule: StabilityRule) -> Operator:
    """The product v -> S (sign A + diag(decay)) S v, A as an optimiser sees it; S = P^-1/2 of its preconditioner P.

    Args:
        operator: A, on vectors (P,) and blocks (K, P).
        rule: `stability_rule(optimizer, layout, model)`.
    """

    def product(vectors: Tensor) -> Tensor:
        scaling = 1.0 if rule.scaling is None else rule.scaling.to(vectors)
        decay = 0.0 if rule.decay is None else rule.decay.to(vectors)
        scaled = scaling * vectors
        return scaling * (rule.sign * operator(scaled) + decay * scaled)

    return product


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
