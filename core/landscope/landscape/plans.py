"""Ways of evaluating points of weight space, and how much there is room for at once."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CACHE", "Plan", "Room"]

CACHE = 5 * 2**19  # bytes of a layer's outputs that stay in a processor's cache

_FEWEST_ROWS = 16
# A tensor that a forward pass works on is about this small a part of what it holds at once.
_TENSORS_HELD = 4


@dataclass(frozen=True)
class Plan:
    """A way of evaluating points.

    Attributes:
        together: Points evaluated in one call; 1 evaluates them one after the other.
        rows: Examples in one call, few enough that what lies between layers stays in the processor's cache; None takes
            each batch whole.
        reuse: Whether first layers are combined from their values at the centre and along the directions.
        channels_last: Whether images are laid out with their channels last.
    """

    together: int = 1
    rows: int | None = None
    reuse: bool = False
    channels_last: bool = False

    def __str__(self) -> str:
        return ", ".join(
            [
                "one point at a time" if self.together == 1 else f"{self.together} points at once",
                "whole batches" if self.rows is None else f"{self.rows} examples at a time",
                *(["first layers shared"] if self.reuse else []),
                *(["channels last"] if self.channels_last else []),
            ]
        )


@dataclass(frozen=True)
class Room:
    """How many examples and points may be evaluated at once.

    Attributes:
        memory: Bytes that may be held.
        batch: Examples in the largest batch.
        row_bytes: Size of the largest activation, for one example.
        weight_bytes: What the weights of one point take.
        separable: Whether batches may be divided.
        cached: Whether what lies between layers is to stay in a cache.
    """

    memory: int
    batch: int
    row_bytes: int
    weight_bytes: int
    separable: bool
    cached: bool

    @property
    def most_rows(self) -> int | None:
        """Examples that fit the memory at one point; None where whole batches do."""
        most = max(1, self.memory // (2 * _TENSORS_HELD * max(self.row_bytes, 1)))
        return most if self.separable and most < self.batch else None

    def cached_rows(self, together: int) -> int | None:
        """Examples whose activations at so many points stay in the processor's cache; None where whole batches do."""
        if not (self.cached and self.separable):
            return self.most_rows
        rows = max(_FEWEST_ROWS, CACHE // max(self.row_bytes * together, 1))
        most = min(rows, self.most_rows or rows)
        return most if most < self.batch else None

    def most_together(self, rows: int | None) -> int:
        """Points that fit the memory, with so many examples of a batch at a time."""
        each = _TENSORS_HELD * self.row_bytes * min(rows or self.batch, self.batch) + self.weight_bytes
        return self.memory // (2 * max(each, 1))
