"""Whether a run shows what the paper behind its recipe claims: never a forced yes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from landscope.runs import Run, RunAppender, open_run

__all__ = ["Claim", "Judge", "Outcome", "claim", "judged", "overall"]

Outcome: TypeAlias = Literal["reproduced", "partly", "not here"]


@dataclass(frozen=True)
class Claim:
    """One claim of a paper and what became of it.

    Attributes:
        text: What is claimed, as a sentence that could be false.
        measured: The numbers that decide, with their units.
        outcome: Whether they bear it out.
    """

    text: str
    measured: str
    outcome: Outcome


Judge: TypeAlias = Callable[[Run], Sequence[Claim]]
"""What decides from a finished run alone."""


def claim(text: str, measured: str, *, holds: bool, partly: bool = False) -> Claim:
    """A claim that holds, holds partly, or was not seen here."""
    return Claim(text, measured, "reproduced" if holds else "partly" if partly else "not here")


def overall(claims: Sequence[Claim]) -> Outcome:
    """What all of them come to: reproduced if all are, not here if none is even partly.

    Raises:
        ValueError: without claims.
    """
    outcomes = {one.outcome for one in claims}
    if not outcomes:
        raise ValueError("a verdict needs claims, got none")
    return "partly" if len(outcomes) > 1 else outcomes.pop()


def judged(path: Path, judge: Judge) -> Sequence[Claim]:
    """Judges a finished run, and adds the verdict to it as an event for its page.

    A training that was stopped before its last step is not judged: the event says so, and no claim is returned.

    Args:
        path: The run's folder.
        judge: The recipe's.
    """
    run = open_run(path)
    head = run.head()
    with RunAppender(path) as appender:
        if head.total is not None and head.step < head.total:
            words = f"It ended at step {head.step:,} of {head.total:,}: too early to say what became of the claims."
            appender.event(head.step, "verdict", words, {"outcome": "", "claims": []})
            return []
        claims = judge(run)
        outcome = overall(claims)
        appender.event(head.step, "verdict", outcome, {"outcome": outcome, "claims": [asdict(one) for one in claims]})
    return claims
