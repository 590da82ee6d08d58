"""Surfaces as triangles: a solid for a printer (STL), a coloured sheet for a viewer (glTF)."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from landscope.formats.grids import Grid, Height, grid_of
from landscope.formats.optional import imported
from landscope.measurements import Measurement

__all__ = ["to_glb", "to_stl"]

logger = logging.getLogger(__name__)

# Viridis at equal distances, in sRGB (van der Walt and Smith 2015)
_VIRIDIS = np.array(
    [
        [68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137],
        [53, 183, 121], [110, 206, 88], [181, 222, 43], [253, 231, 37],
    ]
)  # fmt: skip


def to_stl(
    measurement: Measurement, *, size: float = 100.0, relief: float = 40.0, base: float = 3.0, height: Height = "auto"
) -> bytes:
    """A slice in two dimensions as a watertight solid for a 3-D printer: the surface on a plate, in millimetres.

    The longer side of the plane is `size` long and the other in proportion; the lowest point is `base` above the
    underside and the highest `relief` above the lowest. A print can have no holes: points whose loss is not finite
    stand as high as the highest finite one, which is logged. What is printed are flat facets between the points of the
    grid; interpolate a coarse one first.

    Args:
        measurement: A `Slice2D` or `CurvatureMap`.
        size: Length of the longer horizontal side, mm.
        relief: Difference in height between the lowest and the highest point, mm.
        base: Thickness of the plate, mm.
        height: "log" for log10 of the loss, "linear" for the loss, "auto" for the logarithm where all finite losses
            are positive.

    Raises:
        TypeError: if the measurement is no plane.
        ValueError: if a length is not positive, an axis has a single point, no loss is finite, or the logarithm of a
            loss that is not positive is asked for.
        ModuleNotFoundError: if trimesh is not installed.
    """
    for name, length in (("size", size), ("relief", relief), ("base", base)):
        if not (np.isfinite(length) and length > 0):
            raise ValueError(f"{name} must be a positive number of millimetres, got {length}")
    grid, share = _plane(measurement, height)
    if missing := int(np.isnan(share).sum()):
        logger.warning("%d points without a finite %s are printed at the greatest height", missing, grid.main)
    x, y = _sides(grid, size)
    top = base + relief * np.where(np.isnan(share), 1.0, share)
    vertices = np.concatenate([_points(x, y, top), _points(x, y, np.zeros_like(top))])
    faces = _solid_faces(*grid.shape)
    mesh = imported("trimesh", "an STL file").Trimesh(vertices, faces, process=False)
    return bytes(mesh.export(file_type="stl"))


def to_glb(measurement: Measurement, *, height: Height = "auto") -> bytes:
    """A slice in two dimensions as a binary glTF file: the surface, coloured by its height, one unit wide.

    It is a sheet seen from both sides, half as high as wide, with holes where the loss is not finite. As glTF has it, y
    points up; alpha runs along x and beta away from the viewer. The mesh's extras say what it shows.

    Args:
        measurement: A `Slice2D` or `CurvatureMap`.
        height: "log" for log10 of the loss, "linear" for the loss, "auto" for the logarithm where all finite losses
            are positive.

    Raises:
        TypeError: if the measurement is no plane.
        ValueError: if no three neighbouring points have a finite loss, or the logarithm of a loss that is not positive
            is asked for.
        ModuleNotFoundError: if trimesh is not installed.
    """
    grid, share = _plane(measurement, height)
    faces = _sheet_faces(*grid.shape)
    faces = faces[~np.isnan(share).ravel()[faces].any(axis=1)]
    if not len(faces):
        raise ValueError(f"{grid.main} is finite at no three neighbouring points, so it has no surface")
    x, y = _sides(grid, 1.0)
    along, away, up = _points(x - x.max() / 2, y - y.max() / 2, 0.5 * np.nan_to_num(share)).T
    trimesh = imported("trimesh", "a glTF file")
    sheet = trimesh.visual.material.PBRMaterial(metallicFactor=0.0, roughnessFactor=0.8, doubleSided=True)
    look = trimesh.visual.TextureVisuals(material=sheet)
    look.vertex_attributes["color"] = _colours(np.nan_to_num(share).ravel())
    vertices = np.stack([along, up, -away], axis=1)
    mesh = trimesh.Trimesh(vertices, faces, visual=look, process=False)
    mesh.remove_unreferenced_vertices()
    mesh.metadata = {"kind": measurement.kind, "provenance": json.dumps(asdict(measurement.provenance))}
    return bytes(mesh.export(file_type="glb", include_normals=True))


def _plane(measurement: Measurement, height: Height) -> tuple[Grid, NDArray[np.float64]]:
    """The grid, and each point's height as a share of the whole range; NaN where it is not finite."""
    grid = grid_of(measurement)
    if len(grid.shape) != 2:
        raise TypeError(f"a surface needs a slice in two dimensions, got {type(measurement).__name__}")
    if min(grid.shape) < 2:
        raise ValueError("a surface needs two points along each axis, got {} x {}".format(*grid.shape))
    heights, _ = grid.heights(height)
    low, high = np.nanmin(heights), np.nanmax(heights)
    share: NDArray[np.float64] = (heights - low) / (high - low if high > low else 1.0)
    return grid, share


def _sides(grid: Grid, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Both coordinates from 0, with the longer side of that size."""
    alpha, beta = (along - along[0] for along in grid.coordinates.values())
    scale = size / max(alpha[-1], beta[-1])
    return alpha * scale, beta * scale


def _points(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    places = np.meshgrid(x, y, indexing="ij")
    return np.stack([axis.ravel() for axis in (*places, z)], axis=1)


def _sheet_faces(rows: int, columns: int) -> np.ndarray:
    """Two triangles for each cell of a grid, counter-clockwise as seen from above."""
    index = np.arange(rows * columns).reshape(rows, columns)
    near, right, far, left = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    halves = [np.stack(corners, axis=-1).reshape(-1, 3) for corners in ((near, right, far), (near, far, left))]
    return np.concatenate(halves)


def _solid_faces(rows: int, columns: int) -> np.ndarray:
    """The sheet, the same below it seen from underneath, and walls between their rims."""
    sheet = _sheet_faces(rows, columns)
    below = rows * columns
    index = np.arange(below).reshape(rows, columns)
    rim = np.concatenate([index[:-1, 0], index[-1, :-1], index[:0:-1, -1], index[0, :0:-1]])  # counter-clockwise
    after = np.roll(rim, -1)
    walls = [np.stack(corners, axis=1) for corners in ((rim, rim + below, after + below), (rim, after + below, after))]
    return np.concatenate([sheet, sheet[:, ::-1] + below, *walls])


def _colours(share: np.ndarray) -> np.ndarray:
    """(n, 4) viridis in bytes of linear light, which is what glTF takes the colours of vertices for."""
    places = np.linspace(0.0, 1.0, len(_VIRIDIS))
    srgb = np.stack([np.interp(share, places, channel) for channel in _VIRIDIS.T], axis=1) / 255.0
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return np.rint(255.0 * np.concatenate([linear, np.ones((len(share), 1))], axis=1)).astype(np.uint8)
