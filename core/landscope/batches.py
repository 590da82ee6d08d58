"""The fixed data of an objective: batches of any pytree, normalised from whatever form the user has them in."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset

__all__ = ["Batches", "batch_size_of", "collect", "positions", "take", "to_device"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batches:
    """Data in memory, in a fixed order.

    Attributes:
        items: The batches, each a pytree; the first dimension of its tensors runs over examples. What the user gave is
            kept as it is, not copied, where that is possible.
        sizes: Number of examples in each.
    """

    items: tuple[Any, ...]
    sizes: tuple[int, ...]

    @property
    def examples(self) -> int:
        """Number of examples in all."""
        return sum(self.sizes)

    @property
    def nbytes(self) -> int:
        """Memory that the tensors take."""
        return sum(tensor.nbytes for tensor in self._tensors())

    @cached_property
    def digest(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the data."""
        digest = hashlib.sha256()
        for item in self.items:
            for leaf in tree_leaves(item):
                if isinstance(leaf, Tensor):
                    digest.update(f"{leaf.dtype} {tuple(leaf.shape)}".encode())
                    digest.update(leaf.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
                else:
                    digest.update(repr(leaf).encode())
        return digest.hexdigest()[:16]

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
                items.append(take(item, local, size))
                sizes.append(local.numel())
            start += size
        return Batches(tuple(items), tuple(sizes))

    def together(self) -> Batches:
        """The same examples in one batch, where batches differ in nothing but their number; else as it is."""
        leaves = [tree_flatten(item) for item in self.items]
        forms = [
            (spec, *(_form(leaf, size) for leaf in found))
            for (found, spec), size in zip(leaves, self.sizes, strict=True)
        ]
        if len(forms) == 1 or None in forms[0] or any(form != forms[0] for form in forms):
            return self
        joined = [torch.cat(column) for column in zip(*(found for found, _ in leaves), strict=True)]
        return Batches((tree_unflatten(joined, leaves[0][1]),), (self.examples,))

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

    def moved(self, device: torch.device, dtypes: Mapping[torch.dtype, torch.dtype]) -> Batches:
        """The same data on `device` as `resident` says, and in other types: `dtypes` by those they have now."""

        def moved(leaf: Any) -> Any:
            return leaf.to("cpu", dtypes.get(leaf.dtype, leaf.dtype)) if isinstance(leaf, Tensor) else leaf

        return replace(self, items=tuple(tree_map(moved, item) for item in self.items)).resident(device)

    def _tensors(self) -> list[Tensor]:
        return [leaf for item in self.items for leaf in tree_leaves(item) if isinstance(leaf, Tensor)]


def collect(
    data: Any, *, batch_size: int, examples: int | None = None, target: Callable[[Any], Any] = lambda batch: batch
) -> Batches:
    """`data` as batches in memory.

    Args:
        data: A tuple or mapping of tensors with a common first dimension (or one such tensor), a
            `torch.utils.data.Dataset`, a `DataLoader`, or an iterable of batches. A loader or an iterable is run
            through once, and what it yielded is kept: the data are fixed from then on, shuffled or not. Mappings
            become dictionaries.
        batch_size: Examples per batch for tensors and datasets; loaders and iterables come in batches already.
        examples: Keep at most this many: a fixed random subset of tensors and datasets, the first ones of the rest.
        target: `target(batch)`, by whose rows the examples of a batch are counted where its own tensors do not tell.

    Raises:
        ValueError: if there is no data, or the tensors disagree about the number of examples.
        TypeError: if `data` has none of these forms.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be positive, got {batch_size}")
    if examples is not None and examples < 1:
        raise ValueError(f"examples must be positive, got {examples}")
    if isinstance(data, DataLoader):
        with _generators_kept(data):
            batches = _gather(data, examples, target)
    elif isinstance(data, Dataset):
        chosen = None if isinstance(data, IterableDataset) else _subset(len(data), examples)  # type: ignore[arg-type]
        dataset = data if chosen is None else Subset(data, chosen.tolist())
        batches = _gather(DataLoader(dataset, batch_size=batch_size), examples, target)
    elif isinstance(data, Tensor | tuple | Mapping):
        whole = _plain(data)
        size = batch_size_of(whole)
        if size == 0:
            raise ValueError("data is empty: its first dimension is 0")
        chosen = _subset(size, examples)
        whole = whole if chosen is None else take(whole, chosen, size)
        size = batch_size_of(whole)
        starts = range(0, size, batch_size)
        pieces = [take(whole, slice(start, min(start + batch_size, size)), size) for start in starts]
        batches = Batches(tuple(pieces), tuple(batch_size_of(piece) for piece in pieces))
    elif isinstance(data, Iterable):
        batches = _gather(data, examples, target)
    else:
        raise TypeError(
            "data must be a tuple or mapping of tensors, a Dataset, a DataLoader or an iterable of batches, "
            f"got {type(data).__name__}"
        )
    if not batches.items:
        raise ValueError("data is empty: it yielded no batch")
    return batches


def batch_size_of(batch: Any, target: Callable[[Any], Any] = lambda batch: batch) -> int:
    """Number of examples in a batch: the common first dimension of its tensors.

    Where they have none in common (graphs, lists of boxes) or the batch is an object without tensors that can be seen,
    it is that of the target's tensors; a batch whose target has none either is one example.

    Raises:
        ValueError: if the tensors disagree, and so do the target's.
    """
    rows = _rows(batch)
    if len(rows) != 1:
        rows = _rows(target(batch)) or rows
    if len(rows) > 1:
        raise ValueError(
            f"tensors of one batch must agree in their first dimension, got sizes {sorted(rows)}; "
            "pass target=lambda batch: ... that returns a tensor with one row for each example"
        )
    return rows.pop() if rows else 1


def _rows(batch: Any) -> set[int]:
    return {leaf.shape[0] for leaf in tree_leaves(batch) if isinstance(leaf, Tensor) and leaf.ndim > 0}


def positions(chosen: Tensor | Sequence[int], examples: int) -> Tensor:
    """Positions (n,) of examples, given as such or as a mask of booleans.

    Raises:
        ValueError: if a mask has not one entry for each example, or positions are no integers (n,).
    """
    where: Tensor = torch.as_tensor(chosen)
    if where.dtype == torch.bool:
        if where.shape != (examples,):
            raise ValueError(f"mask must have shape ({examples},), got {tuple(where.shape)}")
        return where.nonzero().flatten()
    if where.numel() and (where.ndim != 1 or where.is_floating_point()):
        raise ValueError(f"positions must be integers (n,), got {where.dtype} of shape {tuple(where.shape)}")
    return where


def to_device(batch: Any, device: torch.device) -> Any:
    """The batch with everything that can move (anything with a `.to`) on `device`."""
    return tree_map(lambda leaf: leaf.to(device) if hasattr(leaf, "to") else leaf, batch)


def _gather(batches: Iterable[Any], examples: int | None, target: Callable[[Any], Any]) -> Batches:
    items: list[Any] = []
    sizes: list[int] = []
    for batch in batches:
        batch = _plain(batch)
        size = batch_size_of(batch, target)
        if size == 0:
            continue
        room = None if examples is None else examples - sum(sizes)
        if room is not None and size > room:
            batch, size = take(batch, slice(0, room), size), room
        items.append(batch)
        sizes.append(size)
        if examples is not None and sum(sizes) >= examples:
            break
    return Batches(tuple(items), tuple(sizes))


@contextmanager
def _generators_kept(loader: DataLoader[Any]) -> Iterator[None]:
    """The generators that belong to the loader are left where they were (the global ones are the caller's care)."""
    batch_sampler = getattr(loader, "batch_sampler", None)
    owners = (loader, loader.sampler, batch_sampler, getattr(batch_sampler, "sampler", None))
    found = (getattr(owner, "generator", None) for owner in owners)
    generators = {id(generator): generator for generator in found if isinstance(generator, torch.Generator)}
    states = [(generator, generator.get_state()) for generator in generators.values()]
    try:
        yield
    finally:
        for generator, state in states:
            generator.set_state(state)


def _subset(size: int, examples: int | None) -> Tensor | None:
    if examples is None or examples >= size:
        return None
    generator = torch.Generator(device="cpu").manual_seed(0)
    return torch.randperm(size, generator=generator, device="cpu")[:examples].sort().values


def _plain(batch: Any) -> Any:
    """Mapping types that pytrees do not know (Hugging Face's BatchEncoding) as dictionaries, tensors as autograd's."""

    def plain(leaf: Any) -> Any:
        if isinstance(leaf, Mapping):
            return {key: _plain(value) for key, value in leaf.items()}
        return leaf.clone() if isinstance(leaf, Tensor) and leaf.is_inference() else leaf

    return tree_map(plain, batch)


def take(batch: Any, chosen: Tensor | slice, size: int) -> Any:
    """Some of the examples of a batch of `size`: positions, or a slice, which copies nothing.

    Raises:
        ValueError: if the batch holds something that cannot be divided by examples.
    """

    def rows(leaf: Any) -> Any:
        if isinstance(leaf, int | float | str | bool | None) or (isinstance(leaf, Tensor) and leaf.ndim == 0):
            return leaf
        if isinstance(leaf, Tensor) and len(leaf) == size:
            return leaf[chosen] if isinstance(chosen, slice) else leaf[chosen.to(leaf.device)]
        what = f"tensor of {len(leaf)} rows" if isinstance(leaf, Tensor) else type(leaf).__name__
        raise ValueError(
            f"cannot take some of a batch's {size} examples: it holds a {what}, and only tensors with a row for each "
            "example can be divided; give the data as batches that are already the subset"
        )

    return tree_map(rows, batch)


def _form(leaf: Any, size: int) -> tuple[torch.Size, torch.dtype, torch.device] | None:
    """Shape, type and device of one example's part of a leaf; None where it has no row for each of `size` examples."""
    has_rows = isinstance(leaf, Tensor) and leaf.ndim > 0 and len(leaf) == size
    return (leaf.shape[1:], leaf.dtype, leaf.device) if has_rows else None
