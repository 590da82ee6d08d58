"""How tensors lie in memory, where a processor's speed depends on it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

__all__ = ["channels_last", "has_images", "keep_freed_memory"]


def keep_freed_memory() -> None:
    """Has the C library keep what tensors free, and not fetch it from the system anew, page by page, at each layer.

    glibc learns how much to keep from the largest block that a program has freed, up to 32 MiB. This is such a block,
    no page of which is ever touched. Layers of some megabytes become several times faster; elsewhere it does nothing.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


def has_images(batch: Any) -> bool:
    """Whether a batch holds images (n, c, h, w)."""
    return any(_is_image(leaf) for leaf in tree_leaves(batch))


def channels_last(leaf: Any) -> Any:
    """A batch of images (n, c, h, w) laid out with channels last in memory; anything else as it is."""
    if not _is_image(leaf):
        return leaf
    n, c, h, w = leaf.shape
    # By strides, since torch takes an image of one channel to be in either layout already.
    return leaf.contiguous(memory_format=torch.channels_last).as_strided((n, c, h, w), (h * w * c, 1, w * c, c))


def _is_image(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and leaf.ndim == 4 and leaf.is_floating_point()
