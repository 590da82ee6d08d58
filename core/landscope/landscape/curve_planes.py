"""The plane that holds a curve between two sets of weights, and the loss on it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from landscope.landscape.curves import curve_of
from landscope.landscape.slices import slice2d
from landscope.measurements import Slice2D
from landscope.measurements.connectivity import Connection
from landscope.objective import Objective

__all__ = ["CurvePlane", "curve_plane", "curve_slice"]


@dataclass(frozen=True)
class CurvePlane:
    """A plane through both ends of a curve, in orthonormal coordinates: lengths on it are lengths in weight space.

    Attributes:
        centre: (P,) the first end, at coordinates (0, 0); the second is at (distance, 0).
        directions: (2, P) orthonormal: from the first end to the second, and sideways.
        coordinates: (M, 2) of the foot of each of the curve's evaluated points.
        distances: (M,) from each to its foot; zero for a curve with one bend, which is plane.
        explained: Share of the sum of squared distances of those points from the line that lies in the plane.
    """

    centre: Tensor
    directions: Tensor
    coordinates: Tensor
    distances: Tensor
    explained: float

    def extent(self, margin: float = 0.3) -> tuple[tuple[float, float], tuple[float, float]]:
        """Limits along both directions that hold the curve.

        Args:
            margin: Space left around it, as a share of its longer side.
        """
        low, high = self.coordinates.amin(dim=0), self.coordinates.amax(dim=0)
        room = margin * float((high - low).max())
        along, aside = ((float(a) - room, float(b) + room) for a, b in zip(low, high, strict=True))
        return along, aside


def curve_plane(connection: Connection) -> CurvePlane:
    """The plane through both ends of a curve that lies closest to it.

    Its first direction is the straight line, its second the leading principal direction of the curve's deviations from
    that line, on the side to which the curve bends. With one bend it is the plane of the three points (Garipov et al.
    2018, figure 1); with more, the curve may leave it, and `distances` say how far.

    Raises:
        ValueError: if the connection has no points (they are not kept in a run's store), or its curve is straight.
    """
    if connection.curve == "line":
        raise ValueError(
            "a straight line spans no plane: connect the two ends with a curve, or give slice2d directions"
        )
    curve = curve_of(connection)
    rows = curve.points.double() - curve.points[0].double()
    weights = curve.weights(torch.from_numpy(connection.t))
    along = rows[-1] / rows[-1].norm()
    aside = _without(rows, along)
    # The curve's deviations are weights @ aside: their principal direction follows from the points' inner products.
    values, vectors = torch.linalg.eigh(weights @ (aside @ aside.T) @ weights.T)
    if not float(values[-1]) > 1e-20 * connection.distance**2:
        raise ValueError("the curve is straight, so it spans no plane; train it for more steps")
    sideways = _without((vectors[:, -1] @ weights @ aside).unsqueeze(0), along)[0]
    sideways = sideways / sideways.norm()
    if float((weights @ aside @ sideways).sum()) < 0:
        sideways = -sideways
    directions = torch.stack([along, sideways])
    outside = _without(aside, sideways)
    return CurvePlane(
        centre=curve.points[0],
        directions=directions.to(curve.points.dtype),
        coordinates=weights @ (rows @ directions.T),
        distances=(weights @ outside).norm(dim=1),
        explained=1.0 - float((weights @ outside).square().sum() / (weights @ aside).square().sum()),
    )


def _without(rows: Tensor, direction: Tensor) -> Tensor:
    """Rows (K, P) without their part along a unit vector (P,)."""
    return rows - torch.outer(rows @ direction, direction)


def curve_slice(objective: Objective, connection: Connection, *, points: int = 25, margin: float = 0.3) -> Slice2D:
    """The loss on the plane through both ends of a curve that lies closest to it, with the curve drawn as its path.

    Coordinates are Euclidean distances in weight space; the first end is the origin. For more than this, take the
    directions, centre and extent of `curve_plane` to any function that evaluates slices.

    Args:
        objective: What to evaluate; it may be another than the curve was trained on.
        connection: The curve, as `connect` returned it.
        points: Grid points a side.
        margin: Space left around the curve, as a share of its longer side.

    Raises:
        ValueError: if the curve spans no plane or its points are not there; see `curve_plane`.
    """
    plane = curve_plane(connection)
    device = objective.layout.device
    return slice2d(
        objective,
        plane.directions.to(device),
        theta=plane.centre.to(device),
        extent=plane.extent(margin),
        points=points,
        plane="curve",
        axes=("distance from the first end towards the second", "distance to the curve's side"),
        path=curve_of(connection).at(torch.from_numpy(connection.t)).to(device),
    )
