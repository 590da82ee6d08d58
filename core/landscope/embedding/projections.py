"""A layer's features as a picture of points, which keeps still while the features do."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from landscope.embedding import layouts, linear_views
from landscope.embedding.layers import Readout, forward_pass
from landscope.embedding.linear_views import View
from landscope.embedding.neighbourhoods import continuity, nearest, overlap, trustworthiness
from landscope.measurements import Projection
from landscope.measurements.placement import laid_over
from landscope.objective import Objective

__all__ = ["Method", "Start", "moved", "project", "scores"]

logger = logging.getLogger(__name__)

Method = Literal["pca", "fixed", "means", "sphere", "umap"]
Start = Literal["umap-learn", "pca"]

_SCORED = 512  # points whose neighbourhoods are compared with all others


def project(
    objective: Objective,
    layer: str | None = None,
    *,
    method: Method = "pca",
    dimensions: int = 2,
    examples: int = 512,
    previous: Projection | None = None,
    theta: Tensor | None = None,
    seed: int = 0,
    neighbours: int = 12,
    start: Start = "umap-learn",
) -> Projection:
    """The features of a layer, projected to two or three dimensions.

    - "pca": the directions of greatest variance, in float64, turned and reflected to lie over the previous picture.
    - "fixed": the axes of the frame before (PCA's in the first): a point moves only where its own features do.
    - "means": the principal directions of the class means, laid over like "pca".
    - "sphere": directions of the features as points on a circle or a sphere, turned about its centre.
    - "umap" (McInnes, Healy and Melville 2018): neighbours stay neighbours, distances mean nothing. The exact neighbour
      graph is found on the model's device. The first frame is laid out from PCA; later ones go on from the frame
      before, each point held by a spring as strong as its neighbourhood agrees with that of then, by an optimiser of
      our own, since umap-learn scales what it starts from and so makes pictures jump. A point whose features and
      neighbours' features are what they were stays exactly.

    Where no feature changed, the picture is exactly the previous one, with every method. `displacement` says how far
    the picture moved, `feature_displacement` how far the features did; trustworthiness and continuity T(k) (Venna and
    Kaski 2001) how many of a point's neighbours in the picture are neighbours in the features, and the other way round.
    Features that are all equal give points at the origin, without scores (NaN), except on the sphere.

    Args:
        objective: Whose network, and whose examples.
        layer: Name of the layer whose output is taken; by default the input of the linear layer that runs last.
        method: "pca", "fixed", "means", "sphere" or "umap".
        dimensions: 2 or 3.
        examples: At most this many, a subset that is the same at every call. Memory grows with it, not with the data.
        previous: The frame before, of the same examples. Of another method, it only tells how to turn the picture.
        theta: Where; the model's weights by default.
        seed: Chooses the subset, and drives umap.
        neighbours: The k of the scores and of umap; less where fewer than 2k + 1 examples are there.
        start: What lays out umap's first frame: "umap-learn" (seconds, and ten more the first time in a process, when
            numba compiles it), or our optimiser from "pca" (a fraction of a second, with trustworthiness less by about
            0.005), for when nothing may wait.

    Raises:
        ValueError: if an argument is out of range, there are fewer than 3 examples, features are not finite, `previous`
            has other points or dimensions, "means" finds fewer than two classes, or (see `features`) the layer cannot
            be taken.
    """
    for name, choice, choices in (("method", method, get_args(Method)), ("start", start, get_args(Start))):
        if choice not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, got {choice!r}")
    if dimensions not in (2, 3):
        raise ValueError(f"dimensions must be 2 or 3, got {dimensions}")
    if neighbours < 1:
        raise ValueError(f"neighbours must be positive, got {neighbours}")
    probe = objective.sample(examples, seed=seed)
    n = probe.examples
    if n < 3:
        raise ValueError(f"a projection needs at least 3 examples, got {n}")
    if previous is not None and previous.points.shape != (n, dimensions):
        raise ValueError(
            f"previous has points of shape {previous.points.shape}, expected {(n, dimensions)}: "
            "frames that follow each other must show the same examples; pass previous=None to begin anew"
        )
    neighbours = min(neighbours, (n - 1) // 2)
    with probe.measuring() as meter, torch.no_grad():
        readout = forward_pass(probe, layer, theta, losses=True)
        labels = probe.labels()
        classes = np.full(n, -1) if labels is None else np.maximum(labels.numpy(), -1)
        values = _finite(readout)
        drawing = _Drawing(
            values, classes, method, dimensions, neighbours, start, seed, probe.layout.device, readout.layer, previous
        )
        return Projection(
            provenance=replace(meter.provenance(f"projection, {method}", seed=seed), data=probe.digest),
            labels=classes,
            classes=int(classes.max()) + 1,
            layer=readout.layer,
            features=values.shape[1],
            method=method,
            neighbours=neighbours,
            available=objective.examples,
            positions=objective.sampled(examples, seed=seed).int().numpy(),
            values=values,
            **_told(readout, classes),
            **drawing.result(),
        )


def _finite(readout: Readout) -> np.ndarray:
    """The features as they are, in float32 where numpy has no such type."""
    features = readout.features
    values: np.ndarray = (features if features.dtype in (torch.float32, torch.float64) else features.float()).numpy()
    if not np.isfinite(values).all():
        raise ValueError(f"features of layer {readout.layer!r} are not all finite: there is nothing to project")
    return values


@dataclass(frozen=True)
class _Drawing:
    """A picture to be drawn of (n, d) features: the arguments of `project`, and what the pass over the data saw."""

    values: np.ndarray
    classes: np.ndarray
    method: Method
    dimensions: int
    neighbours: int
    start: Start
    seed: int
    device: torch.device
    layer: str
    previous: Projection | None

    @cached_property
    def before(self) -> Projection | None:
        """The frame before, if it is of the same method and layer."""
        last = self.previous
        return last if last is not None and (last.method, last.layer) == (self.method, self.layer) else None

    @cached_property
    def unchanged(self) -> np.ndarray | None:
        """(n,) whether each point's features are bit for bit what they were; None where those are not at hand."""
        then = None if self.before is None else self.before.values
        if then is None or then.shape != self.values.shape:
            return None
        same: np.ndarray = np.equal(then, self.values).all(axis=1)
        return same

    @cached_property
    def whole(self) -> np.ndarray:
        """The features in float64."""
        return self.values.astype(np.float64)

    @cached_property
    def spread(self) -> bool:
        """Whether any two features differ."""
        return bool(np.ptp(self.whole, axis=0).any())

    def result(self) -> dict[str, Any]:
        """The picture, its scores, and how far it moved."""
        if self.before is not None and self.unchanged is not None and self.unchanged.all():
            kept = ("points", "explained", "trustworthiness", "continuity", "scored", "graph", "centre", "axes")
            still = {name: getattr(self.before, name) for name in kept}
            return still | {"displacement": 0.0, "feature_displacement": 0.0}
        if self.method == "umap" and self.spread:
            graph, points = self._umap()
            return {"points": points, "graph": graph} | self._scores(points) | self._moves(points)
        view = self._linear()
        linear = {"points": view.points, "explained": view.explained, "centre": view.centre, "axes": view.axes}
        return linear | self._scores(view.points) | self._moves(view.points)

    def _linear(self) -> View:
        laid = None if self.previous is None else self.previous.points
        if self.method == "sphere":
            return linear_views.unit_sphere(self.whole, self.dimensions, laid)
        if not self.spread:
            return linear_views.principal(np.zeros_like(self.whole), self.dimensions)
        if self.method == "means":
            return linear_views.through_means(self.whole, self.classes, self.dimensions, laid)
        last = self.before
        if self.method == "fixed" and last is not None and last.centre is not None and last.axes is not None:
            return linear_views.along(self.whole, last.centre, last.axes)
        return linear_views.principal(self.whole, self.dimensions, laid)

    def _umap(self) -> tuple[np.ndarray, np.ndarray]:
        """Each point's neighbours (n, k) in the features, and the layout."""
        indices, distances = nearest(torch.as_tensor(self.whole, device=self.device), self.neighbours)
        graph = layouts.fuzzy_graph(indices, distances)
        if self.before is None:
            laid = None if self.previous is None else self.previous.points
            principal = linear_views.principal(self.whole, self.dimensions, laid).points
            if self.start == "pca":
                points = layouts.laid_out(graph, principal, self.seed)
            else:
                points = layouts.fitted(self.whole, indices, distances, principal, self.seed)
            return indices, points if laid is None else laid_over(points, laid, scaled=True)
        last = self.before.points
        agreement, still = np.ones(len(last)), np.zeros(len(last), bool)
        then = self.before.graph
        if then is None or then.shape != indices.shape:
            logger.info(
                "the frame before is without its neighbours, which files do not keep: all points are held alike"
            )
        else:
            agreement = overlap(indices, then)
            if self.unchanged is not None:
                still = self.unchanged & self.unchanged[indices].all(axis=1) & (indices == then).all(axis=1)
        points = layouts.continued(graph, last, agreement, still, self.seed)
        # Points that stay are the frame of reference; without any, the picture as a whole may have drifted.
        return indices, points if still.any() else laid_over(points, last, scaled=True)

    def _scores(self, points: np.ndarray) -> dict[str, Any]:
        if not self.spread:
            return {"trustworthiness": float("nan"), "continuity": float("nan"), "scored": len(points)}
        return scores(self.whole, points, self.neighbours, self.seed)

    def _moves(self, points: np.ndarray) -> dict[str, Any]:
        if self.before is None:
            return {}
        moves = {"displacement": moved(points, self.before.points)}
        if self.before.values is not None and self.unchanged is not None:
            moves["feature_displacement"] = moved(self.whole, self.before.values.astype(np.float64))
        return moves


def scores(values: np.ndarray, points: np.ndarray, neighbours: int, seed: int) -> dict[str, Any]:
    """How far a picture (n, dimensions) of features (n, d) can be trusted, over at most 512 random points."""
    rows = np.random.default_rng(seed).permutation(len(points))[:_SCORED]
    return {
        "trustworthiness": trustworthiness(values, points, neighbours, rows),
        "continuity": continuity(values, points, neighbours, rows),
        "scored": len(rows),
    }


def moved(now: np.ndarray, before: np.ndarray) -> float:
    """The median distance between points then and now, in radii of then."""
    radius = float(np.sqrt(np.square(before - before.mean(axis=0)).sum(axis=1).mean()))
    distance = float(np.median(np.linalg.norm(now - before, axis=1)))
    return distance / radius if radius > 0 else 0.0 if distance == 0 else float("inf")


def _told(readout: Readout, classes: np.ndarray) -> dict[str, Any]:
    """What the outputs of the same pass say of each example."""
    losses = None if readout.losses is None else readout.losses.float().numpy()
    outputs = readout.outputs
    if outputs.ndim != 2 or outputs.shape[1] < 2 or classes.max() < 0:
        return {"losses": losses}
    scores = outputs.double().numpy()
    count = scores.shape[1]
    others = scores.copy()
    rows, own = np.arange(len(scores)), np.clip(classes, 0, count - 1)
    others[rows, own] = -np.inf
    known = (classes >= 0) & (classes < count)
    margins = np.where(known, scores[rows, own] - others.max(axis=1), np.nan)
    return {
        "losses": losses,
        "predictions": scores.argmax(axis=1).astype(np.int32),
        "margins": margins.astype(np.float32),
    }
