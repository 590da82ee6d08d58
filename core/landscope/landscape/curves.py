"""Curves through weight space between two sets of weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from landscope.measurements import Connection

__all__ = ["CURVES", "Curve", "CurveKind", "curve_of"]

CurveKind = Literal["bezier", "polygon"]
CURVES: tuple[CurveKind, ...] = ("bezier", "polygon")


@dataclass(frozen=True)
class Curve:
    """theta(t) = sum_k w_k(t) p_k for t in [0, 1], from the first of its points to the last.

    Attributes:
        kind: "bezier", w_k(t) = C(n, k) t^k (1 - t)^(n - k), which passes through the first and last point alone; or
            "polygon", a chain of straight pieces through all points, which takes as much of t for each of them.
        points: (n + 1, P) the points.
    """

    kind: CurveKind
    points: Tensor

    def weights(self, t: Tensor) -> Tensor:
        """The weights (M, n + 1) of the points at positions t (M,), in float64; each row sums to 1."""
        n = len(self.points) - 1
        t = t.double().unsqueeze(1)
        k = torch.arange(n + 1).double()
        if self.kind == "polygon":
            return (1 - (n * t - k).abs()).clamp_min(0)
        binomials = torch.tensor([math.comb(n, index) for index in range(n + 1)]).double()
        return binomials * t**k * (1 - t) ** (n - k)

    @property
    def distance(self) -> float:
        """Euclidean distance between the ends."""
        return float((self.points[-1].double() - self.points[0].double()).norm())

    def at(self, t: Tensor) -> Tensor:
        """The points theta(t) (M, P) of the curve, computed in float64 and rounded once; the ends are exact."""
        mixed: Tensor = self.weights(t).to(self.points.device) @ self.points.double()
        return mixed.to(self.points.dtype)

    def arc(self, t: Tensor) -> Tensor:
        """The length (M,) of the curve from its beginning to each of the ascending positions t (M,), in float64.

        Measured along 2,048 chords and through the corners, by the inner products of the points alone.
        """
        n = len(self.points) - 1
        fine = torch.cat([torch.linspace(0, 1, 2049).double(), torch.arange(n + 1).double() / n, t.double()])
        fine = fine.unique()  # sorted
        offsets = self.points.double() - self.points[0].double()
        steps = self.weights(fine).diff(dim=0)
        gram = (offsets @ offsets.T).cpu()
        lengths = ((steps @ gram) * steps).sum(dim=1).clamp_min(0).sqrt()
        return torch.cat([torch.zeros(1).double(), lengths.cumsum(0)])[torch.searchsorted(fine, t.double())]


def curve_of(connection: Connection) -> Curve:
    """The curve itself, of a connection that has just been measured.

    Raises:
        ValueError: if the connection has no points, which are not kept in a run's store.
    """
    if connection.points is None:
        raise ValueError("a connection read from a run has no points: take the curve from the result of connect()")
    return Curve("bezier" if connection.curve == "bezier" else "polygon", torch.from_numpy(connection.points))
