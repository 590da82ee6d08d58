"""The recorded forward passes of a few batches, and the Gram matrix of the parameters whose uses they know."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge

from landscope.derivatives import accumulator
from landscope.kernel.contractions import BUDGET, Contraction, Lookup, contraction_of
from landscope.kernel.rows import Outputs
from landscope.kernel.uses import Recorder, Use

__all__ = ["Graph", "gram_of_uses", "recorded"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Graph:
    """One batch's forward pass.

    Attributes:
        output: The network's outputs (b, C), with their graph.
        uses: The uses of parameters with a known form.
        edge: Where the outputs were made.
        covered: The numbers of each parameter's uses, for the parameters that are used in no other way.
    """

    output: Tensor
    uses: tuple[Use, ...]
    edge: GradientEdge
    covered: Mapping[str, tuple[int, ...]]


def recorded(outputs: Outputs, parameters: Mapping[str, Tensor], batch: Any, size: int) -> Graph:
    """The forward pass of a batch of `size` examples, its uses of parameters recorded and verified.

    Args:
        outputs: The network's outputs (b, C) as a function of parameters and a batch.
        parameters: All parameters of theta, leaves of the graph.
        batch: The batch.
        size: Its number b of examples.

    Raises:
        ValueError: if the outputs do not have one row for each example.
    """
    with Recorder(parameters, size) as recorder:
        output = outputs(parameters, batch)
    if len(output) != size:
        raise ValueError(
            f"the model's output has {len(output)} rows for {size} examples, expected one row for each; "
            "pass forward=lambda model, batch: ... that returns such rows"
        )
    uses = tuple(recorder.uses)
    candidates = {
        name: tuple(number for number, use in enumerate(uses) if name in use.names)
        for name in parameters
        if name not in recorder.elsewhere
    }
    return Graph(output, uses, get_gradient_edge(output), _verified(output, uses, candidates, parameters))


def _verified(
    output: Tensor,
    uses: tuple[Use, ...],
    candidates: Mapping[str, tuple[int, ...]],
    parameters: Mapping[str, Tensor],
) -> dict[str, tuple[int, ...]]:
    """The candidates whose gradients agree with autograd's, for random slopes on a random half of the examples.

    That finds parameters read where no recorder sees it (compiled code, custom autograd functions), and tensors whose
    first dimension does not run over examples.
    """
    generator = torch.Generator().manual_seed(0)
    cotangent = torch.randn(output.shape, generator=generator).to(output)
    silent = torch.randperm(len(output), generator=generator)[: len(output) // 2].to(output.device)
    cotangent[silent] = 0
    leaves = [parameters[name] for name in candidates]
    found = _derivatives(output, cotangent, [*(use.edge for use in uses), *leaves])
    slopes = [use.slopes(slope).index_fill(0, silent, 0) for use, slope in zip(uses, found, strict=False)]
    verified = {}
    for (name, numbers), exact in zip(candidates.items(), found[len(uses) :], strict=True):
        like = parameters[name].detach()
        ours = torch.zeros_like(like)
        for number in numbers:
            ours += uses[number].gradient(name, slopes[number], like)
        exact = torch.zeros_like(like) if exact is None else exact
        if (ours - exact).norm() <= torch.finfo(like.dtype).eps ** 0.5 * exact.norm():
            verified[name] = numbers
        else:
            logger.info("%s is not used in the form it seems to be; its gradients are computed themselves", name)
    return verified


def gram_of_uses(graphs: Sequence[Graph]) -> tuple[Tensor, set[str]]:
    """sum_a <grad f_a(x_i), grad f_a(x_j)> over the parameters that all graphs cover.

    Args:
        graphs: The graphs of the batches, n examples in all.

    Returns:
        The Gram matrix (n, n), and the names of the parameters in it.
    """
    output = graphs[0].output.detach()
    n, width = sum(len(graph.output) for graph in graphs), output.shape[1]
    gram = output.new_zeros((n, n), dtype=accumulator(output))
    readers = _readers(graphs)
    contractions: dict[Numbers, Contraction] = {}
    for numbers, names in readers.items():
        if not any(numbers):
            continue  # never read: its gradient is zero
        inputs = _inputs(graphs, numbers, names)
        if _is_readout(graphs, numbers):
            rows = inputs.squeeze(1)
            gram += width * (rows @ rows.T)  # the slopes of output a are the unit vector e_a, for every example
        elif inputs.is_floating_point():
            contractions[numbers] = contraction_of(inputs)
        else:
            contractions[numbers] = Lookup(inputs, output)
    for chunk in _slopes(graphs, list(contractions)):
        for numbers, slopes in chunk.items():
            contractions[numbers].add(slopes)
    for contraction in contractions.values():
        gram += contraction.gram()
    return gram, {name for names in readers.values() for name in names}


Numbers = tuple[tuple[int, ...], ...]  # for each graph, the numbers of the uses that read some parameter


def _readers(graphs: Sequence[Graph]) -> dict[Numbers, list[str]]:
    """The covered parameters, those together that the same uses read: a layer's weight and bias share their slopes."""
    readers: dict[Numbers, list[str]] = {}
    for name in graphs[0].covered:
        if all(name in graph.covered for graph in graphs):
            numbers = tuple(graph.covered[name] for graph in graphs)
            kinds = {graph.uses[i].kind for graph, own in zip(graphs, numbers, strict=True) for i in own}
            if len(kinds) <= 1 and (all(numbers) or not any(numbers)):
                readers.setdefault(numbers, []).append(name)
    return readers


def _inputs(graphs: Sequence[Graph], numbers: Numbers, names: Sequence[str]) -> Tensor:
    """What the parameters act on, over all positions of all uses: (n, T, q), or the row numbers (n, T) of a lookup."""

    def of_use(use: Use) -> Tensor:
        if use.kind == "lookup":
            return use.inputs
        inputs = _at_least_single(use.inputs)
        parts = [inputs] if use.weight in names else []
        if use.bias in names:
            parts.append(torch.ones_like(inputs[..., :1]))
        return torch.cat(parts, dim=-1)

    pieces = [[of_use(graph.uses[i]) for i in own] for graph, own in zip(graphs, numbers, strict=True)]
    return _joined(pieces, fill=0 if pieces[0][0].is_floating_point() else -1)


def _is_readout(graphs: Sequence[Graph], numbers: Numbers) -> bool:
    """Whether the parameters are read once, and what is made of them is the network's output."""
    return all(
        len(own) == 1 and graph.uses[own[0]].inputs.shape[1] == 1 and _same(graph.uses[own[0]].edge, graph.edge)
        for graph, own in zip(graphs, numbers, strict=True)
    )


def _slopes(graphs: Sequence[Graph], terms: Sequence[Numbers]) -> Iterator[dict[Numbers, Tensor]]:
    """The slopes (n, T, k, p) at the uses of each term, k of the C outputs at a time."""
    if not terms:
        return
    together = max(1, BUDGET // sum(_numel(graphs, numbers) for numbers in terms))
    for outputs in torch.arange(graphs[0].output.shape[1]).split(together):
        single = [_slopes_of_output(graphs, terms, output) for output in outputs.tolist()]
        yield {numbers: torch.stack([slopes[i] for slopes in single], dim=2) for i, numbers in enumerate(terms)}


def _slopes_of_output(graphs: Sequence[Graph], terms: Sequence[Numbers], output: int) -> list[Tensor]:
    """The slopes (n, T, p) of one output at the uses of each term, over all graphs."""
    pieces: list[list[list[Tensor]]] = [[] for _ in terms]
    for k, graph in enumerate(graphs):
        chosen = sorted({i for numbers in terms for i in numbers[k]})
        found = _derivatives(graph.output[:, output].sum(), None, [graph.uses[i].edge for i in chosen])
        slopes = {i: _at_least_single(graph.uses[i].slopes(of_use)) for i, of_use in zip(chosen, found, strict=True)}
        for term, numbers in zip(pieces, terms, strict=True):
            term.append([slopes[i] for i in numbers[k]])
    return [_joined(term, fill=0) for term in pieces]


def _derivatives(of: Tensor, weights: Tensor | None, by: Sequence[Any]) -> tuple[Tensor | None, ...]:
    return torch.autograd.grad(of, by, weights, retain_graph=True, allow_unused=True) if by else ()


def _joined(pieces: Sequence[Sequence[Tensor]], fill: int) -> Tensor:
    """Uses one after the other along the positions, then batches along the examples, short ones filled up."""
    batches = [of_batch[0] if len(of_batch) == 1 else torch.cat(list(of_batch), dim=1) for of_batch in pieces]
    longest = max(batch.shape[1] for batch in batches)
    filled = []
    for batch in batches:
        missing = batch.new_full((batch.shape[0], longest - batch.shape[1], *batch.shape[2:]), fill)
        filled.append(torch.cat([batch, missing], dim=1) if missing.numel() else batch)
    return filled[0] if len(filled) == 1 else torch.cat(filled)


def _numel(graphs: Sequence[Graph], numbers: Numbers) -> int:
    """Number of slopes of one output at the uses of a term."""
    return sum(graph.uses[i].shape.numel() for graph, own in zip(graphs, numbers, strict=True) for i in own)


def _same(edge: GradientEdge, other: GradientEdge) -> bool:
    return edge.node is other.node and edge.output_nr == other.output_nr


def _at_least_single(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
