"""Wide features of few examples, with as many columns as there are examples."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["narrowed"]


def narrowed(values: Tensor) -> Tensor:
    """Rows (n, min(n, d)) with the inner products of rows (n, d), and so their distances, angles and singular values.

    X^T = Q R gives X X^T = R^T R, to the full precision of the arithmetic.
    """
    n, width = values.shape
    if width <= n:
        return values
    rows: Tensor = torch.linalg.qr(values.T, mode="r").R.T
    return rows
