"""Slices of several models on the same coordinates, to be held against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement
from landscope.measurements.landscape import Slice2D

__all__ = ["SliceSet", "side_by_side"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SliceSet(Measurement):
    """The loss of K models on planes through their weights, all with the same coordinates; rows run along alpha.

    Each plane goes through its own model's weights. What makes distances on them comparable is that a unit means the
    same on all: with filter normalisation the norms of each model's own filters (Li et al. 2018, section 4).

    Attributes:
        names: Of the models, in the order in which they are drawn.
        alpha: (A,) coordinates along the first direction of each plane, in multiples of it.
        beta: (B,) coordinates along the second.
        loss: (K, A, B) mean loss; NaN and infinities are kept as they came.
        centre_losses: (K,) of the weights that each slice was taken around, evaluated on their own.
        axes: What one unit along each axis is, in words.
        plane: How the directions were chosen, as in `Slice`.
        normalisation: How their lengths were chosen, as in `Slice`.
        scale: How coordinates are spaced: "linear" or "log" (signed logarithm).
    """

    kind: ClassVar[str] = "slice-set"
    names: tuple[str, ...]
    alpha: np.ndarray
    beta: np.ndarray
    loss: np.ndarray
    centre_losses: np.ndarray
    axes: tuple[str, ...]
    plane: str
    normalisation: str
    scale: str = "linear"

    def __post_init__(self) -> None:
        shape = (len(self.names), len(self.alpha), len(self.beta))
        if np.shape(self.loss) != shape:
            raise ValueError(f"loss must be {shape}, models by alpha by beta, got {np.shape(self.loss)}")
        if np.shape(self.centre_losses) != shape[:1]:
            raise ValueError(f"centre_losses must be {shape[:1]}, one a model, got {np.shape(self.centre_losses)}")

    def span(self) -> tuple[float, float] | None:
        """Least and greatest finite loss of all."""
        finite = self.loss[np.isfinite(self.loss)]
        return (float(finite.min()), float(finite.max())) if finite.size else None

    def slices(self) -> dict[str, Slice2D]:
        """Each model's slice by its name."""
        return {
            name: Slice2D(
                provenance=self.provenance,
                alpha=self.alpha,
                beta=self.beta,
                loss=loss,
                centre_loss=float(centre),
                axes=self.axes,
                plane=self.plane,
                normalisation=self.normalisation,
                scale=self.scale,
            )
            for name, loss, centre in zip(self.names, self.loss, self.centre_losses, strict=True)
        }


def side_by_side(slices: Mapping[str, Slice2D]) -> SliceSet:
    """Slices of several models as one measurement; work and time are those of all.

    Args:
        slices: By the name of the model.

    Raises:
        ValueError: if there are none, or they differ in their coordinates, or in what a unit along an axis is.
    """
    if not slices:
        raise ValueError("side_by_side needs a slice, got none")
    (leader, first), *others = slices.items()
    for name, other in others:
        for axis in ("alpha", "beta"):
            if not np.array_equal(getattr(first, axis), getattr(other, axis)):
                raise ValueError(f"{axis} of {name!r} is not that of {leader!r}: take both slices with the same extent")
        for told in ("axes", "plane", "normalisation", "scale"):
            if getattr(first, told) != getattr(other, told):
                raise ValueError(
                    f"{told} of {name!r} is {getattr(other, told)!r}, of {leader!r} {getattr(first, told)!r}: "
                    "slices are comparable only with planes chosen alike"
                )
    sources = [one.provenance for one in slices.values()]
    spent = ("seconds", "forwards", "gradients", "products")
    return SliceSet(
        provenance=replace(sources[0], **{name: sum(getattr(one, name) for one in sources) for name in spent}),
        names=tuple(slices),
        alpha=first.alpha,
        beta=first.beta,
        loss=np.stack([one.loss for one in slices.values()]),
        centre_losses=np.array([one.centre_loss for one in slices.values()]),
        axes=first.axes,
        plane=first.plane,
        normalisation=first.normalisation,
        scale=first.scale,
    )
