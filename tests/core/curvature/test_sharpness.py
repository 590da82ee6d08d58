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


def curvatures_along(objective, vector, theta=None):
    """v^T H_i v of each example i, from its own Hessian."""
    singles = (objective.subset([i]) for i in range(objective.examples))
    return np.array([float(vector @ single.hessian(theta)(vector)) for single in singles])


def test_standard_error_of_few_examples_is_that_of_their_own_curvatures(mlp):
    few = mlp.objective.sample(8)
    measured = sharpness(few, tolerance=1e-10)
    along = curvatures_along(few, torch.from_numpy(measured.vector))
    assert along.mean() == pytest.approx(measured.lambda_max)
    assert measured.stderr == pytest.approx(along.std(ddof=1) / np.sqrt(8), rel=1e-6)
    assert measured.scalars()["stderr"] == measured.stderr


def test_standard_error_is_the_scatter_of_the_sharpness_of_resampled_data():
    """Of a linear model, H_i = 2 x_i x_i^T / C, so that resampling takes no network."""
    torch.manual_seed(0)
    x = torch.randn(400, 5).double() * torch.tensor([3.0, 1, 1, 1, 1]).double()
    model = nn.Linear(5, 1, bias=False).double()
    measured = sharpness(Objective(model, mse_loss, (x, torch.zeros(400, 1).double())))
    rows = torch.randint(400, (2000, 400))
    resampled = torch.linalg.eigvalsh(2 * torch.einsum("rni,rnj->rij", x[rows], x[rows]) / 400)[:, -1]
    assert measured.stderr == pytest.approx(float(resampled.std()), rel=0.5)
    along = curvatures_along(Objective(model, mse_loss, (x, torch.zeros(400, 1).double())), torch.eye(5).double()[0])
    assert measured.stderr == pytest.approx(along.std(ddof=1) / 20, rel=0.5)


def test_standard_error_of_preconditioned_sharpness(mlp):
    few = mlp.objective.sample(7)
    groups = [{"params": [p], "lr": 0.1 * (i + 1)} for i, p in enumerate(few.model.parameters())]
    optimizer = torch.optim.SGD(groups)
    measured = sharpness(few, optimizer, tolerance=1e-10)
    assert measured.preconditioned
    scaling = few.layout.flatten(
        {
            name: torch.full(shape, (i + 1.0) ** 0.5)
            for i, (name, shape) in enumerate(zip(few.layout.names, few.layout.shapes, strict=True))
        }
    )
    along = curvatures_along(few, scaling * torch.from_numpy(measured.vector))
    assert along.mean() == pytest.approx(measured.lambda_max)
    assert measured.stderr == pytest.approx(along.std(ddof=1) / np.sqrt(7))


def test_one_example_and_batch_statistics_have_no_standard_error(objective_of, mlp):
    measured = sharpness(objective_of(torch.eye(3).double()))
    assert measured.stderr is None
    assert set(measured.scalars()) == {"lambda_max"}
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    data = torch.randn(8, 2), torch.randn(8, 1)
    assert sharpness(Objective(model, mse_loss, data, batch_norm="batch")).stderr is None


def test_the_standard_error_costs_one_product_more(mlp):
    measured = sharpness(mlp.objective)
    assert measured.provenance.products == measured.hvps + 1


@pytest.mark.parametrize(("kind", "within"), [(torch.float16, 0.02), (torch.bfloat16, 0.1)])
def test_standard_error_in_half_precision(kind, within):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    x, y = torch.randn(8, 4), torch.randint(3, (8,))
    single = sharpness(Objective(model, cross_entropy, (x, y)))
    half = sharpness(Objective(model.to(kind), cross_entropy, (x.to(kind), y)))
    assert half.stderr == pytest.approx(single.stderr, rel=within)
