"""Probes of the features: how they lie, since when each example is right, and how alike layers and steps are."""

from __future__ import annotations

import numpy as np
import torch

from landscope import embedding
from landscope.embedding.narrowing import narrowed
from landscope.live.watched import Watched
from landscope.measurements import Projection, Similarity

__all__ = ["StepSimilarity", "layer_similarity", "pictured", "pictured_by_umap"]

_COMPARED = 256  # examples whose features are compared
_MOST_LAYERS = 24
_MOST_STEPS = 30
_PICTURES = ("embedding", "embedding/umap")  # names of the probes, which show the same examples


def pictured(watched: Watched) -> Projection:
    """The features by their principal components, laid over the frame before."""
    picture = embedding.project(watched.focus, previous=_last(watched, "embedding"))
    return _followed(picture, watched)


def pictured_by_umap(watched: Watched) -> Projection:
    """Laid out from PCA at first: nothing waits for umap-learn to be imported and compiled, here or ever."""
    previous = _last(watched, "embedding/umap")
    picture = embedding.project(watched.focus, method="umap", start="pca", previous=previous)
    return _followed(picture, watched)


def layer_similarity(watched: Watched) -> Similarity | None:
    """CKA of the layers with one another, of a deep network's some that are evenly spaced; None of a single layer."""
    if not any(watched.focus.model.children()):
        return None
    few = watched.focus.sample(_COMPARED)
    with few.measuring() as meter:
        layers = embedding.layerwise(few, examples=None)
        names = list(layers)
        if len(names) > _MOST_LAYERS:
            names = [names[place] for place in np.linspace(0, len(names) - 1, _MOST_LAYERS).round().astype(int)]
        found = embedding.similarity({name: layers[name] for name in names})
        return found.replaced(provenance=meter.provenance(found.provenance.method))


class StepSimilarity:
    """CKA of the watched layer's features at some thirty steps so far with one another.

    Those steps are spaced evenly on a logarithmic axis: of any more, the one is let go whose neighbours are closest to
    each other, never the first or the newest.
    """

    def __init__(self) -> None:
        self._features: dict[int, torch.Tensor] = {}
        self._values = np.zeros((0, 0))

    def __call__(self, watched: Watched) -> Similarity:
        """The present features beside the earlier ones that are kept."""
        few = watched.focus.sample(_COMPARED)
        with few.measuring() as meter:
            now = embedding.features(few)
            centred = now.values.double() - now.values.double().mean(0)
            self._forget(watched.step)
            self._features[watched.step] = narrowed(centred).float()
            beside = {str(step): values for step, values in self._features.items()}
            newest = str(watched.step)
            row = embedding.similarity({newest: beside[newest]}, beside)
            self._values = np.pad(self._values, (0, 1))
            self._values[-1] = self._values[:, -1] = row.values[0]
            if len(self._features) > _MOST_STEPS:
                self._forget(_closest(list(self._features)))
            names = tuple(str(step) for step in self._features)
            provenance = meter.provenance(f"{row.provenance.method}, layer {now.layer}")
            return row.replaced(provenance=provenance, values=self._values, rows=names, columns=names)

    def _forget(self, step: int) -> None:
        if step in self._features:
            place = list(self._features).index(step)
            self._values = np.delete(np.delete(self._values, place, axis=0), place, axis=1)
            del self._features[step]


def _closest(steps: list[int]) -> int:
    """The step between whose neighbours there is least room on a logarithmic axis."""
    places = np.log1p(steps)
    return steps[1 + int(np.argmin(places[2:] - places[:-2]))]


def _last(watched: Watched, name: str) -> Projection | None:
    last = watched.latest.get(name)
    return last if isinstance(last, Projection) else None


def _followed(picture: Projection, watched: Watched) -> Projection:
    """With the steps at which examples were learned, from the newest frame of either picture."""
    if picture.correct is None:
        return picture
    known = [last for name in _PICTURES if (last := _last(watched, name)) is not None and last.learned is not None]
    newest = max(known, key=lambda last: last.provenance.step or 0, default=None)
    before = None if newest is None else newest.learned
    return picture.replaced(learned=embedding.steps_learned(picture.correct, watched.step, before))
