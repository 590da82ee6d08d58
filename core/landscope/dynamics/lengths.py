"""How long the weights and the gradient are."""

from __future__ import annotations

from dataclasses import dataclass

from landscope.objective import Objective

__all__ = ["Norms", "norms"]


@dataclass(frozen=True)
class Norms:
    """Euclidean norms of whole parameter vectors.

    Attributes:
        gradient: |grad L| over the objective's examples.
        weights: |theta|.
    """

    gradient: float
    weights: float


def norms(objective: Objective) -> Norms:
    """The norms of the objective's gradient and of the model's weights, at the model's weights."""
    theta = objective.theta()
    return Norms(float(objective.gradient(theta).double().norm()), float(theta.double().norm()))
