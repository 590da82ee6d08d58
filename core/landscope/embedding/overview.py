"""All that is measured of one layer's features at one time, of one pass over the data."""

from __future__ import annotations

import logging
from typing import Any

from torch import Tensor

from landscope.embedding.contrasts import contrast_of
from landscope.embedding.layers import forward_pass
from landscope.embedding.neural_collapse import Target, collapse_of
from landscope.embedding.ranks import dimension_of
from landscope.measurements import Geometry
from landscope.objective import Objective

__all__ = ["geometry"]

logger = logging.getLogger(__name__)


def geometry(
    objective: Objective,
    layer: str | None = None,
    *,
    theta: Tensor | None = None,
    examples: int = 512,
    seed: int = 0,
    target: Target = "auto",
) -> Geometry:
    """`dimension`, `contrast` and `collapse` of the same features.

    Collapse is measured over the classes that occur among the examples: some vertices of a simplex, less their mean,
    are a simplex again. Without at least two classes with different means it is left out.

    Args:
        objective: Whose network, and whose examples.
        layer: Name of the layer whose output is taken; by default the input of the linear layer that runs last.
        theta: Where; the model's weights by default.
        examples: At most this many, a subset that is the same at every call.
        seed: Chooses the subset.
        target: See `collapse`.

    Raises:
        ValueError: if there are fewer than 3 examples, features are not finite, or (see `features`) the layer cannot be
            taken.
    """
    probe = objective.sample(examples, seed=seed)
    with probe.measuring() as meter:
        readout = forward_pass(probe, layer, theta)
        found = probe.labels()
        labels = None if found is None else found.numpy()
        fields = dimension_of(readout.features, readout.layer, labels)
        fields |= contrast_of(readout.features, readout.layer, labels)
        collapse: dict[str, Any] = {}
        if labels is not None and (labels >= 0).all():
            try:
                collapse = collapse_of(readout, labels, target)
            except ValueError as reason:
                logger.info("geometry is measured without neural collapse: %s", reason)
        return Geometry(provenance=meter.provenance("geometry of the features", seed=seed), **fields, **collapse)
