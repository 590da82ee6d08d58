"""What was asked for of a run, and what became of it: commands and events as jobs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from landscope.lab import chosen
from landscope.lab.places import Place
from landscope.lab.selections import Selection
from landscope.runs import Event

__all__ = ["EXAMPLES", "JobPast", "MeasureRequest", "measured", "pasts"]

EXAMPLES = 4096
_SPLITS = ("train", "test")


@dataclass(frozen=True)
class MeasureRequest:
    """A measurement that was asked for.

    Attributes:
        job: The number of the command.
        what: One of `lab.ENTRIES`.
        split: "train" or "test".
        steps: At which steps; the last one that there are weights of if there are none.
        examples: Of how many examples at most.
        parameters: All of the entry's.
        place: On a recorded plane, instead of the weights of a step.
        selection: Of which examples of the split alone.
    """

    job: int
    what: str
    split: str = "train"
    steps: tuple[int, ...] = ()
    examples: int = EXAMPLES
    parameters: Mapping[str, Any] = field(default_factory=dict)
    place: Place | None = None
    selection: Selection = Selection()

    @classmethod
    def read(cls, job: int, params: Mapping[str, Any]) -> Self:
        """From a command's parameters.

        These are "what", "objective", "class" or "chosen", "step" or "steps" or "at", "examples" and "parameters".

        Raises:
            ValueError: if there is no such measurement, or a value is out of range.
        """
        entry, asked = chosen(str(params.get("what")), params.get("parameters"))
        split = params.get("objective") or "train"
        if split not in _SPLITS:
            raise ValueError(f"objective must be one of {', '.join(_SPLITS)}, got {split!r}")
        step, examples = params.get("step"), params.get("examples") or EXAMPLES
        steps = params.get("steps") or ([] if step is None else [step])
        for name, number in (*(("step", at) for at in steps), ("examples", examples)):
            if not isinstance(number, int) or number < (name == "examples"):
                raise ValueError(f"{name} must be a number of {name}s, got {number!r}")
        at = params.get("at")
        if at is not None and steps:
            raise ValueError("a place on a plane is of the plane's own step; give either at or a step")
        place = None if at is None else Place.read(at)
        return cls(job, entry.name, split, tuple(steps), examples, vars(asked), place, Selection.read(params))

    @property
    def params(self) -> dict[str, Any]:
        """As a command's parameters."""
        return {
            "what": self.what,
            "objective": self.split,
            "steps": list(self.steps),
            "examples": self.examples,
            "parameters": dict(self.parameters),
            **({} if self.place is None else {"at": self.place.params}),
            **self.selection.params,
        }

    @property
    def key(self) -> str:
        """The same for whatever would have the same result at the same step."""
        return json.dumps({**self.params, "steps": None}, sort_keys=True)

    @property
    def frame(self) -> str:
        """The name of its results."""
        return f"lab/{self.job}/{self.what}"


@dataclass(frozen=True)
class JobPast:
    """What became of a job so far.

    Attributes:
        attempts: How often it was begun.
        ended: Whether it is done, failed or cancelled.
    """

    attempts: int = 0
    ended: bool = False


def pasts(events: Iterable[Event]) -> dict[int, JobPast]:
    """What became of each job, by the events of kind "job"."""
    found: dict[int, JobPast] = {}
    for data in _data(events):
        past = found.get(data["job"], JobPast())
        ended = past.ended or data.get("state") in ("done", "failed", "cancelled")
        found[data["job"]] = JobPast(max(past.attempts, data.get("attempt", 0)), ended)
    return found


def measured(events: Iterable[Event]) -> set[tuple[str, int]]:
    """Keys and steps of all that was measured to its end."""
    return {(data["key"], data["measured"]) for data in _data(events) if data.get("measured") is not None}


def _data(events: Iterable[Event]) -> Iterable[dict[str, Any]]:
    return (event.data for event in events if event.kind == "job" and event.data and "job" in event.data)
