"""What weights are like, what their units do, and how well they can still learn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement

__all__ = ["Plasticity", "UnitActivity", "WeightStatistics"]


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightStatistics(Measurement):
    """Norms and singular values of every parameter, and how far it is from where it began.

    A parameter is a matrix of its filters (rows) by their elements; what has no filters, as a bias, has no singular
    values: NaN.

    Attributes:
        names: (G,) the parameters, in the order of `Objective.layout`.
        sizes: (G,) elements of each.
        norms: (G,) Euclidean norms.
        largest: (G,) largest singular values.
        smallest: (G,) smallest ones, of min(rows, columns).
        stable_ranks: (G,) squared norm over squared largest singular value: from 1 to the rank.
        singular_values: (r,) all of them, descending, by parameter.
        distances: (G,) norm of the difference from the weights at the start; None where those are not known.
        wassersteins: (G,) 2-Wasserstein distance of the distribution of the elements from that at the start, in the
            unit of an element: at most distances / sizes^1/2, and 0 for a permutation; None likewise.
        start_norms: (G,) norms at the start; None likewise.
        update_ratios: (G,) norm of the last update over that of the weights; None where it is not known.
    """

    kind: ClassVar[str] = "weight-statistics"
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    norms: np.ndarray
    largest: np.ndarray
    smallest: np.ndarray
    stable_ranks: np.ndarray
    singular_values: dict[str, np.ndarray] = field(default_factory=dict)
    distances: np.ndarray | None = None
    wassersteins: np.ndarray | None = None
    start_norms: np.ndarray | None = None
    update_ratios: np.ndarray | None = None

    def scalars(self) -> dict[str, float]:
        """The norm of all weights and their distance from the start; of each matrix its singular values' measures."""
        lines = {"norm": float(np.linalg.norm(self.norms))}
        if self.distances is not None:
            lines["distance"] = float(np.linalg.norm(self.distances))
        for index, name in enumerate(self.names):
            if np.isfinite(self.largest[index]):
                lines[f"largest/{name}"] = float(self.largest[index])
                lines[f"smallest/{name}"] = float(self.smallest[index])
            if np.isfinite(self.stable_ranks[index]):
                lines[f"stable_rank/{name}"] = float(self.stable_ranks[index])
            if self.wassersteins is not None:
                lines[f"wasserstein/{name}"] = float(self.wassersteins[index])
        return lines


@dataclass(frozen=True, kw_only=True, eq=False)
class UnitActivity(Measurement):
    """Units that do not answer to their inputs, for each activation function of a network.

    Attributes:
        layers: (L,) where each function runs: the module that calls it, and its number there if it calls several.
        functions: (L,) its name.
        units: (L,) number of units: channels, or the last dimension.
        dead: (L,) share of units with the same value at all examples and positions.
        dormant: (L,) share of units whose mean |h| is at most `tolerance` of the layer's mean.
        saturated: (L,) share of units that are within a hundredth of their range of one of its ends at 95 % of examples
            and positions; NaN for functions that are not bounded on both sides.
        tolerance: The share below which a unit is dormant.
        scores: (units,) mean |h| of each unit over the layer's mean, by layer.
    """

    kind: ClassVar[str] = "unit-activity"
    layers: tuple[str, ...]
    functions: tuple[str, ...]
    units: np.ndarray
    dead: np.ndarray
    dormant: np.ndarray
    saturated: np.ndarray
    tolerance: float
    scores: dict[str, np.ndarray] = field(default_factory=dict)

    def scalars(self) -> dict[str, float]:
        """The shares over all layers' units, those of saturated ones over the bounded functions'."""
        bounded = np.isfinite(self.saturated)
        lines = {
            "dead": float(self.dead @ self.units / self.units.sum()),
            "dormant": float(self.dormant @ self.units / self.units.sum()),
        }
        if bounded.any():
            units = self.units[bounded]
            lines["saturated"] = float(self.saturated[bounded] @ units / units.sum())
        return lines


@dataclass(frozen=True, kw_only=True, eq=False)
class Plasticity(Measurement):
    """How fast copies of a network learn random labels, with the curvature that they start from.

    Attributes:
        losses: (S + 1,) loss on the random labels before each of S steps and after the last.
        accuracies: (S + 1,) share of the random labels that the network has; None where targets are not classes.
        fresh_losses: (S + 1,) the same from the weights at the start of training; None where those are not known.
        fresh_accuracies: (S + 1,) likewise.
        classes: Number of classes; 0 where targets are not classes.
        lr: Adam's learning rate.
        lambda_max: Largest eigenvalue of the Hessian of the loss on the true labels, of the same examples, before.
        lambda_residual: Bound on its error.
    """

    kind: ClassVar[str] = "plasticity"
    losses: np.ndarray
    accuracies: np.ndarray | None
    fresh_losses: np.ndarray | None
    fresh_accuracies: np.ndarray | None
    classes: int
    lr: float
    lambda_max: float
    lambda_residual: float

    def scalars(self) -> dict[str, float]:
        """Loss reached, of this network and of a fresh one, accuracy reached, and the curvature beside them."""
        lines = {"loss": float(self.losses[-1]), "lambda_max": self.lambda_max}
        if self.fresh_losses is not None:
            lines["fresh_loss"] = float(self.fresh_losses[-1])
        if self.accuracies is not None:
            lines["accuracy"] = float(self.accuracies[-1])
        return lines
