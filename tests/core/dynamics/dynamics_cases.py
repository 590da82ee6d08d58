"""Small classifiers in float64, and the gradients of their examples' losses one by one."""

from dataclasses import dataclass

import torch
from explicit import flat_gradient, parameters_of
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from landscope.objective import Objective


@dataclass(frozen=True)
class Problem:
    """A model with its data (x, y), their objective, and the gradients (N, P) of single examples."""

    model: nn.Module
    x: Tensor
    y: Tensor
    objective: Objective
    gradients: Tensor


def problem(seed=0, examples=30):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    y = torch.arange(examples) % 3
    x = (torch.randn(3, 4)[y] + torch.randn(examples, 4)).double()
    rows = [
        flat_gradient(cross_entropy(model(x[i : i + 1]), y[i : i + 1]), parameters_of(model)) for i in range(len(x))
    ]
    return Problem(
        model, x, y, Objective(model, cross_entropy, (x, y), batch_size=13, split="train"), torch.stack(rows)
    )
