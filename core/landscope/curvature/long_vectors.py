"""Inner products, lengths and combinations of vectors of any length, exact and without large copies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from landscope.derivatives import accumulator

__all__ = ["combined", "norm", "overlaps"]

_PIECE = 2**14  # elements that are summed in the vectors' own type
_CHUNK = 2**22  # elements of each vector that are combined at once, so that nothing large is held twice


def overlaps(rows: Tensor, vector: Tensor) -> Tensor:
    """Inner products (m,) of rows (m, P) with a vector, long ones piece by piece, and the pieces' sum in float64.

    A sum of millions of products in float32 is right to four digits only, which would let ghosts in.
    """
    pieces = [
        rows[:, begin : begin + _PIECE] @ vector[begin : begin + _PIECE] for begin in range(0, len(vector), _PIECE)
    ]
    total: Tensor = torch.stack(pieces).sum(0, dtype=accumulator(vector))
    return total


def norm(vector: Tensor) -> float:
    """The Euclidean length."""
    kind = accumulator(vector)
    lengths = torch.stack([torch.linalg.vector_norm(piece, dtype=kind) for piece in vector.split(_CHUNK)])
    return float(torch.linalg.vector_norm(lengths))


def combined(rotation: np.ndarray, blocks: Sequence[Tensor], into: Tensor | None = None) -> Tensor:
    """Rotation^T times the rows of all blocks; piece by piece, so that it may be written over the block itself."""
    size = blocks[0].shape[1]
    result = blocks[0].new_empty(rotation.shape[1], size) if into is None else into
    weights = torch.as_tensor(rotation.T).to(result)
    for begin in range(0, size, _CHUNK):
        piece = slice(begin, begin + _CHUNK)
        result[:, piece] = weights @ torch.cat([block[:, piece] for block in blocks])
    return result
