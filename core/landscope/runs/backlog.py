"""What a trainer has said and the disk has not yet taken: bounded, whatever the disk does."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Backlog", "Batch", "PendingEvent", "PendingFrame", "PendingScalars"]


class PendingScalars(NamedTuple):
    """Numbers of one step that came in one call; `data` has a little-endian float64 for each name."""

    step: int
    wall: float
    names: tuple[str, ...]
    data: bytes


class PendingFrame(NamedTuple):
    """A measurement, as bytes."""

    step: int
    wall: float
    name: str
    kind: str
    span: tuple[float, float] | None
    data: bytes


class PendingEvent(NamedTuple):
    """Something that happened; `data` is JSON or None."""

    step: int
    wall: float
    kind: str
    text: str
    data: str | None


@dataclass(frozen=True)
class Batch:
    """What one commit writes."""

    scalars: list[PendingScalars] = field(default_factory=list)
    frames: list[PendingFrame] = field(default_factory=list)
    events: list[PendingEvent] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.scalars or self.frames or self.events)


class Backlog:
    """Records waiting for the disk. When one kind reaches its limit some of it is dropped, and counted.

    Scalars are thinned: of the calls with the same names every second is dropped, so curves keep their shape. Of
    frames and events the oldest goes first; the newest frame stays however large it is. Not thread-safe by itself.

    Attributes:
        dropped: Calls dropped so far.
    """

    def __init__(
        self, max_values: int = 500_000, max_frame_bytes: int = 128 * 1024 * 1024, max_events: int = 10_000
    ) -> None:
        self.dropped = 0
        self._max_values = max_values
        self._max_frame_bytes = max_frame_bytes
        self._max_events = max_events
        self._scalars: list[PendingScalars] = []
        self._values = 0
        self._frames: deque[PendingFrame] = deque()
        self._frame_bytes = 0
        self._events: deque[PendingEvent] = deque()

    def add_scalars(self, record: PendingScalars) -> None:
        """Append numbers."""
        self._scalars.append(record)
        self._values += len(record.names)
        if self._values > self._max_values:
            self._thin()

    def add_frame(self, record: PendingFrame) -> None:
        """Append a frame."""
        self._frames.append(record)
        self._frame_bytes += len(record.data)
        self._drop_frames()

    def add_event(self, record: PendingEvent) -> None:
        """Append an event."""
        self._events.append(record)
        self._drop_events()

    def take(self) -> Batch:
        """All that waits, in the order it came; afterwards nothing waits."""
        batch = Batch(self._scalars, list(self._frames), list(self._events))
        self._scalars, self._values = [], 0
        self._frames.clear()
        self._frame_bytes = 0
        self._events.clear()
        return batch

    def put_back(self, batch: Batch) -> None:
        """Return what could not be written to the front, as far as it fits."""
        self._scalars = batch.scalars + self._scalars
        self._values = sum(len(record.names) for record in self._scalars)
        while self._values > self._max_values and len(self._scalars) > 1:
            self._thin()
        self._frames.extendleft(reversed(batch.frames))
        self._frame_bytes = sum(len(record.data) for record in self._frames)
        self._drop_frames()
        self._events.extendleft(reversed(batch.events))
        self._drop_events()

    def _thin(self) -> None:
        kept: list[PendingScalars] = []
        keep: dict[tuple[str, ...], bool] = {}
        for record in reversed(self._scalars):
            if keep.setdefault(record.names, True):
                kept.append(record)
            keep[record.names] = not keep[record.names]
        kept.reverse()
        self.dropped += len(self._scalars) - len(kept)
        self._scalars = kept
        self._values = sum(len(record.names) for record in kept)

    def _drop_frames(self) -> None:
        while self._frame_bytes > self._max_frame_bytes and len(self._frames) > 1:
            self._frame_bytes -= len(self._frames.popleft().data)
            self.dropped += 1

    def _drop_events(self) -> None:
        while len(self._events) > self._max_events:
            self._events.popleft()
            self.dropped += 1
