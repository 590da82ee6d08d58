"""Batches drawn from a private generator, whose size can be changed while a training goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.data import Dataset, IterableDataset, default_collate

__all__ = ["Batches"]


class Batches:
    """Shuffled batches of some data, over and over, until the training is over.

    Each pass over the data has an order of its own, drawn from the seed and the pass's number, so that no other
    generator is touched, and the state is three numbers. The last batch of a pass may be smaller. With as many examples
    in a batch as there are, it is the data as they were given, in their order.

    Attributes:
        examples: How many there are.
        epoch: Whole passes so far.

    Args:
        data: A tensor, or tuple, list or mapping of tensors, whose first axis is that of the examples; or a Dataset.
        batch_size: Examples in a batch; all of them where there are fewer.
        seed: Of the orders.
        over: Whether the training is over.

    Raises:
        ValueError: if there are no examples, tensors have different numbers of them, or the batch size is not positive.
        TypeError: if the data have another form.
    """

    def __init__(self, data: Any, batch_size: int, seed: int, over: Callable[[], bool]) -> None:
        self.examples = _count(data)
        self.epoch = 0
        self._data = data
        self._seed = seed
        self._over = over
        self._position = 0
        self._order: Tensor | None = None
        self.batch_size = batch_size

    @property
    def batch_size(self) -> int:
        """Examples in the next batch; what is set is cut to how many there are."""
        return self._batch_size

    @batch_size.setter
    def batch_size(self, value: int) -> None:
        if value < 1:
            raise ValueError(f"batch_size must be positive, got {value}")
        self._batch_size = min(value, self.examples)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._over():
            raise StopIteration
        if self._batch_size == self.examples and self._position == 0:
            self.epoch += 1
            whole = torch.arange(self.examples, device="cpu")
            return self._batch(whole) if isinstance(self._data, Dataset) else self._data
        if self._order is None:
            generator = torch.Generator("cpu").manual_seed(self._seed + self.epoch)
            self._order = torch.randperm(self.examples, generator=generator, device="cpu")
        chosen = self._order[self._position : self._position + self._batch_size]
        self._position += len(chosen)
        if self._position == self.examples:
            self.epoch, self._position, self._order = self.epoch + 1, 0, None
        return self._batch(chosen)

    def state_dict(self) -> dict[str, int]:
        """Where in which pass, and the size of batches."""
        return {"epoch": self.epoch, "position": self._position, "batch_size": self._batch_size}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes on from a state."""
        self.epoch, self._position, self._batch_size = state["epoch"], state["position"], state["batch_size"]
        self._order = None

    def _batch(self, chosen: Tensor) -> Any:
        if isinstance(self._data, Dataset):
            return default_collate([self._data[index] for index in chosen.tolist()])
        return tree_map(lambda tensor: tensor[chosen.to(tensor.device)], self._data)


def _count(data: Any) -> int:
    if isinstance(data, Dataset):
        if isinstance(data, IterableDataset):
            raise TypeError("batches are drawn by position, which an IterableDataset has none of; pass a map-style one")
        counts = {len(data)}  # type: ignore[arg-type]
    else:
        leaves = tree_leaves(data)
        if not leaves or not all(isinstance(leaf, Tensor) and leaf.ndim for leaf in leaves):
            raise TypeError(
                f"data must be a Dataset or tensors with an axis of examples, got {type(data).__name__}; "
                "pass (inputs, targets)"
            )
        counts = {len(leaf) for leaf in leaves}
    if len(counts) > 1 or 0 in counts:
        raise ValueError(f"data must be one or more examples, as many in each tensor, got {sorted(counts)}")
    return counts.pop()
