"""Results that are lines or a table of numbers, with all that it takes to draw them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from landscope.measurements.base import Measurement

__all__ = ["Chart", "Matrix"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Chart(Measurement):
    """Lines or points on two named axes: what a study of several trainings comes to.

    Attributes:
        title: What is to be seen, in a few words.
        summary: One sentence on how to read it.
        x_name: Name and unit of the horizontal axis.
        y_name: Name and unit of the vertical axis.
        labels: Names of the lines, in the order of the legend.
        x: (n,) of each line, by its label.
        y: (n,) of each line; NaN interrupts it.
        low: (n,) lower edges of bands, of those lines that have one.
        high: (n,) upper edges of bands, of the same lines.
        expected: Labels of the lines that are a theory's, drawn dashed.
        x_log: Whether the horizontal axis is logarithmic.
        y_log: Whether the vertical axis is logarithmic.
        marks: "lines", "points", or "both".
    """

    kind: ClassVar[str] = "chart"
    title: str
    summary: str
    x_name: str
    y_name: str
    labels: tuple[str, ...]
    x: dict[str, np.ndarray]
    y: dict[str, np.ndarray]
    low: dict[str, np.ndarray] = field(default_factory=dict)
    high: dict[str, np.ndarray] = field(default_factory=dict)
    expected: tuple[str, ...] = ()
    x_log: bool = False
    y_log: bool = False
    marks: Literal["lines", "points", "both"] = "lines"

    def __post_init__(self) -> None:
        for label in self.labels:
            if label not in self.x or label not in self.y:
                raise ValueError(f"line {label!r} needs x and y, got x of {sorted(self.x)} and y of {sorted(self.y)}")
            if np.shape(self.x[label]) != np.shape(self.y[label]):
                raise ValueError(
                    f"x and y of line {label!r} must have one shape, got {np.shape(self.x[label])} and "
                    f"{np.shape(self.y[label])}"
                )
        if self.low.keys() != self.high.keys():
            raise ValueError(f"bands need both edges, got low of {sorted(self.low)} and high of {sorted(self.high)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Matrix(Measurement):
    """Numbers by two lists of things: cosines of class means, accuracies by setting.

    Attributes:
        title: What is to be seen, in a few words.
        summary: One sentence on how to read it.
        row_name: What a row is.
        column_name: What a column is.
        value_name: Name and unit of the numbers.
        rows: Names of the R rows, the first on top.
        columns: Names of the C columns.
        values: (R, C).
        signed: Whether zero is the middle of the colours.
    """

    kind: ClassVar[str] = "matrix"
    title: str
    summary: str
    row_name: str
    column_name: str
    value_name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    signed: bool = False

    def __post_init__(self) -> None:
        shape = (len(self.rows), len(self.columns))
        if np.shape(self.values) != shape:
            raise ValueError(f"values must be {shape}, one for each row and column, got {np.shape(self.values)}")

    def span(self) -> tuple[float, float] | None:
        """The least and greatest finite number."""
        finite = self.values[np.isfinite(self.values)]
        return (float(finite.min()), float(finite.max())) if finite.size else None
