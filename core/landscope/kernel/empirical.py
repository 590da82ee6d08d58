"""The empirical neural tangent kernel of an objective's network on a few probe examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from landscope.batches import Batches
from landscope.derivatives import accumulator
from landscope.kernel.graphs import recorded, terms_of
from landscope.kernel.rows import Outputs, gram_of_rows, layer_of
from landscope.kernel.spectrum import alignment, block_cosines, class_borders, effective_rank, label_gram
from landscope.kernel.structured import gram_of_uses
from landscope.kernel.sums import Sums
from landscope.measurements import NTK
from landscope.objective import Objective

__all__ = ["Grams", "Kind", "detached", "gram_of_outputs", "grams", "ntk", "refuse_batch_statistics", "rows_of"]

Kind = Literal["auto", "full", "trace", "output", "pseudo"]

_FULL = 1024  # rows of a kernel of which all outputs are paired, unless it is asked for
_TRACE = 128  # outputs, each of which takes a backward pass


@dataclass(frozen=True)
class Grams:
    """The kernel of one or several objectives' examples, those of the first objective first.

    Attributes:
        whole: (m, m) the kernel in float64; m = n C for the full one, the outputs of the first example first, else n.
        layers: By layer where that was asked for, each (m, m); their sum is the whole.
        kind: "full", "trace", "output" or "pseudo".
        outputs: Number C of outputs per example.
    """

    whole: Tensor
    layers: dict[str, Tensor]
    kind: str
    outputs: int


def ntk(
    objective: Objective,
    n: int = 256,
    *,
    theta: Tensor | None = None,
    kind: Kind = "auto",
    output: int = 0,
    by_layer: bool = False,
    seed: int = 0,
) -> NTK:
    """The empirical neural tangent kernel (Jacot, Gabriel and Hongler 2018) on n examples of the objective's data.

    With the C outputs f_a of the network,

        full:    K_ia,jb = <grad f_a(x_i), grad f_b(x_j)>, n C x n C, the outputs of the first example first
        trace:   K_ij = (1/C) sum_a  <grad f_a(x_i), grad f_a(x_j)>
        output:  K_ij = <grad f_a(x_i), grad f_a(x_j)> for one output a
        pseudo:  K_ij = (1/C) sum_ab <grad f_a(x_i), grad f_b(x_j)>     (Mohamadi, Bae and Sutherland 2023)

    over all parameters of theta. They are different quantities; a pseudo kernel or that of one output needs one
    backward pass instead of C. An output of several dimensions, as of one for each token, counts as flattened.

    Where a parameter enters through operations that are linear in it (however often, and from whatever module), its
    part is contracted from the inputs and output gradients of those operations (Novak, Sohl-Dickstein and Schoenholz
    2022); every other parameter's from its per-example gradients. Gram matrices are summed in float64.

    Args:
        objective: Whose network, and whose examples.
        n: Number of examples, a subset that is the same at every call; at most as many as there are.
        theta: Where; the model's weights by default.
        kind: How outputs are contracted. "auto" takes the full kernel up to 1,024 rows, else the trace up to 128
            outputs, else the pseudo kernel; the result's `gram_kind` says which.
        output: Which output, for kind="output".
        by_layer: Whether to keep each layer's kernel as well. A layer is a module that holds parameters of its own; a
            parameter that several share counts for the first.
        seed: Chooses the subset.

    Raises:
        ValueError: if outputs depend on the other examples of a batch (by batch normalisation, or otherwise: no kernel
            is defined then), n is not positive, there is no such output, the outputs are not one row per example, or a
            gradient is not finite.
        TypeError: if the network's output is not a tensor.
    """
    if n < 1:
        raise ValueError(f"n must be positive, got {n}")
    probe = objective.sample(n, seed=seed)
    with probe.measuring() as meter:
        found = grams([probe], theta=theta, kind=kind, output=output, by_layer=by_layer)
        eigenvalues = torch.linalg.eigvalsh(found.whole).flip(0).cpu().numpy()
        labels = probe.labels()
        classes = None if labels is None else labels.numpy()
        matrix = found.whole.cpu().numpy()
        layers = np.stack([layer.cpu().numpy() for layer in found.layers.values()]) if by_layer else None
        small = matrix
        if found.kind == "full":
            small = matrix.reshape(probe.examples, found.outputs, probe.examples, found.outputs)
            small = small.trace(axis1=1, axis2=3) / found.outputs
        return NTK(
            provenance=replace(meter.provenance(f"empirical NTK, {found.kind}", seed=seed), data=probe.batches.digest),
            eigenvalues=eigenvalues,
            gram_kind=found.kind,
            outputs=found.outputs,
            effective_rank=effective_rank(eigenvalues),
            alignment=None if classes is None else alignment(small, label_gram(classes)),
            layer_names=tuple(found.layers),
            layer_shares=None if layers is None else layers.trace(axis1=1, axis2=2) / matrix.trace(),
            cosines=block_cosines(small, classes),
            borders=class_borders(small, classes),
            gram=matrix,
            layer_grams=layers,
            labels=classes,
        )


def grams(
    objectives: Sequence[Objective],
    *,
    theta: Tensor | None = None,
    kind: Kind = "auto",
    output: int = 0,
    by_layer: bool = False,
) -> Grams:
    """The kernel of all examples of objectives that share their network, as tensors; the rest as for `ntk`.

    Raises:
        ValueError: as `ntk` does.
        TypeError: if the network's output is not a tensor.
    """
    first = objectives[0]
    if kind not in get_args(Kind):
        raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}, got {kind!r}")
    for objective in objectives:
        refuse_batch_statistics(objective)
    with first.measuring(), first._differentiating():
        return _grams(objectives, theta, kind, output, by_layer)


def _grams(objectives: Sequence[Objective], theta: Tensor | None, kind: Kind, output: int, by_layer: bool) -> Grams:
    first = objectives[0]
    parameters = detached(first, theta)
    batches = [pair for objective in objectives for pair in objective.batches_on_device()]
    examples = sum(size for _, size in batches)

    def rows(named: Mapping[str, Tensor], batch: Any) -> Tensor:
        return rows_of(first.function(named, batch))

    with torch.no_grad():
        counts = sorted({few.shape[1] for few in _outputs_of_few(rows, parameters, batches)})
    if len(counts) > 1:
        raise ValueError(f"the kernel needs as many outputs for every example, got {counts} in different batches")
    (count,) = counts
    if kind == "auto":
        kind = "full" if examples * count <= _FULL else "trace" if count <= _TRACE else "pseudo"
    if kind == "output" and not 0 <= output < count:
        raise ValueError(f"output must lie in 0..{count - 1}, got {output}")

    def chosen(every: Tensor) -> Tensor:
        if kind == "output":
            return every[:, output : output + 1]
        return every.sum(1, keepdim=True) if kind == "pseudo" else every

    def outputs(named: Mapping[str, Tensor], batch: Any) -> Tensor:
        return chosen(rows(named, batch))

    paired = kind == "full"
    width = 1 if kind in ("output", "pseudo") else count
    first.work.forwards += 1
    first.work.gradients += width
    scale = 1 / count if kind in ("trace", "pseudo") else 1.0
    whole, layers = gram_of_outputs(outputs, parameters, batches, paired=paired, by_layer=by_layer, scale=scale)
    return Grams(whole, layers, kind, count)


def gram_of_outputs(
    outputs: Outputs,
    parameters: Mapping[str, Tensor],
    batches: Sequence[tuple[Any, int]],
    *,
    paired: bool = False,
    by_layer: bool = False,
    scale: float = 1.0,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Inner products of the gradients of any function of single examples, with `width` outputs for each.

    To be used where the model is isolated and gradients are taken, as `grams` does.

    Args:
        outputs: The function, (b, width), of parameters and a batch.
        parameters: All parameters of theta, as `detached` gives them.
        batches: Batches with their sizes, n examples in all.
        paired: Whether all outputs of an example are paired with all of another, m = n width, or each with its own and
            summed over, m = n.
        by_layer: Whether each layer's part is kept as well.
        scale: What all entries are multiplied by.

    Returns:
        The Gram matrix (m, m) in float64, and by layer its parts, which sum to it.

    Raises:
        ValueError: if outputs are not one row for each example, depend on the other examples of a batch, or a gradient
            is not finite.
    """
    graphs = [recorded(outputs, parameters, batch, size) for batch, size in batches]
    with torch.no_grad():
        for graph, alone in zip(graphs, _outputs_of_few(outputs, parameters, batches), strict=True):
            _refuse_dependence(alone, graph.output.detach()[_few(len(graph.output))])
    examples, width = sum(size for _, size in batches), graphs[0].output.shape[1]
    side = examples * width if paired else examples
    like = graphs[0].output.detach()
    sums = Sums(lambda: like.new_zeros(side, side, dtype=accumulator(like)), by_layer)
    terms, covered = terms_of(graphs, parameters)
    gram_of_uses(graphs, terms, paired, sums)
    rest = [name for name in parameters if name not in covered]
    elements = max(1, sum(graph.elements for graph in graphs) // examples)
    del graphs
    if rest:
        gram_of_rows(outputs, parameters, rest, batches, width, elements, paired, sums)
    whole, layers = sums.result(scale)
    if not bool(whole.sum().isfinite()):
        raise ValueError("the kernel has entries that are not finite: the network's gradients are NaN or infinite here")
    order = dict.fromkeys(layer_of(name) for name in parameters)
    return whole, {layer: layers[layer] for layer in order if layer in layers}


def refuse_batch_statistics(objective: Objective) -> None:
    """Raises a ValueError if the objective normalises by the statistics of batches."""
    if objective.batch_norm != "eval":
        raise ValueError(
            f"the kernel is not defined with batch_norm={objective.batch_norm!r}, where each output depends on the "
            "other examples of its batch; use an objective with batch_norm='eval'"
        )


def detached(objective: Objective, theta: Tensor | None) -> dict[str, Tensor]:
    """The parameters by name at theta, leaves of a graph to come, each with memory of its own."""
    vector = objective.theta() if theta is None else objective._point(theta)
    pieces = objective.layout.unflatten(vector.detach())
    return {name: piece.clone().requires_grad_() for name, piece in pieces.items()}


def rows_of(output: Any) -> Tensor:
    """A network's output as rows (b, C).

    Raises:
        ValueError: if it is a scalar.
        TypeError: if it is not a tensor.
    """
    if not isinstance(output, Tensor):
        raise TypeError(
            f"the model's output is a {type(output).__name__}, expected a tensor; "
            "pass forward=lambda model, batch: ... that returns the tensor to look at"
        )
    if output.ndim == 0:
        raise ValueError("the model's output is a scalar, expected one row per example")
    return output if output.ndim == 2 else output.reshape(len(output), -1)


def _outputs_of_few(
    outputs: Outputs, parameters: Mapping[str, Tensor], batches: Sequence[tuple[Any, int]]
) -> list[Tensor]:
    """The outputs of a few examples of each batch, taken without the others."""
    return [outputs(parameters, Batches((batch,), (size,)).select(_few(size)).items[0]) for batch, size in batches]


def _few(size: int) -> Tensor:
    """The positions of two examples of a batch, or of the only one."""
    return torch.tensor(sorted({0, size // 2}))


def _refuse_dependence(alone: Tensor, together: Tensor) -> None:
    """Raises a ValueError if examples give other outputs alone than with the rest of their batch.

    Outputs that are a difference, as of a network from its start, may be zero up to the rounding of numbers near one.
    """
    difference = (alone - together).norm()
    eps = torch.finfo(together.dtype).eps
    if difference > eps**0.5 * together.norm() + 8 * eps * together.numel() ** 0.5:
        raise ValueError(
            "the kernel is not defined where outputs depend on the other examples of the batch: two examples alone "
            f"give outputs that differ by {float(difference):.2g} from theirs among all; "
            "use a model that treats examples one by one"
        )
