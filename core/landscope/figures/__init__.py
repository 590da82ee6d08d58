"""Measurements as plotly figures: pure functions, used by notebooks and by the dashboard alike."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from landscope.figures.charts import chart_figure, matrix_figure
from landscope.figures.comparisons import planes_figure
from landscope.figures.connectivity import barriers_figure, connection_figure
from landscope.figures.curves import forecast_figure, law_figure, schedule_figure
from landscope.figures.eigenvectors import readout_figure
from landscope.figures.estimates import class_spectra_figure, diagonal_figure
from landscope.figures.examples import history_figure, mixture_figure, order_figure, scores_figure
from landscope.figures.geometry import (
    contrast_figure,
    dimension_figure,
    geometry_figure,
    similarity_figure,
)
from landscope.figures.gradients import conflict_figure, gap_figure, gradient_figure, path_figure
from landscope.figures.kernels import (
    eigenmodes_figure,
    kernel_figure,
    kernel_history_figure,
    laziness_figure,
    laziness_history_figure,
    linearisation_figure,
    power_laws_figure,
    regression_figure,
    width_scaling_figure,
)
from landscope.figures.learning_coefficient import calibration_figure, coefficient_figure
from landscope.figures.lines import collapse_figure, criteria_figure, series_figure, sharpness_figure, trace_figure
from landscope.figures.outputs import change_figure, flips_figure, reliability_figure
from landscope.figures.sampling import convergence_figure, curvature_lines_figure, ensemble_figure
from landscope.figures.scatter import embedding_figure
from landscope.figures.seeds import bands_figure, variance_figure
from landscope.figures.sharpness import measures_figure, quadratic_figure
from landscope.figures.slice_sets import slice_set_figure
from landscope.figures.slices import box_figure, line_figure
from landscope.figures.spectra import density_figure, eigenvalues_figure, waterfall_figure
from landscope.figures.stability import stability_figure
from landscope.figures.surfaces import curvature_figure, landscape_figure
from landscope.figures.theme import CONFIG, template, theme
from landscope.figures.tokens import tokens_figure
from landscope.figures.topology import merge_tree_figure
from landscope.figures.trainability import trainability_figure
from landscope.figures.weights import plasticity_figure, units_figure, weights_figure
from landscope.measurements import (
    NTK,
    Barriers,
    Calibration,
    Chart,
    ClassSpectra,
    CoefficientCalibration,
    Collapse,
    Connection,
    Contrast,
    CurvatureMap,
    Diagonal,
    Dimension,
    Eigenmodes,
    Eigenvalues,
    EigenvectorReadout,
    Ensemble,
    ExampleHistory,
    ExampleScores,
    Forecast,
    GapChange,
    Geometry,
    GradientConflict,
    GradientStatistics,
    KernelRegression,
    Laziness,
    LearningCoefficient,
    LearningOrder,
    Linearisation,
    LossLaw,
    LossMixture,
    Matrix,
    MeanCurvature,
    Measurement,
    MergeTree,
    OutputChange,
    Plasticity,
    PowerLaws,
    PredictionFlips,
    Projection,
    QuadraticModel,
    SampleConvergence,
    ScheduleBound,
    SeedBands,
    SeedVariance,
    SGDStability,
    Sharpness,
    SharpnessMeasures,
    Similarity,
    Slice1D,
    Slice2D,
    Slice3D,
    SliceSet,
    SpectralCriteria,
    SpectralDensity,
    TokenSpectrum,
    Trace,
    TrainabilityMap,
    UnitActivity,
    UpdatePath,
    WeightStatistics,
    WidthScaling,
)

__all__ = [
    "CONFIG",
    "figure",
    "kernel_history_figure",
    "laziness_history_figure",
    "planes_figure",
    "series_figure",
    "template",
    "theme",
    "waterfall_figure",
]

_BUILDERS: dict[type[Measurement], Any] = {
    Slice2D: landscape_figure,
    Slice1D: line_figure,
    Slice3D: box_figure,
    SliceSet: slice_set_figure,
    CurvatureMap: curvature_figure,
    SpectralDensity: density_figure,
    Eigenvalues: eigenvalues_figure,
    Sharpness: sharpness_figure,
    Trace: trace_figure,
    Diagonal: diagonal_figure,
    ClassSpectra: class_spectra_figure,
    SpectralCriteria: criteria_figure,
    NTK: kernel_figure,
    PowerLaws: power_laws_figure,
    Laziness: laziness_figure,
    Eigenmodes: eigenmodes_figure,
    Linearisation: linearisation_figure,
    KernelRegression: regression_figure,
    WidthScaling: width_scaling_figure,
    Projection: embedding_figure,
    Collapse: collapse_figure,
    Dimension: dimension_figure,
    Contrast: contrast_figure,
    Geometry: geometry_figure,
    Similarity: similarity_figure,
    Connection: connection_figure,
    Barriers: barriers_figure,
    MergeTree: merge_tree_figure,
    TrainabilityMap: trainability_figure,
    SampleConvergence: convergence_figure,
    Ensemble: ensemble_figure,
    MeanCurvature: curvature_lines_figure,
    QuadraticModel: quadratic_figure,
    SharpnessMeasures: measures_figure,
    SGDStability: stability_figure,
    EigenvectorReadout: readout_figure,
    TokenSpectrum: tokens_figure,
    GradientStatistics: gradient_figure,
    WeightStatistics: weights_figure,
    ExampleScores: scores_figure,
    Calibration: reliability_figure,
    OutputChange: change_figure,
    PredictionFlips: flips_figure,
    ExampleHistory: history_figure,
    LossMixture: mixture_figure,
    LearningOrder: order_figure,
    UnitActivity: units_figure,
    Plasticity: plasticity_figure,
    GradientConflict: conflict_figure,
    UpdatePath: path_figure,
    GapChange: gap_figure,
    LossLaw: law_figure,
    Forecast: forecast_figure,
    ScheduleBound: schedule_figure,
    SeedBands: bands_figure,
    SeedVariance: variance_figure,
    LearningCoefficient: coefficient_figure,
    CoefficientCalibration: calibration_figure,
    Chart: chart_figure,
    Matrix: matrix_figure,
}


def figure(measurement: Measurement, *, dark: bool = False, **options: Any) -> go.Figure:
    """The figure of a measurement.

    Args:
        measurement: What to draw.
        dark: Whether to draw on a dark background.
        **options: What the builder of that kind takes, e.g. `style="surface"` for a `Slice2D`.

    Raises:
        TypeError: if measurements of that kind have no picture.
    """
    try:
        builder = _BUILDERS[type(measurement)]
    except KeyError:
        drawn = ", ".join(cls.__name__ for cls in _BUILDERS)
        raise TypeError(f"no figure for a {type(measurement).__name__}; those with one are {drawn}") from None
    drawing: go.Figure = builder(measurement, theme(dark), **options)
    return drawing
