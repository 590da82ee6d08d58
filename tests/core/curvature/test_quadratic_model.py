"""The radius of the quadratic model, where it is known exactly."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from landscope.curvature import quadratic_model
from landscope.objective import Objective


class Separable(nn.Module):
    """A sum over the weights of powers of each: linear + quadratic/2 + cubic + quartic."""

    def __init__(self, weights, linear, quadratic, cubic, quartic):
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights).double())
        self.powers = [torch.tensor(each).double() for each in (linear, quadratic, cubic, quartic)]

    def forward(self, x):
        linear, quadratic, cubic, quartic = self.powers
        w = self.weights
        return (linear * w + quadratic * w**2 / 2 + cubic * w**3 + quartic * w**4).sum().expand(len(x))


def objective(weights, linear=(0.0, 0.0), quadratic=(0.0, 0.0), cubic=(0.0, 0.0), quartic=(0.0, 0.0), factor=1.0):
    model = Separable(weights, linear, quadratic, cubic, quartic)
    return Objective(model, lambda output, _: factor * output.mean(), (torch.zeros(1, 1), torch.zeros(1)))


AXES = torch.eye(2).double()


@pytest.mark.parametrize("factor", [1.0, 1e-6, 1e6])
@pytest.mark.parametrize("tolerance", [0.1, 0.02])
def test_radius_of_a_quartic_and_of_a_cubic(tolerance, factor):
    """At the minimum: b s^4 = t (a s^2/2 + b s^4), and c s^3 = t (a s^2/2 + c s^3), the change on the steeper side."""
    steep = objective((0.0, 0.0), quadratic=(3.0, 3.0), cubic=(0.0, 0.4), quartic=(0.7, 0.0), factor=factor)
    measured = quadratic_model(steep, AXES, tolerance=tolerance, reach=50.0)
    quartic = np.sqrt(tolerance * 3.0 / (2 * 0.7 * (1 - tolerance)))
    cubic = tolerance * 3.0 / (2 * 0.4 * (1 - tolerance))
    assert measured.radii == pytest.approx([quartic, cubic], rel=1e-2)
    np.testing.assert_allclose(measured.curvatures, 3.0 * factor)


def test_a_quadratic_holds_everywhere():
    measured = quadratic_model(objective((1.0, -2.0), linear=(1.0, 0.0), quadratic=(4.0, -1.0)))
    assert measured.names == ("sharpest eigenvector", "most negative", "gradient", "random")
    assert np.isinf(measured.radii).all()
    assert measured.scalars() == {}
    np.testing.assert_allclose(measured.losses, measured.predictions, atol=1e-12)
    assert measured.curvatures[:2] == pytest.approx([4.0, -1.0])
    assert measured.slopes[2] == pytest.approx(np.hypot(1 + 4, 2))
    assert measured.distances[0, -1] == pytest.approx(np.sqrt(5.0))  # as far as the weights are long


def test_least_curvature_and_a_minimum_without_a_gradient():
    measured = quadratic_model(objective((0.0, 0.0), quadratic=(4.0, 1.0)))
    assert measured.names == ("sharpest eigenvector", "least curved", "random")
    assert measured.distances[0, -1] == 1.0


def test_a_flat_loss_holds_everywhere():
    measured = quadratic_model(objective((1.0, 1.0)))
    assert np.isinf(measured.radii).all()
    assert (measured.losses == 0).all()


def test_a_kink_is_found_where_it_is():
    """|w| is linear up to its kink at distance 1, and the error doubles from there."""
    model = nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        model.weight.fill_(1.0)
    kinked = Objective(model, lambda output, _: output.abs().mean(), (torch.ones(1, 1).double(), torch.zeros(1)))
    measured = quadratic_model(kinked, torch.ones(1).double(), tolerance=0.2, reach=10.0)
    # beyond s = 1: error 2 (s - 1), and the change on the other side is s
    assert measured.radii[0] == pytest.approx(
        1 / (1 - 0.2 / 2), rel=0.05
    )  # between two distances that are a fifth apart


def test_what_is_measured_is_the_loss_and_its_derivatives(mlp):
    measured = quadratic_model(mlp.objective)
    theta, slope = mlp.objective.theta(), mlp.objective.gradient()
    along = slope / slope.norm()
    row = measured.names.index("gradient")
    assert measured.slopes[row] == pytest.approx(float(slope.norm()))
    assert measured.curvatures[row] == pytest.approx(float(along @ mlp.hessian @ along))
    for distance, loss in zip(measured.distances[row], measured.losses[row], strict=True):
        assert loss == pytest.approx(mlp.objective.value(theta + distance * along))
    assert measured.curvatures[0] == pytest.approx(float(mlp.eigenvalues[0]), rel=1e-2)
    assert measured.curvatures[1] == pytest.approx(float(mlp.eigenvalues[-1]), rel=1e-2)
    assert (np.diff(measured.distances, axis=1) > 0).all()
    assert (measured.distances[:, 10] == 0).all()
    assert np.isfinite(measured.radii).all()
    for factor, holds in ((0.9, True), (1.2, False)):
        s = factor * measured.radii[row] * np.linspace(-1, 1, 41)
        losses = mlp.objective.values(theta + torch.tensor(s)[:, None] * along).numpy()
        predicted = losses[20] + s * measured.slopes[row] + s**2 / 2 * measured.curvatures[row]
        assert (np.abs(losses - predicted).max() <= 0.1 * np.abs(losses - losses[20]).max()) == holds


def test_float32_gives_the_radii_of_float64(mlp):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    x, y = torch.randn(8, 4), torch.randint(3, (8,))
    directions = torch.randn(3, 51)
    single = quadratic_model(Objective(model, cross_entropy, (x, y)), directions)
    double = quadratic_model(Objective(model.double(), cross_entropy, (x.double(), y)), directions)
    assert single.radii == pytest.approx(double.radii, rel=1e-2)
    assert np.isfinite(single.radii).all()


def test_a_single_parameter():
    x = torch.ones(8, 1)
    measured = quadratic_model(Objective(nn.Linear(1, 1, bias=False), mse_loss, (x, 3 * x)))
    assert np.isinf(measured.radii).all()
    assert measured.curvatures == pytest.approx(np.full(4, 2.0), rel=1e-5)


def test_what_makes_no_sense_is_refused(mlp):
    with pytest.raises(ValueError, match="points must be odd and at least 3"):
        quadratic_model(mlp.objective, points=20)
    with pytest.raises(ValueError, match="tolerance must be positive"):
        quadratic_model(mlp.objective, tolerance=0.0)
    with pytest.raises(ValueError, match="reach must be positive"):
        quadratic_model(mlp.objective, reach=-1.0)
    with pytest.raises(ValueError, match="direction is zero"):
        quadratic_model(mlp.objective, torch.zeros(mlp.objective.layout.size))
    with pytest.raises(ValueError, match="names must be 1"):
        quadratic_model(mlp.objective, torch.ones(mlp.objective.layout.size), names=["a", "b"])
    bad = torch.full((mlp.objective.layout.size,), float("inf")).double()
    with pytest.raises(FloatingPointError, match="not finite"):
        quadratic_model(mlp.objective, theta=bad)
    model = nn.Linear(2, 2).half()
    with pytest.raises(ValueError, match="float32 or finer"):
        quadratic_model(Objective(model, mse_loss, (torch.ones(2, 2).half(), torch.ones(2, 2).half())))
