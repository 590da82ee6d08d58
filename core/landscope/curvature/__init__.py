"""Curvature of an objective: eigenvalues, spectral density, trace, and sharpness against the optimiser's limit."""

from landscope.curvature.hutchinson import trace
from landscope.curvature.preconditioned import sharpness
from landscope.curvature.quadrature import density
from landscope.curvature.spectrum import eigenvalues
from landscope.curvature.stability import StabilityRule, stability_rule

__all__ = ["StabilityRule", "density", "eigenvalues", "sharpness", "stability_rule", "trace"]
