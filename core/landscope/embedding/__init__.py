"""The geometry of a network's features: taken from layers, drawn, compared, and measured for what they use of space."""

from landscope.embedding.comparison import cka, procrustes, similarity, similarity_between
from landscope.embedding.contrasts import contrast
from landscope.embedding.finished_runs import project_together
from landscope.embedding.fourier import token_spectrum
from landscope.embedding.free_features import OrthogonalFrame, orthogonal_frame
from landscope.embedding.inputs import shown
from landscope.embedding.layers import Features, features, layerwise
from landscope.embedding.learning import steps_learned
from landscope.embedding.modular_addition import progress_measures
from landscope.embedding.neighbourhoods import continuity, trustworthiness
from landscope.embedding.neural_collapse import collapse
from landscope.embedding.overview import geometry
from landscope.embedding.projections import project
from landscope.embedding.ranks import dimension, participation_ratio, rankme, two_nn

__all__ = [
    "Features",
    "OrthogonalFrame",
    "cka",
    "collapse",
    "continuity",
    "contrast",
    "dimension",
    "features",
    "geometry",
    "layerwise",
    "orthogonal_frame",
    "participation_ratio",
    "procrustes",
    "progress_measures",
    "project",
    "project_together",
    "rankme",
    "shown",
    "similarity",
    "similarity_between",
    "steps_learned",
    "token_spectrum",
    "trustworthiness",
    "two_nn",
]
