"""Operators' kernels that have values alone: no second derivative, which pictures of values do not need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from torch.nn.attention import SDPBackend, sdpa_kernel

from landscope.landscape.pooling import SlicedPooling

__all__ = ["fast_kernels"]

_ATTENTION = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


@contextmanager
def fast_kernels(*, sliced: bool) -> Iterator[None]:
    """Within, attention may be fused, and max pooling goes by slices if `sliced`."""
    with sdpa_kernel(_ATTENTION), SlicedPooling() if sliced else nullcontext():
        yield
