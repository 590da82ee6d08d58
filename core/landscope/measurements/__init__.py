"""What the engines return: frozen dataclasses of numpy arrays, the language of engines, store, figures and app."""

from landscope.measurements.base import Measurement, Provenance
from landscope.measurements.curvature import Eigenvalues, Sharpness, SpectralDensity, Trace
from landscope.measurements.landscape import Slice2D, Snapshot
from landscope.measurements.representation import NTK, Collapse, Projection

__all__ = [
    "NTK",
    "Collapse",
    "Eigenvalues",
    "Measurement",
    "Projection",
    "Provenance",
    "Sharpness",
    "Slice2D",
    "Snapshot",
    "SpectralDensity",
    "Trace",
]
