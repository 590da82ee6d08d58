"""What is happening, in plain words: the numbers of a run against what theory says they mean."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from landscope.dynamics.rules import RULES
from landscope.dynamics.series import History
from landscope.dynamics.states import Finding

__all__ = ["Phase", "Timeline", "diagnose", "findings"]

# True of every training at some time: no findings, but what is said where there is none.
_ALWAYS = ("learning", "plateau")
# States that last for a whole training: what happens now is said before them.
_BACKGROUND = ("lazy", "rich")
# Looks in a row at which a state must be seen, or missed, before it has begun, or ended: what flickers is not told.
_BEGIN, _END = 2, 4
_MOST = 100  # beginnings of one state that are told in one run
_WAITING = Finding("starting", "Waiting for the first measurements.")


def findings(series: History) -> list[Finding]:
    """All that the newest numbers say, the most telling first.

    Args:
        series: Scalars over time by name, as a run records them: "train/loss", "test/accuracy",
            "sharpness/lambda_max" and so on; any may be missing, and then its rules are silent.
    """
    return _worth_telling(_found(series))


def diagnose(series: History) -> Finding:
    """The most telling of the findings, or that it learns, stands still, or waits for the first measurements.

    Divergence comes first, then grokking, stability, the representation, noise, and plain learning.
    """
    return _headline(_found(series))


def _found(series: History) -> list[Finding]:
    return [finding for finding in (rule.find(series) for rule in RULES) if finding is not None]


def _worth_telling(found: list[Finding]) -> list[Finding]:
    return [one for one in found if one.kind not in _ALWAYS]


def _headline(found: list[Finding]) -> Finding:
    if not found:
        return _WAITING
    return next((one for one in found if one.kind not in _BACKGROUND), found[0])


@dataclass(frozen=True)
class Phase:
    """The beginning or the end of a state.

    Attributes:
        finding: What was found; at an end, what was found last.
        begins: Whether it begins.
        step: The step it is dated to: where it began by its own evidence, or was last seen.
    """

    finding: Finding
    begins: bool
    step: int


@dataclass
class _State:
    finding: Finding
    seen: int = 0
    missed: int = 0
    begun: bool = False
    last_step: int = 0


@dataclass
class Timeline:
    """When states begin and end, over repeated looks at a run that goes on.

    Attributes:
        phases: All beginnings and ends so far.
        headline: What `diagnose` says at the last look.
    """

    headline: Finding = _WAITING
    phases: list[Phase] = field(default_factory=list)
    _states: dict[str, _State] = field(default_factory=dict)
    _begun: Counter[str] = field(default_factory=Counter)

    def look(self, series: History, step: int) -> list[Phase]:
        """What has begun or ended since the last look, which was at an earlier `step`."""
        found = _found(series)
        self.headline = _headline(found)
        present = {one.kind: one for one in _worth_telling(found)}
        phases: list[Phase] = []
        for kind, finding in present.items():
            state = self._states.setdefault(kind, _State(finding))
            state.finding, state.missed, state.last_step = finding, 0, step
            state.seen += 1
            if state.seen >= _BEGIN and not state.begun and self._begun[kind] < _MOST:
                state.begun = True
                self._begun[kind] += 1
                phases.append(Phase(finding, True, step if finding.since is None else finding.since))
        for kind in [kind for kind in self._states if kind not in present]:
            state = self._states[kind]
            state.missed += 1
            if not state.begun or state.missed >= _END:
                del self._states[kind]
                if state.begun:
                    phases.append(Phase(state.finding, False, state.last_step))
        self.phases += phases
        return phases
