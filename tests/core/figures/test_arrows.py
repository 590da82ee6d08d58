"""Arrows of steepest descent against a quadratic's own gradient."""

import numpy as np
import pytest
import torch
from torch import nn

from landscope.figures import figure
from landscope.figures.arrows import descent, descent_trace
from landscope.landscape import slice2d
from landscope.objective import Objective


@pytest.fixture
def objective():
    torch.manual_seed(0)
    return Objective(nn.Linear(3, 2).double(), nn.MSELoss(), (torch.randn(9, 3).double(), torch.randn(9, 2).double()))


def test_arrows_are_the_gradient_projected_on_the_plane_whatever_its_directions(objective):
    directions = torch.randn(2, objective.layout.size, dtype=torch.float64)
    directions[1] = 3 * directions[1] + directions[0]  # neither orthogonal nor alike in length
    cut = slice2d(objective, directions, points=(3, 4), gradient=True)
    fall = descent(cut)
    for i, alpha in enumerate(cut.alpha):
        for j, beta in enumerate(cut.beta):
            theta = objective.theta() + alpha * directions[0] + beta * directions[1]
            within, *_ = torch.linalg.lstsq(directions.T, -objective.gradient(theta))
            np.testing.assert_allclose(fall[i, j], within.numpy(), rtol=1e-9)


def test_one_arrow_for_each_point_with_a_slope(objective):
    cut = slice2d(objective, points=5, gradient=True, radius=0.5)
    slope = cut.gradient.copy()
    slope[0, 0] = np.nan
    trace = descent_trace(cut.replaced(gradient=slope))
    arrows = np.stack([trace.x, trace.y], axis=1).reshape(-1, 6, 2)
    assert len(arrows) == 24
    assert np.isnan(arrows[:, -1]).all()
    lengths = np.linalg.norm(arrows[:, 1] - arrows[:, 0], axis=1)
    assert lengths.max() <= 0.25  # the space between points
    names = [drawn.name for drawn in figure(cut).data]
    assert "downhill" in names


def test_a_slice_without_gradient_says_how_to_get_one(objective):
    with pytest.raises(ValueError, match="gradient=True"):
        descent(slice2d(objective, points=3))
