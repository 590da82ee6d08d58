"""The geometry of a network's features: taken from a layer, projected to a picture, and measured for collapse."""

from landscope.embedding.fourier import token_spectrum
from landscope.embedding.layers import Features, features, layerwise
from landscope.embedding.modular_addition import progress_measures
from landscope.embedding.neural_collapse import collapse
from landscope.embedding.projections import project

__all__ = ["Features", "collapse", "features", "layerwise", "progress_measures", "project", "token_spectrum"]
