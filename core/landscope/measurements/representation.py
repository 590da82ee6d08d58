"""The neural tangent kernel and the geometry of the features."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement, not_stored

__all__ = ["NTK", "Collapse", "Examples", "Projection"]


@dataclass(frozen=True, kw_only=True, eq=False)
class NTK(Measurement):
    """The empirical neural tangent kernel on n probe examples.

    Attributes:
        eigenvalues: (m,) eigenvalues of the Gram matrix, descending, in squared outputs per squared parameter.
        gram_kind: How outputs are contracted: "full" for <grad f_a(x_i), grad f_b(x_j)> with m = n C rows, "trace" for
            (1/C) sum_a <grad f_a(x_i), grad f_a(x_j)>, "output" for one output a, "pseudo" for (1/C) sum_ab; m = n.
        outputs: Number C of network outputs per example.
        effective_rank: (sum lambda)^2 / sum lambda^2.
        alignment: Centred alignment with the labels' Gram matrix, in [-1, 1], of the trace kernel where all outputs are
            paired, else of the kernel itself; None without class labels.
        layer_names: The layers; empty unless they were asked for.
        layer_shares: (L,) each layer's share of the kernel's trace; None likewise.
        movement: The scalars of `Laziness` but the alignment, by name, where a training is followed; else empty.
        cosines: (b, b) K_ij / sqrt(K_ii K_jj), averaged over blocks of examples in the order of their classes; None
            where no gradient is other than zero.
        borders: Where in those blocks the classes border on one another, from 0 to b; empty without classes.
        gram: (m, m) the kernel itself; not kept in a run's store.
        layer_grams: (L, m, m) each layer's part of it, which sum to it; not kept in a run's store.
        labels: (n,) the probe examples' classes; not kept in a run's store.
    """

    kind: ClassVar[str] = "ntk"
    eigenvalues: np.ndarray
    gram_kind: str
    outputs: int
    effective_rank: float
    alignment: float | None = None
    layer_names: tuple[str, ...] = ()
    layer_shares: np.ndarray | None = None
    movement: dict[str, np.ndarray] = field(default_factory=dict)
    cosines: np.ndarray | None = None
    borders: tuple[float, ...] = ()
    gram: np.ndarray | None = not_stored()
    layer_grams: np.ndarray | None = not_stored()
    labels: np.ndarray | None = not_stored()

    @property
    def lambda_min(self) -> float:
        """The smallest eigenvalue: positive where the examples can be fitted by moving the weights a little."""
        return float(self.eigenvalues[-1])

    @property
    def condition(self) -> float:
        """lambda_max / lambda_min; infinite where the smallest is no more than the rounding of the arithmetic."""
        largest = float(self.eigenvalues[0])
        rounding = len(self.eigenvalues) * float(np.finfo(_precision(self.provenance.precision)).eps)
        return largest / self.lambda_min if self.lambda_min > rounding * largest else float("inf")

    def scalars(self) -> dict[str, float]:
        """Eigenvalues at ranks 1, 2, 4 ... and the last, effective rank, condition, label alignment and movement."""
        n = len(self.eigenvalues)
        ranks = [2**power for power in range(n.bit_length()) if 2**power <= n]
        lines = {f"eigenvalue.{rank}": float(self.eigenvalues[rank - 1]) for rank in ranks}
        lines["effective_rank"] = self.effective_rank
        lines["lambda_min"] = self.lambda_min
        if np.isfinite(self.condition):
            lines["condition"] = self.condition
        lines |= {name: float(value) for name, value in self.movement.items()}
        if self.alignment is not None:
            lines["alignment"] = self.alignment
        return lines


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection(Measurement):
    """The features of one layer, projected to two or three dimensions.

    Attributes:
        points: (n, d) coordinates, d = 2 or 3, placed to lie as close as possible to the frame before.
        labels: (n,) class of each point, -1 where there is none.
        classes: Number of classes.
        layer: Name of the layer whose features these are.
        features: Width of the layer after pooling.
        method: "pca", "fixed", "means", "sphere" or "umap".
        explained: Share of the features' variance that the projection keeps (on the sphere, of their squared length);
            None for methods without such a notion.
        trustworthiness: Venna and Kaski's T(k), 1 when every neighbour in the picture is one in the features.
        continuity: Their other score, 1 when every neighbour in the features is one in the picture.
        neighbours: The k of both scores.
        scored: Number of points whose neighbourhoods the scores are a mean over: all, or a random sample of many.
        displacement: How far points moved since the frame before, the median, in radii of that frame (its points' root
            mean square distance from their centre); exactly 0 where no feature changed. None without such a frame.
        feature_displacement: The same of the features themselves: what the picture's displacement is to be held
            against. None where the features before are not at hand.
        available: Number of examples that the points are a sample of.
        positions: (n,) the position of each point's example in the objective's data, increasing.
        predictions: (n,) the class with the largest output; None where outputs are not one row of classes.
        losses: (n,) the loss of each example alone; None where the loss has none.
        margins: (n,) output of the right class less the largest of the others, negative where the network is wrong;
            NaN without a class, None where outputs are not one row of classes.
        learned: (n,) the step of the first frame since which each example has been right in every one, -1 while it is
            wrong, where a training is followed; else None.
        values: (n, width) the features; not kept in a run's store.
        graph: (n, k) indices of each point's neighbours in the features, for "umap"; not kept in a run's store.
        centre: (width,) where the axes start, for linear methods; not kept in a run's store.
        axes: (width, d) the directions that are drawn, for linear methods; not kept in a run's store.
    """

    kind: ClassVar[str] = "projection"
    points: np.ndarray
    labels: np.ndarray
    classes: int
    layer: str
    features: int
    method: str
    explained: float | None = None
    trustworthiness: float
    continuity: float | None = None
    neighbours: int
    scored: int | None = None
    displacement: float | None = None
    feature_displacement: float | None = None
    available: int | None = None
    positions: np.ndarray | None = None
    predictions: np.ndarray | None = None
    losses: np.ndarray | None = None
    margins: np.ndarray | None = None
    learned: np.ndarray | None = None
    values: np.ndarray | None = not_stored()
    graph: np.ndarray | None = not_stored()
    centre: np.ndarray | None = not_stored()
    axes: np.ndarray | None = not_stored()

    @property
    def correct(self) -> np.ndarray | None:
        """(n,) whether the largest output is that of the point's class; None where predictions are."""
        return None if self.predictions is None else self.predictions == self.labels

    @property
    def loss_limits(self) -> tuple[float, float] | None:
        """Between which the positive losses lie but for the outer hundredths; None where there are none."""
        positive = np.empty(0) if self.losses is None else self.losses[np.isfinite(self.losses) & (self.losses > 0)]
        return (float(np.percentile(positive, 1)), float(np.percentile(positive, 99))) if positive.size else None

    @property
    def margin_reach(self) -> float | None:
        """What the margins' sizes stay within but for a hundredth of them; None where no margin is known."""
        known = np.empty(0) if self.margins is None else self.margins[np.isfinite(self.margins)]
        return float(np.percentile(np.abs(known), 99)) if known.size else None

    def span(self) -> tuple[float, float] | None:
        """Least and greatest coordinate."""
        return (float(self.points.min()), float(self.points.max())) if self.points.size else None

    def scalars(self) -> dict[str, float]:
        """How far the picture may be trusted, how far it moved beside the features, and limits of losses and margins.

        From the limits of all frames, pages make one scale of colours for a whole run.
        """
        low, high = self.loss_limits or (None, None)
        scores = {
            "trustworthiness": self.trustworthiness,
            "continuity": self.continuity,
            "displacement": self.displacement,
            "feature_displacement": self.feature_displacement,
            "loss.low": low,
            "loss.high": high,
            "margin.reach": self.margin_reach,
        }
        return {name: score for name, score in scores.items() if score is not None}


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples(Measurement):
    """What is behind the points of a projection.

    Attributes:
        positions: (n,) the position of each example in the objective's data, increasing.
        labels: (n,) its class, -1 where there is none.
        thumbnails: (n, h, w, 1 or 3) bytes; None where inputs are no images.
        texts: Text of each example; empty where inputs are no tokens.
    """

    kind: ClassVar[str] = "examples"
    positions: np.ndarray
    labels: np.ndarray
    thumbnails: np.ndarray | None = None
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Collapse(Measurement):
    """Neural collapse of the last layer's features (Papyan, Han and Donoho 2020); every quantity tends to zero.

    Attributes:
        nc1: Within-class variability: tr(S_W S_B^+) / C.
        nc2_norms: Coefficient of variation of the lengths of the class means, each in units of the target's length.
        nc2_angles: Mean |cos - target's cos| over pairs of class means.
        nc3: Distance of the classifier's rows from being the dual of the class means; None without a linear classifier.
        nc4: Share of examples on which the network and the nearest class mean disagree.
        layer: The layer measured.
        classes: Number of classes C.
        target: What the class means are held against: "simplex", "orthogonal" or "counts".
        cosines: (C, C) cosines of the class means, centred unless the target is "orthogonal".
        target_cosines: (C, C) what they would be.
        within: tr S_W, the mean squared distance of features from their class mean.
        between: tr S_B, the mean squared distance of class means from their mean.
    """

    kind: ClassVar[str] = "collapse"
    nc1: float
    nc2_norms: float
    nc2_angles: float
    nc3: float | None
    nc4: float
    layer: str
    classes: int
    target: str = "simplex"
    cosines: np.ndarray | None = None
    target_cosines: np.ndarray | None = None
    within: float | None = None
    between: float | None = None

    def scalars(self) -> dict[str, float]:
        """The four quantities, and the two scatters."""
        lines = {
            "nc1": self.nc1,
            "nc2_norms": self.nc2_norms,
            "nc2_angles": self.nc2_angles,
            "nc3": self.nc3,
            "nc4": self.nc4,
            "within": self.within,
            "between": self.between,
        }
        return {name: value for name, value in lines.items() if value is not None}


def _precision(name: str) -> type[np.floating]:
    """The type in which a kernel of a network of some precision is computed."""
    return np.float64 if name == "float64" else np.float32
