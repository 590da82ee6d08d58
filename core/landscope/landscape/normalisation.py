"""Normalisation of directions, so that one unit means as much in every part of the network (Li et al. 2018)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from landscope.derivatives import accumulator
from landscope.objective import Objective
from landscope.parameters import FilterRule, filter_rules

__all__ = ["NORMALISATIONS", "Blocks", "Normalisation", "blocks_of", "normalised", "orthogonalised"]

Normalisation = Literal["filter", "layer", "tensor", "model", "none"]
NORMALISATIONS: tuple[Normalisation, ...] = ("filter", "layer", "tensor", "model", "none")


@dataclass(frozen=True)
class Blocks:
    """Blocks of equal size that some elements of vectors (K, P) divide into; each block is scaled by itself.

    Attributes:
        slices: Where the elements lie.
        rule: How they divide, taken one after the other.
    """

    slices: tuple[slice, ...]
    rule: FilterRule

    def of(self, vectors: Tensor) -> Tensor:
        """The blocks of vectors (K, P): (K, blocks, size)."""
        if len(self.slices) == 1:
            return self.rule.split(vectors[:, self.slices[0]])
        return self.rule.split(torch.cat([vectors[:, where] for where in self.slices], dim=1))

    def put(self, blocks: Tensor, vectors: Tensor) -> None:
        """Writes blocks (K, blocks, size) into vectors (K, P)."""
        elements, lengths = self.rule.merge(blocks), [where.stop - where.start for where in self.slices]
        for where, piece in zip(self.slices, elements.split(lengths, dim=1), strict=True):
            vectors[:, where] = piece


def blocks_of(objective: Objective, normalisation: Normalisation, *, biases: bool = False) -> list[Blocks]:
    """The blocks that a normalisation scales; what is in none of them does not move.

    Args:
        objective: Whose parameters.
        normalisation: "filter": each filter (see `landscope.parameters.filter_rules`); "tensor": each parameter;
            "layer": the weights of each module together; "model" and "none": all of theta.
        biases: Whether biases, normalisation parameters and other parameters without filters move too, under "filter",
            "layer" and "tensor". Each of them is one block, as if it were a filter; under "layer" they are part of
            their module's.

    Raises:
        ValueError: if the normalisation is unknown.
    """
    if normalisation not in NORMALISATIONS:
        raise ValueError(f"normalisation must be one of {', '.join(NORMALISATIONS)}, got {normalisation!r}")
    layout = objective.layout
    if normalisation in ("model", "none"):
        return [Blocks((slice(0, layout.size),), FilterRule.whole(layout.size))]
    rules = filter_rules(objective.model, layout)
    where, sizes = layout.slices, dict(zip(layout.names, layout.sizes, strict=True))
    moving = {name: rule for name, rule in rules.items() if sizes[name] and (biases or rule is not None)}
    if normalisation == "layer":
        layers: dict[str, list[str]] = {}
        for name in moving:
            layers.setdefault(_layer(name), []).append(name)
        return [
            Blocks(tuple(where[name] for name in names), FilterRule.whole(sum(sizes[name] for name in names)))
            for names in layers.values()
        ]
    by_filter = normalisation == "filter"
    return [
        Blocks((where[name],), rule if by_filter and rule is not None else FilterRule.whole(sizes[name]))
        for name, rule in moving.items()
    ]


def normalised(
    objective: Objective,
    directions: Tensor | np.ndarray,
    normalisation: Normalisation = "filter",
    *,
    biases: bool = False,
    theta: Tensor | None = None,
) -> Tensor:
    """Directions (P,) or (K, P) with each block b given the norm of the weights' block, d_b <- d_b |w_b| / |d_b|.

    Blocks are those of `blocks_of`. A block of zeros, of the direction or of the weights, stays zero or becomes so, as
    does what is in no block: with "filter", "layer" and "tensor", biases and normalisation parameters. "none" changes
    nothing. Norms are summed in float64, and directions come in float32 at least, whatever the weights' type.

    Args:
        objective: Whose parameters.
        directions: Any vectors in weight space.
        normalisation: One of "filter", "layer", "tensor", "model", "none".
        biases: Whether parameters without filters move too, see `blocks_of`.
        theta: (P,) the weights to scale by; the model's by default.

    Raises:
        ValueError: if the normalisation is unknown, the directions have another length, or the weights are not finite.
    """
    blocks, layout = blocks_of(objective, normalisation, biases=biases), objective.layout
    given = torch.as_tensor(directions)
    if given.ndim not in (1, 2) or given.shape[-1] != layout.size:
        raise ValueError(f"directions must have shape ({layout.size},) or (K, {layout.size}), got {tuple(given.shape)}")
    rows = given.to(layout.device, torch.promote_types(layout.dtype, torch.float32)).reshape(-1, layout.size)
    if normalisation != "none":
        weights = _finite_weights(objective, theta)
        scaled = torch.zeros_like(rows)
        for block in blocks:
            pieces = block.of(rows)
            block.put(pieces * (_norms(block.of(weights)) * _inverse(_norms(pieces))).to(rows.dtype), scaled)
        rows = scaled
    return rows.reshape(given.shape)


def orthogonalised(
    objective: Objective,
    directions: Tensor,
    normalisation: Normalisation,
    *,
    biases: bool = False,
    theta: Tensor | None = None,
) -> Tensor:
    """Directions (K, P) made orthogonal to each other, every block with the norm that `normalised` gives it.

    Within each block of at least K elements the directions' parts are orthogonalised, by Gram and Schmidt, so that the
    whole is orthogonal. Smaller blocks (the single weight of a neuron with one input) cannot be: they are scaled only,
    and leave inner products S_ij between the directions. The large blocks make up for them: in each, the angle between
    directions i and j is given the cosine -S_ij / sum_b |w_b|^2, the sum running over the large blocks.

    With "none", where nothing is scaled, each direction keeps its own norm.

    Raises:
        ValueError: if that cannot be done, because there are fewer parameters than directions, or small blocks hold
            too much of the weights' norm.
    """
    blocks, rows = blocks_of(objective, normalisation, biases=biases), directions.to(accumulator(directions))
    count = len(rows)
    scales = rows if normalisation == "none" else _finite_weights(objective, theta)
    small = [block for block in blocks if block.rule.size < count]
    large = [block for block in blocks if block.rule.size >= count]
    result = torch.zeros_like(rows)
    for block in small:
        pieces = block.of(rows)
        block.put(pieces * _norms(block.of(scales)) * _inverse(_norms(pieces)), result)
    room = sum(float(_norms(block.of(scales)[:1]).square().sum()) for block in large)
    mixing = _mixing(result @ result.T, room)
    for block in large:
        frames = torch.einsum("ij,jbn->ibn", mixing, _orthonormal(block.of(rows)))
        block.put(frames * _norms(block.of(scales)), result)
    return result.to(directions.dtype)


def _finite_weights(objective: Objective, theta: Tensor | None) -> Tensor:
    """The weights to scale by as (1, P), the model's by default.

    Raises:
        ValueError: if they have the wrong length, or one of them is not finite.
    """
    layout = objective.layout
    weights = objective.theta() if theta is None else theta
    layout.check("theta", weights, 1)
    if not bool(torch.isfinite(weights).all()):
        where = [name for name in layout.names if not bool(torch.isfinite(weights[layout.slices[name]]).all())]
        raise ValueError(
            f"directions are scaled by the weights, and those of {', '.join(where)} are not finite: the training has "
            "diverged; load an earlier checkpoint, or draw with normalisation='none'"
        )
    return weights.detach().to(layout.device).unsqueeze(0)


def _mixing(left_over: Tensor, room: float) -> Tensor:
    """The lower triangle L, of unit rows, whose L L^T has the cosines that cancel inner products left over elsewhere.

    Args:
        left_over: (K, K) inner products of what small blocks hold of K directions; the diagonal is of no account.
        room: Sum of the squared norms of the large blocks, which have these cosines.
    """
    crossing = left_over - left_over.diagonal().diag()
    identity = torch.eye(len(crossing), dtype=crossing.dtype, device=crossing.device)
    if not bool(crossing.any()):
        return identity
    if room > 0:
        mixing: Tensor
        mixing, failed = torch.linalg.cholesky_ex(identity - crossing / room)
        if not int(failed):
            return mixing
    count = len(crossing)
    raise ValueError(
        f"{count} directions cannot be orthogonal and keep every block's norm: blocks of fewer than {count} weights "
        "hold too much of it; draw fewer directions, or normalise by 'layer' or 'model'"
    )


def _layer(name: str) -> str:
    """The module that a parameter belongs to, that of a parametrised weight being the layer."""
    return re.sub(r"(^|\.)parametrizations\.[^.]+$", "", name.rpartition(".")[0])


def _norms(blocks: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(blocks, dim=-1, keepdim=True, dtype=accumulator(blocks))
    return norms


def _inverse(norms: Tensor) -> Tensor:
    return torch.where(norms > 0, 1 / norms, 0)


def _orthonormal(blocks: Tensor) -> Tensor:
    """Orthonormal rows in each block of (K, blocks, size), by Gram and Schmidt; twice is enough."""
    rows: list[Tensor] = []
    for row in blocks:
        for _ in range(2):
            for other in rows:
                row = row - (row * other).sum(-1, keepdim=True) * other
            row = row * _inverse(_norms(row))
        rows.append(row)
    return torch.stack(rows)
