"""How much of a landscape is chance: the choice of examples, and the choice of directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement

__all__ = ["Ensemble", "MeanCurvature", "SampleConvergence"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleConvergence(Measurement):
    """How a slice settles as examples are added to those it averages over.

    L_k is the mean loss of the first k examples in random order. For independent examples
    E |L_{k+1} - L_k| = c / sqrt(k (k + 1)), an exponent of -1; for normally distributed losses of standard deviation s,
    c = s sqrt(2 / pi).

    Heights are what a picture shows: log L where the losses of all points are positive, else L. The range is that of
    the heights over the slice.

    Attributes:
        sizes: (S,) numbers k of examples.
        changes: (S,) |L_{k+1} - L_k|, mean over the slice, over the orders, and over what example may come next.
        changes_scatter: (S,) standard deviation of that over the orders.
        slope: Exponent of the changes' decay with sqrt(k (k + 1)), by least squares on logarithmic axes.
        slope_error: Its standard error over the orders.
        distances: (S,) how far the heights are from those of all examples, as a share of the range: 95th percentile
            over the slice, mean over the orders.
        contrast_distances: (S,) the same of heights above the centre, in which what all points share cancels.
        tolerance: The share of the range at which a picture is said to have settled.
        needed: Examples of which the heights' standard error is within the tolerance at 95 of 100 points, for samples
            from a source without end; more than there are examples where these do not suffice.
        contrasts_needed: The same for heights above the centre.
        points: Number of finite points of the slice, over which all of this is.
        orders: Number of random orders.
        logarithmic: Whether heights are logarithms.
    """

    kind: ClassVar[str] = "sample-convergence"
    sizes: np.ndarray
    changes: np.ndarray
    changes_scatter: np.ndarray
    slope: float
    slope_error: float
    distances: np.ndarray
    contrast_distances: np.ndarray
    tolerance: float
    needed: float
    contrasts_needed: float
    points: int
    orders: int
    logarithmic: bool

    def scalars(self) -> dict[str, float]:
        """The slope and the examples needed."""
        return {"slope": self.slope, "needed": self.needed, "contrasts_needed": self.contrasts_needed}


@dataclass(frozen=True, kw_only=True, eq=False)
class Ensemble(Measurement):
    """The loss along many random lines through the same weights: what a single random slice could have shown.

    Attributes:
        radius: (R,) coordinates along every line, in multiples of its direction.
        loss: (D, R) loss along each; NaN and infinities are kept as they came.
        centre_loss: The loss of the weights themselves.
        normalisation: How the directions were scaled.
        axis: What one unit along a line is, in words.
    """

    kind: ClassVar[str] = "ensemble"
    radius: np.ndarray
    loss: np.ndarray
    centre_loss: float
    normalisation: str
    axis: str

    @property
    def mean(self) -> np.ndarray:
        """(R,) mean over the lines of what is drawn: geometric where losses are positive, arithmetic elsewhere."""
        if not (self.loss[np.isfinite(self.loss)] > 0).all():
            return np.asarray(self.loss.mean(axis=0))
        return np.asarray(np.exp(np.log(np.where(self.loss > 0, self.loss, np.nan)).mean(axis=0)))

    def quantile(self, share: float) -> np.ndarray:
        """(R,) quantile over the lines, of those losses that there are: infinite ones are above all, NaN are left out.

        Args:
            share: Between 0 and 1.
        """
        found = np.full(self.loss.shape[1], np.nan)
        for column, losses in enumerate(self.loss.T):
            known = np.sort(losses[~np.isnan(losses)])
            if len(known):
                at = share * (len(known) - 1)
                low, high = known[int(np.floor(at))], known[int(np.ceil(at))]
                found[column] = low if low == high else low + (at - np.floor(at)) * (high - low)
        return found

    def span(self) -> tuple[float, float] | None:
        """Least and greatest finite loss."""
        finite = self.loss[np.isfinite(self.loss)]
        return (float(finite.min()), float(finite.max())) if finite.size else None


@dataclass(frozen=True, kw_only=True, eq=False)
class MeanCurvature(Measurement):
    """The mean of d^T H d over random unit directions d, from losses alone; its expectation is tr H / P.

    Attributes:
        curvatures: (D,) second derivative along each direction, from losses at five points of it.
        value: Their mean.
        stderr: Its standard error over the directions, which rounding adds to.
        truncation: How far the mean is off because the step is not infinitely small, estimated from two steps.
        step: The step, in Euclidean distance.
        size: Number P of parameters.
    """

    kind: ClassVar[str] = "mean-curvature"
    curvatures: np.ndarray
    value: float
    stderr: float
    truncation: float
    step: float
    size: int

    def scalars(self) -> dict[str, float]:
        """The mean curvature, and the trace that it amounts to."""
        return {"curvature": self.value, "trace": self.value * self.size}
