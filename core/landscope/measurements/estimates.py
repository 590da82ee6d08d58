"""What estimates of curvature find beside eigenvalues, densities and traces: diagonals, classes, criteria."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement, not_stored

__all__ = ["Diagonal"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Diagonal(Measurement):
    """The diagonal of a symmetric operator: the curvature along each parameter alone.

    Attributes:
        names: Parameter names, in the order of `Objective.layout`.
        sizes: Number of elements of each.
        probes: Number of random vectors; 0 where it is exact.
        operator: "hessian", "ggn" or another operator's name.
        values: (P,) the diagonal; not kept in a run's store.
        stderr: (P,) its standard errors over the probes; 0 where it is exact; not kept in a run's store.
        means: (G,) mean of `values` over the elements of each parameter.
        mean_errors: (G,) standard errors of `means` over the probes.
    """

    kind: ClassVar[str] = "diagonal"
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    probes: int
    operator: str
    means: np.ndarray
    mean_errors: np.ndarray
    values: np.ndarray | None = not_stored()
    stderr: np.ndarray | None = not_stored()

    def scalars(self) -> dict[str, float]:
        """The mean curvature along the elements of each parameter."""
        return {f"curvature/{name}": float(mean) for name, mean in zip(self.names, self.means, strict=True)}
