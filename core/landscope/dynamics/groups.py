"""Groups of examples: classes, or any masks the user has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from landscope.batches import positions
from landscope.objective import Objective

__all__ = ["Groups", "by_group", "masks_of"]

Groups: TypeAlias = Mapping[str, Tensor | Sequence[int]]


def masks_of(objective: Objective, groups: Groups | None = None) -> dict[str, Tensor]:
    """The members of each group as masks (N,) of booleans, on the CPU.

    Args:
        objective: Whose examples.
        groups: Positions or masks by the groups' names; they may overlap. By default the classes, by their numbers;
            none where targets are not one class per example.

    Raises:
        ValueError: if a group is empty, or its positions or mask do not fit the examples.
    """
    if groups is None:
        labels = objective.labels()
        return {} if labels is None else {str(int(label)): labels == label for label in labels.unique()}
    masks = {}
    for name, chosen in groups.items():
        where = positions(chosen, objective.examples).cpu()
        if not where.numel():
            raise ValueError(f"group {name!r} is empty, expected at least one of {objective.examples} examples")
        if int(where.min()) < 0 or int(where.max()) >= objective.examples:
            raise ValueError(
                f"positions of group {name!r} must lie in 0..{objective.examples - 1}, "
                f"got {int(where.min())}..{int(where.max())}"
            )
        masks[name] = torch.zeros(objective.examples, dtype=torch.bool).index_fill(0, where, True)
    return masks


def by_group(objective: Objective, groups: Groups | None = None) -> dict[str, Objective]:
    """The objective of each group's examples alone; arguments as for `masks_of`.

    Raises:
        ValueError: if there is no group, or one does not fit.
    """
    masks = masks_of(objective, groups)
    if not masks:
        raise ValueError("no groups: targets are not one integer class per example; pass groups={name: mask, ...}")
    return {name: objective.subset(mask) for name, mask in masks.items()}
