"""The examples themselves, small enough to be shown beside their points: images as thumbnails, tokens as text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils._pytree import tree_leaves

from landscope.measurements import Examples
from landscope.objective import Objective

__all__ = ["shown"]

_LONGEST = 64  # tokens of a text


def shown(
    objective: Objective,
    *,
    examples: int = 512,
    seed: int = 0,
    side: int = 32,
    decode: Callable[[list[int]], str] | None = None,
) -> Examples:
    """The inputs behind the points of `project` with the same `examples` and `seed`, in the same order.

    Of each batch, its first tensor: floating-point or byte images (n, 1 or 3, h, w) become thumbnails, averaged down to
    `side` pixels at most and scaled so that the darkest value of all examples is 0 and the brightest 255; integers (n,)
    or (n, t) become text. Other inputs have neither.

    Args:
        objective: Whose examples.
        examples: At most this many.
        seed: Chooses them.
        side: Largest height or width of a thumbnail in pixels.
        decode: The text of a list of tokens; by default their numbers with spaces between.

    Raises:
        ValueError: if `examples` or `side` is not positive.
    """
    if side < 1:
        raise ValueError(f"side must be positive, got {side}")
    probe = objective.sample(examples, seed=seed)
    with probe.measuring() as meter:
        labels = probe.labels()
        found = [_first(batch, size) for batch, size in probe.batches_on_device()]
        images = [inputs for inputs in found if inputs is not None and _is_image(inputs)]
        tokens = [inputs for inputs in found if inputs is not None and not _is_image(inputs) and inputs.ndim <= 2]
        texts: tuple[str, ...] = ()
        if len(tokens) == len(found) and not any(one.is_floating_point() for one in tokens):
            rows = [row for one in tokens for row in one.reshape(len(one), -1)[:, :_LONGEST].tolist()]
            texts = tuple(decode(row) if decode is not None else " ".join(map(str, row)) for row in rows)
        same = len(images) == len(found) and len({image.shape[1:] for image in images}) == 1
        return Examples(
            provenance=meter.provenance("examples", seed=seed),
            positions=objective.sampled(examples, seed=seed).int().numpy(),
            labels=np.full(probe.examples, -1) if labels is None else np.maximum(labels.numpy(), -1),
            thumbnails=_thumbnails(torch.cat(images), side) if same else None,
            texts=texts,
        )


def _first(batch: object, size: int) -> Tensor | None:
    leaves = [leaf for leaf in tree_leaves(batch) if isinstance(leaf, Tensor) and leaf.ndim and len(leaf) == size]
    return leaves[0].detach().cpu() if leaves else None


def _is_image(inputs: Tensor) -> bool:
    coloured = inputs.ndim == 4 and inputs.shape[1] in (1, 3)
    return coloured and (inputs.is_floating_point() or inputs.dtype == torch.uint8)


def _thumbnails(images: Tensor, side: int) -> np.ndarray:
    """(n, h, w, c) of bytes."""
    small = images.float()
    height, width = small.shape[2:]
    if max(height, width) > side:
        scale = side / max(height, width)
        small = interpolate(small, size=(max(1, round(scale * height)), max(1, round(scale * width))), mode="area")
    finite = torch.nan_to_num(small, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = finite.min(), finite.max()
    bright = (finite - low) / torch.where(high > low, high - low, torch.ones(()))
    thumbnails: np.ndarray = (255 * bright).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    return thumbnails
