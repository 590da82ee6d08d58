"""Random probe vectors, drawn on the CPU from a private generator, so that every device sees the same numbers."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["gaussian_probes", "private_generator", "rademacher_probes"]


def private_generator(seed: int) -> torch.Generator:
    """A generator of its own, so that measuring draws nothing from the global one."""
    return torch.Generator().manual_seed(seed)


def gaussian_probes(count: int, like: Tensor, generator: torch.Generator) -> Tensor:
    """Vectors (count, P) of independent standard normal elements, of the length, type and device of `like` (P,)."""
    return torch.randn(count, len(like), generator=generator, dtype=like.dtype).to(like.device)


def rademacher_probes(count: int, like: Tensor, generator: torch.Generator) -> Tensor:
    """Vectors (count, P) of independent signs, of the length, type and device of `like` (P,)."""
    signs = torch.randint(2, (count, len(like)), generator=generator, dtype=torch.int8)
    return signs.to(like.device, like.dtype) * 2 - 1
