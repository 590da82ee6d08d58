"""What is cheap enough for every step, and what it means."""

from landscope.dynamics.conflict import gradient_conflict
from landscope.dynamics.diagnosis import Finding, Series, diagnose
from landscope.dynamics.example_gradients import example_grams
from landscope.dynamics.generalisation import gap_change
from landscope.dynamics.gradient_noise import gradient_statistics, two_batch_estimates
from landscope.dynamics.groups import by_group
from landscope.dynamics.lengths import Norms, norms
from landscope.dynamics.updates import update_path

__all__ = [
    "Finding",
    "Norms",
    "Series",
    "by_group",
    "diagnose",
    "example_grams",
    "gap_change",
    "gradient_conflict",
    "gradient_statistics",
    "norms",
    "two_batch_estimates",
    "update_path",
]
