"""Lines through the weights, and the mean curvature of random ones against dense Hessians."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from landscope.curvature import trace
from landscope.landscape import ensemble, mean_curvature, random_directions, trace_check
from landscope.landscape.grids import spaced
from landscope.objective import Objective
from tests.core import explicit


class Weights(nn.Module):
    """A model whose output is its weights."""

    def __init__(self, size, dtype=torch.float64):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(size, dtype=dtype))

    def forward(self, inputs):
        return self.weight.unsqueeze(0) + 0 * inputs


def of_weights(loss, size=12, dtype=torch.float64):
    zeros = torch.zeros(1, 1, dtype=dtype)
    return Objective(Weights(size, dtype), lambda output, _: loss(output[0]), (zeros, zeros))


def network(act, dtype):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(5, 8), act(), nn.Linear(8, 3)).to(dtype)
    data = (torch.randn(60, 5).to(dtype), torch.randint(3, (60,)))
    return Objective(model, functional.cross_entropy, data), model, data


@pytest.mark.parametrize("normalisation", ["filter", "none"])
@pytest.mark.parametrize("options", [{"radius": 0.5}, {"extent": [(-0.1, 0.4)], "scale": "log"}])
def test_every_line_is_the_loss_along_its_own_seed_s_direction(normalisation, options):
    objective, _, _ = network(nn.Tanh, torch.float64)
    lines = ensemble(objective, 3, points=7, seed=5, normalisation=normalisation, **options)
    extent = options.get("extent", [(-0.5, 0.5)])[0]
    np.testing.assert_allclose(lines.radius, spaced(*extent, 7, options.get("scale", "linear")))
    for j in range(3):
        direction = random_directions(objective, 1, normalisation=normalisation, seed=5 + j)[0]
        for r, found in zip(lines.radius, lines.loss[j], strict=True):
            assert found == pytest.approx(objective.value(objective.theta() + r * direction), rel=1e-9)
    assert lines.centre_loss == pytest.approx(objective.value())
    assert lines.normalisation == normalisation


def test_an_automatic_radius_is_shared_by_all_lines():
    objective, _, _ = network(nn.Tanh, torch.float64)
    lines = ensemble(objective, 2, points=5, radius="auto")
    assert lines.loss.shape == (2, 5)
    assert lines.radius[0] == -lines.radius[-1]


def test_bands_of_an_ensemble():
    lines = ensemble(network(nn.Tanh, torch.float64)[0], 4, points=3)
    losses = np.array([[1.0, 1.0, 2.0], [4.0, 1.0, np.inf], [2.0, 1.0, np.nan], [3.0, 1.0, 5.0]])
    known = lines.replaced(loss=losses)
    np.testing.assert_allclose(known.mean, [24**0.25, 1.0, np.nan])
    np.testing.assert_allclose(known.quantile(0.5), [2.5, 1.0, 5.0])
    np.testing.assert_allclose(known.quantile(1.0), [4.0, 1.0, np.inf])
    assert known.span() == (1.0, 5.0)
    np.testing.assert_allclose(known.replaced(loss=losses - 3).mean[:2], [-0.5, -2.0])


def test_directions_are_uniform_on_the_sphere_and_differences_exact_on_a_quartic():
    """L = theta^4 has d^T H d = 12 sum theta_i^2 d_i^2, and five points know a polynomial of degree four exactly."""
    torch.manual_seed(0)
    objective = of_weights(lambda theta: theta.pow(4).sum())
    theta = objective.theta().numpy()
    found = mean_curvature(objective, 400, step=0.3, seed=2)
    assert found.size == 12
    assert (found.curvatures >= 12 * (theta**2).min()).all()
    assert (found.curvatures <= 12 * (theta**2).max()).all()
    # E d_i^4 = 3 / (P (P + 2)) and E d_i^2 d_j^2 = 1 / (P (P + 2)) on the sphere.
    h = 12 * theta**2
    variance = (2 * (h**2).sum() + h.sum() ** 2) / (12 * 14) - (h.sum() / 12) ** 2
    assert found.curvatures.std(ddof=1) == pytest.approx(np.sqrt(variance), rel=0.1)
    assert found.stderr == pytest.approx(found.curvatures.std(ddof=1) / 20)
    assert abs(found.value - h.mean()) < 4 * found.stderr
    # D(h) = d^T H d + 2 h^2 sum d_i^4
    assert found.truncation == pytest.approx(0.09 * 2 * 3 / 14, rel=0.1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_mean_curvature_is_the_trace_of_the_dense_hessian_over_its_size(dtype):
    objective, model, (inputs, labels) = network(nn.Tanh, dtype)
    exact = float(explicit.hessian(model, lambda m: functional.cross_entropy(m(inputs), labels)).trace())
    found = mean_curvature(objective, 300, seed=1)
    assert abs(found.value - exact / found.size) < 4 * found.stderr
    assert found.stderr < 0.05 * exact / found.size
    assert found.truncation < 0.05 * exact / found.size
    assert found.scalars()["trace"] == pytest.approx(exact, rel=0.2)
    verdict = trace_check(found, trace(objective, probes=200))
    assert verdict[:2] == ("curvature", "pass")


def test_the_default_step_balances_truncation_and_rounding():
    """Along each direction against the dense Hessian: smaller steps are worse in float32, and larger ones too."""
    objective, _, (inputs, labels) = network(nn.Tanh, torch.float32)
    _, twin, _ = network(nn.Tanh, torch.float64)
    nn.utils.vector_to_parameters(objective.theta().double(), twin.parameters())
    data = (inputs.double(), labels)
    hessian = explicit.hessian(twin, lambda m: functional.cross_entropy(m(data[0]), data[1]))
    default = mean_curvature(objective, 20, seed=3)
    generator = torch.Generator().manual_seed(3)
    rows = torch.cat([torch.randn(1, len(hessian), dtype=torch.float64, generator=generator) for _ in range(20)])
    rows = rows / rows.norm(dim=1, keepdim=True)
    exact = torch.einsum("ki,ij,kj->k", rows, hessian, rows).numpy()

    def off(found):
        return np.abs(found.curvatures - exact).max() / np.abs(exact).mean()

    assert off(default) < 0.02
    assert off(mean_curvature(objective, 20, step=default.step / 30, seed=3)) > 5 * off(default)
    assert off(mean_curvature(objective, 20, step=default.step * 12, seed=3)) > 5 * off(default)


def test_a_trace_of_something_else_is_refused():
    objective, _, _ = network(nn.Tanh, torch.float64)
    found = mean_curvature(objective, 100)
    right = trace(objective, probes=100)
    assert trace_check(found, right)[1] == "pass"
    wrong = right.replaced(value=3 * right.value)
    name, verdict, words = trace_check(found, wrong)
    assert (name, verdict) == ("curvature", "fail")
    assert f"{found.value:.4g}" in words
    assert "100 random unit slices" in words


def test_kinks_are_curved_to_slices_and_flat_to_the_hessian():
    """L = |theta_1| along d, whose second difference at zero is 2 |d_1| / h; no Hessian knows of it."""
    theta = torch.randn(12, dtype=torch.float64)
    objective = of_weights(lambda weights: (weights[0] - theta[0]).abs() + weights.square().sum())
    found = mean_curvature(objective, 50, step=0.1, theta=theta)
    hessian = trace(objective, probes=10, theta=theta)
    assert hessian.value / found.size == pytest.approx(2)
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randn(1, 12, dtype=torch.float64, generator=generator)[0] for _ in range(50)]
    kink = np.array([float(2 * (row / row.norm())[0].abs() / 0.1) for row in rows])
    np.testing.assert_allclose(found.curvatures, 2 + kink * (4 - 0.5) / 3, rtol=1e-9)
    assert trace_check(found, hessian)[1] == "fail"
    verdict = trace_check(found, hessian, kinks=True)
    assert verdict[1] == "note"
    assert "kinks" in verdict[2]


def test_bad_arguments_are_named():
    objective, _, _ = network(nn.Tanh, torch.float64)
    for call, message in (
        (lambda: ensemble(objective, 1), "at least 2, so that they show their scatter, got 1"),
        (lambda: mean_curvature(objective, 1), "at least 2"),
        (lambda: mean_curvature(objective, step=0.0), "step must be positive, got 0.0"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    bounded = of_weights(lambda theta: -torch.log1p(-0.01 * theta.square().sum()))
    with pytest.raises(FloatingPointError, match="choose a smaller step"):
        mean_curvature(bounded, step=10.0)
