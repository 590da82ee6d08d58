"""The geometry of a network's features: taken from a layer, projected to a picture, and measured for collapse."""

from landscope.embedding.layers import Features, features, layerwise
from landscope.embedding.neural_collapse import collapse
from landscope.embedding.projections import project

__all__ = ["Features", "collapse", "features", "layerwise", "project"]
