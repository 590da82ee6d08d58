"""The highest loss within a neighbourhood of the weights, by projected gradient ascent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from landscope.derivatives import accumulator
from landscope.objective import Objective

__all__ = ["Neighbourhood", "fine_enough", "highest_rise"]


@dataclass(frozen=True)
class Neighbourhood:
    """Perturbations e = scale * d with |d| <= radius, in the Euclidean norm or, of a box, in the maximum norm.

    In the coordinates d, an ellipsoid is a ball, so that its projection is one scaling.

    Attributes:
        radius: Largest norm of d.
        scale: (P,) or (), what d is multiplied by.
        box: Whether the norm is the maximum of the absolute values.
    """

    radius: float
    scale: Tensor
    box: bool = False

    def directed(self, vector: Tensor) -> Tensor:
        """The d on the boundary where a linear function with the slopes `vector` is largest; zero if they are zero."""
        if self.box:
            return self.radius * torch.sign(vector)
        length = vector.to(accumulator(vector)).norm()
        return self.radius * (vector / length).to(vector.dtype) if length > 0 else torch.zeros_like(vector)

    def projected(self, d: Tensor) -> Tensor:
        """The nearest d within the radius."""
        if self.box:
            return d.clamp(-self.radius, self.radius)
        length = d.to(accumulator(d)).norm()
        return (d * (self.radius / length)).to(d.dtype) if length > self.radius else d


def highest_rise(
    objective: Objective, theta: Tensor, loss: float, near: Neighbourhood, starts: Sequence[Tensor], steps: int
) -> tuple[float, Tensor]:
    """The largest L(theta + scale d) - L(theta) found within a neighbourhood, at least 0, and its d (P,).

    From the highest of the starts, steps of twice the radius along the steepest ascent, projected; a step that does not
    rise is taken back, and the next one is half as long. So more steps never find less, and no start is above the
    result: a lower bound of the maximum, exact where the loss is nearly linear or has one hilltop within.

    Args:
        objective: What to climb.
        theta: (P,) the weights.
        loss: L(theta).
        near: The neighbourhood.
        starts: Where to begin, d (P,) each.
        steps: Gradients to spend on climbing.

    Returns:
        The rise, infinite where the loss is not finite, and where it was found.
    """
    centre = torch.zeros_like(theta)
    candidates = [centre, *(near.projected(start) for start in starts)]
    rises = [0.0, *(_rise(objective.value(theta + near.scale * d), loss) for d in candidates[1:])]
    best = max(range(len(rises)), key=rises.__getitem__)
    rise, d = rises[best], candidates[best]
    if rise == float("inf") or not steps:
        return rise, d
    gradient = objective.gradient(theta + near.scale * d)
    length = 2.0
    for _ in range(steps):
        trial = near.projected(d + length * near.directed(near.scale * gradient))
        value, slope = objective.value_and_gradient(theta + near.scale * trial)
        higher = _rise(value, loss)
        if higher > rise:
            rise, d, gradient = higher, trial, slope
            if rise == float("inf"):
                break
        else:
            length /= 2
    return rise, d


def fine_enough(objective: Objective) -> None:
    """Refuses parameters whose type is too coarse for small perturbations of them.

    Raises:
        ValueError: if theta is kept in fewer bits than float32.
    """
    kind = objective.layout.dtype
    if torch.finfo(kind).eps > torch.finfo(torch.float32).eps:
        raise ValueError(
            f"small perturbations need parameters of float32 or finer, got {kind}, in which they are rounded away; "
            "measure a copy of the model: copy.deepcopy(model).float()"
        )


def _rise(value: float, loss: float) -> float:
    """The difference value - loss; infinite where the loss overflows."""
    rise = value - loss
    return rise if rise < float("inf") else float("inf")
