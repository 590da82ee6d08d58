"""Runs side by side: in which settings they differ, and their curves, planes, spectra and features in common pictures.

Everything is read from the runs' folders; nothing is measured, and torch is not needed.

Example:
    >>> compared = compare("runs/a", "runs/b")  # doctest: +SKIP
    >>> compared.settings, compared.curves().figure()  # doctest: +SKIP
"""

from landscope.comparison.alignment import Placed, PlaneDifference, minus, placed, unlike_axes
from landscope.comparison.comparison import CURVES, DECILES, MOST, Comparison, compare
from landscope.comparison.curves import ascending, band, less, thinned
from landscope.comparison.pictures import Picture
from landscope.comparison.settings import ABSENT, Setting, differences, flattened, labels, seed_groups, text

__all__ = [
    "ABSENT",
    "CURVES",
    "DECILES",
    "MOST",
    "Comparison",
    "Picture",
    "Placed",
    "PlaneDifference",
    "Setting",
    "ascending",
    "band",
    "compare",
    "differences",
    "flattened",
    "labels",
    "less",
    "minus",
    "placed",
    "seed_groups",
    "text",
    "thinned",
    "unlike_axes",
]
