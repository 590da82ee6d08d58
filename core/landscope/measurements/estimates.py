"""What estimates of curvature find beside eigenvalues, densities and traces: diagonals, classes, criteria."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement, not_stored

__all__ = ["ClassSpectra", "Diagonal", "SpectralCriteria"]


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


@dataclass(frozen=True, kw_only=True, eq=False)
class SpectralCriteria(Measurement):
    """How negative a spectrum is: the criteria of Gabdullin 2024 (arXiv 2412.10146), from a spectral density.

    Attributes:
        extreme_ratio: r_e = |lambda_min / lambda_max| of the outermost nodes; NaN without a positive one.
        negative_mass: Share of the eigenvalues that are negative.
        k_h_1: K_H for n = 1, negative curvature over positive, a property of the operator.
        k_h_1_stderr: Its standard error over the probes.
        k_h_half: K_H for n = 1/2, which depends on `steps` and `deflated`: comparable among equal ones alone.
        k_h_half_stderr: Its standard error over the probes.
        probes: Random directions of the density.
        steps: Lanczos steps of each, all fully reorthogonalised.
        deflated: Vectors taken out before.
        operator: "hessian", "ggn" or another operator's name.
    """

    kind: ClassVar[str] = "spectral-criteria"
    extreme_ratio: float
    negative_mass: float
    k_h_1: float
    k_h_1_stderr: float
    k_h_half: float
    k_h_half_stderr: float
    probes: int
    steps: int
    deflated: int
    operator: str

    def scalars(self) -> dict[str, float]:
        """r_e, and K_H for n = 1 and n = 1/2."""
        return {"r_e": self.extreme_ratio, "K_H.1": self.k_h_1, "K_H.0.5": self.k_h_half}


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassSpectra(Measurement):
    """Both ends of the spectrum of each class's own loss: whether the weights are a minimum for every class.

    Classes with few examples are left at saddles, with a large -lambda_min / lambda_max (Rangwani et al. 2022).

    Attributes:
        classes: (C,) the labels, ascending.
        counts: (C,) examples of each.
        losses: (C,) mean loss of each, at these weights.
        largest: (C, k) algebraically largest eigenvalues, descending.
        smallest: (C, k) algebraically smallest ones, ascending.
        largest_residuals: (C, k) bounds on the errors of the largest ones.
        smallest_residuals: (C, k) of the smallest ones.
        traces: (C,) traces.
        trace_errors: (C,) their standard errors.
        operator: "hessian", "ggn" or another operator's name.
    """

    kind: ClassVar[str] = "class-spectra"
    classes: np.ndarray
    counts: np.ndarray
    losses: np.ndarray
    largest: np.ndarray
    smallest: np.ndarray
    largest_residuals: np.ndarray
    smallest_residuals: np.ndarray
    traces: np.ndarray
    trace_errors: np.ndarray
    operator: str

    @property
    def ratio(self) -> np.ndarray:
        """(C,) -lambda_min / lambda_max: 0 and less where the loss is convex, 1 where it is as concave as convex."""
        ratio: np.ndarray = -self.smallest[:, 0] / self.largest[:, 0]
        return ratio

    def scalars(self) -> dict[str, float]:
        """The ratio of each class."""
        return {f"negative ratio/{label}": float(r) for label, r in zip(self.classes, self.ratio, strict=True)}
