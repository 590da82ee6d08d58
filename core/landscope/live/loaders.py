"""The data of a framework's loader, read without touching the loader."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler

__all__ = ["batched_like", "reread"]

_BATCH = 32  # examples, where the loader does not say


def reread(loader: Any) -> DataLoader[Any] | None:
    """Another loader of the same data, in a random order that is always the same; None where there is no loader.

    A framework's own loader is in use: it counts what is taken from it.

    Args:
        loader: A DataLoader, or what a framework has made of one.

    Raises:
        TypeError: if it has no dataset whose examples can be asked for in any order.
    """
    if loader is None:
        return None
    dataset = getattr(loader, "dataset", None)
    if dataset is None or isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise TypeError(
            f"{type(loader).__name__} has no dataset that can be read beside it: say what to measure with train= and "
            "test=, in any form that landscope.watch takes"
        )
    return batched_like(loader, dataset)


def batched_like(loader: Any, dataset: Dataset[Any]) -> DataLoader[Any]:
    """A dataset in batches as `loader` makes them, in a random order that is always the same."""
    size = loader.batch_size or getattr(loader.batch_sampler, "batch_size", None) or _BATCH
    order = RandomSampler(dataset, generator=torch.Generator("cpu").manual_seed(0))  # type: ignore[arg-type]
    return DataLoader(dataset, batch_size=size, sampler=order, collate_fn=loader.collate_fn)
