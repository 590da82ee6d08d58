"""Per-example gradients of any parameter, for those whose use in the network has no known form."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import vjp, vmap
from torch.utils._pytree import tree_map

from landscope.batches import Batches
from landscope.derivatives import accumulator
from landscope.evaluation import vmapped

__all__ = ["Outputs", "gram_of_rows"]

logger = logging.getLogger(__name__)

BUDGET = 2**25  # elements of a temporary: 128 MiB in float32

Outputs = Callable[[Mapping[str, Tensor], Any], Tensor]


def gram_of_rows(
    outputs: Outputs,
    parameters: Mapping[str, Tensor],
    names: Sequence[str],
    batches: Sequence[tuple[Any, int]],
    width: int,
) -> Tensor:
    """sum_a <grad f_a(x_i), grad f_a(x_j)> over the named parameters, (n, n), from the gradients themselves.

    Some parameters and some outputs at a time, so that what is in memory is bounded by the gradients of one output by
    one parameter. Each example is evaluated as a batch of one: all at once where vmap takes the model, else in turn.

    Args:
        outputs: The network's outputs (b, C) as a function of parameters and a batch.
        parameters: All parameters of theta.
        names: Those to differentiate by.
        batches: Batches with their sizes, n examples in all.
        width: Number C of outputs.
    """
    n = sum(size for _, size in batches)
    like = next(iter(parameters.values()))
    gram = like.new_zeros((n, n), dtype=accumulator(like))
    rows_of = _rows_at_once
    for group in _groups({name: parameters[name].numel() for name in names}, BUDGET // n):
        numel = sum(parameters[name].numel() for name in group)
        for directions in torch.eye(width, dtype=like.dtype, device=like.device).split(max(1, BUDGET // (n * numel))):
            try:
                rows = torch.cat([rows_of(outputs, parameters, group, *batch, directions) for batch in batches])
            except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as reason:
                if rows_of is _rows_in_turn:
                    raise
                logger.info("gradients are computed example by example: vmap refused the model (%s)", reason)
                rows_of = _rows_in_turn
                rows = torch.cat([rows_of(outputs, parameters, group, *batch, directions) for batch in batches])
            rows = rows.flatten(1).to(torch.promote_types(rows.dtype, torch.float32))
            gram += rows @ rows.T
    return gram


def _rows_at_once(
    outputs: Outputs, parameters: Mapping[str, Tensor], names: Sequence[str], batch: Any, size: int, directions: Tensor
) -> Tensor:
    """The gradients (b, k, Q) of k combinations (k, C) of the outputs, flattened together over the named parameters."""
    fixed = {name: tensor.detach() for name, tensor in parameters.items()}
    chosen = {name: fixed[name] for name in names}

    def of_example(example: Any, directions: Tensor) -> Tensor:
        single = tree_map(lambda leaf, dim: leaf if dim is None else leaf.unsqueeze(0), example, in_dims)

        def of_parameters(some: dict[str, Tensor]) -> Tensor:
            return outputs({**fixed, **some}, single).squeeze(0)

        pull = vjp(of_parameters, chosen)[1]
        (gradients,) = vmap(pull)(directions)
        return torch.cat([gradients[name].reshape(len(directions), -1) for name in names], dim=1)

    def has_rows(leaf: Any) -> bool:
        return isinstance(leaf, Tensor) and leaf.ndim > 0 and len(leaf) == size

    in_dims = tree_map(lambda leaf: 0 if has_rows(leaf) else None, batch)
    rows: Tensor = vmapped(of_example, in_dims=(in_dims, None))(batch, directions)
    return rows


def _rows_in_turn(
    outputs: Outputs, parameters: Mapping[str, Tensor], names: Sequence[str], batch: Any, size: int, directions: Tensor
) -> Tensor:
    """The same, one example after the other."""
    leaves = [parameters[name].detach().clone().requires_grad_() for name in names]
    replaced = {**parameters, **dict(zip(names, leaves, strict=True))}
    rows = []
    for position in range(size):
        (single,) = Batches((batch,), (size,)).select(torch.tensor([position])).items
        output = outputs(replaced, single).squeeze(0)
        for direction in directions:
            pieces = torch.autograd.grad(
                output @ direction, leaves, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            rows.append(torch.cat([piece.flatten() for piece in pieces]))
    return torch.stack(rows).view(-1, len(directions), rows[0].numel())


def _groups(sizes: Mapping[str, int], most: int) -> Iterator[list[str]]:
    """Names in order, as many together as have at most `most` elements; one alone may have more."""
    group: list[str] = []
    for name, size in sizes.items():
        if group and sum(sizes[other] for other in group) + size > most:
            yield group
            group = []
        group.append(name)
    if group:
        yield group
