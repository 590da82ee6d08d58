"""Directions against the definition of Li et al. 2018, written out filter by filter."""

import numpy as np
import pytest
import torch
from torch import nn

from landscope.landscape import random_directions
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
    with pytest.raises(ValueError, match="one of filter, layer, tensor, model, none, got 'layer2'"):
        random_directions(small_network(), normalisation="layer2")
