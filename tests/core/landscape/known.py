"""Losses that are known functions of few weights."""

import torch
from torch import nn

from landscope.objective import Objective


class Weights(nn.Module):
    """A model whose output is its weights."""

    def __init__(self, values):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(values, dtype=torch.float64))

    def forward(self, inputs):
        return self.weight.unsqueeze(0) + 0 * inputs


def objective_of(loss, values=(0.3, 0.1)):
    zeros = torch.zeros(1, 1, dtype=torch.float64)
    return Objective(Weights(list(values)), lambda output, target: loss(output[0]), (zeros, zeros))


def ring():
    """L = (|theta|^2 - 1)^2: zero on the unit circle."""
    return objective_of(lambda theta: (theta.square().sum() - 1).square())


# Opposite points of the ring.
LEFT, RIGHT = (torch.tensor([side, 0.0], dtype=torch.float64) for side in (-1.0, 1.0))
