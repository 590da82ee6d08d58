"""The example x step matrix of a training, in bounded memory, and the order in which examples are learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from landscope.embedding.learning import steps_learned
from landscope.measurements import ExampleHistory, ExampleScores, LearningOrder

__all__ = ["ExampleRecord", "learning_order"]


class ExampleRecord:
    """Takes in the scores of the same examples, frame by frame, and forgets most frames but nothing that is counted.

    Counted of all frames are the area under the margin (Pleiss et al. 2020, arXiv 2001.10528), forgetting events, from
    right to wrong between two frames (Toneva et al. 2019, arXiv 1812.05159), when an example was first right and since
    when it has been, and mean and deviation of the label's probability (Swayamdipta et al. 2020, arXiv 2009.10795). The
    matrix keeps every frame until there are `capacity`, then every second one, every fourth, and so on, and the newest.

    Args:
        capacity: Frames that the matrix has at most; 8 bytes for each example and frame.

    Raises:
        ValueError: if the capacity is below 2.
    """

    def __init__(self, capacity: int = 128) -> None:
        if capacity < 2:
            raise ValueError(f"capacity must be at least 2, got {capacity}")
        self.capacity, self.frames = capacity, 0
        self._stride = 1
        self._kept: list[tuple[int, ExampleScores]] = []  # frame number, losses and margins in float32
        self._last: ExampleScores | None = None
        self._sums = np.zeros((3, 0))
        self._el2n = np.zeros(0, np.float32)
        self._forgotten = self._first = np.zeros(0, np.int32)
        self._learned: np.ndarray | None = None

    def add(self, scores: ExampleScores) -> None:
        """Takes in a frame, whose provenance names its step (`scores.at(step)`).

        Raises:
            ValueError: if it names none, it is not later than the frame before, or the examples are others.
        """
        step, last = scores.provenance.step, self._last
        if step is None:
            raise ValueError("scores have no step; add scores.at(step)")
        if last is None:
            self._sums = np.zeros((3, len(scores.labels)))
            self._forgotten = np.zeros(len(scores.labels), np.int32)
            self._first = np.full(len(scores.labels), -1, np.int32)
        elif not np.array_equal(last.labels, scores.labels):
            raise ValueError("scores must be of the same examples in every frame, and their labels differ")
        elif step <= (last.provenance.step or 0):
            raise ValueError(f"step must be later than {last.provenance.step}, that of the frame before, got {step}")
        right = scores.correct
        if last is not None:
            self._forgotten += last.correct & ~right
        self._first[(self._first < 0) & right] = step
        self._learned = steps_learned(right, step, self._learned)
        self._sums += np.stack([scores.margins, scores.confidences, scores.confidences**2])
        if self.frames % self._stride == 0:
            self._kept.append((self.frames, _slim(scores)))
        if len(self._kept) == self.capacity:  # the newest may be one more
            self._stride *= 2
            self._kept = [(number, frame) for number, frame in self._kept if number % self._stride == 0]
        self._last, self._el2n = _slim(scores), scores.el2n.astype(np.float32)
        self.frames += 1

    def history(self) -> ExampleHistory:
        """What is known so far.

        Raises:
            ValueError: if there is no frame yet.
        """
        if self._last is None or self._learned is None:
            raise ValueError("the record has no frame yet; add the scores of one")
        shown = [frame for number, frame in self._kept if number != self.frames - 1] + [self._last]
        aum, confidence, square = self._sums / self.frames
        return ExampleHistory(
            provenance=replace(self._last.provenance, method=f"scores of {self.frames} frames"),
            labels=self._last.labels,
            steps=np.array([frame.provenance.step for frame in shown]),
            losses=np.stack([frame.losses for frame in shown], axis=1),
            margins=np.stack([frame.margins for frame in shown], axis=1),
            frames=self.frames,
            aum=aum,
            forgotten=self._forgotten.copy(),
            first=self._first.copy(),
            learned=self._learned,
            confidences=confidence,
            variability=np.sqrt(np.maximum(square - confidence**2, 0)),
            el2n=self._el2n,
        )


def _slim(scores: ExampleScores) -> ExampleScores:
    """The scores with only what the record goes on needing: nothing beside losses and margins takes memory."""
    nothing = np.empty(0, np.float32)
    return scores.replaced(
        losses=scores.losses.astype(np.float32),
        margins=scores.margins.astype(np.float32),
        confidences=nothing,
        el2n=nothing,
        logit_norms=nothing,
        grand=None,
    )


def learning_order(histories: Mapping[str, ExampleHistory]) -> LearningOrder:
    """Spearman's rank correlations of when examples are learned, and of their areas under the margin, between runs.

    Networks of different seeds and architectures learn real data in much the same order (Hacohen, Choshen and Weinshall
    2020, "Let's Agree to Agree", arXiv 1905.10854); orders that have nothing in common correlate by `chance`.

    Args:
        histories: Of the same examples in the same order, by the runs' names.

    Raises:
        ValueError: if there are fewer than two, or they are of different examples.
    """
    if len(histories) < 2:
        raise ValueError(f"an order is shared by at least two runs, got {len(histories)}")
    first, *others = histories.values()
    if any(not np.array_equal(first.labels, other.labels) for other in others):
        raise ValueError("histories must be of the same examples in the same order, and their labels differ")
    steps = [np.where(one.learned >= 0, one.learned, np.inf) for one in histories.values()]
    return LearningOrder(
        provenance=first.provenance,
        runs=tuple(histories),
        learned=_rank_correlations(steps),
        aum=_rank_correlations([one.aum for one in histories.values()]),
        chance=float(1 / np.sqrt(max(len(first.labels) - 1, 1))),
    )


def _rank_correlations(values: list[np.ndarray]) -> np.ndarray:
    """(R, R) of ranks, equal values at their mean rank."""
    ranks = np.stack([_ranks(one) for one in values])
    ranks -= ranks.mean(1, keepdims=True)
    lengths = np.linalg.norm(ranks, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlations: np.ndarray = np.clip(ranks @ ranks.T / np.outer(lengths, lengths), -1, 1)
    return correlations


def _ranks(values: np.ndarray) -> np.ndarray:
    """(N,) from 1 on."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[which]
    return ranks
