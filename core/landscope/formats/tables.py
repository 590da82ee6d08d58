"""Comma-separated values: one line for each point of a grid, of a chart's lines, or of scalars over the steps."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping

import numpy as np

from landscope.formats.grids import grid_of
from landscope.measurements import Chart, CurvatureMap, Matrix, Measurement, Slice1D, Slice2D, Slice3D

__all__ = ["TABLES", "series_to_csv", "to_csv"]

TABLES: tuple[type[Measurement], ...] = (Slice1D, Slice2D, Slice3D, CurvatureMap, Chart, Matrix)
"""Measurements that are a table."""


def to_csv(measurement: Measurement) -> bytes:
    """A measurement as a table.

    A slice or curvature map is one line for each point: its coordinates, the last of which runs fastest, then every
    number measured there. A chart is one line for each point of its lines: line, x, y, and low and high where there
    are bands. A matrix is one line for each number: row, column, value.

    Numbers have as many digits as it takes to read the same number back. A table has no place for provenance.

    Raises:
        TypeError: if the measurement is no table.
    """
    if isinstance(measurement, Chart):
        return _chart(measurement)
    if isinstance(measurement, Matrix):
        names = [(row, column) for row in measurement.rows for column in measurement.columns]
        numbers = measurement.values.ravel().tolist()
        return _table(("row", "column", "value"), ((*pair, value) for pair, value in zip(names, numbers, strict=True)))
    grid = grid_of(measurement)
    places = np.meshgrid(*grid.coordinates.values(), indexing="ij")
    columns = [array.ravel().tolist() for array in (*places, *grid.values.values())]
    return _table((*grid.coordinates, *grid.values), zip(*columns, strict=True))


def series_to_csv(series: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> bytes:
    """Scalars over the steps in long form: one line for each value, with its name and its step.

    Args:
        series: Steps (n,) and values (n,) by name.
    """
    rows = (
        (name, step, value)
        for name, (steps, values) in series.items()
        for step, value in zip(steps.tolist(), values.tolist(), strict=True)
    )
    return _table(("name", "step", "value"), rows)


def _chart(chart: Chart) -> bytes:
    bands = bool(chart.low)
    rows: list[tuple[object, ...]] = []
    for label in chart.labels:
        x = np.asarray(chart.x[label])
        parts = [x, chart.y[label]]
        if bands:
            unknown = np.full(len(x), np.nan)
            parts += [chart.low.get(label, unknown), chart.high.get(label, unknown)]
        rows += [(label, *point) for point in zip(*(np.asarray(part).tolist() for part in parts), strict=True)]
    return _table(("line", "x", "y", *(("low", "high") if bands else ())), rows)


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(list(head))
    writer.writerows(rows)
    return text.getvalue().encode()
