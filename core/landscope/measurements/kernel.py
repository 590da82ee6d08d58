"""What the tangent kernel says of a training: power laws, lazy or rich, residuals by mode, the linearised network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement

__all__ = ["Eigenmodes", "KernelRegression", "Laziness", "Linearisation", "PowerLaws", "WidthScaling"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PowerLaws(Measurement):
    """Power laws of a kernel's spectrum: lambda_k ~ k^-alpha, and v_k^2 ~ k^-beta of the targets' coefficients.

    What follows from the exponents is for kernel ridge regression with that kernel on such targets, for
    alpha > 1 and 1 < beta < 2 alpha + 1 (Simon, Karkada, Ghosh and Belkin 2024, "More is better in modern machine
    learning").

    Attributes:
        eigenvalues: (m,) of the Gram matrix, descending.
        coefficients: (m,) v_k^2 = (u_k . y)^2 / n, the targets' mean square along each eigenvector.
        capacity: The exponent alpha.
        capacity_error: The larger of its standard error and half of the difference between the fits to the lower and
            the upper half of the range.
        source: The exponent beta.
        source_error: Likewise.
        first: First rank of the range fitted, from 1.
        last: Last rank of it.
        gram_kind: Which kernel's.
    """

    kind: ClassVar[str] = "power-laws"
    eigenvalues: np.ndarray
    coefficients: np.ndarray
    capacity: float
    capacity_error: float
    source: float
    source_error: float
    first: int
    last: int
    gram_kind: str

    @property
    def applies(self) -> bool:
        """Whether the exponents are ones for which the conclusions hold."""
        return self.capacity > 1 and 1 < self.source < 2 * self.capacity + 1

    @property
    def decay(self) -> float | None:
        """The test error goes by n^-(beta - 1) without noise: that exponent; None where the theory does not apply."""
        return self.source - 1 if self.applies else None

    @property
    def optimal_ratio(self) -> float | None:
        """Training error over test error at the best ridge without noise; 0 means that interpolating is best.

        With L = sum over modes of (lambda / (lambda + kappa))^p replaced by integrals, the test error as a function of
        x = 1 - sqrt(ratio) is x^-(beta - 1) / (1 - x (alpha - 1) / alpha), least at
        sqrt(ratio) = (alpha - beta) / ((alpha - 1) beta) if that is positive, else at 0.
        """
        if not self.applies:
            return None
        alpha, beta = self.capacity, self.source
        return max(0.0, (alpha - beta) / ((alpha - 1) * beta)) ** 2

    @property
    def tolerated_noise(self) -> float | None:
        """Noise, relative to the error of interpolating without noise, up to which interpolating is still best."""
        return max(0.0, (self.source - self.capacity) / (self.capacity - 1)) if self.applies else None

    def scalars(self) -> dict[str, float]:
        """Both exponents and, where the theory applies, the best ratio of training to test error."""
        lines = {"capacity": self.capacity, "source": self.source}
        return lines if self.optimal_ratio is None else {**lines, "optimal_ratio": self.optimal_ratio}


@dataclass(frozen=True, kw_only=True, eq=False)
class Laziness(Measurement):
    """How far a training has left its beginning: little in lazy training, much where features are learnt.

    Attributes:
        gram_kind: Which kernel's, as for `NTK`.
        drift: 1 - <K, K_0> / (|K| |K_0|), between 0 and 1; blind to the kernel's scale (Fort et al. 2020).
        relative_drift: |K - K_0| / |K_0| in the Frobenius norm.
        velocity: 1 - <K, K_l> / (|K| |K_l|) to the kernel before, per step between; None for the first.
        alignment: Centred alignment with the labels' Gram matrix; None without class labels.
        test_alignment: The same on held-out examples; None without them.
        label_energy: (n,) share of the centred labels' energy within the first k eigenvectors of the centred kernel,
            k = 1 ... n; None without class labels.
        classes: Number of classes C; 0 without class labels.
        weights: |theta - theta_0| / |theta_0|.
        features: |H - H_0| / |H_0| of the features before the last linear layer; None where there is none.
    """

    kind: ClassVar[str] = "laziness"
    gram_kind: str
    drift: float
    relative_drift: float
    velocity: float | None = None
    alignment: float | None = None
    test_alignment: float | None = None
    label_energy: np.ndarray | None = None
    classes: int = 0
    weights: float
    features: float | None = None

    def scalars(self) -> dict[str, float]:
        """All of them that are known; of the labels' energy, that within the first C - 1 eigenvectors."""
        known = {
            "drift": self.drift,
            "relative_drift": self.relative_drift,
            "velocity": self.velocity,
            "alignment": self.alignment,
            "test_alignment": self.test_alignment,
            "label_energy": None if self.label_energy is None else self.label_energy[max(self.classes - 2, 0)],
            "weights": self.weights,
            "features": self.features,
        }
        return {name: float(value) for name, value in known.items() if value is not None}


@dataclass(frozen=True, kw_only=True, eq=False)
class Eigenmodes(Measurement):
    """The residual of a squared loss along the eigenvectors of the initial kernel, beside what a fixed kernel predicts.

    With L = (c/2) |f - y|^2 and gradient flow the residual along eigenvector k is r_k(0) exp(-c lambda_k t); t is the
    learning rate times the number of steps.

    Attributes:
        eigenvalues: (m,) of the full kernel at the beginning, descending; all, or the leading ones.
        rate: The constant c: 2 / (n C) for the mean over n examples and C outputs, 1 / n for the mean of halved sums.
        times: (S,) t.
        residuals: (S, m) u_k . (f - y).
        predicted: (S, m) r_k(0) exp(-c lambda_k t).
    """

    kind: ClassVar[str] = "eigenmodes"
    eigenvalues: np.ndarray
    rate: float
    times: np.ndarray
    residuals: np.ndarray
    predicted: np.ndarray

    @property
    def error(self) -> float:
        """|r - predicted| / |r(0)| at the last time: 0 in lazy training."""
        return float(np.linalg.norm(self.residuals[-1] - self.predicted[-1]) / np.linalg.norm(self.residuals[0]))

    def scalars(self) -> dict[str, float]:
        """The prediction's error at the last time."""
        return {"error": self.error}


@dataclass(frozen=True, kw_only=True, eq=False)
class Linearisation(Measurement):
    """The network beside its linearisation in the weights, f_0 + J_0 (theta - theta_0), at the same weights.

    Attributes:
        initial: (n, C) outputs at theta_0.
        actual: (n, C) outputs at theta.
        linearised: (n, C) outputs of the linearisation at theta.
        loss: The network's loss at theta.
        linearised_loss: The linearisation's loss there.
        distance: |theta - theta_0|.
        labels: (n,) classes; None where there are none.
    """

    kind: ClassVar[str] = "linearisation"
    initial: np.ndarray
    actual: np.ndarray
    linearised: np.ndarray
    loss: float
    linearised_loss: float
    distance: float
    labels: np.ndarray | None = None

    @property
    def error(self) -> float:
        """|f - linearised| / |f - f_0|; 0 where the network has not moved."""
        moved = float(np.linalg.norm(self.actual - self.initial))
        return float(np.linalg.norm(self.actual - self.linearised)) / moved if moved > 0 else 0.0

    def scalars(self) -> dict[str, float]:
        """Error and both losses."""
        return {"error": self.error, "loss": self.loss, "linearised_loss": self.linearised_loss}


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelRegression(Measurement):
    """Kernel ridge regression on the training examples with a network's kernel, scored on held-out examples.

    With the kernel at the beginning of a training it is the floor of lazy training: a network that ends below it has
    learnt features (Kumar et al. 2024).

    Attributes:
        predictions: (m, C) on the held-out examples.
        targets: (m, C) what they should be: the values, or one-hot classes less 1/C.
        train_error: Mean square error on the training examples.
        test_error: Mean square error on the held-out examples, averaged over examples and outputs.
        accuracy: Share of held-out examples whose class has the largest prediction; None for values.
        ridge: Added to the kernel's diagonal, as a share of its mean.
        gram_kind: Which kernel's.
    """

    kind: ClassVar[str] = "kernel-regression"
    predictions: np.ndarray
    targets: np.ndarray
    train_error: float
    test_error: float
    accuracy: float | None
    ridge: float
    gram_kind: str

    def scalars(self) -> dict[str, float]:
        """The errors and, for classes, the accuracy."""
        lines = {"train_error": self.train_error, "test_error": self.test_error}
        return lines if self.accuracy is None else {**lines, "accuracy": self.accuracy}


@dataclass(frozen=True, kw_only=True, eq=False)
class WidthScaling(Measurement):
    """A quantity of networks of several widths, and the power of the width that it goes by.

    Attributes:
        widths: (W,) ascending.
        values: (W, R) positive, of R random networks each.
        quantity: Its name, with its unit.
        label: Whose, e.g. the parametrisation.
        slope: Exponent of the width: slope of the least-squares line through the logarithms.
        slope_error: Its standard error.
        expected: The exponent in theory; None where there is none.
    """

    kind: ClassVar[str] = "width-scaling"
    widths: np.ndarray
    values: np.ndarray
    quantity: str
    label: str
    slope: float
    slope_error: float
    expected: float | None = None

    def scalars(self) -> dict[str, float]:
        """The slope."""
        return {"slope": self.slope}
