"""Features of a training without a training behind them: their points, their geometry, and waves in an embedding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from landscope.measurements import Examples, Geometry, Projection, Similarity, TokenSpectrum
from tests.browser.sources import EXAMPLES, source


def embedding_at(step: int, steps: int, classes: int, examples: int = EXAMPLES, method: str = "pca") -> Projection:
    """One cluster per class, on a circle, that draw together; what lies nearer to another's is taken for that."""
    rng = np.random.default_rng(7)
    labels = np.arange(examples) % classes
    angle = 2 * np.pi * np.arange(classes) / classes
    apart = 0.3 + 3.2 * (1 - np.exp(-4 * step / steps))
    spread = 1.0 - 0.6 * step / steps
    means = apart * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = means[labels] + spread * rng.normal(size=(examples, 2)) * 0.8
    outputs = points @ means.T - np.square(means).sum(axis=1) / 2
    right, others = outputs[np.arange(examples), labels], outputs.copy()
    others[np.arange(examples), labels] = -np.inf
    correct, order = outputs.argmax(axis=1) == labels, rng.uniform(size=examples) ** 3
    if method == "umap":
        points = np.sign(points) * np.abs(points) ** 0.8
    return Projection(
        provenance=replace(source("principal components", step, 0.08), data="0123456789abcdef"),
        points=points.astype(np.float32),
        labels=labels,
        classes=classes,
        layer="fc2",
        features=64,
        method=method,
        explained=0.61 if method == "pca" else None,
        trustworthiness=0.94,
        continuity=0.91,
        neighbours=10,
        displacement=0.031 if step else None,
        feature_displacement=0.022 if step else None,
        available=2 * examples,
        positions=np.arange(examples, dtype=np.int32) * 2 + 1,
        predictions=outputs.argmax(axis=1).astype(np.int32),
        losses=(np.log(np.exp(outputs - outputs.max(axis=1, keepdims=True)).sum(axis=1)) + outputs.max(axis=1) - right),
        margins=right - others.max(axis=1),
        learned=np.where(correct, np.minimum(order * steps, step), -1).astype(np.int32),
    )


def examples_behind(projection: Projection) -> Examples:
    """A picture of each class: a bar that turns, under a text of the example's own."""
    across, up = np.meshgrid(np.linspace(-1, 1, 12), np.linspace(-1, 1, 12))
    angle = np.pi * projection.labels / max(projection.classes, 1)
    off = across * np.cos(angle)[:, None, None] + up * np.sin(angle)[:, None, None]
    assert projection.positions is not None
    return Examples(
        provenance=source("examples", 0, 0.01),
        positions=projection.positions,
        labels=projection.labels,
        thumbnails=(255 * np.exp(-8 * off**2)).astype(np.uint8)[..., None],
        texts=tuple(f"<b>word</b> {position}" for position in projection.positions),
    )


def geometry_at(step: int, steps: int, classes: int) -> Geometry:
    """Features that collapse: class means towards a simplex, fewer and fewer directions."""
    left = float(np.exp(-3 * step / steps))
    target = np.where(np.eye(classes) > 0, 1.0, -1 / max(classes - 1, 1))
    neighbours = np.cos(2 * np.pi * np.subtract.outer(np.arange(classes), np.arange(classes)) / classes)
    cosines = (1 - left) * target + left * neighbours
    edges = np.linspace(-1, 1, 41)
    middles = (edges[1:] + edges[:-1]) / 2
    positive, negative = (np.exp(-0.5 * ((middles - middle) / 0.3) ** 2) for middle in (1 - left, 0))
    spectrum = np.arange(1.0, 65) ** -(2 - left)
    return Geometry(
        provenance=source("geometry of features", step, 0.06),
        eigenvalues=spectrum,
        effective_rank=9 + 40 * left,
        participation_ratio=5 + 20 * left,
        intrinsic=4 + 6 * left,
        intrinsic_low=3.6 + 5 * left,
        intrinsic_high=4.5 + 7 * left,
        distinct=EXAMPLES,
        layer="fc2",
        features=64,
        collapsed=False,
        alignment=1.5 * left,
        uniformity=-3.5 + 2 * left,
        tolerance=1 - 0.75 * left,
        edges=edges,
        positive=positive,
        negative=negative,
        separation=0.8 - 0.6 * left,
        knn_accuracy=0.98 - 0.3 * left,
        probe_accuracy=0.99 - 0.4 * left,
        nc1=8 * left**3,
        nc2_norms=0.4 * left,
        nc2_angles=float(np.abs(cosines - target).sum() / max(classes * (classes - 1), 1)),
        nc3=1.1 * left,
        nc4=0.2 * left**2,
        target="simplex",
        cosines=cosines,
        target_cosines=target,
        within=3 * left,
        between=5.0,
        classes=classes,
    )


def similarities_at(step: int, steps: int) -> Iterator[tuple[str, Similarity]]:
    """Layers in two blocks that part; steps before and after a change in the middle of the training."""
    done = step / steps
    names = ("embed", "blocks.0.attention", "blocks.0.mlp", "blocks.1.attention", "blocks.1.mlp", "norm", "readout")
    places = np.arange(len(names))
    apart = np.abs(np.subtract.outer(places, places))
    blocks = np.not_equal.outer(places > 3, places > 3)
    yield "similarity/layers", _similarity(names, np.exp(-0.08 * apart - 1.5 * done * blocks), step)
    times = np.unique(np.geomspace(1, step + 1, 30).astype(int)) - 1
    after = 1 / (1 + np.exp(-12 * (times / steps - 0.3)))
    drift = np.abs(np.subtract.outer(np.log1p(times), np.log1p(times))) / np.log1p(steps)
    names = tuple(str(time) for time in times)
    yield (
        "similarity/steps",
        _similarity(names, np.exp(-0.2 * drift) - 0.6 * np.abs(np.subtract.outer(after, after)), step),
    )


def _similarity(names: tuple[str, ...], values: np.ndarray, step: int) -> Similarity:
    provenance = source("linear CKA, unbiased", step, 0.01)
    return Similarity(provenance=provenance, values=values, rows=names, columns=names, metric="cka")


def tokens_at(step: int, steps: int) -> TokenSpectrum:
    """An embedding of the residues modulo 23 in which three waves outgrow the others."""
    p, key = 23, np.array([4, 9, 2])
    done = 1 - float(np.exp(-4 * step / steps))
    frequencies = np.arange(1, p // 2 + 1)
    norms = 0.4 + 0.1 * np.cos(3.0 * frequencies)
    norms[key - 1] += done * np.array([2.4, 2.0, 1.5])
    angles = 2 * np.pi * np.outer(key, np.arange(p)) / p
    radii = norms[key - 1, None] / np.sqrt(p) * (1 + 0.3 * (1 - done) * np.cos(5 * angles))
    squares = np.square(norms)
    return TokenSpectrum(
        provenance=source("progress measures of modular addition", step, 0.03),
        weight="embedding.weight",
        frequencies=frequencies,
        norms=norms,
        gini=0.1 + 0.5 * done,
        key=key,
        share=float(squares[key - 1].sum() / squares.sum()),
        circles=np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=2),
        splits=("all", "train"),
        full=np.array([3.0 - 2.9 * done, 0.1]),
        restricted=np.array([3.1 - 3.0 * done, 3.1 - 3.0 * done]),
        excluded=np.array([3.2, 0.1 + 3.0 * done]),
    )
