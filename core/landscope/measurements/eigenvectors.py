"""What the leading eigenvectors of the Hessian are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement, not_stored

__all__ = ["EigenvectorReadout"]


@dataclass(frozen=True, kw_only=True, eq=False)
class EigenvectorReadout(Measurement):
    """The k leading eigenvectors of the Hessian: which layers they live in, and what of the training goes along them.

    Attributes:
        values: (k,) eigenvalues, descending.
        errors: (k,) bounds on their errors.
        layers: Each of the layers.
        mass: (k, layers) the share of each unit eigenvector's squared length in each layer; rows sum to one.
        gradient_overlap: (k,) cos^2 of the angle between the gradient and each eigenvector; their sum is the share of
            the squared gradient in the subspace. NaN where the gradient is zero.
        update_overlap: (k,) the same of the last update of the weights; None where none was given.
        chance: k / P, the share of a random direction in the subspace, to compare with.
        angles: (k,) principal angles in radians between this subspace and the previous one, descending; None without
            one. With fewer vectors before or now, as many as the fewer.
        vectors: (k, P) the unit eigenvectors; not kept in a run's store.
    """

    kind: ClassVar[str] = "eigenvectors"
    values: np.ndarray
    errors: np.ndarray
    layers: tuple[str, ...]
    mass: np.ndarray
    gradient_overlap: np.ndarray
    update_overlap: np.ndarray | None = None
    chance: float
    angles: np.ndarray | None = None
    vectors: np.ndarray | None = not_stored()

    def scalars(self) -> dict[str, float]:
        """Shares of gradient and update in the subspace, and the largest angle since the previous measurement."""
        found = {"gradient_overlap": float(self.gradient_overlap.sum())}
        if self.update_overlap is not None:
            found["update_overlap"] = float(self.update_overlap.sum())
        if self.angles is not None and len(self.angles):
            found["drift"] = float(self.angles[0])
        return {name: value for name, value in found.items() if np.isfinite(value)}
