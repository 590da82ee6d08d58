"""Max pooling over disjoint windows as maxima of slices, which on a CPU takes a small part of torch's own time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

__all__ = ["POOLS", "SlicedPooling"]

POOLS = frozenset({functional.max_pool2d, torch.max_pool2d})
_NAMES = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")


class SlicedPooling(TorchFunctionMode):
    """Within, 2-D max pooling whose windows tile the image without rest is computed by slices; all else as ever.

    The result is the same to the bit. torch's kernel also finds where each maximum is, which only derivatives need, and
    goes through an image whose channels come first without vector instructions.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in POOLS:
            given = dict(zip(_NAMES, args, strict=False)) | dict(kwargs)
            window = _window(given)
            if window is not None:
                return _pooled(given["input"], *window)
        return func(*args, **kwargs)


def _window(given: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width of the windows; None where slices are no way to pool."""
    window = _pair(given["kernel_size"])
    stride = given.get("stride")
    plain = (
        min(window) > 0
        and (stride is None or stride in ([], ()) or _pair(stride) == window)
        and _pair(given.get("padding", 0)) == (0, 0)
        and _pair(given.get("dilation", 1)) == (1, 1)
        and not given.get("return_indices", False)
    )
    height, width = given["input"].shape[-2:]
    return window if plain and height % window[0] == 0 and width % window[1] == 0 else None


def _pair(size: Any) -> tuple[int, int]:
    both = tuple(size) if isinstance(size, Sequence) else (size, size)
    return both if len(both) == 2 else (both[0], both[0])


def _pooled(image: Tensor, height: int, width: int) -> Tensor:
    rows = reduce(torch.maximum, (image[..., row::height, :] for row in range(height)))
    return reduce(torch.maximum, (rows[..., column::width] for column in range(width)))
