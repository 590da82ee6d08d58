"""A measurement as named numbers over a grid: what every table, data set and mesh is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from landscope.measurements import CurvatureMap, Measurement
from landscope.measurements.landscape import Slice

__all__ = ["HEIGHTS", "Grid", "Height", "grid_of"]

Height = Literal["auto", "log", "linear"]
HEIGHTS: tuple[Height, ...] = ("auto", "log", "linear")

_AXES = ("alpha", "beta", "gamma")
_DESCRIPTIONS = {
    "loss": "mean loss",
    "accuracy": "share of examples whose largest output is their class",
    "error": "standard error of the loss",
    "contrast_error": "standard error of the loss less that of the centre",
    "largest": "largest eigenvalue of the Hessian",
    "smallest": "smallest eigenvalue of the Hessian",
    "residuals": "larger residual norm of the two eigenvalues",
    "ratio": "|smallest / largest| eigenvalue",
}


@dataclass(frozen=True)
class Grid:
    """Numbers over a grid of one, two or three coordinates.

    Attributes:
        coordinates: Each axis' coordinates, by its name, in the order of the arrays' dimensions.
        units: What one unit along each axis is, in words.
        values: (grid) arrays by name.
        main: The one that is drawn as height.
    """

    coordinates: dict[str, np.ndarray]
    units: tuple[str, ...]
    values: dict[str, np.ndarray]
    main: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of points along each axis."""
        return tuple(len(along) for along in self.coordinates.values())

    def description(self, name: str) -> str:
        """What the values of that name are, in words."""
        kind, dot, axis = name.partition(".")
        return f"derivative of the loss along {axis}" if kind == "gradient" and dot else _DESCRIPTIONS.get(name, name)

    def heights(self, scale: Height) -> tuple[NDArray[np.float64], str]:
        """What is drawn as height, NaN where it is not finite, and what that is in words.

        Args:
            scale: "log" for the logarithm to base 10, "linear" for the values themselves, "auto" for the logarithm
                where all finite values are positive.

        Raises:
            ValueError: if the scale is unknown, nothing is finite, or a logarithm is asked of what is not positive.
        """
        if scale not in HEIGHTS:
            raise ValueError(f"height must be one of {', '.join(HEIGHTS)}, got {scale!r}")
        values = self.values[self.main].astype(np.float64)
        finite = np.isfinite(values)
        if not finite.any():
            raise ValueError(
                f"{self.main} is finite nowhere on the grid, so it has no surface; measure a smaller radius"
            )
        positive = bool((values[finite] > 0).all())
        if scale == "log" and not positive:
            raise ValueError(
                f"{self.main} has no logarithm where it is {values[finite].min():.6g}; use height='linear'"
            )
        if positive and scale != "linear":
            return np.log10(values, out=np.full_like(values, np.nan), where=finite), f"log10 {self.main}"
        return np.where(finite, values, np.nan), self.main


def grid_of(measurement: Measurement) -> Grid:
    """The grid of a slice or a curvature map.

    Raises:
        TypeError: if the measurement is no grid.
    """
    if isinstance(measurement, CurvatureMap):
        values = {name: getattr(measurement, name) for name in ("ratio", "largest", "smallest", "residuals")}
        along = dict(zip(_AXES, (measurement.alpha, measurement.beta), strict=False))
        return Grid(along, measurement.axes, values, "ratio")
    if not isinstance(measurement, Slice):
        raise TypeError(f"only slices and curvature maps are grids of numbers, got {type(measurement).__name__}")
    along = dict(zip(_AXES, measurement.coordinates(), strict=False))
    found = {name: getattr(measurement, name) for name in ("loss", "accuracy", "error", "contrast_error")}
    values = {name: array for name, array in found.items() if array is not None}
    if measurement.gradient is not None:
        values |= {f"gradient.{axis}": measurement.gradient[..., index] for index, axis in enumerate(along)}
    taken = {*values, *along}
    values |= {f"metric.{name}" if name in taken else name: array for name, array in measurement.metrics.items()}
    return Grid(along, measurement.axes, values, "loss")
