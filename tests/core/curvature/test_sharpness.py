import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from landscope.curvature import sharpness
from landscope.objective import Objective


def test_largest_eigenvalue_of_the_explicit_hessian(problem):
    measured = sharpness(problem.objective)
    truth = problem.eigenvalues[0].item()
    assert measured.lambda_max == pytest.approx(truth, rel=1e-3)
    assert abs(measured.lambda_max - truth) <= measured.residual
    assert measured.threshold is None
    assert measured.optimizer == ""
    assert not measured.preconditioned


def test_algebraic_not_absolute(objective_of):
    measured = sharpness(objective_of(torch.diag(torch.tensor([-9.0, 1.0, 0.5, 0.1]).double())), tolerance=1e-9)
    assert measured.lambda_max == pytest.approx(1.0)


def test_maximised_objective_is_measured_upside_down(objective_of):
    objective = objective_of(torch.diag(torch.tensor([-9.0, 1.0, 0.5, 0.1]).double()))
    optimizer = torch.optim.SGD(objective.model.parameters(), lr=0.5, maximize=True)
    measured = sharpness(objective, optimizer, tolerance=1e-9)
    assert measured.lambda_max == pytest.approx(9.0)
    assert measured.threshold == pytest.approx(4.0)


def test_adam_before_and_after_its_first_step(mlp):
    model, (x, y) = mlp.objective.model, mlp.objective.batches.items[0]
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    before = sharpness(mlp.objective, optimizer)
    assert before.threshold is None
    assert before.lambda_max == pytest.approx(mlp.eigenvalues[0].item(), rel=1e-3)
    try:
        cross_entropy(model(x), y).backward()
        gradient = torch.cat([parameter.grad.reshape(-1) for parameter in model.parameters()])
        optimizer.step()
    finally:
        model.load_state_dict(weights)
        optimizer.zero_grad()
    # after one step v_hat is the squared gradient, and the first moment's correction is 1 - beta1
    root = ((1 - 0.9) * (gradient.abs() + 1e-8)).rsqrt()
    truth = torch.linalg.eigvalsh(root[:, None] * mlp.hessian * root).max().item()
    after = sharpness(mlp.objective, optimizer)
    assert after.lambda_max == pytest.approx(truth, rel=1e-3)
    assert after.threshold == pytest.approx(38_000)
    assert after.preconditioned


@pytest.fixture(scope="module")
def descent():
    """Full-batch gradient descent while its sharpness rises: (objective, weights at some consecutive steps)."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 4)).double()
    x = torch.randn(120, 10).double()
    y = nn.functional.one_hot((x[:, :4]).argmax(1), 4).double()
    objective = Objective(model, mse_loss, (x, y))
    theta, weights = objective.theta(), []
    for step in range(330):
        theta = theta - 0.3 * objective.gradient(theta)
        if step >= 300:
            weights.append(theta)
    return objective, weights


def test_following_through_training_takes_few_products(descent):
    objective, weights = descent
    identity = torch.eye(objective.layout.size, dtype=torch.float64)
    last, products = sharpness(objective, theta=weights[0]), []
    cold = last.hvps
    for theta in weights[1:]:
        last = sharpness(objective, theta=theta, start=last.vector)
        products.append(last.hvps)
    truth = torch.linalg.eigvalsh(objective.hessian(weights[-1])(identity)).max().item()
    assert last.lambda_max == pytest.approx(truth, rel=1e-3)
    assert np.mean(products) <= 5
    assert np.mean(products) < cold


def test_a_stale_start_orthogonal_to_the_leader_is_overcome(objective_of):
    spectrum = torch.cat([torch.tensor([10.0, 8.0]), torch.linspace(-1, 1, 100)]).double()
    second = torch.zeros(102).double()
    second[1] = 1.0
    measured = sharpness(objective_of(torch.diag(spectrum)), start=second)
    assert measured.lambda_max == pytest.approx(10.0, rel=1e-3)


def test_what_makes_no_sense_is_refused(mlp):
    with pytest.raises(ValueError, match="tolerance must be positive"):
        sharpness(mlp.objective, tolerance=-1.0)
