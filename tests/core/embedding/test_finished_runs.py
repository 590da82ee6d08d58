"""Frames that are laid out together: near each other, to be trusted, and still where nothing moved."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from landscope.embedding import project, project_together
from landscope.objective import Objective


@pytest.fixture(scope="module")
def objective():
    torch.manual_seed(0)
    x = torch.randn(90, 6) + 3 * torch.eye(3, 6).repeat_interleave(30, 0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    return Objective(model, cross_entropy, (x, torch.arange(3).repeat_interleave(30)))


def test_frames_stay_near_each_other_and_still_where_nothing_moved(objective, umap_interpreted):
    start, direction = objective.theta(), torch.randn_like(objective.theta())
    thetas = [start, start, start + 0.03 * direction]
    state = torch.get_rng_state()
    first, second, third = project_together(objective, thetas)
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(first.points, second.points)
    assert second.displacement == second.feature_displacement == 0
    assert first.displacement is None
    assert third.displacement < 0.15
    alone = project(objective, theta=thetas[2])
    np.testing.assert_array_equal(third.values, alone.values)
    for frame in (first, third):
        assert frame.method == "umap"
        assert frame.trustworthiness > 0.93
        assert np.abs(frame.points.mean(axis=0)).max() < 1e-5
        assert frame.labels.tolist() == alone.labels.tolist()


def test_moments_that_do_not_differ_have_nothing_to_align(objective):
    with pytest.raises(ValueError, match="features at 2 moment"):
        project_together(objective, [objective.theta()] * 2)
