"""Whether probabilities mean what they say, and how outputs change between moments and between runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from landscope.measurements.base import Measurement

__all__ = ["Calibration", "OutputChange", "PredictionFlips", "Reliability"]


class Reliability(NamedTuple):
    """Examples by the probability of the predicted class.

    Attributes:
        edges: (B + 1,) of the bins, ascending.
        counts: (B,) examples in each; the last bin holds its upper edge too.
        confidences: (B,) mean probability; NaN in an empty bin.
        accuracies: (B,) share that is right; NaN likewise.
    """

    edges: np.ndarray
    counts: np.ndarray
    confidences: np.ndarray
    accuracies: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """(B,) standard errors of the accuracies."""
        with np.errstate(divide="ignore", invalid="ignore"):
            errors: np.ndarray = np.sqrt(self.accuracies * (1 - self.accuracies) / self.counts)
        return errors

    @property
    def gaps(self) -> np.ndarray:
        """(B,) confidence less accuracy; 0 in an empty bin."""
        gaps: np.ndarray = np.nan_to_num(self.confidences - self.accuracies)
        return gaps


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration(Measurement):
    """The probability of each example's predicted class, and whether that class is right.

    Binned numbers are methods, so that the number of bins can be changed afterwards.

    Attributes:
        probabilities: (N,) largest probability of each example.
        right: (N,) whether its class is the label.
        nll: Mean of -log p of the label.
        nll_error: Its standard error over the examples.
        brier: Mean of |p - y|^2, y the one-hot label.
        brier_error: Its standard error.
        bins: Number of bins that `scalars` and the figure have.
        ece_error: Standard error of the expected calibration error with so many bins, by the jackknife over groups of
            examples; NaN where there are too few.
    """

    kind: ClassVar[str] = "calibration"
    probabilities: np.ndarray
    right: np.ndarray
    nll: float
    nll_error: float
    brier: float
    brier_error: float
    bins: int
    ece_error: float

    def reliability(self, bins: int | None = None, *, adaptive: bool = False) -> Reliability:
        """The reliability diagram: bins of equal width in [0, 1], or adaptive ones that hold equally many examples.

        Raises:
            ValueError: if the number of bins is not positive.
        """
        bins = self.bins if bins is None else bins
        if bins < 1:
            raise ValueError(f"bins must be positive, got {bins}")
        order = np.argsort(self.probabilities, kind="stable")
        ordered = self.probabilities[order].astype(np.float64)
        if adaptive:
            ends = np.linspace(0, len(ordered), bins + 1).round().astype(int)
            edges = np.r_[0.0, [ordered[min(end, len(ordered) - 1)] for end in ends[1:-1]], 1.0]
        else:
            edges = np.linspace(0, 1, bins + 1)
            ends = np.r_[0, np.searchsorted(ordered, edges[1:-1]), len(ordered)]
        sums = (np.diff(np.r_[0.0, np.cumsum(values)][ends]) for values in (ordered, self.right[order]))
        counts = np.diff(ends)
        with np.errstate(divide="ignore", invalid="ignore"):
            confidences, accuracies = (total / counts for total in sums)
        return Reliability(edges, counts, confidences, accuracies)

    def ece(self, bins: int | None = None, *, adaptive: bool = False) -> float:
        """Expected calibration error: mean |confidence - accuracy| of the bins, weighted by their examples."""
        found = self.reliability(bins, adaptive=adaptive)
        return float(found.counts @ np.abs(found.gaps) / found.counts.sum())

    def chance_ece(self, bins: int | None = None, *, adaptive: bool = False) -> float:
        """What `ece` would be on average if every probability were exactly right: it is above 0 by chance.

        By the normal approximation, E|gap| = (2 / pi)^1/2 (sum p (1 - p))^1/2 / n in a bin of n examples.
        """
        found = self.reliability(bins, adaptive=adaptive)
        ends = np.r_[0, np.cumsum(found.counts)]
        ordered = np.sort(self.probabilities).astype(np.float64)
        variances = np.diff(np.r_[0.0, np.cumsum(ordered * (1 - ordered))][ends])
        return float(np.sqrt(2 / np.pi) * np.sqrt(np.maximum(variances, 0)).sum() / len(ordered))

    def scalars(self) -> dict[str, float]:
        """Both calibration errors, what chance makes of the first, likelihood, Brier score, and overconfidence."""
        return {
            "ece": self.ece(),
            "chance_ece": self.chance_ece(),
            "adaptive_ece": self.ece(adaptive=True),
            "nll": self.nll,
            "brier": self.brier,
            "overconfidence": float(self.probabilities.mean() - self.right.mean()),
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class OutputChange(Measurement):
    """How a classifier's outputs on the same examples differ from those before.

    Attributes:
        labels: (N,) the classes.
        kl: (N,) KL divergence of the probabilities now from those before, sum of q log(q / p) with q before, in nats.
        temperature: What the outputs were divided by.
        before: (N,) predicted class before.
        now: (N,) now.
        norms_before: (N,) Euclidean norm of the outputs before, their mean taken off.
        norms_now: (N,) now.
    """

    kind: ClassVar[str] = "output-change"
    labels: np.ndarray
    kl: np.ndarray
    temperature: float
    before: np.ndarray
    now: np.ndarray
    norms_before: np.ndarray
    norms_now: np.ndarray

    @property
    def gained(self) -> np.ndarray:
        """(N,) wrong before and right now."""
        gained: np.ndarray = (self.before != self.labels) & (self.now == self.labels)
        return gained

    @property
    def lost(self) -> np.ndarray:
        """(N,) right before and wrong now."""
        lost: np.ndarray = (self.before == self.labels) & (self.now != self.labels)
        return lost

    @property
    def flipped(self) -> np.ndarray:
        """(N,) predicted as another class."""
        flipped: np.ndarray = self.before != self.now
        return flipped

    def scalars(self) -> dict[str, float]:
        """Mean divergence with its standard error, shares of flipped predictions, and mean norm of the outputs."""
        lines = {"kl": float(self.kl.mean())}
        if len(self.kl) > 1:
            lines["kl_error"] = float(self.kl.std(ddof=1) / len(self.kl) ** 0.5)
        shares = {"flipped": self.flipped, "gained": self.gained, "lost": self.lost}
        return (
            lines
            | {name: float(chosen.mean()) for name, chosen in shares.items()}
            | {"logit_norm": float(self.norms_now.mean())}
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictionFlips(Measurement):
    """On which share of the same examples one run is right and another wrong.

    Attributes:
        runs: (R,) their names.
        accuracies: (R,) share of examples each is right about.
        flips: (R, R) share of examples that the row's run is right about and the column's wrong.
        differences: (R, R) share of examples of which they predict different classes.
    """

    kind: ClassVar[str] = "prediction-flips"
    runs: tuple[str, ...]
    accuracies: np.ndarray
    flips: np.ndarray
    differences: np.ndarray

    @property
    def independent(self) -> np.ndarray:
        """(R, R) what the flips would be if the runs' errors had nothing to do with each other."""
        independent: np.ndarray = np.outer(self.accuracies, 1 - self.accuracies)
        return independent

    def span(self) -> tuple[float, float] | None:
        """From 0 to the greatest share."""
        return 0.0, float(self.flips.max())

    def scalars(self) -> dict[str, float]:
        """Mean share of flips, and of different predictions, over pairs of runs."""
        pairs = ~np.eye(len(self.runs), dtype=bool)
        return {"flips": float(self.flips[pairs].mean()), "differences": float(self.differences[pairs].mean())}
