"""Probes of the features: how they lie, and since when each example is right."""

from __future__ import annotations

from landscope import embedding
from landscope.live.watched import Watched
from landscope.measurements import Projection

__all__ = ["pictured", "pictured_by_umap"]

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
