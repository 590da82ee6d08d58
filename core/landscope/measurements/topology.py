"""The shape of a landscape in numbers: its minima and the barriers between them, how convex and how rough it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement

__all__ = ["MergeTree", "Roughness"]


@dataclass(frozen=True, kw_only=True, eq=False)
class MergeTree(Measurement):
    """The minima of a grid of losses, and at which saddle each of their basins merges with a deeper one.

    As water rises, a pool forms in each local minimum. Where two pools meet, at a saddle, the one with the higher
    bottom ends (the elder rule); its persistence, saddle less minimum, is the barrier that separates it from the deeper
    one. The pairs (minimum, saddle) are the persistence diagram in dimension 0 of the sublevel sets (Edelsbrunner and
    Harer 2010, chapter VII). Which minimum is paired with which saddle depends on the order of the losses alone, so it
    is the same for the loss and its logarithm.

    Of K minima on a grid of D dimensions, the deepest first:

    Attributes:
        cells: (K, D) index of each minimum in the grid.
        minima: (K, D) its coordinates.
        losses: (K,) its loss.
        saddle_cells: (K, D) index of the saddle at which it merges; -1 where it never does.
        saddles: (K, D) coordinates of that saddle; NaN where there is none.
        saddle_losses: (K,) its loss; infinity where there is none.
        parents: (K,) the deeper minimum it merges with; -1 where there is none. None for the deepest one, and for every
            minimum that cells without a finite loss cut off from deeper ones.
        border: (K,) whether the minimum is on the edge of the grid, beyond which the loss may go on falling.
        errors: (K,) upper bound on the standard error of the persistence due to the data being a sample; NaN where
            there is no saddle. None if the slice has no errors.
        loops: (M, 2) loss at which a closed valley around a hill closes, and loss of the hill's top, the most
            persistent first: the diagram in dimension 1. None where it was not computed.
        shape: Of the grid.
        outside: Number of cells without a finite loss, which no pool enters.
        axes: What one unit along each axis is, in words.
    """

    kind: ClassVar[str] = "merge-tree"
    cells: np.ndarray
    minima: np.ndarray
    losses: np.ndarray
    saddle_cells: np.ndarray
    saddles: np.ndarray
    saddle_losses: np.ndarray
    parents: np.ndarray
    border: np.ndarray
    errors: np.ndarray | None = None
    loops: np.ndarray | None = None
    shape: tuple[int, ...]
    outside: int
    axes: tuple[str, ...]

    @property
    def persistence(self) -> np.ndarray:
        """(K,) loss at the saddle less loss at the minimum; infinity where there is no saddle."""
        height: np.ndarray = self.saddle_losses - self.losses
        return height

    @property
    def diagram(self) -> np.ndarray:
        """(K, 2) births and deaths of the pools: losses of the minima and of their saddles."""
        return np.stack([self.losses, self.saddle_losses], axis=1)

    @property
    def significant(self) -> np.ndarray | None:
        """(K,) whether the persistence exceeds two standard errors; None if errors are not known.

        A test of each pair alone: of many pairs of a grid that is nothing but noise, some pass.
        """
        if self.errors is None:
            return None
        passed: np.ndarray = np.isinf(self.persistence) | (self.persistence > 2 * self.errors)
        return passed

    @property
    def deepest_barrier(self) -> float:
        """The greatest finite persistence: the highest barrier around a minimum that is not the deepest; 0 if none."""
        finite = self.persistence[np.isfinite(self.persistence)]
        return float(finite.max()) if len(finite) else 0.0

    def simplified(self, threshold: float) -> MergeTree:
        """The tree without the minima whose persistence is below a threshold, as if their pools were filled.

        What a minimum merges with is always at least as persistent, so nothing that stays hangs on what goes.

        Args:
            threshold: In units of loss.
        """
        return self.chosen(self.persistence >= threshold)

    def chosen(self, kept: np.ndarray) -> MergeTree:
        """The tree of some of its minima; each merges with the nearest of those it would end in that is kept.

        Args:
            kept: (K,) booleans, e.g. `significant`.
        """
        parents = self.parents[kept]
        while (lost := (parents >= 0) & ~kept[parents]).any():
            parents = np.where(lost, self.parents[parents], parents)
        renumbered = np.cumsum(kept) - 1
        return self.replaced(
            cells=self.cells[kept],
            minima=self.minima[kept],
            losses=self.losses[kept],
            saddle_cells=self.saddle_cells[kept],
            saddles=self.saddles[kept],
            saddle_losses=self.saddle_losses[kept],
            parents=np.where(parents >= 0, renumbered[parents], -1),
            border=self.border[kept],
            errors=None if self.errors is None else self.errors[kept],
        )

    def scalars(self) -> dict[str, float]:
        """Number of minima, of those whose barrier is no sampling error, and the highest barrier."""
        found = {"minima": float(len(self.losses)), "deepest_barrier": self.deepest_barrier}
        if self.significant is not None:
            found["significant_minima"] = float(self.significant.sum())
        return found

    def span(self) -> tuple[float, float] | None:
        """Least loss of a minimum, and greatest of a saddle."""
        drawn = np.concatenate([self.losses, self.saddle_losses])
        finite = drawn[np.isfinite(drawn)]
        return (float(finite.min()), float(finite.max())) if finite.size else None


@dataclass(frozen=True, kw_only=True, eq=False)
class Roughness(Measurement):
    """How convex and how rough a grid of losses is.

    Attributes:
        convex: Share of the examined cells where the Hessian of the slice is positive definite.
        negative: Share of them where it has a negative eigenvalue. Where the smallest eigenvalue is zero to rounding,
            a cell counts in neither.
        cells: Number of cells examined: those that are not on the edge and have a finite loss all around.
        excess: (D,) for the grid's lines along each axis, the share of their ups and downs that a single valley does
            not need: 1 - sum (L(a) + L(b) - 2 min L) / sum TV(L), with a and b the ends of a line and TV its total
            variation. 0 if every line falls to one minimum and rises from it, towards 1 the more bumps there are; the
            same for any spacing of the axes and any unit of the loss. NaN where there is nothing to go by.
        lines: (D,) number of lines along each axis with a finite loss throughout, which are those examined.
    """

    kind: ClassVar[str] = "roughness"
    convex: float
    negative: float
    cells: int
    excess: np.ndarray
    lines: np.ndarray

    def scalars(self) -> dict[str, float]:
        """Shares of convex cells and of cells with negative curvature, and the mean excess variation over the axes."""
        return {"convex": self.convex, "negative": self.negative, "excess": float(np.mean(self.excess))}
