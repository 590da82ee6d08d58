"""Weight matching: permuted copies are found exactly, and the function never changes."""

import itertools

import pytest
import torch
from torch import nn

from landscope.landscape import aligned, weight_matching
from landscope.objective import Objective
from tests.core.landscape.test_symmetries import Residual, shuffled


def perceptron(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 3)).double()


def objective_of(model, shape, **options):
    torch.manual_seed(1)
    data = (torch.randn(8, *shape).double(), torch.randint(3, (8,)))
    return Objective(model, nn.CrossEntropyLoss(), data, **options)


def vector(objective, state):
    return objective.layout.flatten(state)


@pytest.mark.parametrize("seed", range(3))
def test_a_permuted_copy_is_found_exactly_and_the_line_to_it_is_flat(seed):
    model = perceptron()
    objective = objective_of(model, (4,))
    theta, copy = objective.theta(), vector(objective, shuffled(model, seed))
    found = aligned(objective, copy, theta)
    assert torch.equal(found, theta)
    along = torch.linspace(0, 1, 7).double()[:, None]
    losses = objective.values(theta + along * (copy - theta))
    assert float(losses.max() - losses[0]) > 1e-2  # the barrier that numbering alone makes
    losses = objective.values(theta + along * (found - theta))
    assert float((losses - losses[0]).abs().max()) == 0


def test_a_permuted_copy_of_a_residual_network_is_found_with_its_statistics():
    torch.manual_seed(0)
    model = Residual().double()
    model(torch.randn(8, 1, 8, 8).double())
    state, copy = model.state_dict(), shuffled(model)
    found = weight_matching(model, copy, state).applied(copy)
    assert all(torch.equal(found[name], value) for name, value in state.items())
    assert not torch.equal(copy["norm.running_mean"], state["norm.running_mean"])


def test_another_network_comes_closest_and_stays_the_same_function():
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).double()
    objective = objective_of(model, (4,))
    torch.manual_seed(7)
    theta, reference = torch.randn(2, objective.layout.size).double()
    found = aligned(objective, theta, reference)
    torch.testing.assert_close(objective.outputs(found), objective.outputs(theta), atol=1e-12, rtol=0)
    named = objective.layout.unflatten(theta)
    distances = []
    for order in itertools.permutations(range(5)):  # with one hidden layer there is one assignment, so all are tried
        order = list(order)
        moved = {**named, "0.weight": named["0.weight"][order], "0.bias": named["0.bias"][order]}
        moved["2.weight"] = named["2.weight"][:, order]
        distances.append(float((vector(objective, moved) - reference).norm()))
    assert float((found - reference).norm()) == pytest.approx(min(distances))


def test_alignment_of_deep_networks_never_moves_away():
    model = perceptron()
    objective = objective_of(model, (4,))
    for seed in range(3):
        theta, reference = (objective.layout.flatten(dict(perceptron(s).named_parameters())).detach()
                            for s in (10 + seed, 20 + seed))  # fmt: skip
        found = aligned(objective, theta, reference)
        assert float((found - reference).norm()) < float((theta - reference).norm())
        assert objective.value(found) == pytest.approx(objective.value(theta), rel=1e-12)


def test_running_statistics_must_be_permuted_with_the_weights():
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)).double()
    theta = objective_of(model, (4,)).theta()
    copy = vector(objective_of(model, (4,)), shuffled(model))
    with pytest.raises(
        ValueError, match=r"order is also that of 1\.running_mean, 1\.running_var, which theta does not"
    ):
        aligned(objective_of(model, (4,)), copy, theta)
    for policy in ("batch", "recompute"):
        assert torch.equal(aligned(objective_of(model, (4,), batch_norm=policy), copy, theta), theta)


def test_units_of_frozen_layers_keep_their_order():
    model = perceptron()
    model[0].requires_grad_(False)
    objective = objective_of(model, (4,))
    theta = objective.theta()
    reference = torch.randn_like(theta)
    found = aligned(objective, theta, reference)
    named, moved = objective.layout.unflatten(theta), objective.layout.unflatten(found)
    torch.testing.assert_close(objective.outputs(found), objective.outputs(theta), atol=1e-12, rtol=0)
    order = [int((named["2.weight"] == row).all(dim=1).nonzero()) for row in moved["2.weight"]]
    assert sorted(order) == list(range(12))
    assert torch.equal(moved["2.weight"], named["2.weight"][order])  # whose columns, the first layer's units, stay


def test_permutations_given_by_hand_are_checked():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 12), nn.Linear(6, 3)

        def forward(self, x):
            return self.last(nn.functional.glu(self.first(x).reshape(-1, 6, 2)).flatten(1))

    torch.manual_seed(3)
    model = Gated().double()
    objective = objective_of(model, (4,))
    theta, reference = objective.theta(), torch.randn(objective.layout.size).double()
    with pytest.raises(ValueError, match="give permutations="):
        aligned(objective, theta, reference)
    units = {"gates": (("first.weight", 0), ("first.bias", 0), ("last.weight", 1))}
    found = aligned(objective, theta, reference, permutations=units)
    assert not torch.equal(found, theta)
    torch.testing.assert_close(objective.outputs(found), objective.outputs(theta), atol=1e-12, rtol=0)
    with pytest.raises(ValueError, match="do not number the same units"):
        aligned(objective, theta, reference, permutations={"gates": units["gates"][:2]})
    with pytest.raises(ValueError, match=r"permutation gates names 'second\.weight'"):
        aligned(objective, theta, reference, permutations={"gates": (("second.weight", 0),)})
    with pytest.raises(ValueError, match=r"names axis 2 of last\.weight, of shape \(3, 6\)"):
        aligned(objective, theta, reference, permutations={"gates": (("last.weight", 2),)})
    with pytest.raises(ValueError, match=r"first\.weight must be finite"):
        aligned(objective, theta, reference * torch.nan, permutations=units)
