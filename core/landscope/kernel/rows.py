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
from landscope.evaluation import vmapped
from landscope.kernel.sums import Sums, add_products

__all__ = ["Outputs", "gram_of_rows", "layer_of"]

logger = logging.getLogger(__name__)

BUDGET = 2**25  # elements of a temporary: 128 MiB in float32

Outputs = Callable[[Mapping[str, Tensor], Any], Tensor]


def gram_of_rows(
    outputs: Outputs,
    parameters: Mapping[str, Tensor],
    names: Sequence[str],
    batches: Sequence[tuple[Any, int]],
    width: int,
    elements: int,
    paired: bool,
    sums: Sums,
) -> None:
    """Adds sum_a <grad f_a(x_i), grad f_a(x_j)>, or all <grad f_a(x_i), grad f_b(x_j)>, from the gradients themselves.

    Some parameters and some outputs at a time, so that what is in memory is bounded by the gradients of one output by
    one parameter. Each example is evaluated as a batch of one: several at once where vmap takes the model,
    else in turn.

    Args:
        outputs: The network's outputs (b, C) as a function of parameters and a batch.
        parameters: All parameters of theta.
        names: Those to differentiate by.
        batches: Batches with their sizes, n examples in all.
        width: Number C of outputs.
        elements: Number of elements of one example's intermediate results.
        paired: Whether the outputs of an example are paired with those of another.
        sums: What to add to.
    """
    n = sum(size for _, size in batches)
    like = next(iter(parameters.values()))
    evaluate = _Rows(outputs, parameters, elements)
    identity = torch.eye(width, dtype=like.dtype, device=like.device)

    def rows_of(group: Sequence[str], directions: Tensor) -> list[Tensor]:
        rows = torch.cat([evaluate(group, batch, size, directions) for batch, size in batches])
        rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
        return list(rows.split([parameters[name].numel() for name in group], dim=2))

    for group in _groups({name: parameters[name].numel() for name in names}, BUDGET // n):
        together = max(1, BUDGET // (n * sum(parameters[name].numel() for name in group)))
        blocks = identity.split(together)
        if not paired:
            for directions in blocks:
                for name, rows in zip(group, rows_of(group, directions), strict=True):
                    add_products(sums.of(layer_of(name)), rows.flatten(1))
            continue
        for first, directions in enumerate(blocks):
            some = rows_of(group, directions)
            for second in range(first, len(blocks)):
                others = some if second == first else rows_of(group, blocks[second])
                for name, one, other in zip(group, some, others, strict=True):
                    total = sums.of(layer_of(name)).view(n, width, n, width)
                    left, right = (slice(i * together, (i + 1) * together) for i in (first, second))
                    products = torch.einsum("iap,jbp->iajb", one, other)
                    total[:, left, :, right] += products
                    if second > first:
                        total[:, right, :, left] += products.permute(2, 3, 0, 1)


def layer_of(name: str) -> str:
    """The module that holds a parameter; the parameter itself where that is the model."""
    return name.rpartition(".")[0] or name


class _Rows:
    """Gradients (b, k, Q) of k combinations (k, C) of the outputs, flattened together over some parameters."""

    def __init__(self, outputs: Outputs, parameters: Mapping[str, Tensor], elements: int) -> None:
        self._outputs, self._parameters, self._elements = outputs, parameters, elements
        self._at_once = True

    def __call__(self, names: Sequence[str], batch: Any, size: int, directions: Tensor) -> Tensor:
        """Those of a batch."""
        if self._at_once:
            try:
                return self._rows_at_once(names, batch, size, directions)
            except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as reason:
                logger.info("gradients are computed example by example: vmap refused the model (%s)", reason)
                self._at_once = False
        return self._rows_in_turn(names, batch, size, directions)

    def _rows_at_once(self, names: Sequence[str], batch: Any, size: int, directions: Tensor) -> Tensor:
        fixed = {name: tensor.detach() for name, tensor in self._parameters.items()}
        chosen = {name: fixed[name] for name in names}

        def of_example(example: Any, directions: Tensor) -> Tensor:
            single = tree_map(lambda leaf, dim: leaf if dim is None else leaf.unsqueeze(0), example, in_dims)

            def of_parameters(some: dict[str, Tensor]) -> Tensor:
                return self._outputs({**fixed, **some}, single).squeeze(0)

            pull = vjp(of_parameters, chosen)[1]
            (gradients,) = vmap(pull)(directions)
            return torch.cat([gradients[name].reshape(len(directions), -1) for name in names], dim=1)

        def has_rows(leaf: Any) -> bool:
            return isinstance(leaf, Tensor) and leaf.ndim > 0 and len(leaf) == size

        in_dims = tree_map(lambda leaf: 0 if has_rows(leaf) else None, batch)
        evaluate = vmapped(of_example, in_dims=(in_dims, None))
        work = self._elements + sum(tensor.numel() for tensor in chosen.values())
        outputs = max(1, min(len(directions), BUDGET // work))
        examples = max(1, min(size, BUDGET // (work * outputs)))
        pieces = []
        for start in range(0, size, examples):
            chunk = slice(start, start + examples)
            some = tree_map(lambda leaf, dim: leaf if dim is None else leaf[chunk], batch, in_dims)  # noqa: B023
            pieces.append(torch.cat([evaluate(some, part) for part in directions.split(outputs)], dim=1))
        return torch.cat(pieces)

    def _rows_in_turn(self, names: Sequence[str], batch: Any, size: int, directions: Tensor) -> Tensor:
        leaves = [self._parameters[name].detach().clone().requires_grad_() for name in names]
        replaced = {**self._parameters, **dict(zip(names, leaves, strict=True))}
        rows = []
        for position in range(size):
            (single,) = Batches((batch,), (size,)).select(torch.tensor([position])).items
            output = self._outputs(replaced, single).squeeze(0)
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
