"""Maps of extreme eigenvalues against dense Hessians in float64."""

import numpy as np
import pytest
import torch
from torch import nn

from landscope.landscape import curvature_map, slice2d
from landscope.objective import Objective


@pytest.fixture
def objective():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    return Objective(model, nn.MSELoss(), (torch.randn(20, 3).double(), torch.randn(20, 2).double()))


def test_each_point_has_the_extreme_eigenvalues_of_its_own_hessian(objective):
    found = curvature_map(objective, points=(3, 4), radius=1.5, tolerance=1e-8, seed=2)
    plane = slice2d(objective, points=(3, 4), radius=1.5, seed=2)
    np.testing.assert_array_equal(found.alpha, plane.alpha)
    for i, alpha in enumerate(found.alpha):
        for j, beta in enumerate(found.beta):
            theta = objective.theta() + torch.from_numpy(alpha * plane.directions[0] + beta * plane.directions[1])
            hessian = objective.hessian(theta)(torch.eye(objective.layout.size).double())
            values = torch.linalg.eigvalsh(hessian)
            assert found.largest[i, j] == pytest.approx(float(values[-1]), rel=1e-6)
            assert found.smallest[i, j] == pytest.approx(float(values[0]), rel=1e-6, abs=1e-9)
            assert found.residuals[i, j] < 1e-3
    np.testing.assert_allclose(found.ratio, np.abs(found.smallest / found.largest))
    assert found.provenance.products > 24  # twelve points, at least one product for each end


def test_a_convex_loss_has_ratio_zero_or_less_than_rounding():
    torch.manual_seed(0)
    inputs, targets = torch.randn(30, 3).double(), torch.randn(30, 1).double()
    found = curvature_map(Objective(nn.Linear(3, 1).double(), nn.MSELoss(), (inputs, targets)), points=3)
    design = torch.cat([inputs, torch.ones(30, 1).double()], dim=1)
    values = torch.linalg.eigvalsh(2 * design.T @ design / 30)
    np.testing.assert_allclose(found.largest, float(values[-1]), rtol=1e-2)
    np.testing.assert_allclose(found.smallest, float(values[0]), rtol=1e-2)


def test_points_that_diverged_have_no_curvature():
    model = nn.Linear(2, 1, bias=False)
    data = (torch.ones(1, 2), torch.ones(1, 1))
    objective = Objective(model, lambda out, y: torch.exp(40 * out.square()).mean(), data)
    found = curvature_map(objective, points=3, radius=8.0)
    assert np.isnan(found.largest).any()
    assert np.isfinite(found.largest[1, 1])
