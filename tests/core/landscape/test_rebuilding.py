"""Directions of recorded slices again, against those that the slices had, and the weights at places on their planes."""

from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from landscope.landscape import (
    point_on_plane,
    project_path,
    random_directions,
    rebuilt_directions,
    slice2d,
    trajectory_slice,
)
from landscope.measurements import Measurement
from landscope.objective import Objective


@pytest.fixture
def objective():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
    return Objective(model, nn.MSELoss(), (torch.randn(12, 4), torch.randn(12, 2)))


def recorded(measured):
    """As a run gives it back: without directions."""
    found = Measurement.from_bytes(measured.to_bytes())
    assert found.directions is None
    return found


def path_to(centre, steps=6):
    """(T, P) a path that bends on its way to the centre."""
    generator = torch.Generator().manual_seed(3)
    return centre + torch.randn(steps, len(centre), generator=generator).cumsum(0).flip(0) / 10


@pytest.mark.parametrize(("orthogonal", "biases"), list(product([False, True], repeat=2)))
@pytest.mark.parametrize("normalisation", ["filter", "model", "none"])
def test_random_directions_are_drawn_again(objective, normalisation, orthogonal, biases):
    options = {"normalisation": normalisation, "orthogonal": orthogonal, "biases": biases, "seed": 7}
    measured = slice2d(objective, points=3, **options)
    rebuilt = rebuilt_directions(objective, recorded(measured), objective.theta())
    np.testing.assert_array_equal(rebuilt.numpy(), measured.directions)


def test_a_place_has_the_weights_that_its_coordinates_say(objective):
    slice = recorded(slice2d(objective, points=3, seed=2))
    centre = objective.theta()
    point = point_on_plane(centre, rebuilt_directions(objective, slice, centre), (0.31, -0.2))
    first, second = random_directions(objective, 2, seed=2).double().numpy()
    expected = centre.double().numpy() + 0.31 * first - 0.2 * second
    assert point.dtype == centre.dtype
    np.testing.assert_allclose(point.numpy(), expected, rtol=6e-8, atol=1e-9)


@pytest.mark.parametrize("sides", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_the_trajectory_s_plane_keeps_the_sides_of_the_one_before(objective, sides):
    centre = objective.theta()
    path = path_to(centre)
    before = torch.from_numpy(trajectory_slice(objective, path, points=3).directions) * torch.tensor(sides)[:, None]
    measured = trajectory_slice(objective, path, points=3, previous=before)
    rebuilt = rebuilt_directions(objective, recorded(measured), centre, path)
    np.testing.assert_allclose(rebuilt.numpy(), measured.directions, atol=1e-7)
    np.testing.assert_allclose(project_path(path, centre, rebuilt).coordinates, measured.path, atol=1e-6)


def test_another_plane_is_not_taken_for_it(objective):
    centre, slice = objective.theta(), recorded(slice2d(objective, points=3, seed=2))
    with pytest.raises(ValueError, match="other inner products"):
        rebuilt_directions(objective, slice, centre + 0.01)
    other = slice.replaced(provenance=slice.provenance.__class__(method="test", seed=3))
    with pytest.raises(ValueError, match="other inner products"):
        rebuilt_directions(objective, other, centre)
    path = path_to(centre)
    slice = recorded(trajectory_slice(objective, path, points=3))
    path[2, 5] += 0.01
    with pytest.raises(ValueError, match="lies elsewhere"):
        rebuilt_directions(objective, slice, centre, path)
    with pytest.raises(ValueError, match="all weights of the path"):
        rebuilt_directions(objective, slice, centre, path[1:])


def test_planes_that_were_not_kept_are_refused(objective):
    centre = objective.theta()
    slice = recorded(slice2d(objective, points=3)).replaced(plane="hessian")
    with pytest.raises(ValueError, match="hessian plane were not kept"):
        rebuilt_directions(objective, slice, centre)
    straight = torch.stack([centre + 1, centre + 0.5])
    slice = recorded(trajectory_slice(objective, straight, points=3))
    with pytest.raises(ValueError, match="the path was straight"):
        rebuilt_directions(objective, slice, centre, straight)
