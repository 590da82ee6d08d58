"""How gradients of single examples, of batches, of classes and of successive steps agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement

__all__ = ["GapChange", "GradientConflict", "GradientStatistics", "UpdatePath"]


@dataclass(frozen=True, kw_only=True, eq=False)
class GradientStatistics(Measurement):
    """Mean and covariance of the gradients g_i of single examples, of all of them and by group, whole and by layer.

    The first group and the first layer are "all". Sigma is the covariance of g_i and G their mean over the data that
    the n examples measured are a sample of; estimates of |G|^2 and tr Sigma are unbiased, and that of |G|^2 may be
    negative where noise hides it. Errors are the jackknife's over examples; NaN where there are too few.

    Attributes:
        groups: (K,) names of the groups.
        counts: (K,) examples of each that were measured.
        layers: (L,) names of the layers.
        norms: (K, L) norm of the mean gradient of the examples measured, in loss per parameter.
        squared_norms: (K, L) estimate of |G|^2.
        squared_norm_errors: (K, L) its standard errors.
        traces: (K, L) estimate of tr Sigma, in the unit of |G|^2.
        trace_errors: (K, L) its standard errors.
        noise_scales: (K, L) tr Sigma / |G|^2, in examples; inf where the estimate of |G|^2 is not positive.
        noise_scale_errors: (K, L) its standard errors; NaN where leaving out one example can make it infinite.
        batch_sizes: (m,) sizes B of the random batches that were compared, for all examples and all layers.
        batch_cosines: (m,) mean cosine of a batch's gradient with that of all n examples.
        batch_cosine_deviations: (m,) its standard deviation over batches.
        direction_variances: (m,) mean of (1 - cos) / 2 over pairs of disjoint batches: 0 where all agree, 1/2 where
            they have nothing in common.
    """

    kind: ClassVar[str] = "gradient-statistics"
    groups: tuple[str, ...]
    counts: np.ndarray
    layers: tuple[str, ...]
    norms: np.ndarray
    squared_norms: np.ndarray
    squared_norm_errors: np.ndarray
    traces: np.ndarray
    trace_errors: np.ndarray
    noise_scales: np.ndarray
    noise_scale_errors: np.ndarray
    batch_sizes: np.ndarray
    batch_cosines: np.ndarray
    batch_cosine_deviations: np.ndarray
    direction_variances: np.ndarray

    @property
    def signal_to_noise(self) -> np.ndarray:
        """(K, L) |G| / (tr Sigma)^1/2 of a single example; a batch of B has B^1/2 times as much."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio: np.ndarray = np.sqrt(np.maximum(self.squared_norms, 0) / self.traces)
        return ratio

    @property
    def critical_batch_size(self) -> float:
        """The noise scale of all examples and layers: larger batches hardly make steps better (McCandlish et al.)."""
        return float(self.noise_scales[0, 0])

    def progress(self, batch_size: float) -> float:
        """1 / (1 + B_noise / B): what a step with batches of B achieves, as a share of one without noise."""
        return 1 / (1 + self.critical_batch_size / batch_size)

    def scalars(self) -> dict[str, float]:
        """Norm, covariance trace, signal-to-noise, noise scale (inf where hidden) and its error, direction variance."""
        lines = {
            "norm": float(self.norms[0, 0]),
            "trace": float(self.traces[0, 0]),
            "signal_to_noise": float(self.signal_to_noise[0, 0]),
            "noise_scale": self.critical_batch_size,
            "noise_scale_error": float(self.noise_scale_errors[0, 0]),
        }
        if len(self.direction_variances):
            lines["direction_variance"] = float(self.direction_variances[0])
        known = {name: value for name, value in lines.items() if np.isfinite(value)}
        return known | {"noise_scale": self.critical_batch_size}  # infinite: what was seen before holds no longer


@dataclass(frozen=True, kw_only=True, eq=False)
class GradientConflict(Measurement):
    """The cosines of the gradients of several losses at the same weights: of classes, of groups, of a loss's terms.

    Attributes:
        parts: (K,) names of the losses.
        counts: (K,) examples that each averages over.
        layers: (L,) names of the layers, "all" first.
        cosines: (L, K, K) cosine of every two gradients; negative where a step along one raises the other loss, NaN
            where a gradient is zero.
        norms: (L, K) their norms, in loss per parameter.
    """

    kind: ClassVar[str] = "gradient-conflict"
    parts: tuple[str, ...]
    counts: np.ndarray
    layers: tuple[str, ...]
    cosines: np.ndarray
    norms: np.ndarray

    @property
    def pairs(self) -> np.ndarray:
        """(L, K (K - 1) / 2) the cosines of different parts."""
        first, second = np.triu_indices(len(self.parts), 1)
        pairs: np.ndarray = self.cosines[:, first, second]
        return pairs

    def scalars(self) -> dict[str, float]:
        """Mean and least cosine of two parts, and the share of pairs that are in conflict, over all layers."""
        whole = self.pairs[0][np.isfinite(self.pairs[0])]
        if not whole.size:
            return {}
        return {"mean": float(whole.mean()), "least": float(whole.min()), "conflicts": float((whole < 0).mean())}


@dataclass(frozen=True, kw_only=True, eq=False)
class UpdatePath(Measurement):
    """The updates between successive weights of a training: how long, and in which direction.

    Attributes:
        steps: (S,) optimiser steps at which the weights were taken, ascending.
        layers: (L,) names of the layers, "all" first.
        lengths: (S - 1, L) norms of the updates.
        cosines: (S - 2, L) cosine of each update with the one before; NaN where one is zero.
        directness: (L,) distance between the first and the last weights over the length of the path: 1 where it is
            straight; NaN where nothing moved.
    """

    kind: ClassVar[str] = "update-path"
    steps: np.ndarray
    layers: tuple[str, ...]
    lengths: np.ndarray
    cosines: np.ndarray
    directness: np.ndarray

    def scalars(self) -> dict[str, float]:
        """Length and cosine of the last update, and directness, over all layers."""
        lines = {"length": float(self.lengths[-1, 0]), "directness": float(self.directness[0])}
        if len(self.cosines):
            lines["cosine"] = float(self.cosines[-1, 0])
        return {name: value for name, value in lines.items() if np.isfinite(value)}


@dataclass(frozen=True, kw_only=True, eq=False)
class GapChange(Measurement):
    """By how much one gradient step changes the generalisation gap, held-out less training loss.

    Attributes:
        lr: Learning rate of the step.
        covariance: lr tr(Sigma) / N, the expected change where the weights do not depend on which N examples were drawn
            for training (Roberts 2021, arXiv 2104.04874).
        covariance_error: Its standard error over the examples measured.
        first_order: -lr G . (G_test - G), with the gradients of both sets as they are.
        measured: The change of the gap itself.
        measured_error: Its standard error over both sets of examples; NaN where a loss has no value for each of them.
        train_losses: (2,) loss on the training data before and after the step.
        test_losses: (2,) loss on the held-out data.
    """

    kind: ClassVar[str] = "gap-change"
    lr: float
    covariance: float
    covariance_error: float
    first_order: float
    measured: float
    measured_error: float
    train_losses: np.ndarray
    test_losses: np.ndarray

    def scalars(self) -> dict[str, float]:
        """The change, predicted in both ways and measured."""
        return {"covariance": self.covariance, "first_order": self.first_order, "measured": self.measured}
