"""The path of the weights: how long its steps are, and how they turn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from landscope.dynamics.layers import layer_products, layer_slices
from landscope.measurements import UpdatePath
from landscope.objective import Objective

__all__ = ["update_path"]


def update_path(
    objective: Objective, thetas: Tensor | Sequence[Tensor], steps: Sequence[int] | None = None
) -> UpdatePath:
    """Lengths of the updates between successive weights, and the cosine of each with the one before, by layer.

    A cosine near 1 is steady descent, one near -1 jumping across a valley, as at the edge of stability; where updates
    are noise alone it is near 0.

    Args:
        objective: Whose parameters; nothing is evaluated.
        thetas: (S, P) the weights along the training.
        steps: (S,) the optimiser's steps at which they were taken; by default 0, 1, 2 ...

    Raises:
        ValueError: if there are fewer than two, or the steps are not as many and ascending.
    """
    if len(thetas) < 2:
        raise ValueError(f"a path needs the weights of at least two moments, got {len(thetas)}")
    moments = np.arange(len(thetas)) if steps is None else np.asarray(steps)
    if len(moments) != len(thetas) or not (np.diff(moments) > 0).all():
        raise ValueError(f"steps must be {len(thetas)} ascending numbers, one for each moment, got {list(moments)}")
    layout = objective.layout
    with objective.measuring() as meter:
        squares, products = [], []
        before: Tensor | None = None
        for first, second in pairwise(thetas):
            layout.check("thetas", second, 1)
            update = _between(first, second)
            squares.append(layer_products(layout, update, update)[:, 0, 0])
            if before is not None:
                products.append(layer_products(layout, before, update)[:, 0, 0])
            before = update
        whole = _between(thetas[0], thetas[-1])
        lengths = torch.stack(squares).sqrt()
        cosines = torch.stack(products) / (lengths[1:] * lengths[:-1]) if products else lengths[:0]
        direct = layer_products(layout, whole, whole)[:, 0, 0].sqrt() / lengths.sum(0)
        return UpdatePath(
            provenance=meter.provenance("updates between successive weights"),
            steps=moments,
            layers=tuple(layer_slices(layout)),
            lengths=lengths.numpy(),
            cosines=cosines.clamp(-1, 1).numpy(),
            directness=direct.clamp_max(1).numpy(),
        )


def _between(first: Tensor, second: Tensor) -> Tensor:
    """The difference (1, P) in float64, on the CPU."""
    return (second.detach().to("cpu", torch.float64) - first.detach().to("cpu", torch.float64)).unsqueeze(0)
