"""Single examples: how hard they are, when they are learned and forgotten, and which labels look wrong."""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma, log, pi
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement

__all__ = ["ExampleHistory", "ExampleScores", "LearningOrder", "LossMixture", "log_density"]


def log_density(family: str, parameters: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The logarithm of a component's density, (n,), at scaled losses in (0, 1).

    Args:
        family: "beta" or "gaussian".
        parameters: alpha and beta, or mean and standard deviation.
        values: (n,).
    """
    first, second = (float(parameter) for parameter in parameters)
    if family == "gaussian":
        logs: np.ndarray = -(((values - first) / second) ** 2) / 2 - log(second) - log(2 * pi) / 2
    else:
        constant = lgamma(first + second) - lgamma(first) - lgamma(second)
        logs = constant + (first - 1) * np.log(values) + (second - 1) * np.log1p(-values)
    return logs


@dataclass(frozen=True, kw_only=True, eq=False)
class ExampleScores(Measurement):
    """What a classifier makes of each example, in the order of the objective's data.

    Attributes:
        labels: (N,) the classes.
        predictions: (N,) the class with the largest output.
        losses: (N,) of each example alone.
        margins: (N,) output of the label less the largest of the others, in outputs.
        confidences: (N,) probability of the label.
        el2n: (N,) |p - y|, the probabilities' distance from the one-hot label, up to 2^1/2.
        logit_norms: (N,) Euclidean norm of the outputs, their mean taken off.
        grand: (N,) norm of the gradient of the example's loss; None where it was not asked for.
    """

    kind: ClassVar[str] = "example-scores"
    labels: np.ndarray
    predictions: np.ndarray
    losses: np.ndarray
    margins: np.ndarray
    confidences: np.ndarray
    el2n: np.ndarray
    logit_norms: np.ndarray
    grand: np.ndarray | None = None

    @property
    def correct(self) -> np.ndarray:
        """(N,) whether the label has the largest output."""
        correct: np.ndarray = self.predictions == self.labels
        return correct

    def columns(self) -> dict[str, np.ndarray]:
        """Every score by its name, each (N,)."""
        names = ("losses", "margins", "confidences", "el2n", "logit_norms")
        scores = {name: getattr(self, name) for name in names} | {"correct": self.correct.astype(float)}
        return scores if self.grand is None else scores | {"grand": self.grand}

    def kept(self, share: float, by: str = "el2n", *, smallest: bool = False) -> np.ndarray:
        """Positions, ascending, of the examples to train on when only a share of them is kept.

        Those with the largest scores are kept: by EL2N or GraNd the hardest, without which accuracy suffers most (Paul
        et al. 2021, section 3). With labels that may be wrong the hardest are often those: keep the smallest then.

        Args:
            share: Of the examples, above 0 and up to 1; at least one is kept.
            by: Name of the score, among `columns()`.
            smallest: Whether to keep those with the smallest scores instead.

        Raises:
            ValueError: if there is no such score, or the share is out of range.
        """
        columns = self.columns()
        if by not in columns:
            raise ValueError(f"by must be one of {', '.join(columns)}, got {by!r}")
        if not 0 < share <= 1:
            raise ValueError(f"share must be above 0 and up to 1, got {share}")
        count = max(1, round(share * len(self.labels)))
        order = np.argsort(columns[by] if smallest else -columns[by], kind="stable")
        kept: np.ndarray = np.sort(order[:count])
        return kept

    def by_class(self) -> dict[str, np.ndarray]:
        """The mean of every score over each class, (C,) for the classes in `np.unique(labels)`."""
        classes = np.unique(self.labels)
        return {
            name: np.array([values[self.labels == label].mean() for label in classes])
            for name, values in self.columns().items()
        }

    def scalars(self) -> dict[str, float]:
        """The mean of every score, and the largest class's less the smallest class's mean loss."""
        lines = {name: float(values.mean()) for name, values in self.columns().items()}
        lines["loss_between_classes"] = float(np.ptp(self.by_class()["losses"]))
        return {name: value for name, value in lines.items() if np.isfinite(value)}


@dataclass(frozen=True, kw_only=True, eq=False)
class ExampleHistory(Measurement):
    """The example x step matrix of a training, and what is known of each example from all frames.

    The matrix has some of the frames, evenly among those that were seen, so that it stays bounded; everything else is
    of all of them.

    Attributes:
        labels: (N,) the classes.
        steps: (S,) steps of the frames in the matrix, ascending.
        losses: (N, S) loss of each example.
        margins: (N, S) its margin.
        frames: Number of frames that were seen.
        aum: (N,) area under the margin: its mean over the frames, in outputs.
        forgotten: (N,) forgetting events: how often an example was right in one frame and wrong in the next.
        first: (N,) step of the first frame in which it was right; -1 where there is none.
        learned: (N,) step of the frame since which it has been right in every one; -1 while it is wrong.
        confidences: (N,) mean probability of the label over the frames.
        variability: (N,) its standard deviation.
        el2n: (N,) |p - y| in the newest frame; None where an earlier version recorded it.
        positions: (N,) of the examples among `available` ones, where they are a sample of these; None of all in order.
        available: How many there were to choose from; 0 where nobody said.
    """

    kind: ClassVar[str] = "example-history"
    labels: np.ndarray
    steps: np.ndarray
    losses: np.ndarray
    margins: np.ndarray
    frames: int
    aum: np.ndarray
    forgotten: np.ndarray
    first: np.ndarray
    learned: np.ndarray
    confidences: np.ndarray
    variability: np.ndarray
    el2n: np.ndarray | None = None
    positions: np.ndarray | None = None
    available: int = 0

    def hardest(self, count: int) -> np.ndarray:
        """(count,) positions of the examples with the least area under the margin, least first."""
        return np.argsort(self.aum, kind="stable")[:count]

    def most_forgotten(self, count: int) -> np.ndarray:
        """(count,) positions of the examples forgotten most often, those never right last among the rest."""
        return np.lexsort((self.aum, -self.forgotten))[:count]

    def order(self) -> np.ndarray:
        """(N,) positions in the order in which examples were learned, those that are wrong last, by their margin."""
        when = np.where(self.learned >= 0, self.learned, np.inf)
        return np.lexsort((-self.aum, when))

    def span(self) -> tuple[float, float] | None:
        """Least and greatest finite loss."""
        finite = self.losses[np.isfinite(self.losses)]
        return (float(finite.min()), float(finite.max())) if finite.size else None

    def scalars(self) -> dict[str, float]:
        """Shares of examples that are learned, that were forgotten, and that were never right; mean area."""
        return {
            "learned": float((self.learned >= 0).mean()),
            "forgotten": float((self.forgotten > 0).mean()),
            "never": float((self.first < 0).mean()),
            "aum": float(self.aum.mean()),
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class LossMixture(Measurement):
    """Two components in the losses of single examples: those that fit, and those whose labels may be wrong.

    Attributes:
        values: (N,) the losses, scaled to lie in [0, 1].
        scale: What the losses were divided by, after `shift` was taken off.
        shift: Taken off the losses first.
        family: "beta" or "gaussian".
        shares: (2,) share of each component, that with the smaller mean first.
        parameters: (2, 2) of each: alpha and beta, or mean and standard deviation, of the scaled losses.
        means: (2,) of each, in the loss's unit.
        share_error: Standard error of the second share, the components held fixed.
        noisy: (N,) probability that an example belongs to the second component.
        gain: Mean log-likelihood of an example less that of a single component.
        iterations: Steps of expectation maximisation.
    """

    kind: ClassVar[str] = "loss-mixture"
    values: np.ndarray
    scale: float
    shift: float
    family: str
    shares: np.ndarray
    parameters: np.ndarray
    means: np.ndarray
    share_error: float
    noisy: np.ndarray
    gain: float
    iterations: int

    @property
    def separation(self) -> float:
        """How sure the assignment is: the mean of |2 p - 1|, 1 where no example is in doubt."""
        return float(np.abs(2 * self.noisy - 1).mean())

    def scalars(self) -> dict[str, float]:
        """Share of the second component with its error, both means, separation, and the gain over one component."""
        return {
            "share": float(self.shares[1]),
            "share_error": self.share_error,
            "clean": float(self.means[0]),
            "noisy": float(self.means[1]),
            "separation": self.separation,
            "gain": self.gain,
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class LearningOrder(Measurement):
    """Whether several runs learn the same examples in the same order.

    Attributes:
        runs: (R,) their names.
        learned: (R, R) Spearman's rank correlation of the steps at which examples were learned, those that never were
            last; NaN where a run learned all at once.
        aum: (R, R) of the areas under the margin.
        chance: Standard deviation of a correlation between orders that have nothing in common, (N - 1)^-1/2.
    """

    kind: ClassVar[str] = "learning-order"
    runs: tuple[str, ...]
    learned: np.ndarray
    aum: np.ndarray
    chance: float

    def scalars(self) -> dict[str, float]:
        """The mean correlation over pairs of runs."""
        pairs = np.triu_indices(len(self.runs), 1)
        lines = {"learned": float(self.learned[pairs].mean()), "aum": float(self.aum[pairs].mean())}
        return {name: value for name, value in lines.items() if np.isfinite(value)}
