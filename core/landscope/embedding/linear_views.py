"""Pictures of features along two or three axes of their own space."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from landscope.measurements.placement import rotation

__all__ = ["View", "along", "principal", "through_means", "unit_sphere"]


class View(NamedTuple):
    """A picture, and the axes it is drawn along.

    Attributes:
        points: (n, dimensions).
        explained: Share of the features' variance (of their squared length, on the sphere) that the axes keep; None
            where there is none.
        centre: (d,) where the axes start.
        axes: (d, dimensions), orthonormal, or zero where the features have no further direction.
    """

    points: np.ndarray
    explained: float | None
    centre: np.ndarray
    axes: np.ndarray


def principal(values: np.ndarray, dimensions: int, previous: np.ndarray | None = None) -> View:
    """Along the directions of greatest variance, turned to lie over the previous picture.

    Without one, signs are such that the coordinate that is largest in magnitude is positive.
    """
    centre = values.mean(axis=0)
    return _turned(values, centre, _leading(values - centre, dimensions), previous)


def through_means(values: np.ndarray, labels: np.ndarray, dimensions: int, previous: np.ndarray | None = None) -> View:
    """Along the principal directions of the class means, from the mean of these means.

    Three classes span a plane, which is then shown as it is; of more, the plane that keeps most of their scatter.

    Raises:
        ValueError: if there are fewer than two classes.
    """
    classes = np.unique(labels[labels >= 0])
    if len(classes) < 2:
        raise ValueError(f"a view through class means needs at least 2 classes, got {len(classes)}")
    means = np.stack([values[labels == label].mean(axis=0) for label in classes])
    centre = means.mean(axis=0)
    return _turned(values, centre, _leading(means - centre, dimensions), previous)


def along(values: np.ndarray, centre: np.ndarray, axes: np.ndarray) -> View:
    """Along given axes: a point moves only where its features do."""
    points = (values - centre) @ axes
    return View(points, _share(points - points.mean(axis=0), values - values.mean(axis=0)), centre, axes)


def unit_sphere(values: np.ndarray, dimensions: int, previous: np.ndarray | None = None) -> View:
    """Directions of the features as points on a circle or a sphere, turned about its centre to lie over the previous.

    Features are scaled to length one, projected to the two or three directions that keep most of their squared length
    (no mean is taken off), and scaled to length one again. Features of length zero have no direction: they are drawn
    at the centre.
    """
    units = _scaled(values)
    axes = _leading(units, dimensions)
    flat = units @ axes
    points = _scaled(flat)
    turn = _signs(points) if previous is None else rotation(points, previous)
    return View(points @ turn, _share(flat, units), np.zeros(values.shape[1]), axes @ turn)


def _turned(values: np.ndarray, centre: np.ndarray, axes: np.ndarray, previous: np.ndarray | None) -> View:
    view = along(values, centre, axes)
    if previous is None:
        turn = _signs(view.points)
        return view._replace(points=view.points @ turn, axes=axes @ turn)
    middle = view.points.mean(axis=0)
    turn = rotation(view.points - middle, previous - previous.mean(axis=0))
    return view._replace(points=view.points @ turn, axes=axes @ turn)


def _leading(rows: np.ndarray, dimensions: int) -> np.ndarray:
    """The first right singular vectors (d, dimensions) of rows (m, d); zero where the rows have no such direction.

    From the smaller of X^T X = V S^2 V^T and X X^T = U S^2 U^T.
    """
    m, width = rows.shape
    squares, vectors = np.linalg.eigh(rows.T @ rows if width <= m else rows @ rows.T)
    squares, vectors = squares[::-1][:dimensions], vectors[:, ::-1][:, :dimensions]
    there = squares > max(m, width) * np.finfo(float).eps * max(float(squares[0]), np.finfo(float).tiny)
    axes = np.zeros((width, dimensions))
    if width <= m:
        axes[:, : len(there)] = vectors * there
    else:
        axes[:, : len(there)] = rows.T @ (vectors * there / np.sqrt(np.where(there, squares, 1)))
    return axes


def _signs(points: np.ndarray) -> np.ndarray:
    largest = np.take_along_axis(points, np.abs(points).argmax(axis=0)[None], axis=0)[0]
    return np.diag(np.where(largest < 0, -1.0, 1.0))


def _share(kept: np.ndarray, whole: np.ndarray) -> float | None:
    total = float(np.square(whole).sum())
    return float(np.square(kept).sum()) / total if total > 0 else None


def _scaled(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    units: np.ndarray = rows / np.where(lengths > 0, lengths, 1)
    return units
