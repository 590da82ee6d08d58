"""How far a measurement is, and how it is ended."""

from __future__ import annotations

from dataclasses import dataclass

from landscope.measurements import Measurement

__all__ = ["Cancelled", "Progress"]


class Cancelled(BaseException):
    """Raised within a measurement to end it; no error, so that nothing which handles errors stops it on its way."""


@dataclass(frozen=True)
class Progress:
    """How far a measurement is.

    Attributes:
        done: Fraction from 0 to 1; None where it takes longer than was expected, so that nobody knows.
        seconds_left: Estimated; None where nobody knows.
        result: What has come out newly: a coarser picture, or the whole one when `done` is 1; None in between.
    """

    done: float | None
    seconds_left: float | None
    result: Measurement | None = None
