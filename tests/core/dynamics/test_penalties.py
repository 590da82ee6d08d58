"""The penalties that keep plasticity, by hand and against the distances and singular values that they hold."""

import numpy as np
import pytest
import torch
from torch import nn

from landscope.dynamics import spectral_penalty, wasserstein_penalty, weight_statistics
from landscope.objective import Objective


def test_wasserstein_penalty_is_the_sum_of_squared_distances_times_sizes():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    objective = Objective(model, nn.MSELoss(), (torch.randn(5, 3).double(), torch.randn(5, 2).double()))
    start = {name: torch.randn_like(value) for name, value in model.named_parameters()}
    measured = weight_statistics(objective, start=objective.layout.flatten(start))
    penalty = wasserstein_penalty(dict(model.named_parameters()), start)
    assert penalty.item() == pytest.approx((measured.wassersteins**2 * np.array(measured.sizes)).sum(), rel=1e-12)


def test_wasserstein_penalty_by_hand_and_free_of_the_order():
    start = {"w": torch.tensor([[3.0, 1.0]])}
    assert wasserstein_penalty({"w": torch.tensor([[1.0, 3.0]])}, start).item() == 0
    now = torch.tensor([[2.0, 5.0]], requires_grad=True)
    penalty = wasserstein_penalty({"w": now}, start)
    assert penalty.item() == (2 - 1) ** 2 + (5 - 3) ** 2
    (gradient,) = torch.autograd.grad(penalty, now)
    assert gradient.tolist() == [[2 * (2 - 1), 2 * (5 - 3)]]


def test_spectral_penalty_by_hand():
    weights = {
        "matrix": torch.diag(torch.tensor([2.0, 0.5])).requires_grad_(),
        "kernel": 3 * torch.ones(1, 1, 2, 2),
        "bias": torch.tensor([1.0, 2.0]),
    }
    penalty = spectral_penalty(weights)
    assert penalty.item() == pytest.approx((4 - 1) ** 2 + (36 - 1) ** 2 + 25)
    (gradient,) = torch.autograd.grad(penalty, weights["matrix"])
    torch.testing.assert_close(gradient, torch.tensor([[2 * (4 - 1) * 2 * 2.0, 0], [0, 0]]))


def test_descent_on_the_spectral_penalty_brings_the_largest_singular_value_to_one():
    weight = torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
    for _ in range(300):
        (gradient,) = torch.autograd.grad(spectral_penalty({"w": weight}), weight)
        weight = (weight - 0.02 * gradient).detach().requires_grad_()
    assert torch.linalg.svdvals(weight.detach())[0].item() == pytest.approx(1, abs=1e-6)
