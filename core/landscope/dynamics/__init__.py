"""What is cheap enough for every step, and what it means."""

from landscope.dynamics.diagnosis import Finding, Series, diagnose
from landscope.dynamics.lengths import Norms, norms

__all__ = ["Finding", "Norms", "Series", "diagnose", "norms"]
