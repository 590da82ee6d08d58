"""Charts from lines given by name, as recipes have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from landscope.measurements import Chart, Provenance

__all__ = ["Lines", "lines"]

Lines: TypeAlias = Mapping[str, tuple[ArrayLike, ArrayLike]]
"""x and y of each line, by its label."""


def lines(
    title: str,
    summary: str,
    axes: tuple[str, str],
    measured: Lines,
    *,
    expected: Lines | None = None,
    bands: Lines | None = None,
    method: str = "",
    **options: Any,
) -> Chart:
    """A chart of measured lines and of a theory's.

    Args:
        title: What is to be seen, in a few words.
        summary: One sentence on how to read it.
        axes: Names and units of the horizontal and the vertical axis.
        measured: The lines that were measured, in the order of the legend.
        expected: Those that a theory foretells, drawn dashed.
        bands: Lower and upper edges of the bands of some of the lines.
        method: How the numbers were found; the title by default.
        options: `x_log`, `y_log` and `marks` of the `Chart`.
    """
    expected, bands = expected or {}, bands or {}
    everything = {**measured, **expected}
    return Chart(
        provenance=Provenance(method=method or title),
        title=title,
        summary=summary,
        x_name=axes[0],
        y_name=axes[1],
        labels=tuple(everything),
        x={label: np.asarray(x) for label, (x, _) in everything.items()},
        y={label: np.asarray(y) for label, (_, y) in everything.items()},
        low={label: np.asarray(low) for label, (low, _) in bands.items()},
        high={label: np.asarray(high) for label, (_, high) in bands.items()},
        expected=tuple(expected),
        **options,
    )
