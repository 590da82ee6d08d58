"""The Gram matrix of the parameters whose uses are known, from backward passes to those uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from landscope.kernel.contractions import Contraction, Formed, Lookup, Patches, contraction_of, lookup_is_cheaper
from landscope.kernel.graphs import Graph, Term, derivatives
from landscope.kernel.sums import Sums
from landscope.kernel.uses import BUDGET, Use

__all__ = ["gram_of_uses"]

_SLOPES = 2 * BUDGET  # elements of the slopes that are kept until all outputs are there


@dataclass(frozen=True)
class _Item:
    """What one contraction takes.

    Attributes:
        term: The term.
        contraction: The contraction.
        components: Which components of the slopes.
    """

    term: Term
    contraction: Contraction
    components: slice


def gram_of_uses(graphs: Sequence[Graph], terms: Sequence[Term], paired: bool, sums: Sums) -> None:
    """Adds sum_a <grad f_a(x_i), grad f_a(x_j)>, or all <grad f_a(x_i), grad f_b(x_j)>, over the parameters of terms.

    Args:
        graphs: The graphs of the batches, n examples in all.
        terms: The parameters, and their uses.
        paired: Whether the outputs of an example are paired with those of another.
        sums: What to add to.
    """
    width = graphs[0].output.shape[1]
    by_slopes = []
    for term in terms:
        if _is_readout(graphs, term):
            _add_readout(graphs, term, width, paired, sums.of(term.layer))
        else:
            by_slopes.append(term)
    for some in _passes(graphs, by_slopes, width) if paired else [[(term, slice(None)) for term in by_slopes]]:
        items = [_Item(term, _contraction(graphs, term, width, paired), components) for term, components in some]
        numel = sum(_numel(graphs, term, components) for term, components in some)
        for slopes in _slopes(graphs, items, width if paired else max(1, BUDGET // max(1, numel))):
            for item, of_item in zip(items, slopes, strict=True):
                item.contraction.add(of_item)
        while items:
            item = items.pop()
            item.contraction.add_to(sums.of(item.term.layer))


def _passes(graphs: Sequence[Graph], terms: Sequence[Term], width: int) -> Iterator[list[tuple[Term, slice]]]:
    """The terms, or parts of their slopes' components, together as far as the slopes of all outputs fit into memory."""
    together: list[tuple[Term, slice]] = []
    room = _SLOPES
    for term in terms:
        size = width * _numel(graphs, term, slice(None))
        parts = [slice(None)]
        if size > _SLOPES and term.form(graphs) != "mixed":
            components = term.uses(graphs)[0][0].components
            slab = max(1, components * _SLOPES // size)
            parts = [slice(start, start + slab) for start in range(0, components, slab)]
        for part in parts:
            size = width * _numel(graphs, term, part)
            if together and size > room:
                yield together
                together, room = [], _SLOPES
            together.append((term, part))
            room -= size
    if together:
        yield together


def _contraction(graphs: Sequence[Graph], term: Term, width: int, paired: bool) -> Contraction:
    form, uses = term.form(graphs), term.uses(graphs)
    if form == "mixed":
        piece = term.weight or term.bias
        assert piece is not None
        return Formed(uses, piece, paired)
    if form == "lookup":
        assert term.weight is not None
        index = _joined([[use.read() for use in own] for own in uses], fill=-1)
        if lookup_is_cheaper(index, term.weight.rows):
            return Lookup(index, paired)
        return Formed(uses, term.weight, paired)
    return contraction_of(_inputs(uses, term), term.weight is not None and term.bias is not None, width, paired)


def _inputs(uses: Sequence[Sequence[Use]], term: Term) -> Tensor | Patches:
    """What the parameters act on, over all positions of all uses: (n, T, q), of a bias alone 1."""
    if term.weight is None:
        ones = [[use.like.new_ones(use.examples, use.positions, 1) for use in own] for own in uses]
        return _joined(ones, fill=0)
    if len(uses) == 1 and all(use.kind == "convolution" for use in uses[0]):
        patches = Patches(uses[0])
        return patches if patches.shape[0] * patches.shape[1] * patches.shape[2] > BUDGET else patches[:]
    return _joined([[_at_least_single(use.read()) for use in own] for own in uses], fill=0)


def _is_readout(graphs: Sequence[Graph], term: Term) -> bool:
    """Whether the parameters are read once, and what is made of them is the network's output."""
    return term.form(graphs) == "linear" and all(
        len(own) == 1
        and own[0].kind == "linear"
        and own[0].positions == 1
        and own[0].edge.node is graph.edge.node
        and own[0].edge.output_nr == graph.edge.output_nr
        for graph, own in zip(graphs, term.uses(graphs), strict=True)
    )


def _add_readout(graphs: Sequence[Graph], term: Term, width: int, paired: bool, total: Tensor) -> None:
    """The slopes of output a are the unit vector e_a, for every example: A A^T for each output, and 0 between two."""
    inputs = _inputs(term.uses(graphs), term)
    assert isinstance(inputs, Tensor)
    rows = inputs.squeeze(1)
    products = rows @ rows.T
    if term.weight is not None and term.bias is not None:
        products += 1
    if paired:
        total.view(len(rows), width, len(rows), width).diagonal(dim1=1, dim2=3).add_(products[:, :, None])
    else:
        total += width * products


def _slopes(graphs: Sequence[Graph], items: Sequence[_Item], together: int) -> Iterator[list[list[Tensor]]]:
    """What each contraction takes: slopes (n, T, k, p) of k of the C outputs at a time."""
    if not items:
        return
    for outputs in torch.arange(graphs[0].output.shape[1]).split(together):
        single = [_slopes_of_output(graphs, items, output) for output in outputs.tolist()]
        yield [[_stacked(parts) for parts in zip(*of_item, strict=True)] for of_item in zip(*single, strict=True)]


def _slopes_of_output(graphs: Sequence[Graph], items: Sequence[_Item], output: int) -> list[list[Tensor]]:
    """The slopes (n, T, p) of one output for each contraction, those of all uses joined unless it wants them apart."""
    pieces: list[list[list[Tensor]]] = [[] for _ in items]
    for k, graph in enumerate(graphs):
        chosen = sorted({i for item in items for i in item.term.numbers[k]})
        found = derivatives(graph.output[:, output].sum(), None, [graph.uses[i].edge for i in chosen])
        slopes = {i: _at_least_single(graph.uses[i].slopes(of_use)) for i, of_use in zip(chosen, found, strict=True)}
        for parts, item in zip(pieces, items, strict=True):
            parts.append([slopes[i][..., item.components] for i in item.term.numbers[k]])
    return [
        [part for own in parts for part in own] if isinstance(item.contraction, Formed) else [_joined(parts, fill=0)]
        for parts, item in zip(pieces, items, strict=True)
    ]


def _stacked(slopes: Sequence[Tensor]) -> Tensor:
    """Slopes (n, T, p) of k outputs as (n, T, k, p), laid out as they are: a convolution's run over positions last."""
    if slopes[0].stride(1) == 1:
        return torch.stack([one.mT for one in slopes], dim=1).permute(0, 3, 1, 2)
    return torch.stack(list(slopes), dim=2)


def _joined(pieces: Sequence[Sequence[Tensor]], fill: int) -> Tensor:
    """Uses one after the other along the positions, then batches along the examples, short ones filled up."""
    batches = [of_batch[0] if len(of_batch) == 1 else torch.cat(list(of_batch), dim=1) for of_batch in pieces]
    longest = max(batch.shape[1] for batch in batches)
    filled = []
    for batch in batches:
        missing = batch.new_full((batch.shape[0], longest - batch.shape[1], *batch.shape[2:]), fill)
        filled.append(torch.cat([batch, missing], dim=1) if missing.numel() else batch)
    return filled[0] if len(filled) == 1 else torch.cat(filled)


def _numel(graphs: Sequence[Graph], term: Term, components: slice) -> int:
    """Number of slopes of one output at the uses of a term."""
    uses = (use for own in term.uses(graphs) for use in own)
    return sum(use.examples * use.positions * len(range(*components.indices(use.components))) for use in uses)


def _at_least_single(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
