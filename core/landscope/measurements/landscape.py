"""Slices of the loss landscape, and the weights they are taken around."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement, not_stored

__all__ = ["Slice2D", "Snapshot"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice2D(Measurement):
    """The loss on a plane through weight space: L(theta + alpha_i d_1 + beta_j d_2).

    Attributes:
        alpha: (A,) coordinates along the first direction, in multiples of that direction.
        beta: (B,) coordinates along the second direction.
        loss: (A, B) mean loss, rows along alpha; NaN and infinities are kept as they came.
        accuracy: (A, B) share of examples whose largest output is their class; None without classes.
        centre_loss: The loss of the weights the plane was taken around, evaluated on its own (self-check).
        plane: "random", "trajectory" or "given": how the directions were chosen.
        normalisation: How their lengths were chosen: "filter" (Li et al. 2018), "model" or "none".
        axes: What one unit along each axis is, in words.
        cosine: Cosine between the two directions.
        path: (T, 2) earlier weights projected orthogonally on the plane; None without a trajectory.
        path_steps: (T,) the optimiser step of each.
        path_distances: (T,) Euclidean distance of each from the plane.
        explained: Share of the path's variance around the centre that lies in the plane.
        directions: (2, P) the directions themselves; not kept in a run's store.
    """

    kind: ClassVar[str] = "slice2d"
    alpha: np.ndarray
    beta: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray | None = None
    centre_loss: float
    plane: str
    normalisation: str
    axes: tuple[str, str]
    cosine: float
    path: np.ndarray | None = None
    path_steps: np.ndarray | None = None
    path_distances: np.ndarray | None = None
    explained: float | None = None
    directions: np.ndarray | None = not_stored()

    def span(self) -> tuple[float, float] | None:
        """Least and greatest finite loss on the plane."""
        finite = self.loss[np.isfinite(self.loss)]
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
