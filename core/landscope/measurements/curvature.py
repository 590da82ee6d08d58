"""Eigenvalues, densities and traces of the Hessian, and sharpness against an optimiser's limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement, not_stored
from landscope.measurements.estimates import SpectralCriteria

__all__ = ["Eigenvalues", "Sharpness", "SpectralDensity", "Trace"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Eigenvalues(Measurement):
    """The outermost eigenvalues of a symmetric operator, each with a bound on its error.

    Attributes:
        values: (k,) eigenvalues, descending (algebraic order).
        residuals: (k,) norms |H v - lambda v| for unit v; an eigenvalue of H lies within that distance of each value.
        converged: (k,) whether the residual met the tolerance asked for.
        operator: "hessian", "ggn" or another operator's name.
        hvps: Matrix-vector products used.
        which: "largest", "smallest" or "both": the ends of the spectrum that the values are from.
        vectors: (k, P) unit eigenvectors; not kept in a run's store.
    """

    kind: ClassVar[str] = "eigenvalues"
    values: np.ndarray
    residuals: np.ndarray
    converged: np.ndarray
    operator: str
    hvps: int
    which: str = "largest"
    vectors: np.ndarray | None = not_stored()

    @property
    def ranks(self) -> np.ndarray:
        """(k,) 1 for the largest eigenvalue, 2 for the next, and so on; -1 for the smallest, -2 for the one above."""
        count = len(self.values)
        largest = {"largest": count, "smallest": 0}.get(self.which, (count + 1) // 2)
        ranks: np.ndarray = np.r_[1 : largest + 1, largest - count : 0]
        return ranks

    def scalars(self) -> dict[str, float]:
        """Every eigenvalue by its rank, from 1; those of the lower end from -1."""
        return {f"eigenvalue.{rank}": float(value) for rank, value in zip(self.ranks, self.values, strict=True)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Sharpness(Measurement):
    """The largest curvature the optimiser sees, against the value above which its steps overshoot.

    Attributes:
        lambda_max: Largest eigenvalue of the Hessian, preconditioned by the optimiser where it has a preconditioner.
        residual: Bound on the error of `lambda_max`.
        threshold: Largest stable value on a quadratic, e.g. 2/lr for gradient descent; None where no rule is known.
        optimizer: The optimiser's class name; empty when none was given.
        rule: The threshold's formula, in words.
        preconditioned: Whether `lambda_max` belongs to the preconditioned Hessian.
        hvps: Hessian-vector products used.
        stderr: Standard error of `lambda_max` as an estimate for all data, of which the examples are a sample; None
            where it is not known, as of a single example.
        vector: (P,) the eigenvector; not kept in a run's store.
    """

    kind: ClassVar[str] = "sharpness"
    lambda_max: float
    residual: float
    threshold: float | None
    optimizer: str
    rule: str
    preconditioned: bool
    hvps: int
    stderr: float | None = None
    vector: np.ndarray | None = not_stored()

    def scalars(self) -> dict[str, float]:
        """Sharpness and, where known, its threshold and its standard error."""
        known = {"threshold": self.threshold, "stderr": self.stderr}
        return {"lambda_max": self.lambda_max} | {name: value for name, value in known.items() if value is not None}


@dataclass(frozen=True, kw_only=True, eq=False)
class SpectralDensity(Measurement):
    """The distribution of all eigenvalues, by stochastic Lanczos quadrature, on a signed-log axis.

    The density is per unit of u = asinh(lambda / scale), so that the bulk near zero and the outliers are both seen;
    it integrates to one over u.

    Attributes:
        nodes: (R, m + d) quadrature nodes (Ritz values) of each of R probes, and the values that were taken out.
        weights: (R, m + d) their weights, each row summing to one.
        spikes: (k,) leading eigenvalues, known exactly, descending.
        spike_residuals: (k,) error bounds of the spikes.
        grid: (G,) eigenvalues at which the density is given, ascending.
        density: (G,) density per unit of u, averaged over probes.
        low: (G,) lower end of the 90 % band over probes.
        high: (G,) upper end.
        scale: Eigenvalue below which the axis is linear.
        trace: Trace of the operator as the quadrature sees it, P * sum(weights * nodes).
        trace_stderr: Standard error of that trace over probes.
        operator: "hessian", "ggn" or another operator's name.
        hvps: Matrix-vector products used.
        threshold: Largest stable eigenvalue for the optimiser at that moment; None where unknown.
        negative_spikes: (j,) eigenvalues at the negative end, known exactly, descending; None where not looked for.
        negative_residuals: (j,) error bounds of those.
        deflated: Number d of vectors that were taken out, those of the spikes among them.
        checks: What was verified of it, as (name, "pass" or "fail", what was found).
    """

    kind: ClassVar[str] = "density"
    nodes: np.ndarray
    weights: np.ndarray
    spikes: np.ndarray
    spike_residuals: np.ndarray
    grid: np.ndarray
    density: np.ndarray
    low: np.ndarray
    high: np.ndarray
    scale: float
    trace: float
    trace_stderr: float
    operator: str
    hvps: int
    threshold: float | None = None
    negative_spikes: np.ndarray | None = None
    negative_residuals: np.ndarray | None = None
    deflated: int = 0
    checks: tuple[tuple[str, ...], ...] = ()

    def criteria(self) -> SpectralCriteria:
        """How negative the spectrum is, by the criteria r_e and K_H of Gabdullin 2024 (arXiv 2412.10146).

        K_H = sum over lambda < 0 of (|lambda| w)^n / sum over lambda > 0 of (lambda w)^n, for each probe alone. Only
        for n = 1 is that a property of the operator; for n = 1/2 it grows with the number of nodes.
        """
        flat = self.nodes.ravel()
        largest, smallest = float(flat.max()), float(flat.min())
        powers = {n: _negative_over_positive(self.nodes, self.weights, n) for n in (1.0, 0.5)}
        count = len(self.nodes)
        (whole, whole_error), (half, half_error) = (
            (float(each.mean()), float(each.std(ddof=1) / np.sqrt(count))) for each in powers.values()
        )
        return SpectralCriteria(
            provenance=self.provenance,
            extreme_ratio=abs(smallest / largest) if largest > 0 else float("nan"),
            negative_mass=float(self.weights[self.nodes < 0].sum() / count),
            k_h_1=whole,
            k_h_1_stderr=whole_error,
            k_h_half=half,
            k_h_half_stderr=half_error,
            probes=count,
            steps=self.nodes.shape[1] - self.deflated,
            deflated=self.deflated,
            operator=self.operator,
        )

    def span(self) -> tuple[float, float] | None:
        """Least and greatest eigenvalue drawn."""
        return float(self.grid[0]), float(self.grid[-1])

    def scalars(self) -> dict[str, float]:
        """Trace, and the leading eigenvalues by rank."""
        ranked = {f"eigenvalue.{rank}": float(value) for rank, value in enumerate(self.spikes, start=1)}
        return {"trace": self.trace, **ranked}


def _negative_over_positive(nodes: np.ndarray, weights: np.ndarray, power: float) -> np.ndarray:
    """Sums (R,) of (|node| weight)^power over negative nodes, over those over positive ones."""
    parts = (np.abs(nodes) * weights) ** power
    negative, positive = ((parts * side).sum(1) for side in (nodes < 0, nodes > 0))
    ratios: np.ndarray = np.divide(negative, positive, out=np.full(len(nodes), np.nan), where=positive > 0)
    return ratios


@dataclass(frozen=True, kw_only=True, eq=False)
class Trace(Measurement):
    """The trace of a symmetric operator A and its Frobenius norm, estimated with random probes or exact.

    Attributes:
        value: The estimate of tr A.
        stderr: Its standard error over the probes; 0 where it is exact.
        probes: Number of random vectors; 0 where it is exact.
        operator: "hessian", "ggn" or another operator's name.
        method: "hutchinson", "hutch++", "xtrace", "krylov" or "exact".
        frobenius: ||A||_F, the root of the sum of all squared eigenvalues; None where it was not taken.
        frobenius_stderr: Its standard error over the probes.
    """

    kind: ClassVar[str] = "trace"
    value: float
    stderr: float
    probes: int
    operator: str
    method: str = "hutchinson"
    frobenius: float | None = None
    frobenius_stderr: float | None = None

    def scalars(self) -> dict[str, float]:
        """The trace, and the Frobenius norm where it was taken."""
        return {"trace": self.value} | ({} if self.frobenius is None else {"frobenius": self.frobenius})
