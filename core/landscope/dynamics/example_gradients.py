"""Inner products of the gradients of single examples' losses, without the gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from landscope.derivatives import derivative
from landscope.evaluation import per_example
from landscope.kernel.empirical import detached, gram_of_outputs, refuse_batch_statistics, rows_of
from landscope.objective import Objective

__all__ = ["example_grams"]


def example_grams(objective: Objective, theta: Tensor | None = None) -> dict[str, Tensor]:
    """<g_i, g_j> over the parameters of each layer, (n, n) in float64 on the CPU; over all of them first, as "all".

    g_i is the gradient of the loss of example i alone, as `Objective.losses` defines that. It is J_i^T s_i with the
    outputs' Jacobian J_i and the loss's derivative s_i by them, so that the network's s_i . f(x_i), s_i held fixed, has
    the same gradient: its tangent kernel is what is wanted, and is contracted as that of `landscope.kernel.ntk`.

    Args:
        objective: All its n examples are taken: n^2 numbers for each layer.
        theta: Where, (P,); the model's weights at this moment if left out.

    Raises:
        ValueError: if examples depend on each other (by batch normalisation, or otherwise), an example has no finite
            loss, or outputs or targets do not have one row for each example.
        TypeError: if the model's output is not a tensor.
    """
    refuse_batch_statistics(objective)
    with objective.measuring(), objective._differentiating():
        parameters = detached(objective, theta)
        batches = []
        for batch, size in objective.batches_on_device():
            output = objective.function(parameters, batch)
            rows_of(output)
            cut = output.detach().requires_grad_()
            losses = per_example(objective.loss, cut, objective.target(batch), size)
            if not bool(torch.isfinite(losses).all()):
                raise ValueError(
                    "the loss of an example is not finite: its label is ignored, or training has diverged; "
                    "measure a subset() without such examples, or an earlier step"
                )
            batches.append(((batch, derivative(losses.sum(), cut)), size))

        def projected(named: Mapping[str, Tensor], pair: Any) -> Tensor:
            batch, slopes = pair
            return (rows_of(objective.function(named, batch)) * rows_of(slopes)).sum(1, keepdim=True)

        objective.work.forwards += 1
        objective.work.gradients += 1
        whole, layers = gram_of_outputs(projected, parameters, batches, by_layer=True)
        return {"all": whole.cpu().double()} | {name: gram.cpu().double() for name, gram in layers.items()}
