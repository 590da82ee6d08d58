"""Measures of sharpness side by side, and how far the quadratic model of the loss holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement

__all__ = ["QuadraticModel", "SharpnessMeasures"]


@dataclass(frozen=True, kw_only=True, eq=False)
class QuadraticModel(Measurement):
    """The loss along unit directions u beside its second-order Taylor polynomial Q(s) = L + s g.u + s^2/2 u^T H u.

    The radius of a direction is the largest r at which the model is right to `tolerance` of how much the loss changes:
    max_{|s| <= r} |L(s) - Q(s)| <= tolerance max_{|s| <= r} |L(s) - L(0)|, both up to the rounding of the loss.

    Attributes:
        names: Each of D directions, e.g. "sharpest eigenvector", "gradient".
        distances: (D, M) signed distances s along each direction, ascending, with 0 among them; of the parameters.
        losses: (D, M) the loss there.
        predictions: (D, M) Q(s).
        slopes: (D,) g.u, loss per distance.
        curvatures: (D,) u^T H u, loss per distance squared.
        radii: (D,) distance within which the quadratic model holds; inf where it holds over all that was measured.
        tolerance: Accepted error of the model, as a share of the loss's change.
    """

    kind: ClassVar[str] = "quadratic"
    names: tuple[str, ...]
    distances: np.ndarray
    losses: np.ndarray
    predictions: np.ndarray
    slopes: np.ndarray
    curvatures: np.ndarray
    radii: np.ndarray
    tolerance: float

    def scalars(self) -> dict[str, float]:
        """The radius along each direction in which it is finite, e.g. "radius.gradient"."""
        return {f"radius.{name}": radius for name, radius in _finite(self.names, self.radii).items()}

    def span(self) -> tuple[float, float] | None:
        """Least and greatest finite loss drawn."""
        finite = self.losses[np.isfinite(self.losses)]
        return (float(finite.min()), float(finite.max())) if finite.size else None


@dataclass(frozen=True, kw_only=True, eq=False)
class SharpnessMeasures(Measurement):
    """Definitions of sharpness of M kinds at the same weights, and the loss's rise within balls of radius rho.

    Attributes:
        names: Each measure in plain words.
        symbols: Its formula, short.
        values: (M,) the measures; most in units of the loss, each as its formula says.
        errors: (M,) standard error where a measure is random, bound where it is iterated; NaN where there is none.
        settings: What it depends on, e.g. "rho = 0.05, one step"; empty where on nothing.
        rho: (R,) radii of balls around the weights, ascending.
        sam_one_step: (R,) L(theta + rho g/|g|) - L(theta): the rise after one step of ascent.
        sam_multi_step: (R,) the largest rise that projected ascent found within |e| <= rho.
    """

    kind: ClassVar[str] = "sharpness-measures"
    names: tuple[str, ...]
    symbols: tuple[str, ...]
    values: np.ndarray
    errors: np.ndarray
    settings: tuple[str, ...]
    rho: np.ndarray
    sam_one_step: np.ndarray
    sam_multi_step: np.ndarray

    def scalars(self) -> dict[str, float]:
        """Every measure that is finite by its name, e.g. "largest_eigenvalue"."""
        return _finite(self.names, self.values)


def _finite(names: tuple[str, ...], values: np.ndarray) -> dict[str, float]:
    """The finite values by their names in lower case, words joined by underscores."""
    joined = (re.sub(r"[^a-z0-9]+", "_", name.lower()) for name in names)
    return {name: float(value) for name, value in zip(joined, values, strict=True) if np.isfinite(value)}
