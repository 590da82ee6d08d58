"""Curvature of an objective: eigenvalues, spectral density, trace, and sharpness against the optimiser's limit."""

from landscope.curvature.classwise import class_spectra
from landscope.curvature.coherence import sgd_stability
from landscope.curvature.comparison import sharpness_measures
from landscope.curvature.diagonals import diagonal
from landscope.curvature.mfac import GradientBuffer
from landscope.curvature.operators import OperatorName, block_diagonal, curvature_operator, preconditioned_operator
from landscope.curvature.preconditioned import sharpness
from landscope.curvature.quadrature import density
from landscope.curvature.readouts import eigenvector_readout
from landscope.curvature.scores import empirical_fisher, fisher
from landscope.curvature.spectrum import eigenvalues
from landscope.curvature.stability import StabilityRule, stability_rule
from landscope.curvature.taylor import quadratic_model
from landscope.curvature.traces import trace

__all__ = [
    "GradientBuffer",
    "OperatorName",
    "StabilityRule",
    "block_diagonal",
    "class_spectra",
    "curvature_operator",
    "density",
    "diagonal",
    "eigenvalues",
    "eigenvector_readout",
    "empirical_fisher",
    "fisher",
    "preconditioned_operator",
    "quadratic_model",
    "sgd_stability",
    "sharpness",
    "sharpness_measures",
    "stability_rule",
    "trace",
]
