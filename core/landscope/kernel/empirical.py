"""The empirical neural tangent kernel of an objective's network on a few probe examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from landscope.kernel.graphs import gram_of_uses, recorded
from landscope.kernel.rows import gram_of_rows
from landscope.kernel.spectrum import alignment, effective_rank, label_gram
from landscope.measurements import NTK
from landscope.objective import Objective

__all__ = ["Contracted", "ntk"]

Contracted = Literal["trace", "pseudo"]


def ntk(
    objective: Objective,
    n: int = 256,
    *,
    theta: Tensor | None = None,
    kind: Contracted = "trace",
    seed: int = 0,
) -> NTK:
    """The empirical neural tangent kernel (Jacot, Gabriel and Hongler 2018) on n examples of the objective's data.

    With the C outputs f_a of the network,

        trace:   K_ij = (1/C) sum_a  <grad f_a(x_i), grad f_a(x_j)>
        pseudo:  K_ij = (1/C) sum_ab <grad f_a(x_i), grad f_b(x_j)>     (Mohamadi, Bae and Sutherland 2023)

    over all parameters of theta. They are different quantities; the pseudo kernel needs one backward pass instead of C.

    Where a parameter enters through linear maps, convolutions or table lookups alone (however often, and from whatever
    module), its part is contracted from the inputs and output gradients of those operations (Novak, Sohl-Dickstein and
    Schoenholz 2022); every other parameter's from its per-example gradients. Gram matrices are summed in float64.

    Args:
        objective: Whose network, and whose examples.
        n: Number of examples, a subset that is the same at every call; at most as many as there are.
        theta: Where; the model's weights by default.
        kind: How outputs are contracted: "trace" or "pseudo".
        seed: Chooses the subset.

    Raises:
        ValueError: if the objective normalises by batches (an example's outputs then depend on the others, and no
            kernel is defined), n is not positive, the outputs are not one row per example, or a gradient is not finite.
        TypeError: if the network's output is not a tensor.
    """
    if kind not in get_args(Contracted):
        raise ValueError(f"kind must be one of {', '.join(get_args(Contracted))}, got {kind!r}")
    if n < 1:
        raise ValueError(f"n must be positive, got {n}")
    if objective.batch_norm != "eval":
        raise ValueError(
            f"the kernel is not defined with batch_norm={objective.batch_norm!r}, where each output depends on the "
            "other examples of its batch; use an objective with batch_norm='eval'"
        )
    probe = objective.sample(n, seed=seed)
    with probe.measuring() as meter, probe._differentiating():
        gram, outputs = _gram(probe, theta, kind)
        labels = probe.labels()
        eigenvalues = torch.linalg.eigvalsh(gram).flip(0).cpu().numpy()
        matrix = gram.cpu().numpy()
        classes = None if labels is None else labels.numpy()
        return NTK(
            provenance=meter.provenance(f"empirical NTK, {kind}", seed=seed),
            eigenvalues=eigenvalues,
            gram_kind=kind,
            outputs=outputs,
            effective_rank=effective_rank(eigenvalues),
            alignment=None if classes is None else alignment(matrix, label_gram(classes)),
            gram=matrix,
            labels=classes,
        )


def _gram(probe: Objective, theta: Tensor | None, kind: Contracted) -> tuple[Tensor, int]:
    """The kernel (n, n), and the number of outputs."""
    vector = probe.theta() if theta is None else theta.detach().clone()  # a clone may have derivatives in any mode
    parameters = {name: tensor.detach().requires_grad_() for name, tensor in probe.layout.unflatten(vector).items()}
    batches = list(probe.batches_on_device())
    widths = set()

    def outputs(named: Mapping[str, Tensor], batch: Any) -> Tensor:
        output = _rows(probe.function(named, batch))
        widths.add(output.shape[1])
        return output if kind == "trace" else output.sum(1, keepdim=True)

    graphs = [recorded(outputs, parameters, batch, size) for batch, size in batches]
    if len(widths) > 1:
        raise ValueError(
            f"the kernel needs as many outputs for every example, got {sorted(widths)} in different batches"
        )
    width = graphs[0].output.shape[1]
    gram, covered = gram_of_uses(graphs)
    rest = [name for name in parameters if name not in covered]
    if rest:
        gram += gram_of_rows(outputs, parameters, rest, batches, width)
    probe.work.forwards += 1
    probe.work.gradients += width
    if not bool(gram.isfinite().all()):
        raise ValueError("the kernel has entries that are not finite: the network's gradients are NaN or infinite here")
    (count,) = widths
    return (gram + gram.T) / (2 * count), count


def _rows(output: Any) -> Tensor:
    """A network's output as rows (b, C)."""
    if not isinstance(output, Tensor):
        raise TypeError(
            f"the model's output is a {type(output).__name__}, expected a tensor; "
            "pass forward=lambda model, batch: ... that returns the tensor to look at"
        )
    if output.ndim == 0:
        raise ValueError("the model's output is a scalar, expected one row per example")
    return output if output.ndim == 2 else output.reshape(len(output), -1)
