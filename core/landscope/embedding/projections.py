"""A layer's features as a picture of points, which keeps still while the features do."""

from __future__ import annotations

import warnings
from typing import Literal, get_args

import numpy as np
from torch import Tensor

from landscope.embedding.layers import forward_pass
from landscope.embedding.neighbourhoods import trustworthiness
from landscope.embedding.placement import laid_over
from landscope.measurements import Projection
from landscope.objective import Objective

__all__ = ["Method", "project"]

Method = Literal["pca", "umap"]


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
) -> Projection:
    """The features of a layer, projected to two or three dimensions.

    "pca" takes the directions of greatest variance, in float64, and turns and reflects the picture to lie over the
    previous one. "umap" (McInnes, Healy and Melville 2018) starts from the previous picture, or from PCA, and lays the
    result over it, scale included. Trustworthiness T(k) (Venna and Kaski 2001) says how many of a point's neighbours in
    the picture are neighbours in the features. Features that are all equal give points at the origin, with no
    trustworthiness (NaN).

    Args:
        objective: Whose network, and whose examples.
        layer: Name of the layer whose output is taken; by default the input of the linear layer that runs last.
        method: "pca" or "umap".
        dimensions: 2 or 3.
        examples: At most this many, a subset that is the same at every call.
        previous: The frame before, of the same examples.
        theta: Where; the model's weights by default.
        seed: Chooses the subset, and drives umap.
        neighbours: The k of the score and of umap; less where fewer than 2k + 1 examples are there.

    Raises:
        ValueError: if an argument is out of range, there are fewer than 3 examples, features are not finite, `previous`
            has other points or dimensions, or (see `features`) the layer cannot be taken.
    """
    if method not in get_args(Method):
        raise ValueError(f"method must be one of {', '.join(get_args(Method))}, got {method!r}")
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
    with probe.measuring() as meter:
        readout = forward_pass(probe, layer, theta)
        labels = probe.labels()
        values = readout.features.double().numpy()
        if not np.isfinite(values).all():
            raise ValueError(f"features of layer {readout.layer!r} are not all finite: there is nothing to project")
        spread = bool(np.ptp(values, axis=0).any())
        centred = values - values.mean(axis=0) if spread else np.zeros_like(values)
        points, explained = _principal(centred, dimensions)
        before = None if previous is None else previous.points
        if before is not None:
            points = laid_over(points, before, scaled=False)
        if method == "umap":
            explained = None
            points = _umap(centred, points, before, neighbours, seed) if spread else points
        classes = np.full(n, -1) if labels is None else np.maximum(labels.numpy(), -1)
        return Projection(
            provenance=meter.provenance(f"projection, {method}", seed=seed),
            points=points,
            labels=classes,
            classes=int(classes.max()) + 1,
            layer=readout.layer,
            features=values.shape[1],
            method=method,
            explained=explained,
            trustworthiness=trustworthiness(values, points, neighbours) if spread else float("nan"),
            neighbours=neighbours,
        )


def _principal(centred: np.ndarray, dimensions: int) -> tuple[np.ndarray, float | None]:
    """The first principal components (n, dimensions), and the share of the variance in them; None without any.

    From the smaller of X^T X = V S^2 V^T and X X^T = U S^2 U^T. Signs are such that the coordinate that is largest in
    magnitude is positive. Directions that the features do not have are zero.
    """
    n, width = centred.shape
    squares, vectors = np.linalg.eigh(centred.T @ centred if width <= n else centred @ centred.T)
    squares, vectors = np.maximum(squares[::-1], 0), vectors[:, ::-1][:, :dimensions]
    points = np.zeros((n, dimensions))
    points[:, : vectors.shape[1]] = centred @ vectors if width <= n else vectors * np.sqrt(squares[:dimensions])
    largest = np.take_along_axis(points, np.abs(points).argmax(axis=0)[None], axis=0)
    total = float(squares.sum())
    return points * np.where(largest < 0, -1, 1), float(squares[:dimensions].sum()) / total if total > 0 else None


def _umap(centred: np.ndarray, start: np.ndarray, before: np.ndarray | None, neighbours: int, seed: int) -> np.ndarray:
    with warnings.catch_warnings():
        # Without tensorflow, importing umap warns that its parametric variant is missing.
        warnings.filterwarnings("ignore", message=".*[Tt]ensorflow", category=ImportWarning)
        import umap  # here, because it takes seconds and few need it
    reducer = umap.UMAP(
        n_neighbors=max(2, neighbours),
        n_components=start.shape[1],
        init=start if before is None else before,
        random_state=seed,
        n_jobs=1,  # what a seed implies; umap warns unless it is said
    )
    points = reducer.fit_transform(centred).astype(np.float64)
    points -= points.mean(axis=0)
    return points if before is None else laid_over(points, before, scaled=True)
