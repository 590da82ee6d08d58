"""How many directions features use, how they lie to one another, and how alike two sets of them are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement

__all__ = ["Contrast", "Dimension", "Geometry", "Similarity"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Similarity(Measurement):
    """How alike sets of features of the same examples are: layers, steps or runs.

    Attributes:
        values: (A, B) the similarity or distance of each row's features from each column's; NaN where features do not
            vary.
        rows: Names of the A sets.
        columns: Names of the B sets.
        metric: "cka", at most 1, which features equal up to rotation and scale have; or "procrustes", a squared
            distance from 0 to 2.
    """

    kind: ClassVar[str] = "similarity"
    values: np.ndarray
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    metric: str

    def span(self) -> tuple[float, float] | None:
        """Least and greatest finite value."""
        finite = self.values[np.isfinite(self.values)]
        return (float(finite.min()), float(finite.max())) if finite.size else None


@dataclass(frozen=True, kw_only=True, eq=False)
class Dimension(Measurement):
    """How many directions the features of one layer use.

    Attributes:
        eigenvalues: (m,) of the features' covariance (divided by n), descending, m = min(n - 1, width).
        effective_rank: RankMe (Garrido, Balestriero, Najman and LeCun 2023): the exponential of the entropy of the
            singular values of the features, no mean taken off.
        participation_ratio: (sum lambda)^2 / sum lambda^2 of the covariance.
        intrinsic: TwoNN's intrinsic dimension (Facco, d'Errico, Rodriguez and Laio 2017); NaN with too few distinct
            points.
        intrinsic_low: Lower end of its 95 % interval.
        intrinsic_high: Upper end.
        distinct: Number of distinct points that it rests on; duplicates are dropped.
        layer: The layer measured.
        features: Its width after pooling.
        collapsed: Whether the features use suspiciously few directions.
        alarm: That in a sentence; empty where they do not.
    """

    kind: ClassVar[str] = "dimension"
    eigenvalues: np.ndarray
    effective_rank: float
    participation_ratio: float
    intrinsic: float
    intrinsic_low: float
    intrinsic_high: float
    distinct: int
    layer: str
    features: int
    collapsed: bool
    alarm: str = ""

    def span(self) -> tuple[float, float] | None:
        """Least and greatest positive eigenvalue."""
        positive = self.eigenvalues[self.eigenvalues > 0]
        return (float(positive.min()), float(positive.max())) if positive.size else None

    def scalars(self) -> dict[str, float]:
        """The three dimensions, and eigenvalues at ranks 1, 2, 4, 8 ..."""
        lines = {
            "effective_rank": self.effective_rank,
            "participation_ratio": self.participation_ratio,
            "intrinsic": self.intrinsic,
        }
        ranks = [2**power for power in range(len(self.eigenvalues).bit_length()) if 2**power <= len(self.eigenvalues)]
        return lines | {f"eigenvalue.{rank}": float(self.eigenvalues[rank - 1]) for rank in ranks}


@dataclass(frozen=True, kw_only=True, eq=False)
class Contrast(Measurement):
    """How features of unit length lie to one another: what contrastive losses shape.

    Attributes:
        alignment: Mean |u - v|^2 over positive pairs (Wang and Isola 2020): two views of an example where views are
            given, else two examples of one class; None without either.
        uniformity: log of the mean of exp(-2 |u - v|^2) over all pairs (the same); -4 is as low as it can get.
        tolerance: Mean cosine of two examples of one class (Wang and Liu 2021); None without classes.
        edges: (B + 1,) edges of the cosines' bins, from -1 to 1.
        positive: (B,) density of the cosines of positive pairs; None without any.
        negative: (B,) density of the cosines of examples of different classes, without classes of all pairs.
        separation: Mean of (other - own) / max(other, own), distances to the nearest example of another and of the own
            class, from -1 to 1; None without classes.
        knn_accuracy: Accuracy of the vote of the ten most similar others; None without classes.
        probe_accuracy: Accuracy of a ridge regression on one-hot classes, each example left out; None without classes.
        layer: The layer measured.
    """

    kind: ClassVar[str] = "contrast"
    alignment: float | None
    uniformity: float
    tolerance: float | None
    edges: np.ndarray
    positive: np.ndarray | None
    negative: np.ndarray
    separation: float | None
    knn_accuracy: float | None
    probe_accuracy: float | None
    layer: str

    def scalars(self) -> dict[str, float]:
        """Everything but the distributions."""
        lines = {
            "alignment": self.alignment,
            "uniformity": self.uniformity,
            "tolerance": self.tolerance,
            "separation": self.separation,
            "knn_accuracy": self.knn_accuracy,
            "probe_accuracy": self.probe_accuracy,
        }
        return {name: value for name, value in lines.items() if value is not None}


@dataclass(frozen=True, kw_only=True, eq=False)
class Geometry(Dimension, Contrast):
    """Dimension, contrast and neural collapse of one layer's features, of one pass over the data.

    Attributes:
        nc1: As in `Collapse`, like those below; None where there are fewer than two classes, or their means coincide.
        nc2_norms: See `Collapse`.
        nc2_angles: See `Collapse`.
        nc3: See `Collapse`.
        nc4: See `Collapse`.
        target: See `Collapse`; empty without it.
        cosines: (C, C) See `Collapse`.
        target_cosines: (C, C) See `Collapse`.
        within: See `Collapse`.
        between: See `Collapse`.
        classes: Number of classes that occur.
    """

    kind: ClassVar[str] = "geometry"
    nc1: float | None = None
    nc2_norms: float | None = None
    nc2_angles: float | None = None
    nc3: float | None = None
    nc4: float | None = None
    target: str = ""
    cosines: np.ndarray | None = None
    target_cosines: np.ndarray | None = None
    within: float | None = None
    between: float | None = None
    classes: int = 0

    def scalars(self) -> dict[str, float]:
        """Everything that is one number, and whether the dimension has collapsed, as 0 or 1."""
        names = ("nc1", "nc2_norms", "nc2_angles", "nc3", "nc4", "within", "between")
        collapse = {name: getattr(self, name) for name in names}
        return (
            {"collapsed": float(self.collapsed)}
            | Dimension.scalars(self)
            | Contrast.scalars(self)
            | {name: value for name, value in collapse.items() if value is not None}
        )
