"""VTK's legacy format, which ParaView, VisIt, PyVista and meshio read."""

from __future__ import annotations

from urllib.parse import quote

import numpy as np

from landscope.formats.grids import Grid, Height, grid_of
from landscope.measurements import Measurement

__all__ = ["to_vtk"]

_HIDDEN_CELL = 32  # vtkDataSetAttributes::HIDDENCELL
_TITLE = 255  # characters


def to_vtk(measurement: Measurement, *, height: Height = "auto") -> bytes:
    """A slice or curvature map as a .vtk file, with everything measured as point data.

    A line or a plane is a curve or a surface in space, a structured grid with the points (alpha, beta, height); z is
    in the units of the height, and so not to the scale of x and y. A volume is a rectilinear grid.

    Coordinates are always finite, since one NaN among them leaves a viewer's window blank: points whose loss is not
    finite are put at the height of the highest finite ones and keep their NaN or infinity in the point data, and the
    cells around them are marked hidden, so that a surface has a hole there.

    Args:
        measurement: What to write.
        height: What z is: "log" for log10 of the loss, "linear" for the loss, "auto" for the logarithm where all
            finite losses are positive. It changes nothing of a volume.

    Raises:
        TypeError: if the measurement is no grid.
        ValueError: if no loss is finite, or the logarithm of a loss that is not positive is asked for.
    """
    grid = grid_of(measurement)
    heights, words = grid.heights(height)
    title = f"landscope {measurement.kind}, z = {words}: {measurement.provenance.method}"
    lines = [
        b"# vtk DataFile Version 3.0",
        title.encode("ascii", "replace").replace(b"\n", b" ")[:_TITLE],
        b"BINARY",
    ]
    lines += _volume(grid) if len(grid.shape) == 3 else _surface(grid, heights)
    lines += [f"POINT_DATA {heights.size}".encode(), *_scalars(grid.main, grid.values[grid.main])]
    rest = {name: values for name, values in grid.values.items() if name != grid.main}
    if rest:
        lines += [f"FIELD FieldData {len(rest)}".encode()]
        for name, values in rest.items():
            lines += [f"{_encoded(name)} 1 {values.size} double".encode(), _doubles(values)]
    hidden = _hidden_cells(np.isnan(heights))
    if hidden.any():
        ghosts = np.where(hidden, _HIDDEN_CELL, 0).astype(np.uint8).tobytes(order="F")
        lines += [f"CELL_DATA {hidden.size}".encode(), b"FIELD FieldData 1"]
        lines += [f"vtkGhostType 1 {hidden.size} unsigned_char".encode(), ghosts]
    return b"\n".join(lines) + b"\n"


def _surface(grid: Grid, heights: np.ndarray) -> list[bytes]:
    flat = heights.reshape(grid.shape + (1,) * (2 - heights.ndim))
    alpha, *rest = grid.coordinates.values()
    x, y = np.meshgrid(alpha, *(rest or [np.zeros(1)]), indexing="ij")
    z = np.where(np.isnan(flat), np.nanmax(flat), flat)
    points = np.stack([axis.ravel(order="F") for axis in (x, y, z)], axis=1)
    return [
        b"DATASET STRUCTURED_GRID",
        f"DIMENSIONS {flat.shape[0]} {flat.shape[1]} 1".encode(),
        f"POINTS {len(points)} double".encode(),
        points.astype(">f8").tobytes(),
    ]


def _volume(grid: Grid) -> list[bytes]:
    lines = [b"DATASET RECTILINEAR_GRID", "DIMENSIONS {} {} {}".format(*grid.shape).encode()]
    for axis, along in zip("XYZ", grid.coordinates.values(), strict=True):
        lines += [f"{axis}_COORDINATES {len(along)} double".encode(), _doubles(along)]
    return lines


def _scalars(name: str, values: np.ndarray) -> list[bytes]:
    return [f"SCALARS {_encoded(name)} double 1".encode(), b"LOOKUP_TABLE default", _doubles(values)]


def _doubles(values: np.ndarray) -> bytes:
    """Big-endian, the first coordinate running fastest, as the format has it."""
    return values.astype(">f8").tobytes(order="F")


def _encoded(name: str) -> str:
    """Names hold no spaces; VTK's readers decode percent signs."""
    return quote(name, safe="/") or "unnamed"


def _hidden_cells(missing: np.ndarray) -> np.ndarray:
    """Which cells have a corner that is missing, one fewer along each axis."""
    for axis in range(missing.ndim):
        before, after = (
            np.take(missing, range(*ends), axis) for ends in ((0, missing.shape[axis] - 1), (1, missing.shape[axis]))
        )
        missing = before | after
    return missing
