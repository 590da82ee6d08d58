"""Pictures of features through a training: a frame that goes on from the last beside umap-learn's fit from nothing.

`error` is how much less trustworthy our frames are than those fits; `displacement` how far they move, in radii.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

import landscope as ls
from benchmarks.timing import timed
from landscope.embedding.neighbourhoods import trustworthiness

__all__ = ["frames"]

_EXAMPLES, _WIDTH, _CLASSES, _NEIGHBOURS = 2000, 64, 10, 12
_BETWEEN = 5  # steps from frame to frame
_FRAMES = 6


def frames(device: str, points: int) -> Iterator[dict[str, Any]]:
    """2,000 x 64 features every few steps of a training: one row, medians over the frames. `points` is not used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tensorflow, which is missing
        from umap import UMAP

    def refit(values: np.ndarray, seed: int) -> np.ndarray:
        """What umap-learn makes of features with its own settings, as many neighbours as ours, and one thread."""
        found: np.ndarray = UMAP(n_neighbors=_NEIGHBOURS + 1, random_state=seed, n_jobs=1).fit_transform(values)
        torch.set_num_threads(1)  # which numba has changed
        return found.astype(np.float64)

    objective, steps = _training(device)
    umap = {"method": "umap", "examples": _EXAMPLES}
    first, compiling = timed(lambda: ls.embedding.project(objective, **umap))
    last, ours, peers, moved, still, lost = first, [], [], [], [], []
    refit(last.values, 0)  # compiles what was not yet
    for frame in range(_FRAMES):
        steps(_BETWEEN)
        before = last
        last, seconds = timed(lambda before=before: ls.embedding.project(objective, previous=before, **umap))
        ours.append(seconds.on(device))
        still.append(ls.embedding.project(objective, previous=last, **umap).displacement)
        moved.append(last.displacement)
        values = last.values.astype(np.float64)
        cold, seconds = timed(lambda values=values, frame=frame: refit(values, frame))
        peers.append(seconds.on(device))
        lost.append(trustworthiness(values, cold, _NEIGHBOURS) - trustworthiness(values, last.points, _NEIGHBOURS))
    yield {
        "ours_s": float(np.median(ours)),
        "peer_s": float(np.median(peers)),
        "ratio": float(np.median(peers) / np.median(ours)),
        "error": float(np.median(lost)),
        "worst_error": float(np.max(lost)),
        "peer": "umap-learn, fitted anew",
        "displacement": float(np.median(moved)),
        "worst_displacement": float(np.max(moved)),
        "displacement_unchanged": float(np.max(still)),
        "compilation_s": compiling.on(device),
        "examples": _EXAMPLES,
        "width": _WIDTH,
        "repeats": _FRAMES,
    }


def _training(device: str) -> tuple[ls.Objective, Any]:
    """Clusters with overlap and a network on them, trained for a while; and what trains it on."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(_EXAMPLES) % _CLASSES
    centres = 2 * torch.randn(_CLASSES, _WIDTH, generator=generator)
    x = (centres[labels] + 2 * torch.randn(_EXAMPLES, _WIDTH, generator=generator)).to(device)
    y = labels.to(device)
    torch.manual_seed(0)
    layers = nn.Linear(_WIDTH, 128), nn.ReLU(), nn.Linear(128, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, _CLASSES)
    model = nn.Sequential(*layers).to(device)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def steps(count: int) -> None:
        for _ in range(count):
            chosen = torch.randint(_EXAMPLES, (128,), generator=generator)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[chosen]), y[chosen]).backward()
            optimizer.step()

    steps(60)
    return ls.Objective(model, nn.CrossEntropyLoss(), (x, y)), steps
