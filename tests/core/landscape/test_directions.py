"""Directions against the definition of Li et al. 2018, written out filter by filter."""

import numpy as np
import pytest
import torch
from torch import nn

from landscope.landscape import random_directions, trajectory_plane
from landscope.landscape.directions import project_path
from landscope.objective import Objective


def objective_of(model, inputs):
    with torch.no_grad():
        outputs = model(inputs)
    return Objective(model, nn.MSELoss(), (inputs, torch.zeros_like(outputs)))


def small_network():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, groups=2),
        nn.BatchNorm2d(4),
        nn.Tanh(),
        nn.ConvTranspose2d(4, 6, 2, groups=2),
        nn.Flatten(),
        nn.Linear(6 * 16, 3),
    ).double()
    return objective_of(model.eval(), torch.randn(5, 2, 5, 5).double())


def test_every_filter_of_the_direction_has_the_norm_of_the_weights_filter():
    objective = small_network()
    weights = objective.layout.unflatten(objective.theta())
    direction = objective.layout.unflatten(random_directions(objective, 1, seed=3)[0])
    for output in range(4):
        torch.testing.assert_close(direction["0.weight"][output].norm(), weights["0.weight"][output].norm())
    for output in range(3):
        torch.testing.assert_close(direction["5.weight"][output].norm(), weights["5.weight"][output].norm())
    # Transposed, two groups: output channel c of group g comes from inputs 2g, 2g + 1 and column c.
    for group in range(2):
        for column in range(3):
            rows = slice(2 * group, 2 * group + 2)
            torch.testing.assert_close(
                direction["3.weight"][rows, column].norm(), weights["3.weight"][rows, column].norm()
            )


def test_biases_and_normalisation_parameters_do_not_move():
    objective = small_network()
    direction = objective.layout.unflatten(random_directions(objective, 1)[0])
    for name in ("0.bias", "1.weight", "1.bias", "3.bias", "5.bias"):
        assert torch.count_nonzero(direction[name]) == 0, name


def test_a_filter_of_zeros_stays_where_it_is():
    model = nn.Linear(3, 2, bias=False).double()
    with torch.no_grad():
        model.weight[0] = 0
    objective = objective_of(model, torch.randn(4, 3).double())
    direction = objective.layout.unflatten(random_directions(objective, 1)[0])["weight"]
    assert torch.count_nonzero(direction[0]) == 0
    assert torch.count_nonzero(direction[1]) == 3


def test_model_normalisation_scales_the_whole_vector():
    objective = small_network()
    directions = random_directions(objective, 3, normalisation="model")
    torch.testing.assert_close(directions.norm(dim=1), objective.theta().norm().expand(3))


def test_directions_are_gaussian_before_normalisation():
    objective = objective_of(nn.Linear(200, 50).double(), torch.randn(2, 200).double())
    drawn = random_directions(objective, 2, normalisation="none").numpy()
    # Means of P draws have standard deviation 1/sqrt(P), means of squares sqrt(2/P); five of them is ample.
    size = drawn.shape[1]
    assert np.all(np.abs(drawn.mean(axis=1)) < 5 / np.sqrt(size))
    assert np.all(np.abs((drawn**2).mean(axis=1) - 1) < 5 * np.sqrt(2 / size))
    assert abs(drawn[0] @ drawn[1]) / size < 5 / np.sqrt(size)


def test_seed_decides_and_the_global_generator_is_left_alone():
    objective = small_network()
    before = torch.random.get_rng_state()
    first, again, other = (random_directions(objective, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_unknown_normalisation_names_the_known_ones():
    with pytest.raises(ValueError, match="one of filter, model, none, got 'layer2'"):
        random_directions(small_network(), normalisation="layer2")


def test_trajectory_plane_is_that_of_the_singular_vectors():
    torch.manual_seed(1)
    path, centre = torch.randn(7, 40).double(), torch.randn(40).double()
    plane = trajectory_plane(path, centre)
    _, _, right = torch.linalg.svd(path - centre, full_matrices=False)
    torch.testing.assert_close(plane.abs(), right[:2].abs())
    torch.testing.assert_close(plane @ plane.T, torch.eye(2).double())


def test_plane_keeps_the_orientation_of_the_one_before():
    torch.manual_seed(1)
    path, centre = torch.randn(7, 40).double(), torch.randn(40).double()
    plane = trajectory_plane(path, centre)
    flipped = plane * torch.tensor([[-1.0], [1.0]])
    torch.testing.assert_close(trajectory_plane(path, centre, previous=flipped), flipped)


def test_straight_path_is_completed_by_the_fallback():
    centre, along = torch.zeros(10).double(), torch.eye(10).double()[0]
    path = torch.stack([0.5 * along, along])
    with pytest.raises(ValueError, match="straight"):
        trajectory_plane(path, centre)
    plane = trajectory_plane(path, centre, fallback=torch.ones(10).double())
    torch.testing.assert_close(plane @ plane.T, torch.eye(2).double())
    torch.testing.assert_close(plane[0].abs(), along)


def test_path_without_extent_is_refused():
    with pytest.raises(ValueError, match="no extent"):
        trajectory_plane(torch.ones(3, 4), torch.ones(4))


def test_projection_recovers_coordinates_in_a_skew_basis():
    torch.manual_seed(2)
    directions, centre = torch.randn(2, 30).double(), torch.randn(30).double()
    coordinates = torch.randn(6, 2).double()
    normal = torch.linalg.svd(directions, full_matrices=True).Vh[2:]  # spans the complement of the plane
    offsets = torch.randn(6).double()
    path = centre + coordinates @ directions + offsets[:, None] * normal[0]
    foot = project_path(path, centre, directions)
    torch.testing.assert_close(foot.coordinates, coordinates)
    torch.testing.assert_close(foot.distances, offsets.abs())
    inside = (coordinates @ directions).square().sum()
    assert foot.explained == pytest.approx(float(inside / (inside + offsets.square().sum())))


def test_parallel_directions_span_no_plane():
    direction = torch.randn(1, 5)
    with pytest.raises(ValueError, match="span a plane"):
        project_path(torch.randn(3, 5), torch.zeros(5), torch.cat([direction, 2 * direction]))
