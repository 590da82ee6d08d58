"""Where in a plane of two hyperparameters training converges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement
from landscope.measurements.fractals import boundary_of

__all__ = ["TrainabilityMap"]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainabilityMap(Measurement):
    """Convergence of training over a plane of two hyperparameters (Sohl-Dickstein 2024); rows run along x.

    With r_t = L_t / L_0, no larger than 10^6 and that where it is not finite, a training has converged if the mean of
    its last 20 r_t is below 1.

    Attributes:
        x: (A,) coordinates along the first axis, logarithms to base 10 where its scale is "log".
        y: (B,) coordinates along the second axis.
        axes: What varies along each axis, in words.
        scales: "log" or "linear", of each axis.
        score: (A, B) -sum_t r_t where training converged, sum_t 1 / r_t where it did not: the smaller in size, the
            faster it did either.
        converged: (A, B) whether it did.
        loss_ratio: (A, B) mean of the last 20 r_t.
        box_sizes: (S,) sides of boxes, in steps of the grid.
        box_counts: (S,) boxes of that side that the boundary goes through.
        dimension: Box-counting dimension of the boundary: the slope of log(count) over -log(size); NaN without one.
        dimension_error: Standard error of that slope, from the scatter about the line.
        separation: Numbers of float64 from one coordinate, or value, to the next, where they are fewest.
        training: What was trained, in words.
        steps: Optimiser steps of each training.
        stage: Which of the nested grids this is, from 1.
        stages: How many there will be.
    """

    kind: ClassVar[str] = "trainability-map"
    x: np.ndarray
    y: np.ndarray
    axes: tuple[str, ...]
    scales: tuple[str, ...]
    score: np.ndarray
    converged: np.ndarray
    loss_ratio: np.ndarray
    box_sizes: np.ndarray
    box_counts: np.ndarray
    dimension: float
    dimension_error: float
    separation: float
    training: str
    steps: int
    stage: int = 1
    stages: int = 1

    FEWEST_BETWEEN: ClassVar[float] = 16.0
    """Float64 numbers between neighbours below which rounding moves a point by more than 3 % of the way to the next."""

    @property
    def boundary(self) -> np.ndarray:
        """(A - 1, B - 1) squares between four points of which some converged and some did not."""
        return boundary_of(self.converged)

    @property
    def exhausted(self) -> bool:
        """Whether the zoom is so deep that float64 no longer places the points evenly."""
        return self.separation < self.FEWEST_BETWEEN

    def span(self) -> tuple[float, float] | None:
        """Least and greatest finite score."""
        finite = self.score[np.isfinite(self.score)]
        return (float(finite.min()), float(finite.max())) if finite.size else None

    def scalars(self) -> dict[str, float]:
        """Share of the plane that converges, and the dimension of its boundary."""
        return {"converged": float(self.converged.mean()), "dimension": self.dimension}
