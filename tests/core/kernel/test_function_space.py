"""Predictions of a fixed kernel against trainings for which they are exact, or become so."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from landscope.kernel import eigenmodes, kernel_regression, linearised, ntk
from landscope.objective import Objective


def objective_with(model, loss, targets, n=12, batch_size=1024):
    torch.manual_seed(1)
    return Objective(model.double(), loss, (torch.randn(n, 4).double(), targets(n)), batch_size=batch_size)


def descended(objective, rate, steps):
    """Weights at the steps, by gradient descent."""
    theta, thetas = objective.theta(), {0: objective.theta()}
    for step in range(1, max(steps) + 1):
        theta = theta - rate * objective.gradient(theta)
        thetas[step] = theta
    return [thetas[step] for step in steps]


def half_squares(output, target):
    return 0.5 * ((output - target) ** 2).sum(1).mean()


@pytest.mark.parametrize("batch_size", [5, 12])
@pytest.mark.parametrize(("loss", "constant"), [(nn.MSELoss(), 2 / 24), (half_squares, 1 / 12)])
def test_a_linear_network_decays_as_predicted(loss, constant, batch_size):
    torch.manual_seed(0)
    objective = objective_with(nn.Linear(4, 2), loss, lambda n: torch.randn(n, 2).double(), batch_size=batch_size)
    rate, steps = 1e-4, (0, 40, 100)
    found = eigenmodes(objective, descended(objective, rate, steps), [rate * step for step in steps])
    assert found.rate == pytest.approx(constant)
    np.testing.assert_allclose(found.residuals, found.predicted, atol=1e-4 * np.abs(found.residuals[0]).max())
    exact = found.residuals[0] * (1 - rate * found.rate * found.eigenvalues) ** np.array(steps)[:, None]
    np.testing.assert_allclose(found.residuals, exact, atol=1e-10)
    assert found.error < 1e-4
    assert found.residuals.shape == (3, 24)


def test_a_network_that_learns_features_does_not():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))
    objective = objective_with(model, nn.MSELoss(), lambda n: 3 * torch.randn(n, 1).double())
    found = eigenmodes(objective, descended(objective, 0.1, (0, 100)), [0, 10.0])
    assert found.error > 0.1


def test_leading_modes_are_the_first_of_all():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))
    objective = objective_with(model, nn.MSELoss(), lambda n: torch.randn(n, 2).double())
    thetas = descended(objective, 0.1, (0, 10, 30))
    every = eigenmodes(objective, thetas, [0, 1, 3])
    leading = eigenmodes(objective, thetas, [0, 1, 3], leading=3)
    np.testing.assert_allclose(leading.eigenvalues, every.eigenvalues[:3], rtol=1e-3)
    assert leading.rate == every.rate
    np.testing.assert_allclose(abs(leading.residuals), abs(every.residuals[:, :3]), atol=1e-2)
    np.testing.assert_allclose(abs(leading.predicted), abs(every.predicted[:, :3]), atol=1e-2)


def test_only_squared_losses_have_such_modes():
    objective = objective_with(nn.Linear(4, 3), nn.CrossEntropyLoss(), lambda n: torch.arange(n) % 3)
    with pytest.raises(ValueError, match="squared loss alone"):
        eigenmodes(objective, [objective.theta()] * 2, [0, 1])
    with pytest.raises(ValueError, match="two moments at least"):
        eigenmodes(objective, [objective.theta()], [0])


def test_linearisation_touches_to_first_order():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    objective = objective_with(model, nn.CrossEntropyLoss(), lambda n: torch.arange(n) % 3, batch_size=7)
    start, direction = objective.theta(), torch.randn_like(objective.theta())
    near, far = (linearised(objective, start, theta=start + step * direction) for step in (1e-4, 2e-4))
    assert np.abs(far.actual - far.linearised).max() == pytest.approx(
        4 * np.abs(near.actual - near.linearised).max(), 1e-2
    )
    assert near.error < 1e-3
    assert near.distance == pytest.approx(1e-4 * float(direction.norm()))
    moved = torch.tensor(near.linearised)
    assert near.linearised_loss == pytest.approx(float(functional.cross_entropy(moved, torch.arange(12) % 3)))
    assert near.loss == pytest.approx(objective.value(start + 1e-4 * direction))
    there = linearised(objective, start, theta=start)
    assert there.error == 0
    np.testing.assert_array_equal(there.linearised, there.initial)


def test_a_network_that_is_linear_in_its_weights_is_its_linearisation():
    objective = objective_with(nn.Linear(4, 2), nn.MSELoss(), lambda n: torch.randn(n, 2).double())
    found = linearised(objective, torch.zeros(10), theta=torch.ones(10))
    np.testing.assert_allclose(found.actual, found.linearised, rtol=1e-12)


def test_regression_with_the_kernel_of_a_linear_network_is_linear_regression():
    torch.manual_seed(0)
    model = nn.Linear(4, 2).double()
    x, test = torch.randn(30, 4).double(), torch.randn(10, 4).double()
    slope = torch.randn(4, 2).double()
    train, held_out = (Objective(model, nn.MSELoss(), (v, v @ slope + 1)) for v in (x, test))
    found = kernel_regression(train, held_out, ridge=1e-10)
    np.testing.assert_allclose(found.predictions, (test @ slope + 1).numpy(), atol=1e-5)
    assert found.test_error < 1e-10
    assert found.accuracy is None
    strong = kernel_regression(train, held_out, ridge=0.3)
    gram = ntk(train, kind="trace").gram
    expected = gram @ np.linalg.solve(gram + 0.3 * np.diag(gram).mean() * np.eye(30), (x @ slope + 1).numpy())
    assert strong.train_error == pytest.approx(((expected - (x @ slope + 1).numpy()) ** 2).mean())


def test_regression_on_classes():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 3)).double()
    middles = 3 * torch.tensor([[1.0, 0.0], [-0.5, 0.9], [-0.5, -0.9]]).double()
    train, test = (
        Objective(model, nn.CrossEntropyLoss(), (middles[y] + 0.3 * torch.randn(30, 2).double(), y))
        for y in (torch.arange(30) % 3, torch.randint(3, (30,)))
    )
    found = kernel_regression(train, test, kind="pseudo")
    assert found.accuracy == 1
    np.testing.assert_allclose(found.targets.sum(1), 0, atol=1e-12)
    assert found.gram_kind == "pseudo"
    with pytest.raises(ValueError, match="one row per example, got 'full'"):
        kernel_regression(train, test, kind="full")
    with pytest.raises(ValueError, match="ridge must not be negative"):
        kernel_regression(train, test, ridge=-1)
    ranks = Objective(model, lambda o, _: o.mean(), (torch.randn(4, 2).double(), torch.zeros(4, 2, dtype=torch.long)))
    with pytest.raises(ValueError, match="floating-point values"):
        kernel_regression(ranks, test)
