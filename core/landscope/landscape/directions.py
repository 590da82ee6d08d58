"""Directions in weight space: random ones scaled to the network's filters, and the plane of a trajectory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from landscope.objective import Objective
from landscope.parameters import filter_rules

__all__ = ["NORMALISATIONS", "Normalisation", "PathProjection", "project_path", "random_directions", "trajectory_plane"]

Normalisation = Literal["filter", "model", "none"]
NORMALISATIONS: tuple[Normalisation, ...] = ("filter", "model", "none")


def random_directions(
    objective: Objective,
    count: int = 2,
    *,
    normalisation: Normalisation = "filter",
    seed: int = 0,
    theta: Tensor | None = None,
) -> Tensor:
    """Gaussian directions (count, P), scaled so that one unit means as much in every part of the network.

    "filter" gives every filter of the direction the norm of the same filter of the weights, d_f <- d_f |w_f| / |d_f|,
    and leaves biases and normalisation parameters alone (zero), as in Li et al. 2018, section 4. "model" gives the
    whole direction the norm of the whole theta. "none" leaves the Gaussian as drawn.

    The numbers come from a generator of their own on the CPU: the same seed gives the same directions on every device.

    Args:
        objective: Whose parameters.
        count: How many.
        normalisation: One of "filter", "model", "none".
        seed: Seed of the generator.
        theta: (P,) the weights to scale by; the model's by default.

    Raises:
        ValueError: if the normalisation is unknown.
    """
    if normalisation not in NORMALISATIONS:
        raise ValueError(f"normalisation must be one of {', '.join(NORMALISATIONS)}, got {normalisation!r}")
    layout = objective.layout
    theta = objective.theta() if theta is None else theta
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(count, layout.size, generator=generator).to(theta.device, theta.dtype)
    if normalisation == "none":
        return drawn
    if normalisation == "model":
        lengths: Tensor = theta.norm() / drawn.norm(dim=1, keepdim=True)
        return drawn * lengths
    rules = filter_rules(objective.model, layout)
    weights = layout.unflatten(theta)

    def normalised(direction: Tensor) -> Tensor:
        pieces = layout.unflatten(direction)
        for name, piece in pieces.items():
            rule = rules[name]
            if rule is None:
                pieces[name] = torch.zeros_like(piece)
            else:
                scale = rule.norms(weights[name]) / rule.norms(piece)
                pieces[name] = (piece.reshape(rule.shape) * scale).reshape(piece.shape)
        return layout.flatten(pieces)

    return torch.stack([normalised(direction) for direction in drawn])


def trajectory_plane(
    path: Tensor, centre: Tensor, *, previous: Tensor | None = None, fallback: Tensor | None = None
) -> Tensor:
    """The plane through `centre` that lies closest to a path: two orthonormal directions (2, P).

    They are the leading right singular vectors of the rows theta_t - centre (Li et al. 2018, section 7.2), found
    through their T x T Gram matrix in float64, so that the cost is that of a T x P product.

    Args:
        path: (T, P) earlier weights.
        centre: (P,) the weights the plane passes through.
        previous: (2, P) the last plane's directions; each new one is given the sign that agrees with them.
        fallback: (P,) a direction to complete the plane with while the path is straight or has a single point.

    Raises:
        ValueError: if the path never leaves the centre, or is straight and no fallback is given.
    """
    rows = (path - centre).double()
    gram = rows @ rows.T
    values, vectors = torch.linalg.eigh(gram)
    rank = int((values > 1e-10 * values[-1]).sum()) if float(values[-1]) > 0 else 0
    if rank == 0:
        raise ValueError("the path has no extent: every point of it equals the centre; train for a step first")
    leading = vectors[:, -2:].flip(1).T if rank > 1 else vectors[:, -1:].T
    directions: Tensor = leading @ rows
    directions = directions / directions.norm(dim=1, keepdim=True)
    if rank == 1:
        if fallback is None:
            raise ValueError("the path is straight, so it spans no plane; give a fallback direction to complete it")
        rest = fallback.double() - (fallback.double() @ directions[0]) * directions[0]
        directions = torch.stack([directions[0], rest / rest.norm()])
    if previous is not None:
        agreement = (directions * previous.double()).sum(dim=1, keepdim=True)
        directions = torch.where(agreement < 0, -directions, directions)
    return directions.to(path.dtype)


@dataclass(frozen=True)
class PathProjection:
    """A path seen from a plane.

    Attributes:
        coordinates: (T, 2) of each point's foot on the plane, in multiples of the directions.
        distances: (T,) from each point to its foot.
        explained: Share of the sum of squared distances from the centre that lies in the plane.
    """

    coordinates: Tensor
    distances: Tensor
    explained: float


def project_path(path: Tensor, centre: Tensor, directions: Tensor) -> PathProjection:
    """The orthogonal projection of a path (T, P) on the plane centre + span(directions), directions (2, P).

    Least squares in the directions' own metric, so that they need be neither orthogonal nor of unit length.

    Raises:
        ValueError: if the directions are parallel.
    """
    rows, basis = (path - centre).double(), directions.double()
    metric = basis @ basis.T
    if float(torch.linalg.det(metric)) <= 1e-12 * float(metric[0, 0] * metric[1, 1]):
        raise ValueError("directions must span a plane, got two that are parallel or zero")
    coordinates = torch.linalg.solve(metric, basis @ rows.T).T
    residual = rows - coordinates @ basis
    total = float(rows.square().sum())
    explained = 1.0 - float(residual.square().sum()) / total if total > 0 else 1.0
    return PathProjection(coordinates, residual.norm(dim=1), explained)
