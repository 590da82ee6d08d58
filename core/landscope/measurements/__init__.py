"""What the engines return: frozen dataclasses of numpy arrays, the language of engines, store, figures and app."""

from landscope.measurements.base import Measurement, Provenance
from landscope.measurements.charts import Chart, Matrix
from landscope.measurements.connectivity import Barriers, Connection
from landscope.measurements.curvature import Eigenvalues, Sharpness, SpectralDensity, Trace
from landscope.measurements.curves import Forecast, LossLaw, ScheduleBound
from landscope.measurements.eigenvectors import EigenvectorReadout
from landscope.measurements.estimates import ClassSpectra, Diagonal, SpectralCriteria
from landscope.measurements.examples import ExampleHistory, ExampleScores, LearningOrder, LossMixture
from landscope.measurements.geometry import Contrast, Dimension, Geometry, Similarity
from landscope.measurements.gradients import GapChange, GradientConflict, GradientStatistics, UpdatePath
from landscope.measurements.kernel import (
    Eigenmodes,
    KernelRegression,
    Laziness,
    Linearisation,
    PowerLaws,
    WidthScaling,
)
from landscope.measurements.landscape import CurvatureMap, Slice, Slice1D, Slice2D, Slice3D, Snapshot
from landscope.measurements.learning_coefficient import CoefficientCalibration, LearningCoefficient
from landscope.measurements.outputs import Calibration, OutputChange, PredictionFlips, Reliability
from landscope.measurements.representation import NTK, Collapse, Examples, Projection
from landscope.measurements.sampling import Ensemble, MeanCurvature, SampleConvergence
from landscope.measurements.seeds import SeedBands, SeedVariance
from landscope.measurements.sharpness import QuadraticModel, SharpnessMeasures
from landscope.measurements.slice_sets import SliceSet
from landscope.measurements.stability import SGDStability
from landscope.measurements.tokens import TokenSpectrum
from landscope.measurements.topology import MergeTree, Roughness
from landscope.measurements.trainability import TrainabilityMap
from landscope.measurements.weights import Plasticity, UnitActivity, WeightStatistics

__all__ = [
    "NTK",
    "Barriers",
    "Calibration",
    "Chart",
    "ClassSpectra",
    "CoefficientCalibration",
    "Collapse",
    "Connection",
    "Contrast",
    "CurvatureMap",
    "Diagonal",
    "Dimension",
    "Eigenmodes",
    "Eigenvalues",
    "EigenvectorReadout",
    "Ensemble",
    "ExampleHistory",
    "ExampleScores",
    "Examples",
    "Forecast",
    "GapChange",
    "Geometry",
    "GradientConflict",
    "GradientStatistics",
    "KernelRegression",
    "Laziness",
    "LearningCoefficient",
    "LearningOrder",
    "Linearisation",
    "LossLaw",
    "LossMixture",
    "Matrix",
    "MeanCurvature",
    "Measurement",
    "MergeTree",
    "OutputChange",
    "Plasticity",
    "PowerLaws",
    "PredictionFlips",
    "Projection",
    "Provenance",
    "QuadraticModel",
    "Reliability",
    "Roughness",
    "SGDStability",
    "SampleConvergence",
    "ScheduleBound",
    "SeedBands",
    "SeedVariance",
    "Sharpness",
    "SharpnessMeasures",
    "Similarity",
    "Slice",
    "Slice1D",
    "Slice2D",
    "Slice3D",
    "SliceSet",
    "Snapshot",
    "SpectralCriteria",
    "SpectralDensity",
    "TokenSpectrum",
    "Trace",
    "TrainabilityMap",
    "UnitActivity",
    "UpdatePath",
    "WeightStatistics",
    "WidthScaling",
]
