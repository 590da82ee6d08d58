"""The fixed data of an objective: batches of any pytree, normalised from whatever form the user has them in."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.data import DataLoader, Dataset, Subset

__all__ = ["Batches", "batch_size_of", "collect", "to_device"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batches:
    """Data in memory, in a fixed order.

    Attributes:
        items: The batches, each a pytree of tensors whose first dimension runs over examples.
        sizes: Number of examples in each.
    """

    items: tuple[Any, ...]
    sizes: tuple[int, ...]

    @property
    def examples(self) -> int:
        """Number of examples in all."""
        return sum(self.sizes)

    def select(self, chosen: Tensor) -> Batches:
        """The examples at the positions `chosen` (n,), in increasing order, divided into batches as before.

        Raises:
            ValueError: if nothing is chosen, or a position lies outside the data.
        """
        chosen = chosen.unique()  # sorts
        if chosen.numel() == 0:
            raise ValueError("subset is empty: no example was chosen")
        if int(chosen[0]) < 0 or int(chosen[-1]) >= self.examples:
            raise ValueError(
                f"subset's positions must lie in 0..{self.examples - 1}, got {int(chosen[0])}..{int(chosen[-1])}"
            )
        items, sizes, start = [], [], 0
        for item, size in zip(self.items, self.sizes, strict=True):
            local = chosen[(chosen >= start) & (chosen < start + size)] - start
            if local.numel():
                items.append(_take(item, local, size))
                sizes.append(local.numel())
            start += size
        return Batches(tuple(items), tuple(sizes))

    def resident(self, device: torch.device) -> Batches:
        """The same data on `device` if it takes at most half of the memory free there; else as it is.

        Raises:
            ValueError: if a tensor lies on an accelerator other than `device`.
        """
        for tensor in self._tensors():
            if tensor.device.type != "cpu" and tensor.device != device:
                raise ValueError(
                    f"data must be on the CPU or on the model's device {device}, got {tensor.device}; "
                    f"move it with .to({str(device)!r})"
                )
        if device.type != "cuda":
            return replace(self, items=tuple(to_device(item, device) for item in self.items))
        needed = sum(tensor.nbytes for tensor in self._tensors() if tensor.device != device)
        free, _ = torch.cuda.mem_get_info(device)
        if needed > free // 2:
            logger.warning(
                "data of %.1f GiB stays on the CPU: half of %s's free memory is %.1f GiB; every pass copies it",
                needed / 2**30, device, free / 2**31,
            )  # fmt: skip
            return self
        return replace(self, items=tuple(to_device(item, device) for item in self.items))

    def _tensors(self) -> list[Tensor]:
        return [leaf for item in self.items for leaf in tree_leaves(item) if isinstance(leaf, Tensor)]


def collect(data: Any, *, batch_size: int, examples: int | None = None) -> Batches:
    """`data` as batches in memory.

    Args:
        data: A tuple or mapping of tensors with a common first dimension (or one such tensor), a
            `torch.utils.data.Dataset`, a `DataLoader`, or an iterable of batches. A loader or an iterable is run
            through once, and what it yielded is kept: the data are fixed from then on, shuffled or not.
        batch_size: Examples per batch for tensors and datasets; loaders and iterables come in batches already.
        examples: Keep at most this many: a fixed random subset of tensors and datasets, the first ones of the rest.

    Raises:
        ValueError: if there is no data, or the tensors disagree about the number of examples.
        TypeError: if `data` has none of these forms.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be positive, got {batch_size}")
    if examples is not None and examples < 1:
        raise ValueError(f"examples must be positive, got {examples}")
    if isinstance(data, DataLoader):
        batches = _gather(_without_side_effects(data), examples)
    elif isinstance(data, Dataset):
        chosen = _subset(len(data), examples)  # type: ignore[arg-type]
        dataset = data if chosen is None else Subset(data, chosen.tolist())
        batches = _gather(_without_side_effects(DataLoader(dataset, batch_size=batch_size)), None)
    elif isinstance(data, Tensor | tuple | Mapping):
        whole = _plain(data)
        size = batch_size_of(whole)
        if size == 0:
            raise ValueError("data is empty: its first dimension is 0")
        chosen = _subset(size, examples)
        whole = whole if chosen is None else _take(whole, chosen, size)
        size = batch_size_of(whole)
        starts = range(0, size, batch_size)
        pieces = [_take(whole, slice(start, min(start + batch_size, size)), size) for start in starts]
        batches = Batches(tuple(pieces), tuple(batch_size_of(piece) for piece in pieces))
    elif isinstance(data, Iterable):
        batches = _gather(data, examples)
    else:
        raise TypeError(
            "data must be a tuple or mapping of tensors, a Dataset, a DataLoader or an iterable of batches, "
            f"got {type(data).__name__}"
        )
    if not batches.items:
        raise ValueError("data is empty: it yielded no batch")
    return batches


def batch_size_of(batch: Any) -> int:
    """Number of examples in a batch: the common first dimension of its tensors; 1 for a batch without tensors.

    Raises:
        ValueError: if the tensors disagree.
    """
    sizes = {leaf.shape[0] for leaf in tree_leaves(batch) if isinstance(leaf, Tensor) and leaf.ndim > 0}
    if len(sizes) > 1:
        raise ValueError(f"tensors of one batch must agree in their first dimension, got sizes {sorted(sizes)}")
    return sizes.pop() if sizes else 1


def to_device(batch: Any, device: torch.device) -> Any:
    """The batch with everything that can move (anything with a `.to`) on `device`."""
    return tree_map(lambda leaf: leaf.to(device) if hasattr(leaf, "to") else leaf, batch)


def _gather(batches: Iterable[Any], examples: int | None) -> Batches:
    items: list[Any] = []
    sizes: list[int] = []
    for batch in batches:
        batch = _plain(batch)
        size = batch_size_of(batch)
        if size == 0:
            continue
        room = None if examples is None else examples - sum(sizes)
        if room is not None and size > room:
            batch, size = _take(batch, slice(0, room), size), room
        items.append(batch)
        sizes.append(size)
        if examples is not None and sum(sizes) >= examples:
            break
    return Batches(tuple(items), tuple(sizes))


def _without_side_effects(loader: DataLoader[Any]) -> Iterable[Any]:
    """The loader's batches; its own generator is left where it was (the global ones are the caller's care)."""
    generator = loader.generator or getattr(loader.sampler, "generator", None)
    state = None if generator is None else generator.get_state()
    try:
        yield from loader
    finally:
        if generator is not None and state is not None:
            generator.set_state(state)


def _subset(size: int, examples: int | None) -> Tensor | None:
    if examples is None or examples >= size:
        return None
    return torch.randperm(size, generator=torch.Generator().manual_seed(0))[:examples].sort().values


def _plain(batch: Any) -> Any:
    """Mapping types that pytrees do not know (Hugging Face's BatchEncoding) as dictionaries."""
    return dict(batch) if isinstance(batch, Mapping) and not isinstance(batch, dict) else batch


def _take(batch: Any, chosen: Tensor | slice, size: int) -> Any:
    def rows(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            if leaf.ndim == 0:
                return leaf
            return leaf[chosen] if isinstance(chosen, slice) else leaf[chosen.to(leaf.device)]
        if isinstance(leaf, int | float | str | bool | None):
            return leaf
        raise ValueError(
            f"cannot take a subset of a batch that holds a {type(leaf).__name__}: only tensors have rows; "
            "give the data as batches that are already the subset"
        )

    return tree_map(rows, batch) if size else batch
