"""The directions of a recorded slice again, from the weights that were kept, and the weights at a place on its plane.

A recorded slice keeps neither its centre nor its directions, which are as large as the network. Random directions
follow from their seed and the weights; those of the trajectory's plane from the snapshots of the path. What was
recorded of them (inner products, and where the path lies) is held against what is built again, so that another plane is
never taken for it. Eigenvectors and gradients depend on examples and on where an iteration stopped: these planes are
not built again.
"""

from __future__ import annotations

from itertools import product
from typing import cast

import numpy as np
import torch
from torch import Tensor

from landscope.landscape.directions import random_directions
from landscope.landscape.normalisation import Normalisation
from landscope.landscape.trajectories import project_path, trajectory_plane
from landscope.measurements import Slice2D
from landscope.objective import Objective

__all__ = ["REBUILT", "point_on_plane", "rebuilt_directions"]

REBUILT = ("random", "trajectory")
"""The planes whose directions can be built again."""

_TOLERANCE = 1e-5  # relative to lengths: directions are rounded to single precision
_STRAIGHT = 1e-4  # of the path's extent, under which the side of a second direction is not told


def rebuilt_directions(objective: Objective, slice2d: Slice2D, centre: Tensor, path: Tensor | None = None) -> Tensor:
    """The directions (2, P) of a recorded slice.

    Args:
        objective: Of the same model.
        slice2d: As it was recorded.
        centre: (P,) the weights it was taken around.
        path: (T, P) the weights at its `path_steps`; for the plane of the trajectory.

    Raises:
        ValueError: if its plane is none of `REBUILT`, or what is built is not what was recorded.
    """
    if slice2d.plane not in REBUILT:
        raise ValueError(
            f"the directions of a {slice2d.plane} plane were not kept and cannot be built again exactly; "
            f"choose a place on one of: {', '.join(REBUILT)}"
        )
    if slice2d.gram is None:
        raise ValueError("the slice does not hold its directions' inner products, by which they are known again")
    if slice2d.plane == "random":
        return _random(objective, slice2d, centre)
    return _trajectory(objective, slice2d, centre, path)


def point_on_plane(centre: Tensor, directions: Tensor, place: tuple[float, float]) -> Tensor:
    """The weights theta + alpha d_1 + beta d_2 (P,), summed in float64 and rounded to the type of the weights.

    Args:
        centre: (P,) theta.
        directions: (2, P).
        place: (alpha, beta).
    """
    coordinates = torch.tensor(place, dtype=torch.float64, device=centre.device)
    return (centre.double() + coordinates @ directions.double()).to(centre.dtype)


def _random(objective: Objective, slice2d: Slice2D, centre: Tensor) -> Tensor:
    """By the seed; whether biases moved and directions were made orthogonal is told by the inner products."""
    normalisation, seed = cast(Normalisation, slice2d.normalisation), slice2d.provenance.seed
    if seed is None:
        raise ValueError("the slice does not say by which seed its random directions were drawn")
    for orthogonal, biases in product((False, True), repeat=2):
        directions = random_directions(
            objective, 2, normalisation=normalisation, biases=biases, orthogonal=orthogonal, seed=seed, theta=centre
        )
        if _same_products(directions, slice2d):
            return directions
    raise ValueError("random directions with the slice's seed have other inner products than it recorded")


def _trajectory(objective: Objective, slice2d: Slice2D, centre: Tensor, path: Tensor | None) -> Tensor:
    """By the path; the side to which each direction points is told by where the path was drawn."""
    if path is None or slice2d.path is None or len(path) != len(slice2d.path):
        raise ValueError("the trajectory's plane is built from all weights of the path that was drawn on it")
    fallback = random_directions(objective, 1, theta=centre)[0]
    directions = trajectory_plane(path, centre, fallback=fallback)
    found, drawn = project_path(path, centre, directions).coordinates.cpu().numpy(), np.asarray(slice2d.path)
    extent = float(np.abs(drawn).max())
    if float(np.abs(drawn).max(axis=0).min()) < _STRAIGHT * extent:
        raise ValueError("the path was straight, so that nothing says to which side its plane's other direction points")
    sides = np.sign((found * drawn).sum(axis=0))
    directions = directions * torch.from_numpy(sides).to(directions)[:, None]
    if not _same_products(directions, slice2d) or float(np.abs(found * sides - drawn).max()) > _TOLERANCE * extent:
        raise ValueError("the path lies elsewhere on the plane that its kept weights give than it was drawn")
    return directions


def _same_products(directions: Tensor, slice2d: Slice2D) -> bool:
    rows = directions.double()
    found, recorded = (rows @ rows.T).cpu().numpy(), np.asarray(slice2d.gram)
    lengths = np.sqrt(np.diagonal(recorded))
    return bool((np.abs(found - recorded) <= _TOLERANCE * np.outer(lengths, lengths)).all())
