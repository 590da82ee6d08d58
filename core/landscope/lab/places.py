"""A place on a recorded plane: which it is, the weights there, and whether the loss is what the plane says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np

from landscope.measurements import Measurement, Slice2D
from landscope.measurements.interpolation import drawn_at
from landscope.objective import Objective

__all__ = ["Place", "compared", "marked"]

_ROUNDING = 1e-5  # of losses in single precision, relative
_DOUBT = 2  # standard errors


@dataclass(frozen=True)
class Place:
    """A place on the plane of a slice: theta + alpha d_1 + beta d_2.

    Attributes:
        frame: The number of the slice's frame.
        alpha: Along its first direction.
        beta: Along its second.
    """

    frame: int
    alpha: float
    beta: float

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """From a command's parameters: "frame", "alpha", "beta".

        Raises:
            ValueError: if one is missing, or no number.
        """
        if not isinstance(given, Mapping) or {*given} != {"frame", "alpha", "beta"}:
            raise ValueError(f"at must hold frame, alpha and beta, got {given!r}")
        numbers = {name: given[name] for name in ("alpha", "beta")}
        for name, number in numbers.items():
            if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
                raise ValueError(f"{name} must be a finite number, got {number!r}")
        if isinstance(given["frame"], bool) or not isinstance(given["frame"], int):
            raise ValueError(f"frame must be the number of a slice's frame, got {given['frame']!r}")
        return cls(given["frame"], float(given["alpha"]), float(given["beta"]))

    @property
    def params(self) -> dict[str, Any]:
        """As a command's parameters."""
        return asdict(self)

    def words(self, slice2d: Slice2D) -> str:
        """Where it is."""
        step = slice2d.provenance.step
        return f"at alpha {self.alpha:.6g}, beta {self.beta:.6g} of the {slice2d.plane} plane of step {step:,}"


def compared(slice2d: Slice2D, place: Place, objective: Objective, measured: float) -> str:
    """What the plane says of a place beside what was measured there, in words.

    They agree if they are no further apart than the drawing's stated error and, where the examples are others, twice
    the standard error of the difference between means over both.

    Args:
        slice2d: The slice.
        place: On it.
        objective: What was measured.
        measured: Its loss at the place.

    Raises:
        ValueError: if the place lies outside of the slice.
    """
    there = (place.alpha, place.beta)
    ours = slice2d.provenance.split in ("", objective.split)
    other = slice2d.metrics.get(f"{objective.split}/loss")
    if not ours and other is None:
        drawn_at(slice2d, there)
        return f"the plane shows another loss, measured {measured:.4g}"
    shown = slice2d if ours else slice2d.replaced(loss=np.asarray(other), error=None)
    drawn, error = drawn_at(shown, there)
    if not math.isfinite(drawn):
        return f"the plane says nothing there, measured {measured:.4g}"
    if shown.error is not None and slice2d.provenance.data != objective.batches.digest:
        sampling, _ = drawn_at(shown.replaced(loss=shown.error), there)
        error = math.hypot(error, _DOUBT * sampling * math.sqrt(1 + slice2d.provenance.examples / objective.examples))
    within = not abs(drawn - measured) > error + _ROUNDING * abs(drawn)
    stated = f" \u00b1 {error:.2g}" if error > 0 else ""
    return f"the plane says {drawn:.4g}{stated}, measured {measured:.4g}{'' if within else ': further apart than that'}"


def marked(result: Measurement, remark: str) -> Measurement:
    """A result that says where it was measured, which is not at the weights of its step."""
    source = result.provenance
    return result.replaced(provenance=replace(source, method=f"{source.method}, {remark}"))
