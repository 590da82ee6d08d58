"""Measures of sharpness: closed forms on quadratics, and what must stay the same."""

import copy
from itertools import product

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from landscope.curvature import sharpness_measures
from landscope.curvature.ascent import Neighbourhood, highest_rise
from landscope.objective import Objective


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def value(measured, name):
    return measured.values[measured.names.index(name)]


def error(measured, name):
    return measured.errors[measured.names.index(name)]


def over_a_ball(hessian, slope, radius):
    """max of g.e + e^T H e / 2 over |e| <= radius, by its Lagrange condition (mu - H) e = g, mu >= lambda_max."""
    values, vectors = np.linalg.eigh(hessian)
    slope = vectors.T @ slope
    length = lambda mu: np.linalg.norm(slope / (mu - values))  # noqa: E731
    if values[-1] <= 0 and length(0.0) <= radius:
        mu = 0.0
    else:
        low = max(values[-1], 0.0)
        mu = brentq(lambda mu: length(mu) - radius, low + 1e-9, low + 1e6, xtol=1e-13)
    e = slope / (mu - values)
    return slope @ e + e @ (values * e) / 2


def wells(seed, size=4):
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(size, size, generator=generator).double()
    return (root + root.T) / 2


@pytest.mark.parametrize("seed", range(6))
def test_sam_is_the_largest_rise_of_a_quadratic_over_the_ball(objective_of, seed):
    hessian = wells(seed)
    objective = objective_of(hessian)
    theta, slope = objective.theta().numpy(), objective.gradient().numpy()
    measured = sharpness_measures(objective, rho=0.3, steps=60)
    for rho, found in zip(measured.rho, measured.sam_multi_step, strict=True):
        assert found == pytest.approx(over_a_ball(hessian.numpy(), slope, rho), rel=1e-3)
    step = 0.3 * slope / np.linalg.norm(slope)
    assert value(measured, "SAM one step") == pytest.approx(slope @ step + step @ hessian.numpy() @ step / 2)
    # in the coordinates e / |w| the ellipsoid is a ball
    size = np.abs(theta)
    truth = over_a_ball(size[:, None] * hessian.numpy() * size, size * slope, 0.5)
    assert value(measured, "adaptive worst case") == pytest.approx(truth, rel=1e-3)
    assert (measured.sam_multi_step >= measured.sam_one_step).all()
    assert value(measured, "SAM") == measured.sam_multi_step[measured.rho == 0.3]


@pytest.mark.parametrize("seed", range(4))
def test_epsilon_sharpness_is_that_of_the_worst_corner_of_the_box(objective_of, seed):
    root = wells(seed)
    hessian = root @ root.T
    objective = objective_of(hessian)
    theta, loss = objective.theta(), objective.value()
    corners = 0.05 * (theta.abs() + 1) * torch.tensor(list(product([-1.0, 1.0], repeat=4))).double()
    truth = float(objective.values(theta + corners).max())  # a convex function is largest in a corner
    measured = sharpness_measures(objective, epsilon=0.05, steps=20)
    assert value(measured, "epsilon-sharpness") == pytest.approx(100 * (truth - loss) / (1 + loss))


def test_eigenvalues_trace_and_average_of_a_quadratic(objective_of):
    hessian = torch.diag(torch.tensor([5.0, 2.0, 0.0, -3.0]).double())
    objective = objective_of(hessian)
    measured = sharpness_measures(objective, spread=0.1, tolerance=1e-8)
    assert value(measured, "largest eigenvalue") == pytest.approx(5.0)
    assert value(measured, "least eigenvalue") == pytest.approx(-3.0)
    assert value(measured, "trace") == pytest.approx(4.0)  # a diagonal matrix: no scatter over random signs
    # e^T H e / 2 over e ~ N(0, (0.1 w)^2) has this mean and this variance
    shares = 0.1**2 / 2 * torch.diag(hessian) * objective.theta() ** 2
    scatter = float((2 * shares**2).sum().sqrt()) / np.sqrt(10)
    assert abs(value(measured, "adaptive average") - float(shares.sum())) < 3 * scatter
    assert error(measured, "adaptive average") == pytest.approx(scatter, rel=0.6)


def test_at_a_minimum_the_worst_direction_is_the_sharpest(objective_of):
    objective = objective_of(torch.diag(torch.tensor([8.0, 2.0, 1.0]).double()))
    measured = sharpness_measures(objective, theta=torch.zeros(3).double(), rho=0.1)
    assert value(measured, "SAM") == pytest.approx(8.0 * 0.1**2 / 2)
    assert value(measured, "SAM one step") == 0.0
    assert value(measured, "adaptive worst case") == 0.0  # relative to weights that are zero
    np.testing.assert_allclose(measured.sam_multi_step, 4 * measured.rho**2, rtol=1e-9)


def relu_net():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8, bias=False), nn.ReLU(), nn.Linear(8, 3, bias=False)).double()
    x, y = torch.randn(48, 5).double(), torch.randint(3, (48,))
    return model, x, y


def test_adaptive_sharpness_is_blind_to_rescaled_units_and_sam_is_not():
    model, x, y = relu_net()
    other = copy.deepcopy(model)
    with torch.no_grad():
        factors = torch.linspace(0.2, 4, 8).double()
        other[0].weight.mul_(factors[:, None])
        other[2].weight.div_(factors)
    first, second = (sharpness_measures(Objective(net, cross_entropy, (x, y))) for net in (model, other))
    for name in ("adaptive worst case", "adaptive average"):
        assert value(second, name) == pytest.approx(value(first, name), rel=1e-6)
    assert value(second, "SAM") != pytest.approx(value(first, "SAM"), rel=0.1)


def test_m_sharpness_is_at_least_that_of_all_examples_and_grows_as_batches_shrink():
    model, x, y = relu_net()
    objective = Objective(model, cross_entropy, (x, y))
    by_size = [value(sharpness_measures(objective, m=m), "m-sharpness") for m in (6, 12, 48)]
    whole = value(sharpness_measures(objective), "SAM")
    assert by_size[-1] == pytest.approx(whole)
    assert (np.diff(by_size) < 0).all()
    assert min(by_size) >= whole


def test_m_sharpness_of_linear_losses_is_the_mean_length_of_the_examples_slopes():
    """Each loss is linear in w, so that its rise is rho |its slope|."""
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)).double()
    model = nn.Linear(3, 1, bias=False).double()
    objective = Objective(model, lambda output, _: output.mean(), (x, torch.zeros(8)))
    measured = sharpness_measures(objective, m=4, rho=0.2)
    assert value(measured, "SAM") == pytest.approx(0.2 * float(x.mean(0).norm()))
    singles = value(sharpness_measures(objective, m=1, rho=0.2), "m-sharpness")
    assert singles == pytest.approx(0.2 * float(x.norm(dim=1).mean()))
    assert singles > value(measured, "m-sharpness") > value(measured, "SAM")
    assert value(measured, "largest eigenvalue") == pytest.approx(0.0, abs=1e-12)
    assert value(measured, "trace") == pytest.approx(0.0, abs=1e-12)


def test_more_steps_never_find_less():
    model, x, y = relu_net()
    objective = Objective(model, cross_entropy, (x, y))
    loss, gradient = objective.value_and_gradient()
    ball = Neighbourhood(0.5, torch.ones(()).double())
    rises = [
        highest_rise(objective, objective.theta(), loss, ball, [ball.directed(gradient)], steps)[0]
        for steps in (0, 1, 3, 10, 30)
    ]
    assert (np.diff(rises) >= 0).all()
    assert rises[-1] > rises[0] > 0


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_measures_scale_with_the_loss(factor):
    model, x, y = relu_net()
    plain = sharpness_measures(Objective(model, mse_loss, (x, torch.eye(3).double()[y])))
    scaled = sharpness_measures(Objective(model, lambda *pair: factor * mse_loss(*pair), (x, torch.eye(3).double()[y])))
    for name in plain.names:
        if name != "epsilon-sharpness":
            assert value(scaled, name) == pytest.approx(factor * value(plain, name), rel=1e-6), name


@pytest.mark.parametrize("build", [lambda p: torch.optim.SGD(p, lr=0.05), lambda p: torch.optim.Adam(p, lr=1e-3)])
def test_share_of_the_optimisers_limit(build):
    model, x, y = relu_net()
    optimizer = build(model.parameters())
    objective = Objective(model, cross_entropy, (x, y))
    name = "share of the stability limit"
    if isinstance(optimizer, torch.optim.Adam):
        assert name not in sharpness_measures(objective, optimizer, steps=1).names  # no second moments yet
        cross_entropy(model(x), y).backward()
        optimizer.step()
    measured = sharpness_measures(objective, optimizer, steps=1)
    if isinstance(optimizer, torch.optim.SGD):
        assert value(measured, name) == pytest.approx(value(measured, "largest eigenvalue") * 0.05 / 2, rel=1e-3)
    assert value(measured, name) > 0


def test_a_loss_that_overflows_nearby_rises_without_bound():
    model = nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        model.weight.fill_(0.65)
    x = torch.ones(2, 1).double()
    objective = Objective(model, lambda output, _: (1000 * output).exp().mean() * 1e-300, (x, torch.zeros(2)))
    measured = sharpness_measures(objective, rho=0.1)
    assert np.isfinite(measured.sam_multi_step[0])
    assert measured.sam_multi_step[-1] == np.inf
    assert measured.sam_one_step[-1] == np.inf
    assert "trace" in measured.scalars()
    assert "sam" not in measured.scalars()  # rho = 0.1 is where it is infinite


def test_a_single_parameter_and_eight_examples():
    torch.manual_seed(0)
    model = nn.Linear(1, 1, bias=False)
    x = torch.randn(8, 1)
    measured = sharpness_measures(Objective(model, mse_loss, (x, 2 * x)))
    curvature = 2 * float((x**2).mean())
    assert value(measured, "largest eigenvalue") == pytest.approx(curvature, rel=1e-5)
    assert value(measured, "least eigenvalue") == pytest.approx(curvature, rel=1e-5)
    slope = abs(curvature * (model.weight.item() - 2))
    assert value(measured, "SAM") == pytest.approx(0.05 * slope + curvature * 0.05**2 / 2, rel=1e-4)
    assert np.isnan(error(measured, "m-sharpness"))  # eight examples are one batch


def test_what_makes_no_sense_is_refused(mlp):
    for name in ("rho", "adaptive_rho", "spread", "epsilon", "m", "steps", "tolerance"):
        with pytest.raises(ValueError, match=f"{name} must be positive, got 0"):
            sharpness_measures(mlp.objective, **{name: 0})
    bad = torch.full((mlp.objective.layout.size,), float("nan")).double()
    with pytest.raises(FloatingPointError, match="loss at the weights is nan"):
        sharpness_measures(mlp.objective, theta=bad)
    half = nn.Linear(2, 2).to(torch.bfloat16)
    with pytest.raises(ValueError, match=r"float32 or finer, got torch\.bfloat16"):
        sharpness_measures(Objective(half, mse_loss, (torch.ones(2, 2).bfloat16(), torch.ones(2, 2).bfloat16())))
