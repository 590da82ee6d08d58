"""Linear stability of stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement

__all__ = ["SGDStability"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SGDStability(Measurement):
    """Whether gradient descent on random batches leaves a minimum, from the curvatures H_i of single examples there.

    The linearised steps w -> w - lr/B sum_{i in batch} H_i w draw each of n examples with probability B/n. They diverge
    in mean square exactly at batch sizes below `critical`, and certainly below `diverges_below` (Dexter et al. 2024).

    Attributes:
        lambda_max: Largest eigenvalue of the mean curvature H.
        coherence: sigma = lambda_max(S) / max_i lambda_max(H_i) with S_ij = |H_i^1/2 H_j^1/2|_F: for H_i of rank one,
            from 1 (no two examples share a direction) to their number (all are the same).
        lr: Learning rate.
        batch_size: Batch size B.
        examples: Number n of examples in training.
        diverges_below: Batch size up to which the coherence alone says that it diverges: where all examples are
            measured, n / (1 + (sigma / (lr lambda_max))^2); inf where lambda_max >= 2 / lr, for which any is too small.
        critical: Batch size below which it diverges in mean square; inf likewise, 0 where every batch size is stable.
        stable: Whether the steps with `batch_size` stay bounded in mean square.
        verdict: The same in words.
        similarities: (m, m) the matrix S of the examples measured.
    """

    kind: ClassVar[str] = "sgd-stability"
    lambda_max: float
    coherence: float
    lr: float
    batch_size: int
    examples: int
    diverges_below: float
    critical: float
    stable: bool
    verdict: str
    similarities: np.ndarray

    def scalars(self) -> dict[str, float]:
        """Coherence, and both batch sizes where they are finite."""
        sizes = {"diverges_below": self.diverges_below, "critical": self.critical}
        return {"coherence": self.coherence} | {name: size for name, size in sizes.items() if np.isfinite(size)}
