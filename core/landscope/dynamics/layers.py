"""Sums over the parameters of each layer."""

from __future__ import annotations

import torch
from torch import Tensor

from landscope.derivatives import accumulator
from landscope.kernel.rows import layer_of
from landscope.parameters import ParameterLayout

__all__ = ["layer_products", "layer_slices"]


def layer_slices(layout: ParameterLayout) -> dict[str, list[slice]]:
    """Where the parameters of each layer lie in theta, "all" first; a layer is a module with parameters of its own."""
    layers: dict[str, list[slice]] = {"all": [slice(0, layout.size)]}
    for name, where in layout.slices.items():
        layers.setdefault(layer_of(name), []).append(where)
    return layers


def layer_products(layout: ParameterLayout, first: Tensor, second: Tensor) -> Tensor:
    """Inner products of the rows of two blocks (A, P) and (B, P), by layer: (L, A, B) in float64 on the CPU."""
    products = []
    for pieces in layer_slices(layout).values():
        total = torch.zeros(len(first), len(second), dtype=accumulator(first), device=first.device)
        for where in pieces:
            total += first[:, where].to(total.dtype) @ second[:, where].to(total.dtype).T
        products.append(total.cpu().double())
    return torch.stack(products)
