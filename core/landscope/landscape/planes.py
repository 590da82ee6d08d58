"""The loss on a plane through weight space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from landscope.landscape.directions import random_directions
from landscope.landscape.normalisation import Normalisation
from landscope.landscape.trajectories import project_path, trajectory_plane
from landscope.measurements import Slice2D
from landscope.objective import Objective

__all__ = ["slice2d", "trajectory_slice"]

_CHUNK_BYTES = 2**28  # weights of the grid points that are held at once


def slice2d(
    objective: Objective,
    directions: Tensor | None = None,
    *,
    theta: Tensor | None = None,
    radius: float = 1.0,
    extent: tuple[tuple[float, float], tuple[float, float]] | None = None,
    points: int | tuple[int, int] = 25,
    normalisation: Normalisation = "filter",
    seed: int = 0,
    path: Tensor | None = None,
    path_steps: Sequence[int] | None = None,
) -> Slice2D:
    """The loss L(theta + alpha d_1 + beta d_2) on a grid of (alpha, beta).

    Args:
        objective: What to evaluate.
        directions: (2, P) the plane; by default two random ones (see `random_directions`).
        theta: (P,) the centre; the model's weights by default.
        radius: Half the side of the square around the centre, in multiples of the directions.
        extent: ((alpha_min, alpha_max), (beta_min, beta_max)) instead of a square.
        points: Grid points along alpha and along beta; odd numbers put one on the centre of a square.
        normalisation: Of random directions: "filter", "model" or "none".
        seed: Of random directions.
        path: (T, P) earlier weights, projected on the plane as its trajectory.
        path_steps: The step of each of them.

    Raises:
        ValueError: if the radius is not positive, an extent is reversed, a grid has fewer than two points a side, or
            directions have the wrong shape or are parallel.
    """
    if not radius > 0:
        raise ValueError(f"radius must be positive, got {radius}")
    ranges = extent or ((-radius, radius), (-radius, radius))
    if any(not low < high for low, high in ranges):
        raise ValueError(f"extent must be ((low, high), (low, high)) with low < high, got {extent}")
    counts = (points, points) if isinstance(points, int) else points
    if min(counts) < 2:
        raise ValueError(f"points must be at least 2 a side, got {points}")
    with objective.measuring() as meter:
        centre = objective.theta() if theta is None else theta
        given = directions is not None
        if directions is None:
            directions = random_directions(objective, normalisation=normalisation, seed=seed, theta=centre)
        elif directions.shape != (2, objective.layout.size):
            raise ValueError(f"directions must have shape (2, {objective.layout.size}), got {tuple(directions.shape)}")
        foot = project_path(centre.unsqueeze(0) if path is None else path, centre, directions)
        alpha, beta = (np.linspace(*limits, count) for limits, count in zip(ranges, counts, strict=True))
        metrics = _evaluate(objective, centre, directions, alpha, beta)
        plane = "given" if given else "random"
        return Slice2D(
            alpha=alpha,
            beta=beta,
            loss=metrics["loss"],
            accuracy=metrics.get("accuracy"),
            centre_loss=objective.value(centre),
            plane=plane,
            normalisation="none" if given else normalisation,
            axes=("first direction", "second direction") if given else _random_axes(normalisation, seed),
            gram=(directions.double() @ directions.double().T).cpu().numpy(),
            path=None if path is None else foot.coordinates.cpu().numpy(),
            path_steps=None if path_steps is None else np.asarray(path_steps),
            path_distances=None if path is None else foot.distances.cpu().numpy(),
            explained=None if path is None else foot.explained,
            directions=directions.cpu().numpy(),
            provenance=meter.provenance(
                f"{counts[0]} x {counts[1]} points, {plane} plane", seed=None if given else seed
            ),
        )


def trajectory_slice(
    objective: Objective,
    path: Tensor,
    *,
    theta: Tensor | None = None,
    path_steps: Sequence[int] | None = None,
    points: int = 25,
    margin: float = 0.3,
    previous: Tensor | None = None,
    seed: int = 0,
) -> Slice2D:
    """The loss on the plane through theta that lies closest to the path that led there.

    Coordinates are Euclidean distances in weight space. While the path is straight, a random filter-normalised
    direction completes the plane.

    Args:
        objective: What to evaluate.
        path: (T, P) earlier weights.
        theta: (P,) the centre; the model's weights by default.
        path_steps: The step of each point of the path.
        points: Grid points a side.
        margin: Space left around the path, as a share of its longer side.
        previous: (2, P) the plane of the frame before, to keep its orientation.
        seed: Of the direction that completes a straight path.

    Raises:
        ValueError: if the path never leaves theta.
    """
    with objective.measuring() as meter:
        centre = objective.theta() if theta is None else theta
        fallback = random_directions(objective, 1, seed=seed, theta=centre)[0]
        directions = trajectory_plane(path, centre, previous=previous, fallback=fallback)
        corners = torch.cat([project_path(path, centre, directions).coordinates, torch.zeros(1, 2).to(centre.device)])
        low, high = corners.amin(dim=0), corners.amax(dim=0)
        side = float((high - low).max())
        middle, half = (low + high) / 2, ((high - low) / 2).clamp_min(side / 4) + margin * side
        extent = tuple((float(m - h), float(m + h)) for m, h in zip(middle, half, strict=True))
        flat = slice2d(
            objective,
            directions,
            theta=centre,
            extent=(extent[0], extent[1]),
            points=points,
            path=path,
            path_steps=path_steps,
        )
        return flat.replaced(
            plane="trajectory",
            axes=("distance along the path's first principal direction", "along its second principal direction"),
            provenance=meter.provenance(f"{points} x {points} points, plane of the path's principal directions"),
        )


def _evaluate(
    objective: Objective, centre: Tensor, directions: Tensor, alpha: np.ndarray, beta: np.ndarray
) -> dict[str, np.ndarray]:
    """Metrics (A, B) on the grid; each point is computed in float64 and rounded once to the weights' type."""
    coordinates = torch.cartesian_prod(torch.from_numpy(alpha), torch.from_numpy(beta)).to(centre.device)
    chunk = max(8, _CHUNK_BYTES // (8 * len(centre)))
    found: dict[str, list[Tensor]] = {}
    for piece in coordinates.split(chunk):
        thetas = (centre.double() + piece @ directions.double()).to(centre.dtype)
        for name, values in objective.metrics(thetas).items():
            found.setdefault(name, []).append(values)
    return {name: torch.cat(pieces).reshape(len(alpha), len(beta)).numpy() for name, pieces in found.items()}


def _random_axes(normalisation: Normalisation, seed: int) -> tuple[str, str]:
    unit = "standard deviations" if normalisation == "none" else f"{normalisation} norms"
    return (f"first random direction, {unit} (seed {seed})", f"second random direction, {unit}")
