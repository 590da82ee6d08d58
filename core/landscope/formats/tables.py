"""Comma-separated values: one line for each point of the grid."""

from __future__ import annotations

import csv
import io

import numpy as np

from landscope.formats.grids import grid_of
from landscope.measurements import Measurement

__all__ = ["to_csv"]


def to_csv(measurement: Measurement) -> bytes:
    """A slice or curvature map as a table: the coordinates of each point, then every number measured there.

    Numbers have as many digits as it takes to read the same number back; the last coordinate runs fastest. A table
    has no place for provenance.

    Raises:
        TypeError: if the measurement is no grid.
    """
    grid = grid_of(measurement)
    places = np.meshgrid(*grid.coordinates.values(), indexing="ij")
    columns = [array.ravel().tolist() for array in (*places, *grid.values.values())]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*grid.coordinates, *grid.values])
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue().encode()
