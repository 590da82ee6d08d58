"""Planes through chosen points of weight space: two or three snapshots, minima, or models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from landscope.landscape.directions import random_directions
from landscope.objective import Objective

__all__ = ["Plane", "plane_between", "plane_through"]

Point = Tensor | np.ndarray


@dataclass(frozen=True)
class Plane:
    """A plane through weight space that passes through chosen points.

    Attributes:
        centre: (P,) its origin, the first point.
        directions: (2, P) its axes.
        corners: (points, 2) coordinates of the chosen points, float64: centre + corners @ directions are they.
    """

    centre: Tensor
    directions: Tensor
    corners: Tensor

    def extent(self, margin: float = 0.2) -> tuple[tuple[float, float], tuple[float, float]]:
        """Ranges of both coordinates that show all points, with a margin of that share of the longer side."""
        low, high = self.corners.amin(dim=0), self.corners.amax(dim=0)
        side = float((high - low).max())
        middle, half = (low + high) / 2, ((high - low) / 2).clamp_min(side / 4) + margin * side
        (left, right), (below, above) = ((float(m - h), float(m + h)) for m, h in zip(middle, half, strict=True))
        return (left, right), (below, above)

    def barycentric(self, coordinates: Tensor) -> Tensor:
        """Weights (..., 3) of the three points at coordinates (..., 2): they sum to one, and mix the points linearly.

        All are positive inside the triangle; one of them is one at a corner.

        Raises:
            ValueError: if the plane passes through two points only.
        """
        if len(self.corners) != 3:
            raise ValueError("barycentric coordinates need a plane through three points, got two")
        first, edges = self.corners[0], self.corners[1:] - self.corners[0]
        rest = torch.linalg.solve(edges.T, (coordinates.to(edges) - first).unsqueeze(-1)).squeeze(-1)
        return torch.cat([1 - rest.sum(dim=-1, keepdim=True), rest], dim=-1)


def plane_through(
    first: Point, second: Point, third: Point, *, basis: Literal["orthonormal", "edges"] = "orthonormal"
) -> Plane:
    """The plane through three points (P,) of weight space.

    With the orthonormal basis of Garipov et al. 2018 (appendix A.1), u = w2 - w1 and v = (w3 - w1) less its part along
    u, both divided by their lengths, coordinates are Euclidean distances in weight space, and the points are drawn as
    the triangle they are. With the basis "edges", w2 - w1 and w3 - w1 themselves, the points lie at (0, 0), (1, 0) and
    (0, 1), and (alpha, beta) are barycentric: the weights there are (1 - alpha - beta) w1 + alpha w2 + beta w3.

    Args:
        first: The origin.
        second: On the first axis.
        third: Anywhere else.
        basis: "orthonormal" or "edges".

    Raises:
        ValueError: if the points differ in length or are not finite, lie on one line, or the basis is unknown.
    """
    if basis not in ("orthonormal", "edges"):
        raise ValueError(f"basis must be 'orthonormal' or 'edges', got {basis!r}")
    origin, (along, across), rounding = _edges(first, second, third)
    if not float(along.norm()) > rounding:
        raise ValueError("the first two points are the same, so that they span no line; choose points that differ")
    unit = along / along.norm()
    rest = across - (across @ unit) * unit
    rest = rest - (rest @ unit) * unit
    if not float(rest.norm()) > rounding:
        raise ValueError(
            "the three points lie on one line, so that they span no plane; "
            "choose a third one off it, or use plane_between(objective, first, second)"
        )
    if basis == "edges":
        return _plane(origin, [along, across], [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    corners = [[0.0, 0.0], [float(along.norm()), 0.0], [float(across @ unit), float(rest.norm())]]
    return _plane(origin, [unit, rest / rest.norm()], corners)


def plane_between(
    objective: Objective, first: Point, second: Point, *, direction: Tensor | None = None, seed: int = 0
) -> Plane:
    """The plane through two points (P,) of weight space and along one direction more.

    Its axes are orthonormal: the unit vector from the first point to the second, and the direction less its part along
    that. By default that is a random one, filter-normalised by the first point's weights.

    Args:
        objective: Whose parameters the points are.
        first: The origin.
        second: On the first axis, at the points' distance.
        direction: (P,) the second axis points to its side.
        seed: Of the random direction.

    Raises:
        ValueError: if the points are the same, have another length or are not finite, or the direction is parallel to
            the line through them.
    """
    origin, (along,), rounding = _edges(first, second)
    objective.layout.check("first", origin, 1)
    if not float(along.norm()) > rounding:
        raise ValueError("the two points are the same, so that they span no line; choose points that differ")
    if direction is None:
        direction = random_directions(objective, 1, seed=seed, theta=origin)[0]
    objective.layout.check("direction", direction, 1)
    unit, across = along / along.norm(), direction.to(along)
    rest = across - (across @ unit) * unit
    rest = rest - (rest @ unit) * unit
    if not float(rest.norm()) > 1e-6 * float(across.norm()):
        raise ValueError("the direction is parallel to the line through the points, or zero; give another one")
    return _plane(origin, [unit, rest / rest.norm()], [[0.0, 0.0], [float(along.norm()), 0.0]])


def _edges(first: Point, *others: Point) -> tuple[Tensor, list[Tensor], float]:
    """The first point, the others less it in float64, and the length below which that is rounding error."""
    points = [torch.as_tensor(point).detach() for point in (first, *others)]
    origin = points[0]
    for point in points:
        if point.ndim != 1 or point.shape != origin.shape:
            shapes = ", ".join(str(tuple(point.shape)) for point in points)
            raise ValueError(f"points must be vectors (P,) of one length, got shapes {shapes}")
        if not bool(torch.isfinite(point).all()):
            raise ValueError("points must be finite; choose weights from before the training diverged")
    wide = [point.to(origin.device, torch.float64) for point in points]
    coarsest = max(torch.finfo(point.dtype).eps for point in points)
    return origin, [point - wide[0] for point in wide[1:]], 4 * coarsest * max(float(point.norm()) for point in wide)


def _plane(origin: Tensor, directions: list[Tensor], corners: list[list[float]]) -> Plane:
    kind = torch.promote_types(origin.dtype, torch.float32)
    return Plane(origin, torch.stack(directions).to(kind), torch.tensor(corners, dtype=torch.float64))
