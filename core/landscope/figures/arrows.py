"""The gradient field of a slice as arrows on its map."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from landscope.measurements import Slice2D

__all__ = ["descent", "descent_trace"]

_MOST = 17  # arrows along an axis
_HEAD = 0.3  # of an arrow's length


def descent(slice2d: Slice2D) -> NDArray[np.float64]:
    """The direction of steepest descent within the plane at each point, (A, B, 2), in the plane's coordinates.

    From the derivatives g along the directions, -G^-1 g with their inner products G: coordinates of the vector of the
    plane along which the loss falls fastest for its length, whatever the directions' lengths and angle.

    Raises:
        ValueError: if the slice was measured without its gradient.
    """
    if slice2d.gradient is None or slice2d.gram is None:
        raise ValueError("the slice has no gradient; measure it with slice2d(..., gradient=True)")
    fall: NDArray[np.float64] = -np.linalg.solve(slice2d.gram, slice2d.gradient[..., None])[..., 0]
    return fall


def descent_trace(slice2d: Slice2D) -> go.Scatter:
    """Arrows downhill: the steepest as long as the space between points, gentler ones shorter by a quarter a decade."""
    every = [max(1, -(-count // _MOST)) for count in slice2d.loss.shape]
    fall = descent(slice2d)[:: every[0], :: every[1]]
    across, up = np.meshgrid(slice2d.alpha[:: every[0]], slice2d.beta[:: every[1]], indexing="ij")
    room = 0.9 * min(np.diff(across[:, 0]).min(), np.diff(up[0]).min())
    steepness = np.hypot(*np.moveaxis(fall, -1, 0))
    known = np.isfinite(steepness) & (steepness > 0)
    if not known.any():
        return go.Scatter(x=[], y=[], mode="lines", name="downhill")
    tail = np.stack([across, up], axis=-1)[known]
    unit = fall[known] / steepness[known, None]
    decades = np.log10(steepness[known] / steepness[known].max())
    shaft = room * np.clip(1 + decades / 4, 0.2, 1)[:, None] * unit
    normal = np.stack([-shaft[:, 1], shaft[:, 0]], axis=-1)
    start, tip = tail - shaft / 2, tail + shaft / 2
    wings = [tip - _HEAD * shaft + side * _HEAD / 2 * normal for side in (1, -1)]
    gap = np.full_like(tip, np.nan)
    points = np.stack([start, tip, wings[0], tip, wings[1], gap], axis=1).reshape(-1, 2)
    return go.Scatter(
        x=points[:, 0],
        y=points[:, 1],
        mode="lines",
        line={"width": 1, "color": "rgba(255,255,255,0.85)"},
        hoverinfo="skip",
        name="downhill",
    )
