"""Paths between two sets of weights: the loss along them, and the barriers on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement, not_stored

__all__ = ["Barriers", "Connection", "chord_excess"]


def chord_excess(t: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """L(t) - ((1 - t) L(0) + t L(1)): how far the loss rises above the straight line between its two ends.

    Args:
        t: (M,) positions, from 0 to 1.
        loss: (..., M) losses there.
    """
    excess: np.ndarray = loss - ((1 - t) * loss[..., :1] + t * loss[..., -1:])
    return excess


@dataclass(frozen=True, kw_only=True, eq=False)
class Connection(Measurement):
    """The loss along a curve through weight space from one set of weights (t = 0) to another (t = 1).

    Attributes:
        curve: "line" for the straight line, "bezier" or "polygon" for a trained curve.
        t: (M,) evenly spaced positions, both ends included.
        loss: (M,) mean loss; NaN and infinities are kept as they came.
        accuracy: (M,) share of examples whose largest output is their class; None without classes.
        metrics: (M,) each, of other data: "test/loss", "test/accuracy".
        straight: (M,) each, the same along the straight line: "loss", "accuracy" and the names of `metrics`. Empty
            where the curve is itself that line.
        barrier_error: Standard error of the rise above the chord where that is greatest between the ends, the data
            being a sample; the examples are the same ones all along the curve. None where examples have no losses of
            their own, or nothing was evaluated between the ends.
        arc: (M,) length of the curve up to each position, in weight space.
        distance: Euclidean distance between the ends.
        training: (S,) loss at the random position of each step of the curve's training; None for a line.
        planned: Steps that were asked for; more than there are in `training` if it was stopped.
        checks: What was verified or has to be known, as (name, "pass", "fail" or "note", what was found).
        points: (K + 2, P) first end, K bends, second end; not kept in a run's store.
    """

    kind: ClassVar[str] = "connection"
    curve: str
    t: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray | None = None
    metrics: dict[str, np.ndarray] = field(default_factory=dict)
    straight: dict[str, np.ndarray] = field(default_factory=dict)
    barrier_error: float | None = None
    arc: np.ndarray
    distance: float
    training: np.ndarray | None = None
    planned: int = 0
    checks: tuple[tuple[str, ...], ...] = ()
    points: np.ndarray | None = not_stored()

    @property
    def length(self) -> float:
        """Length of the curve."""
        return float(self.arc[-1])

    @property
    def barrier(self) -> float:
        """max_t [L(t) - ((1 - t) L(0) + t L(1))], at least 0 (Entezari et al. 2022, definition 2.1)."""
        return float(chord_excess(self.t, self.loss).max())

    @property
    def height(self) -> float:
        """max_t L(t) - max(L(0), L(1)): how far one has to climb from the higher end; at least 0."""
        return float(self.loss.max() - max(self.loss[0], self.loss[-1]))

    @property
    def instability(self) -> float:
        """max_t L(t) - (L(0) + L(1)) / 2, the height of the barrier as Frankle et al. 2020 measure it."""
        return float(self.loss.max() - (self.loss[0] + self.loss[-1]) / 2)

    @property
    def straight_barrier(self) -> float | None:
        """The barrier on the straight line; None where that was not evaluated beside a curve."""
        return float(chord_excess(self.t, self.straight["loss"]).max()) if self.straight else None

    def scalars(self) -> dict[str, float]:
        """Barrier, the straight line's beside it, and how much longer the curve is than the line."""
        found = {"barrier": self.barrier, "height": self.height}
        if self.straight_barrier is not None:
            found |= {"straight_barrier": self.straight_barrier, "detour": self.length / self.distance}
        return found

    def span(self) -> tuple[float, float] | None:
        """Least and greatest finite loss of the curve and the line."""
        drawn = np.concatenate([self.loss, self.straight.get("loss", self.loss)])
        finite = drawn[np.isfinite(drawn)]
        return (float(finite.min()), float(finite.max())) if finite.size else None


@dataclass(frozen=True, kw_only=True, eq=False)
class Barriers(Measurement):
    """The loss on the straight line between two runs, at each of several moments of their training.

    Attributes:
        steps: (T,) optimiser step of each moment.
        t: (M,) evenly spaced positions on the line, 0 in the first run, 1 in the second.
        loss: (T, M) mean loss.
        accuracy: (T, M) share of examples whose largest output is their class; None without classes.
        metrics: (T, M) each, of other data: "test/loss", "test/accuracy".
        barrier_errors: (T,) standard error of each barrier, see `Connection`; None where there is none.
        distance: (T,) Euclidean distance between the runs.
        checks: What was verified or has to be known, as (name, "pass", "fail" or "note", what was found).
    """

    kind: ClassVar[str] = "barriers"
    steps: np.ndarray
    t: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray | None = None
    metrics: dict[str, np.ndarray] = field(default_factory=dict)
    barrier_errors: np.ndarray | None = None
    distance: np.ndarray
    checks: tuple[tuple[str, ...], ...] = ()

    @property
    def barrier(self) -> np.ndarray:
        """(T,) max_t [L(t) - ((1 - t) L(0) + t L(1))] at each moment."""
        highest: np.ndarray = chord_excess(self.t, self.loss).max(axis=1)
        return highest

    @property
    def height(self) -> np.ndarray:
        """(T,) max_t L(t) - max(L(0), L(1)) at each moment."""
        climb: np.ndarray = self.loss.max(axis=1) - np.maximum(self.loss[:, 0], self.loss[:, -1])
        return climb

    @property
    def error_barrier(self) -> np.ndarray | None:
        """(T,) the rise of the error rate above the mean of its two ends (Frankle et al. 2020); None without classes.

        They call two runs stable, that is in one basin, while this is below 0.02.
        """
        if self.accuracy is None:
            return None
        rise: np.ndarray = (self.accuracy[:, 0] + self.accuracy[:, -1]) / 2 - self.accuracy.min(axis=1)
        return rise

    def parting(self, threshold: float) -> int | None:
        """The step from which on the barrier stays above `threshold`: when the two runs part; None if they do not.

        A barrier that is not a number, because a loss on the way is not, counts as above.
        """
        above = ~(self.barrier <= threshold)
        if not above[-1]:
            return None
        below = np.flatnonzero(~above)
        return int(self.steps[below[-1] + 1 if len(below) else 0])

    def scalars(self) -> dict[str, float]:
        """The barrier and the distance at the last moment."""
        return {"barrier": float(self.barrier[-1]), "distance": float(self.distance[-1])}

    def span(self) -> tuple[float, float] | None:
        """Least and greatest finite barrier."""
        finite = self.barrier[np.isfinite(self.barrier)]
        return (float(finite.min()), float(finite.max())) if finite.size else None
