"""What a finding is, and the rule that makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from landscope.dynamics.series import History

__all__ = ["Finding", "Rule"]


@dataclass(frozen=True)
class Finding:
    """A sentence about a run, with its evidence in it.

    Attributes:
        kind: A short name that stays the same while the state lasts, e.g. "edge-of-stability".
        text: The sentence.
        since: The step at which it began, where that is known.
        evidence: Names of the series it was read from.
    """

    kind: str
    text: str
    since: int | None = field(default=None, compare=False)
    evidence: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Rule:
    """How one state of a training is recognised, and what is known of it.

    Attributes:
        kind: The findings' kind.
        title: The state in a few words.
        criterion: What is compared with which threshold, and why with that one.
        meaning: What the state is known to mean.
        caution: What it does not mean, or who disagrees.
        sources: Papers.
        find: The finding, if the state is there now.
    """

    kind: str
    title: str
    criterion: str
    meaning: str
    caution: str
    sources: tuple[str, ...]
    find: Callable[[History], Finding | None]
