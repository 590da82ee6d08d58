"""A run as one page that stands alone: what was found, what became of its claims, its curves, and every picture of it.

Everything is read from the run's folder; nothing is measured, and torch is not needed.

Example:
    >>> report("runs/20261128-101200-grokking", "grokking.html")  # doctest: +SKIP
"""

from landscope.reports.measured import MOST, chosen_frames, picture_frames
from landscope.reports.steadiness import hold_still
from landscope.reports.whole_runs import pieces, report

__all__ = ["MOST", "chosen_frames", "hold_still", "picture_frames", "pieces", "report"]
