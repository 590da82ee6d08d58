"""Two landscapes compared by the barriers between their minima."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from landscope.measurements.sublevels import gudhi
from landscope.measurements.topology import MergeTree

__all__ = ["TopologyComparison", "compare_topology"]


@dataclass(frozen=True)
class TopologyComparison:
    """How far two landscapes differ in shape.

    Attributes:
        bottleneck: The greatest change of a loss, minimum or saddle, in the best matching of the two diagrams.
        wasserstein: The sum of those changes in the best matching (order 1, maximum norm).
        minima: Number of minima of each whose persistence is above the threshold.
        deepest_barriers: The greatest finite persistence of each.
        threshold: In units of loss.
    """

    bottleneck: float
    wasserstein: float
    minima: tuple[int, int]
    deepest_barriers: tuple[float, float]
    threshold: float


def compare_topology(first: MergeTree, second: MergeTree, *, threshold: float = 0.0) -> TopologyComparison:
    """Distances between the persistence diagrams of two landscapes, and their minima and barriers side by side.

    A matching pairs points (minimum, saddle) of one diagram with points of the other or with the diagonal, where the
    two are equal; pairs cost the larger of the two differences in loss. If no loss of the one landscape differs by more
    than e from that of the other, cell by cell, the bottleneck distance is at most e (Cohen-Steiner, Edelsbrunner and
    Harer 2007). Distances use all pairs: noise adds little to the bottleneck distance, but all of it to Wasserstein's.
    Infinite where the two have different numbers of minima that never merge.

    Args:
        first: The merge tree of one landscape.
        second: That of the other; its grid may be another.
        threshold: The persistence above which a minimum counts, in units of loss.

    Raises:
        ModuleNotFoundError: if gudhi is not installed.
    """
    library = gudhi()
    return TopologyComparison(
        bottleneck=float(library.bottleneck_distance(first.diagram, second.diagram)),
        wasserstein=float(
            library.hera.wasserstein_distance(first.diagram, second.diagram, order=1.0, internal_p=np.inf, delta=1e-4)
        ),
        minima=(int((first.persistence > threshold).sum()), int((second.persistence > threshold).sum())),
        deepest_barriers=(first.deepest_barrier, second.deepest_barrier),
        threshold=threshold,
    )
