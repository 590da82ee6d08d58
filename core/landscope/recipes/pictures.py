"""The small picture that a recipe's card carries: what the recipe itself drew when it was last checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from landscope.measurements import Chart, Measurement
from landscope.recipes.records import CHECKED
from landscope.runs import Run

__all__ = ["keep_picture", "kept_picture", "thinned"]

_POINTS = 150
_MOST_BYTES = 128 * 1024


def keep_picture(name: str, run: Run, module: Any) -> None:
    """Keeps the picture of a recipe's card: its `picture(run)`, or the first of a run's exhibits that is small."""
    if hasattr(module, "picture"):
        candidates = [module.picture(run)]
    else:
        names = [event.data["name"] for event in run.events("exhibit") if event.data]
        candidates = [run.measurement(f"exhibit/{exhibit}") for exhibit in names]
    small = [encoded for one in candidates if len(encoded := thinned(one).to_bytes()) <= _MOST_BYTES]
    if small:
        CHECKED.mkdir(exist_ok=True)
        (CHECKED / f"{name}.safetensors").write_bytes(small[0])


def kept_picture(name: str) -> Measurement | None:
    """The picture of a recipe's card; None where it was never checked."""
    path = CHECKED / f"{name}.safetensors"
    return Measurement.from_bytes(path.read_bytes()) if path.is_file() else None


def thinned(measurement: Measurement, points: int = _POINTS) -> Measurement:
    """Lines of at most so many points in single precision, which is what a small picture can show."""
    if not isinstance(measurement, Chart):
        return measurement
    chosen = {label: _spread(measurement, label, points) for label in measurement.labels}
    changes = {}
    for part in ("x", "y", "low", "high"):
        lines = getattr(measurement, part)
        changes[part] = {label: np.float32(lines[label][chosen[label]]) for label in lines}
    return measurement.replaced(**changes)


def _spread(chart: Chart, label: str, points: int) -> np.ndarray:
    """Indices of points that are spread evenly over the axis as it is drawn, the first and last among them."""
    x = chart.x[label]
    if len(x) <= points:
        return np.arange(len(x))
    drawn = np.log(np.maximum(x, 1e-12)) if chart.x_log else np.asarray(x, dtype=float)
    wanted = np.linspace(drawn[0], drawn[-1], points)
    return np.unique(np.searchsorted(drawn, wanted).clip(0, len(x) - 1))
