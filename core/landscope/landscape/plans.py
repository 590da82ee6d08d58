"""Ways of evaluating points of weight space."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Plan"]


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
