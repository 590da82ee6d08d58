"""The recorded forward passes of a few batches, and the terms into which what is known of their parameters falls."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge

from landscope.kernel.recorder import Recorder
from landscope.kernel.rows import Outputs, layer_of
from landscope.kernel.uses import Piece, Use, disjoint

__all__ = ["Graph", "Term", "derivatives", "recorded", "terms_of"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Graph:
    """One batch's forward pass.

    Attributes:
        output: The network's outputs (b, C), with their graph.
        uses: The uses of parameters with a known form.
        edge: Where the outputs were made.
        covered: Names of the parameters that are used in no other way.
        elements: Number of elements of all intermediate results.
    """

    output: Tensor
    uses: tuple[Use, ...]
    edge: GradientEdge
    covered: frozenset[str]
    elements: int


def recorded(outputs: Outputs, parameters: Mapping[str, Tensor], batch: Any, size: int) -> Graph:
    """The forward pass of a batch of `size` examples, its uses of parameters recorded and verified.

    Args:
        outputs: The network's outputs (b, C) as a function of parameters and a batch.
        parameters: All parameters of theta, leaves of the graph, each with memory of its own.
        batch: The batch.
        size: Its number b of examples.

    Raises:
        ValueError: if the outputs do not have one row for each example.
    """
    with Recorder(parameters, batch, size) as recorder:
        output = outputs(parameters, batch)
    if len(output) != size:
        raise ValueError(
            f"the model's output has {len(output)} rows for {size} examples, expected one row for each; "
            "pass forward=lambda model, batch: ... that returns such rows"
        )
    candidates = [name for name in parameters if name not in recorder.elsewhere]
    uses, covered = _verified(output, recorder.uses, candidates, parameters)
    return Graph(output, uses, get_gradient_edge(output), covered, recorder.elements)


def _verified(
    output: Tensor, uses: Sequence[Use], candidates: Sequence[str], parameters: Mapping[str, Tensor]
) -> tuple[tuple[Use, ...], frozenset[str]]:
    """The uses with the order of their rows, and the candidates whose gradients by them agree with autograd's.

    The slopes are random on a random half of the examples and zero on the others, which shows in which order rows run
    over examples and positions. Comparing gradients finds parameters read where no recorder sees it (compiled code,
    custom autograd functions), and tensors of which no dimension runs over examples.
    """
    generator = torch.Generator().manual_seed(0)
    cotangent = torch.randn(output.shape, generator=generator).to(output)
    silent = torch.randperm(len(output), generator=generator)[: len(output) // 2].to(output.device)
    cotangent[silent] = 0
    found = derivatives(output, cotangent, [*(use.edge for use in uses), *(parameters[name] for name in candidates)])
    ordered, sums = [], {name: torch.zeros_like(parameters[name].detach()) for name in candidates}
    for use, derivative in zip(uses, found, strict=False):
        slopes = use.slopes(derivative)
        if bool((slopes[silent] != 0).any()):
            use = use.otherwise()
            slopes = use.slopes(derivative)
        slopes = slopes.index_fill(0, silent, 0)
        for piece in use.pieces:
            if piece.name in sums:
                piece.of(sums[piece.name].view(-1)).add_(use.gradient(piece, slopes))
        ordered.append(use)
    covered = set()
    for name, exact in zip(candidates, found[len(uses) :], strict=True):
        ours = sums[name]
        exact = torch.zeros_like(ours) if exact is None else exact
        if (ours - exact).norm() <= torch.finfo(ours.dtype).eps ** 0.5 * exact.norm():
            covered.add(name)
        else:
            logger.info("%s is not used in the form it seems to be; its gradients are computed themselves", name)
    return tuple(ordered), frozenset(covered)


Numbers = tuple[tuple[int, ...], ...]  # for each graph, the numbers of some of its uses


@dataclass(frozen=True)
class Term:
    """Parameters of one layer that the same uses read, so that one contraction serves them.

    Attributes:
        layer: The layer's name.
        numbers: Those uses.
        weight: The weight among the parameters, if there is one; of mixed uses, whatever it is they share.
        bias: The bias, if there is one.
    """

    layer: str
    numbers: Numbers
    weight: Piece | None
    bias: Piece | None

    def uses(self, graphs: Sequence[Graph]) -> list[list[Use]]:
        """The uses themselves, for each graph."""
        return [[graph.uses[i] for i in own] for graph, own in zip(graphs, self.numbers, strict=True)]

    def form(self, graphs: Sequence[Graph]) -> Literal["linear", "lookup", "mixed"]:
        """How all the uses read the parameters, if they do it alike."""
        uses = [use for own in self.uses(graphs) for use in own]
        if any(self.weight is not None and use.weight != self.weight for use in uses):
            return "mixed"
        if any(self.bias is not None and use.bias != self.bias for use in uses):
            return "mixed"
        kinds = {"linear" if use.kind == "convolution" else use.kind for use in uses}
        if len(kinds) > 1:
            return "mixed"
        return "lookup" if kinds == {"lookup"} else "linear"  # a formed gradient is one slope on an input of 1


def terms_of(graphs: Sequence[Graph], parameters: Mapping[str, Tensor]) -> tuple[list[Term], set[str]]:
    """What the graphs know of the parameters, and the names of those that it is everything of.

    A weight and a bias that the same linear maps read make up one term. Pieces of a parameter that have no element in
    common are terms of their own; one that is read in several ways (a table that is the read-out as well) is one term.
    """
    terms: dict[tuple[str, Numbers], Term] = {}
    covered = set()
    for name, parameter in parameters.items():
        if not all(name in graph.covered for graph in graphs):
            continue
        readers = _readers(graphs, name)
        pieces = [piece for piece, _ in readers.values()]
        everywhere = all(all(numbers) for _, numbers in readers.values())
        if not everywhere or (len(pieces) > 1 and not disjoint(pieces, parameter.numel())):
            continue
        covered.add(name)
        for piece, numbers in readers.values():
            uses = [graph.uses[i] for graph, own in zip(graphs, numbers, strict=True) for i in own]
            is_bias = all(use.bias == piece for use in uses)
            key = layer_of(name), numbers
            other = terms.get(key)  # only a linear map's weight and bias have uses in common
            weight, bias = (None, piece) if is_bias else (piece, None)
            terms[key] = (
                Term(*key, weight, bias) if other is None else Term(*key, other.weight or weight, other.bias or bias)
            )
    return list(terms.values()), covered


def _readers(graphs: Sequence[Graph], name: str) -> dict[Any, tuple[Piece, Numbers]]:
    """The pieces of a parameter, by their elements, with the uses that read them."""
    found: dict[Any, tuple[Piece, list[list[int]]]] = {}
    for k, graph in enumerate(graphs):
        for number, use in enumerate(graph.uses):
            for piece in use.pieces:
                if piece.name == name:
                    known = found.setdefault(piece.elements, (piece, [[] for _ in graphs]))
                    known[1][k].append(number)
    return {key: (piece, tuple(tuple(own) for own in numbers)) for key, (piece, numbers) in found.items()}


def derivatives(of: Tensor, weights: Tensor | None, by: Sequence[Any]) -> tuple[Tensor | None, ...]:
    """d(of . weights) / d by, None where it does not depend on it; the graph is kept."""
    return torch.autograd.grad(of, by, weights, retain_graph=True, allow_unused=True) if by else ()
