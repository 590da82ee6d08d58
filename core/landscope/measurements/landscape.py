"""Slices of the loss landscape, and the weights they are taken around."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement, not_stored

__all__ = ["CurvatureMap", "Slice", "Slice1D", "Slice2D", "Slice3D", "Snapshot"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice(Measurement):
    """The loss on a flat piece of weight space: L(theta + sum_k c_k d_k) over a grid of coordinates c.

    "Grid" below is the shape of the grid, one dimension for each direction.

    Attributes:
        loss: (grid) mean loss; NaN and infinities are kept as they came.
        accuracy: (grid) share of examples whose largest output is their class; None without classes.
        metrics: (grid) further metrics by name: "test/loss" and the like of other data, "class/3" the loss of one
            class, and whatever the user asked for.
        error: (grid) standard error of the loss as an estimate of the loss on all data of which these are a sample.
        contrast_error: (grid) standard error of the loss less that of the centre. Both are means over the same
            examples, so differences are known better than values.
        gradient: (grid, directions) derivative of the loss along each direction; None where it was not asked for.
        centre_loss: The loss of the weights the slice was taken around, evaluated on its own.
        plane: How the directions were chosen: "random", "trajectory", "hessian", "gradient", "moments", "sam",
            "points", "curve" or "given".
        normalisation: How their lengths were chosen: "filter" (Li et al. 2018), "layer", "tensor", "model" or "none".
        axes: What one unit along each axis is, in words.
        scale: How coordinates are spaced: "linear" or "log" (signed logarithm).
        gram: (directions, directions) inner products of the directions, by which distances in weight space follow from
            coordinates.
        checks: What was verified of this slice, as (name, "pass", "fail" or "note", what was found).
        stage: Which of the nested grids this is, from 1.
        stages: How many there will be.
        directions: (directions, P) the directions themselves; not kept in a run's store.
        centre: (P,) the weights it was taken around; not kept in a run's store.
    """

    loss: np.ndarray
    accuracy: np.ndarray | None = None
    metrics: dict[str, np.ndarray] = field(default_factory=dict)
    error: np.ndarray | None = None
    contrast_error: np.ndarray | None = None
    gradient: np.ndarray | None = None
    centre_loss: float
    plane: str
    normalisation: str
    axes: tuple[str, ...]
    scale: str = "linear"
    gram: np.ndarray | None = None
    checks: tuple[tuple[str, ...], ...] = ()
    stage: int = 1
    stages: int = 1
    directions: np.ndarray | None = not_stored()
    centre: np.ndarray | None = not_stored()

    def span(self) -> tuple[float, float] | None:
        """Least and greatest finite loss."""
        finite = self.loss[np.isfinite(self.loss)]
        return (float(finite.min()), float(finite.max())) if finite.size else None

    def coordinates(self) -> tuple[np.ndarray, ...]:
        """The coordinates along each axis of the grid."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice1D(Slice):
    """The loss on a line through weight space: L(theta + alpha_i d).

    Attributes:
        alpha: (A,) coordinates along the direction, in multiples of it.
    """

    kind: ClassVar[str] = "slice1d"
    alpha: np.ndarray

    def coordinates(self) -> tuple[np.ndarray, ...]:
        """The coordinates along the line."""
        return (self.alpha,)


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice2D(Slice):
    """The loss on a plane through weight space: L(theta + alpha_i d_1 + beta_j d_2); rows run along alpha.

    Attributes:
        alpha: (A,) coordinates along the first direction, in multiples of that direction.
        beta: (B,) coordinates along the second direction.
        path: (T, 2) earlier weights, or a curve, projected orthogonally on the plane; None without one.
        path_steps: (T,) the optimiser step of each.
        path_distances: (T,) Euclidean distance of each from the plane.
        path_losses: (T,) the loss of those weights themselves, to be held against the surface's at their foot.
        explained: Share of the path's variance around the centre that lies in the plane.
    """

    kind: ClassVar[str] = "slice2d"
    alpha: np.ndarray
    beta: np.ndarray
    path: np.ndarray | None = None
    path_steps: np.ndarray | None = None
    path_distances: np.ndarray | None = None
    path_losses: np.ndarray | None = None
    explained: float | None = None

    @property
    def cosine(self) -> float:
        """Cosine of the angle between the two directions; NaN where their inner products are not known."""
        if self.gram is None:
            return float("nan")
        return float(self.gram[0, 1] / np.sqrt(self.gram[0, 0] * self.gram[1, 1]))

    def coordinates(self) -> tuple[np.ndarray, ...]:
        """The coordinates along both axes."""
        return (self.alpha, self.beta)


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice3D(Slice):
    """The loss in a box of weight space: L(theta + alpha_i d_1 + beta_j d_2 + gamma_k d_3).

    Attributes:
        alpha: (A,) coordinates along the first direction, in multiples of that direction.
        beta: (B,) coordinates along the second.
        gamma: (C,) coordinates along the third.
    """

    kind: ClassVar[str] = "slice3d"
    alpha: np.ndarray
    beta: np.ndarray
    gamma: np.ndarray

    def coordinates(self) -> tuple[np.ndarray, ...]:
        """The coordinates along the three axes."""
        return (self.alpha, self.beta, self.gamma)


@dataclass(frozen=True, kw_only=True, eq=False)
class CurvatureMap(Measurement):
    """The extreme eigenvalues of the Hessian over a plane through weight space (Li et al. 2018, section 6).

    Attributes:
        alpha: (A,) coordinates along the first direction.
        beta: (B,) coordinates along the second.
        largest: (A, B) algebraically largest eigenvalue of the Hessian at each point.
        smallest: (A, B) algebraically smallest one.
        residuals: (A, B) the larger of the two residual norms |H v - lambda v|: no eigenvalue is further away.
        axes: What one unit along each axis is, in words.
    """

    kind: ClassVar[str] = "curvature-map"
    alpha: np.ndarray
    beta: np.ndarray
    largest: np.ndarray
    smallest: np.ndarray
    residuals: np.ndarray
    axes: tuple[str, ...]

    @property
    def ratio(self) -> np.ndarray:
        """(A, B) |lambda_min / lambda_max|: 0 where the loss is convex, 1 where it is as concave as convex."""
        ratio: np.ndarray = np.abs(self.smallest / self.largest)
        return ratio

    def span(self) -> tuple[float, float] | None:
        """Least and greatest finite ratio."""
        finite = self.ratio[np.isfinite(self.ratio)]
        return (float(finite.min()), float(finite.max())) if finite.size else None


@dataclass(frozen=True, kw_only=True, eq=False)
class Snapshot(Measurement):
    """The weights of a model at one step.

    Attributes:
        theta: (P,) parameter vector, in the order of `Objective.layout`.
        names: Parameter names, in that order.
        sizes: Number of elements of each.
    """

    kind: ClassVar[str] = "snapshot"
    theta: np.ndarray
    names: tuple[str, ...]
    sizes: tuple[int, ...]
