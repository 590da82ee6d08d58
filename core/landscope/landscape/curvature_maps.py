"""The Hessian's extreme eigenvalues over a plane: where the loss is as convex as its picture looks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from landscope.curvature.lanczos import leading_eigenpairs
from landscope.curvature.operators import start_vector, zero_vector
from landscope.curvature.probes import private_generator
from landscope.landscape.slices import Directions, cut
from landscope.measurements import CurvatureMap
from landscope.objective import Objective

__all__ = ["curvature_map"]

_MAX_PRODUCTS = 100


def curvature_map(
    objective: Objective,
    directions: Directions = None,
    *,
    points: int | tuple[int, int] = 9,
    tolerance: float = 1e-2,
    **options: Any,
) -> CurvatureMap:
    """The algebraically largest and smallest eigenvalue of the Hessian at each point of a plane.

    Their ratio |lambda_min / lambda_max| is what Li et al. 2018, section 6, map: a slice that looks convex is so only
    where it is near zero. Each point starts from its neighbour's eigenvectors, so that it takes a few products.

    Args:
        objective: What to measure; a sample of the data will do, at its price in precision.
        directions: See `cut`.
        points: Grid points along each direction; far fewer than a slice has, as each costs some ten gradients.
        tolerance: Error of each eigenvalue at which to stop, relative to it.
        **options: Those of `cut` that place the plane: `theta`, `radius`, `extent`, `normalisation`, `seed` ...

    Raises:
        ValueError: as `cut` does.
    """
    with objective.measuring() as meter:
        plane = cut(objective, directions, points=points, **options)
        shape = plane.grid.shape
        found = np.full((3, *shape), np.nan)
        rows, span = plane.directions.double(), plane.centre.double()
        starts: list[Tensor | None] = [None, None]
        for i, j in _serpentine(shape):
            where = torch.tensor([plane.grid.axes[0][i], plane.grid.axes[1][j]], dtype=torch.float64).to(rows.device)
            theta = (span + where @ rows).to(plane.centre.dtype)
            try:
                values, residuals, starts = _extremes(objective, theta, starts, tolerance)
            except FloatingPointError:  # diverged there: no curvature, and no start for the next point
                starts = [None, None]
                continue
            found[:, i, j] = *values, max(residuals)
        return CurvatureMap(
            alpha=plane.grid.axes[0],
            beta=plane.grid.axes[1],
            largest=found[0],
            smallest=found[1],
            residuals=found[2],
            axes=plane.axes,
            provenance=meter.provenance(
                f"{shape[0]} x {shape[1]} points, {plane.plane} plane, Lanczos to {tolerance:g}", seed=plane.seed
            ),
        )


def _extremes(
    objective: Objective, theta: Tensor, starts: list[Tensor | None], tolerance: float
) -> tuple[list[float], list[float], list[Tensor | None]]:
    """Largest and smallest eigenvalue at theta, their residuals, and their vectors."""
    hessian, like, generator = objective.hessian(theta), zero_vector(objective), private_generator(0)
    values, residuals, vectors = [], [], []
    for sign, start in zip((1, -1), starts, strict=True):
        pairs = leading_eigenpairs(
            lambda vector, sign=sign: sign * hessian(vector),  # type: ignore[misc]
            start_vector(start, like, generator),
            1,
            tolerance=tolerance,
            max_products=_MAX_PRODUCTS,
            generator=generator,
        )
        values.append(sign * float(pairs.values[0]))
        residuals.append(float(pairs.residuals[0]))
        vectors.append(pairs.vectors[0])
    return values, residuals, vectors  # type: ignore[return-value]


def _serpentine(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """All positions, each next to the one before."""
    return [(i, j) for i in range(shape[0]) for j in (range(shape[1]) if i % 2 == 0 else range(shape[1] - 1, -1, -1))]
