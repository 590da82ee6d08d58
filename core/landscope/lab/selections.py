"""Of which examples a measurement on request is: all of the data, those of one class, or some that were selected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

from landscope.measurements import ExampleHistory, Measurement, Projection
from landscope.objective import Objective

__all__ = ["Selection"]

_MOST = 200  # selected examples, as many as the page's address holds
_DATA = {"train": "training", "test": "held-out"}


@dataclass(frozen=True)
class Selection:
    """Some of the training or the held-out examples; all of them where neither a class nor positions are given.

    Attributes:
        label: Those of this class.
        frame: The number of the frame, a projection or a history of examples, in which some were selected.
        positions: Of these, increasing, among the `available` examples that the frame shows a sample of.
    """

    label: int | None = None
    frame: int | None = None
    positions: tuple[int, ...] = ()

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """From a command's parameters: "class", or "chosen" with "frame" and "positions", or neither.

        Raises:
            ValueError: if both are given, one has another form, or more examples are selected than may be.
        """
        label, chosen = given.get("class"), given.get("chosen")
        if label is not None and chosen is not None:
            raise ValueError("class and chosen were both given; give one of them, or neither for all examples")
        if label is not None:
            if not _whole(label):
                raise ValueError(f"class must be an integer, got {label!r}")
            return cls(label=label)
        if chosen is None:
            return cls()
        if not isinstance(chosen, Mapping) or {*chosen} != {"frame", "positions"}:
            raise ValueError(f"chosen must hold frame and positions, got {chosen!r}")
        frame, positions = chosen["frame"], chosen["positions"]
        if not _whole(frame):
            raise ValueError(f"frame must be the number of a frame that shows examples, got {frame!r}")
        if not isinstance(positions, list | tuple) or not positions or not all(map(_whole, positions)):
            raise ValueError(f"positions must be a list of integers, at least one, got {positions!r}")
        if len(positions) > _MOST:
            raise ValueError(f"at most {_MOST} selected examples can be measured, got {len(positions)}; select fewer")
        return cls(frame=frame, positions=tuple(sorted({*positions})))

    def __bool__(self) -> bool:
        """Whether it is of some examples alone."""
        return self != Selection()

    @property
    def params(self) -> dict[str, Any]:
        """As a command's parameters."""
        if self.label is not None:
            return {"class": self.label}
        return {} if self.frame is None else {"chosen": {"frame": self.frame, "positions": [*self.positions]}}

    def words(self, split: str, examples: int | None = None) -> str:
        """Which examples these are; their number in a class, where it is known."""
        data = _DATA.get(split, split)
        if self.label is None:
            count = len(self.positions)
            return f"{count} selected {data} example{'s' * (count != 1)}" if count else f"the {data} data"
        counted = "" if examples is None else f", {examples:,} example{'s' * (examples != 1)}"
        return f"class {self.label} of the {data} data{counted}"

    def of(
        self, wholes: Callable[[int], Iterable[Objective]], examples: int, read: Callable[[int], bytes]
    ) -> Objective:
        """The objective over these examples alone, whose `split` says so.

        Args:
            wholes: The objectives that the examples may be a part of, likeliest first, where those of the frame are a
                sample of so many, or of a number that does not matter.
            examples: At most so many of a class.
            read: The bytes of a frame by its number; KeyError where there is none.

        Raises:
            ValueError: if nothing is of the class, or the selected examples are none that the frame shows, or not found
                again exactly.
        """
        if self.label is not None:
            return _of_class(next(iter(wholes(examples))), self.label, examples)
        assert self.frame is not None
        try:
            shown = Measurement.from_bytes(read(self.frame))
        except KeyError:
            raise ValueError(f"frame {self.frame} is not in the run any more; select examples in a newer one") from None
        if not isinstance(shown, Projection | ExampleHistory) or shown.positions is None or not shown.available:
            raise ValueError(
                f"frame {self.frame} does not show examples by their positions; select some in the embedding"
            )
        strange = sorted({*self.positions} - {*shown.positions.tolist()})
        if strange:
            low, high = shown.positions.min(), shown.positions.max()
            raise ValueError(
                f"there is no example {strange[0]} in frame {self.frame}, which shows {len(shown.positions)} with "
                f"positions from {low} to {high}"
            )
        return _selected(wholes(shown.available), shown, self.positions)


def _of_class(whole: Objective, label: int, examples: int) -> Objective:
    if whole.labels() is None:
        raise ValueError("the targets are not one integer class for each example, so that there is no class to measure")
    return whole.of_class(label).sample(examples).named(f"class-{label} {whole.split}".strip())


def _selected(wholes: Iterable[Objective], shown: Projection | ExampleHistory, positions: tuple[int, ...]) -> Objective:
    """The examples at those positions of the whole whose sample the frame was measured on, by the digest of that."""
    source, available = shown.provenance, shown.available or 0
    assert shown.positions is not None
    if not source.data:
        raise ValueError(
            "an earlier version recorded the frame without a digest of its examples, so that nobody can say whether "
            "they are found again; measure a class, or train the run again"
        )
    chosen = torch.from_numpy(shown.positions.astype(np.int64))
    for whole in wholes:
        if whole.split != source.split:
            raise ValueError(f"the frame shows examples of the {source.split!r} data, got objective {whole.split!r}")
        sample = whole.sample(available)
        if sample.examples == available and sample.subset(chosen).digest == source.data:
            return sample.subset(positions).named(f"selected {whole.split}".strip())
    raise ValueError(
        "the examples that the frame shows are not found again: the data are others now, or in another order, as a "
        "loader that shuffles gives them; nothing else was measured instead"
    )


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
