"""Directions against their definitions: filters one by one, dense Hessians, and the steps optimisers take."""

import numpy as np
import pytest
import torch
from torch import nn

from landscope.landscape import (
    gradient_direction,
    hessian_directions,
    moment_directions,
    random_directions,
    sam_direction,
)
from landscope.objective import Objective
from tests.core import explicit


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


def smooth_network():
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    inputs, targets = torch.randn(6, 3).double(), torch.randn(6, 2).double()
    return Objective(model, nn.MSELoss(), (inputs, targets)), lambda model: nn.functional.mse_loss(
        model(inputs), targets
    )


@pytest.mark.parametrize(
    ("end", "count", "chosen"),
    [("top", 2, [-1, -2]), ("bottom", 2, [0, 1]), ("both", 2, [-1, 0]), ("both", 3, [-1, -2, 0])],
)
def test_hessian_directions_are_eigenvectors_of_the_ends_asked_for(end, count, chosen):
    objective, loss_of_model = smooth_network()
    values, vectors = torch.linalg.eigh(explicit.hessian(objective.model, loss_of_model))
    directions = hessian_directions(objective, count, end=end, tolerance=1e-12)
    torch.testing.assert_close(directions @ directions.T, torch.eye(count).double())
    for direction, index in zip(directions, chosen, strict=True):
        assert abs(float(direction @ vectors[:, index])) == pytest.approx(1, abs=1e-9)
        assert float(direction[direction.abs().argmax()]) > 0
    assert float(values[0]) < 0


def test_hessian_directions_keep_the_orientation_of_the_ones_before():
    objective, _ = smooth_network()
    directions = hessian_directions(objective, end="both", tolerance=1e-10)
    flipped = directions * torch.tensor([[-1.0], [1.0]])
    again = hessian_directions(objective, end="both", tolerance=1e-10, previous=flipped)
    torch.testing.assert_close(again, flipped, atol=1e-5, rtol=0)


def test_hessian_directions_at_other_weights():
    objective, loss_of_model = smooth_network()
    theta = objective.theta() + 0.5
    moved = hessian_directions(objective, 1, theta=theta, tolerance=1e-12)[0]
    nn.utils.vector_to_parameters(theta, objective.model.parameters())
    _, vectors = torch.linalg.eigh(explicit.hessian(objective.model, loss_of_model))
    assert abs(float(moved @ vectors[:, -1])) == pytest.approx(1, abs=1e-9)


def test_hessian_directions_that_cannot_be_had_are_refused():
    objective, _ = smooth_network()
    with pytest.raises(ValueError, match="end must be 'top', 'bottom' or 'both', got 'middle'"):
        hessian_directions(objective, end="middle")
    with pytest.raises(ValueError, match="between 1 and the 26 parameters, got 27"):
        hessian_directions(objective, 27)
    with pytest.raises(ValueError, match="previous must have 2 directions"):
        hessian_directions(objective, previous=torch.ones(1, 26))


def test_gradient_and_sam_directions():
    objective, loss_of_model = smooth_network()
    gradient = explicit.gradient(objective.model, loss_of_model)
    torch.testing.assert_close(gradient_direction(objective), -gradient / gradient.norm())
    torch.testing.assert_close(sam_direction(objective, 0.1), 0.1 * gradient / gradient.norm())
    with pytest.raises(ValueError, match="rho must be positive, got 0"):
        sam_direction(objective, 0)
    with torch.no_grad():
        objective.model[2].weight.zero_()
        objective.model[2].bias.zero_()
    still = Objective(objective.model, nn.MSELoss(), (torch.randn(2, 3).double(), torch.zeros(2, 2).double()))
    with pytest.raises(ValueError, match="gradient has norm 0"):
        gradient_direction(still)


def trained(optimizer, objective, loss_of_model, steps=3):
    """The step (P,) that the last of some optimiser steps took."""
    for _ in range(steps):
        before = objective.theta()
        optimizer.zero_grad()
        loss_of_model(objective.model).backward()
        optimizer.step()
    return objective.theta() - before


@pytest.mark.parametrize("amsgrad", [False, True])
def test_moments_of_adam_are_its_first_moment_and_its_last_step(amsgrad):
    objective, loss_of_model = smooth_network()
    first, second = objective.model[0], objective.model[2]
    groups = [{"params": second.parameters(), "lr": 0.03}, {"params": first.parameters()}]
    optimizer = torch.optim.Adam(groups, lr=0.01, amsgrad=amsgrad)
    step = trained(optimizer, objective, loss_of_model)
    moment = torch.cat([optimizer.state[p]["exp_avg"].flatten() for p in objective.model.parameters()])
    directions = moment_directions(objective, optimizer)
    torch.testing.assert_close(directions[0], -moment / moment.norm())
    torch.testing.assert_close(directions[1], step / step.norm(), atol=1e-12, rtol=0)


def test_moments_of_sgd_are_its_momentum_and_frozen_parameters_have_none():
    objective, loss_of_model = smooth_network()
    optimizer = torch.optim.SGD(objective.model[0].parameters(), lr=0.1, momentum=0.9)
    step = trained(optimizer, objective, loss_of_model)
    directions = moment_directions(objective, optimizer)
    torch.testing.assert_close(directions, (step / step.norm()).unsqueeze(0))
    assert torch.count_nonzero(directions[0, objective.layout.slices["2.weight"]]) == 0
    objective.model[0].bias.requires_grad_(False)
    rest = Objective(objective.model, nn.MSELoss(), (torch.randn(2, 3).double(), torch.zeros(2, 2).double()))
    assert moment_directions(rest, optimizer).shape == (1, rest.layout.size)


def test_optimisers_without_moments_are_refused_by_name():
    objective, loss_of_model = smooth_network()
    parameters = list(objective.model.parameters())
    with pytest.raises(ValueError, match="Adam has no moments before its first step"):
        moment_directions(objective, torch.optim.Adam(parameters))
    plain, scaled = torch.optim.SGD(parameters, lr=0.1), torch.optim.Adagrad(parameters)
    for optimizer in (plain, scaled):
        trained(optimizer, objective, loss_of_model, steps=1)
    with pytest.raises(ValueError, match="SGD has no moments before its first step"):
        moment_directions(objective, torch.optim.SGD(parameters, lr=0.1, momentum=0.9))
    with pytest.raises(ValueError, match="SGD keeps no first moment"):
        moment_directions(objective, plain)
    with pytest.raises(ValueError, match="Adagrad keeps no first moment: give it momentum"):
        moment_directions(objective, scaled)
    with pytest.raises(ValueError, match="holds none of the objective's parameters"):
        moment_directions(objective, torch.optim.Adam([nn.Parameter(torch.ones(1))]))


def test_directions_on_a_quadratic_have_the_losses_they_promise():
    torch.manual_seed(6)
    inputs, targets = torch.randn(9, 4).double(), torch.randn(9, 2).double()
    model = nn.Linear(4, 2).double()
    objective = Objective(model, nn.MSELoss(), (inputs, targets))
    theta, base = objective.theta(), objective.value()
    H = explicit.hessian(model, lambda model: nn.functional.mse_loss(model(inputs), targets))
    g = objective.gradient()
    values = torch.linalg.eigvalsh(H)
    steps = torch.tensor([-2.0, 0.5, 3.0]).double()[:, None]
    for direction, curvature in zip(
        hessian_directions(objective, end="both", tolerance=1e-12), values[[-1, 0]], strict=True
    ):
        expected = base + steps[:, 0] * (g @ direction) + steps[:, 0] ** 2 * curvature / 2
        torch.testing.assert_close(objective.values(theta + steps * direction), expected)
    bend = g @ H @ g / g.norm() ** 2
    downhill = base - steps[:, 0] * g.norm() + steps[:, 0] ** 2 * bend / 2
    torch.testing.assert_close(objective.values(theta + steps * gradient_direction(objective)), downhill)
    rho = 0.2
    ascended = objective.value(theta + sam_direction(objective, rho))
    assert ascended == pytest.approx(float(base + rho * g.norm() + rho**2 * bend / 2))
