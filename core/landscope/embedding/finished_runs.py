"""Pictures of all moments of a finished training at once, so that later moments have a say in earlier ones."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from torch import Tensor

from landscope.embedding.layouts import torch_threads_kept
from landscope.embedding.projections import moved, project, scores
from landscope.measurements import Projection
from landscope.objective import Objective

__all__ = ["project_together"]


def project_together(
    objective: Objective,
    thetas: Tensor | Sequence[Tensor],
    layer: str | None = None,
    *,
    dimensions: int = 2,
    examples: int = 512,
    seed: int = 0,
    neighbours: int = 12,
) -> tuple[Projection, ...]:
    """UMAP of a layer's features at several moments of a training, laid out together by umap-learn's AlignedUMAP.

    Every example is drawn to where it is a moment before and after. It takes minutes for some ten frames of 512
    examples, and half a minute of compilation the first time: for a run that is done; `project` follows one that goes
    on. Where no feature changed from one moment to the next, the picture does not either.

    Args:
        objective: Whose network, and whose examples.
        thetas: (T, P) the weights at each moment.
        layer: As for `project`, like the rest.
        dimensions: 2 or 3.
        examples: At most this many.
        seed: Chooses the examples, and drives umap.
        neighbours: The k of the scores and of umap.

    Raises:
        ValueError: if there are fewer than two different moments, or as `project` does.
    """
    frames = [
        project(
            objective, layer, dimensions=dimensions, examples=examples, theta=theta, seed=seed, neighbours=neighbours
        )
        for theta in thetas
    ]
    features = [_features(frame) for frame in frames]
    new = [True, *(not np.array_equal(then, now) for then, now in pairwise(features))]
    if sum(new) < 2:
        raise ValueError(
            f"features at {len(frames)} moment(s) do not differ: there is nothing to align; project() draws one moment"
        )
    laid = iter(_aligned([values for values, differs in zip(features, new, strict=True) if differs], frames[0], seed))
    drawn: list[Projection] = []
    for frame, values, differs in zip(frames, features, new, strict=True):
        points = next(laid) if differs else drawn[-1].points
        moves = {}
        if drawn:
            before = drawn[-1]
            moves = {
                "displacement": moved(points, before.points),
                "feature_displacement": moved(values, _features(before)),
            }
        drawn.append(
            frame.replaced(
                provenance=replace(frame.provenance, method="projection, AlignedUMAP"),
                points=points,
                method="umap",
                explained=None,
                centre=None,
                axes=None,
                **scores(values, points, frame.neighbours, seed),
                **moves,
            )
        )
    return tuple(drawn)


def _features(frame: Projection) -> np.ndarray:
    assert frame.values is not None
    return frame.values.astype(np.float64)


def _aligned(features: list[np.ndarray], frame: Projection, seed: int) -> list[np.ndarray]:
    """AlignedUMAP's layouts (n, dimensions), centred."""
    with warnings.catch_warnings(), torch_threads_kept():
        # Without tensorflow, importing umap warns that its parametric variant is missing.
        warnings.filterwarnings("ignore", message=".*[Tt]ensorflow", category=ImportWarning)
        from umap import AlignedUMAP  # here, because it takes seconds and few need it

        warnings.filterwarnings("ignore", message="n_jobs value")
        mapper = AlignedUMAP(n_neighbors=frame.neighbours + 1, n_components=frame.points.shape[1], random_state=seed)
        same = {row: row for row in range(len(features[0]))}
        # It loses the ties into its last slice, which is therefore a copy that is thrown away.
        mapper.fit([*features, features[-1]], relations=[same] * len(features))
    return [np.asarray(points - points.mean(axis=0), dtype=np.float64) for points in mapper.embeddings_[:-1]]
