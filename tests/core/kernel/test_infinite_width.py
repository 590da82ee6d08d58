"""Recursions against integrals, closed forms and wide random networks; parametrisations by their slopes."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from landscope.kernel import (
    PARAMETRISATIONS,
    feature_scaling,
    infinite_width,
    ntk,
    parametrised,
    tangent_svm,
    width_scaling,
)
from landscope.objective import Objective


def inputs(n=5, d=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize(
    ("activation", "function", "slope"),
    [
        ("relu", lambda u: np.maximum(u, 0), lambda u: (u > 0).astype(float)),
        ("erf", np.vectorize(math.erf), lambda u: 2 / np.sqrt(np.pi) * np.exp(-(u**2))),
    ],
)
def test_one_layer_is_the_gaussian_integral(activation, function, slope):
    x = inputs(3)
    found = infinite_width(x, activation=activation, weight_variance=1.5, bias_variance=0.3)
    sigma = 1.5 * x @ x.T / 3 + 0.3
    nodes, weights = np.polynomial.hermite_e.hermegauss(150 if activation == "relu" else 80)
    weights = weights / weights.sum()
    for i, j in ((0, 1), (1, 2)):
        root = np.linalg.cholesky(sigma[np.ix_([i, j], [i, j])])
        u, v = root[0, 0] * nodes[:, None], root[1, 0] * nodes[:, None] + root[1, 1] * nodes[None, :]
        both = weights[:, None] * weights[None, :]
        nngp = 1.5 * (both * function(u) * function(v)).sum() + 0.3
        theta = nngp + 1.5 * (both * slope(u) * slope(v)).sum() * sigma[i, j]
        tolerance = 2e-2 if activation == "relu" else 1e-10  # the integrand has kinks
        assert found.nngp[i, j] == pytest.approx(nngp, rel=tolerance)
        assert found.ntk[i, j] == pytest.approx(theta, rel=tolerance)


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_relu_keeps_the_scale_and_adds_it_once_a_layer(depth):
    x = inputs()
    squares = 2 * (x**2).sum(1) / 3
    found = infinite_width(x, depth=depth, weight_variance=2.0)
    np.testing.assert_allclose(np.diag(found.nngp), squares, rtol=1e-7)
    np.testing.assert_allclose(np.diag(found.ntk), (depth + 1) * squares, rtol=1e-7)
    np.testing.assert_allclose(infinite_width(2 * x, depth=depth).ntk, 4 * infinite_width(x, depth=depth).ntk)


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_kernels_are_positive_and_agree_across_sides(activation):
    x = inputs(8)
    whole = infinite_width(x, depth=3, activation=activation, bias_variance=0.1)
    assert np.linalg.eigvalsh(whole.ntk)[0] > 0
    across = infinite_width(x[:3], x[3:], depth=3, activation=activation, bias_variance=0.1)
    np.testing.assert_allclose(across.ntk, whole.ntk[:3, 3:], rtol=1e-12)
    np.testing.assert_allclose(across.nngp, whole.nngp[:3, 3:], rtol=1e-12)


class Erf(nn.Module):
    def forward(self, x):
        return torch.erf(x)


def network(width, activation=nn.ReLU, hidden=2):
    layers = [nn.Linear(3, width, bias=False), activation()]
    for _ in range(hidden - 1):
        layers += [nn.Linear(width, width, bias=False), activation()]
    return nn.Sequential(*layers, nn.Linear(width, 1, bias=False))


@pytest.mark.parametrize(("name", "activation"), [("relu", nn.ReLU), ("erf", Erf)])
def test_wide_networks_approach_them_with_the_root_of_the_width(name, activation):
    x = inputs()
    limit = infinite_width(x, depth=2, activation=name, weight_variance=2.0).ntk

    def distance(width, seed):
        model = parametrised(network(width, activation), "ntk", gain=2**0.5, seed=seed)
        data = torch.tensor(x).float(), torch.zeros(5, 1)
        gram = ntk(Objective(model, nn.MSELoss(), data), kind="trace").gram
        return float(np.linalg.norm(gram - limit) / np.linalg.norm(limit))

    scaling = width_scaling(distance, [32, 128, 512], repeats=8, quantity="distance", expected=-0.5)
    assert scaling.values[-1].mean() < 0.15
    assert scaling.slope == pytest.approx(-0.5, abs=0.15)


def data():
    torch.manual_seed(0)
    x = torch.randn(12, 3)
    return x, 30 * torch.sin(2 * x[:, :1])  # so large that the random outputs at the beginning do not matter


@pytest.mark.parametrize(
    ("name", "hidden", "slope"), [("ntk", 2, -0.5), ("mup", 2, 0.0), ("standard", 2, -0.5), ("mean-field", 1, 0.0)]
)
def test_features_move_as_the_parametrisation_says(name, hidden, slope):
    found = feature_scaling(
        lambda width: network(width, nn.Tanh, hidden), [64, 256, 1024], nn.MSELoss(), data(),
        parametrisation=name, rate=0.002, steps=2, repeats=4,
    )  # fmt: skip
    assert found.expected == slope
    assert found.slope == pytest.approx(slope, abs=0.12)
    assert found.label == f"{name} parametrisation"


def test_outputs_of_the_parametrisations_are_those_of_their_scales():
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1))
    x = torch.randn(2, 3)
    for name, scales, bias in (("ntk", (3**-0.5, 5**-0.5, 0.5), 1.0), ("mup", ((5 / 3) ** 0.5, 1, 0.5), 5**0.5)):
        copy = parametrised(model, name)
        first, second, last = (copy[i].layer for i in (0, 2, 4))
        with torch.no_grad():
            first.bias.normal_()
        hidden = torch.tanh(scales[0] * x @ first.weight.T + bias * first.bias)
        hidden = torch.tanh(scales[1] * hidden @ second.weight.T)
        torch.testing.assert_close(copy(x), scales[2] * hidden @ last.weight.T)
    assert torch.equal(
        parametrised(model, "mup", seed=3)[2].layer.weight, parametrised(model, "mup", seed=3)[2].layer.weight
    )
    assert isinstance(model[0], nn.Linear)  # the user's is left alone
    assert PARAMETRISATIONS["mean-field"].learning_rate(0.1, 50) == pytest.approx(5)


def test_a_lazy_network_with_hinge_loss_is_the_support_vector_machine():
    """Descent on r/2 |w|^2 + sum hinge(y (w . g + b)) over the network's own gradients g, by averaged subgradients."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    labels = torch.arange(20) % 2
    x = (torch.randn(20, 2) + 1.2 * (2 * labels - 1)[:, None]).double()
    loss = lambda output, target: nn.functional.soft_margin_loss(output[:, 0], 2.0 * target - 1)  # noqa: E731
    train, test = (Objective(model, loss, (x[chosen], labels[chosen])) for chosen in (slice(14), slice(14, 20)))
    machine = tangent_svm(train, test, regularisation=2.0)
    rows = []
    for example in x:
        gradient = torch.autograd.grad(model(example[None])[0, 0], list(model.parameters()))
        rows.append(torch.cat([piece.flatten() for piece in gradient]))
    rows = torch.stack(rows)
    signs = (2 * labels - 1).double()
    weights, bias, mean = torch.zeros(rows.shape[1]).double(), torch.zeros(()).double(), None
    steps = 6000
    for step in range(steps):
        short = (signs[:14] * (rows[:14] @ weights + bias) < 1).double() * signs[:14]
        weights = weights - 0.5 / (step + 10) * (weights - rows[:14].T @ short / 2)
        bias = bias + 0.5 / (step + 10) * short.sum() / 2
        if step >= steps // 2:
            now = rows @ weights + bias
            mean = now if mean is None else mean + (now - mean) / (step - steps // 2 + 1)
    found = np.concatenate([machine.train_decisions, machine.decisions])
    np.testing.assert_allclose(found, mean.numpy(), atol=0.05)
    assert machine.accuracy >= 0.5
    assert len(machine.support) < 14


def test_refuses_what_makes_no_sense():
    x = inputs()
    with pytest.raises(ValueError, match=r"\(n, d\) and \(m, d\)"):
        infinite_width(x, x[:, :2])
    with pytest.raises(ValueError, match="activation must be one of relu, erf, got 'tanh'"):
        infinite_width(x, activation="tanh")
    with pytest.raises(ValueError, match="must not be negative"):
        infinite_width(x, depth=-1)
    with pytest.raises(ValueError, match="one of standard, ntk, mean-field, mup, got 'xavier'"):
        parametrised(network(4), "xavier")
    with pytest.raises(ValueError, match="two linear layers or convolutions at least, got 1"):
        parametrised(nn.Linear(2, 2), "ntk")
    with pytest.raises(ValueError, match="one hidden layer, got 2"):
        parametrised(network(4), "mean-field")
    with pytest.raises(ValueError, match=r"two widths at least, got \[4\]"):
        width_scaling(lambda width, seed: 1.0, [4])
    with pytest.raises(ValueError, match="positive and finite"):
        width_scaling(lambda width, seed: 0.0, [4, 8])
    three = Objective(nn.Linear(2, 1), lambda o, t: o.mean(), (torch.randn(3, 2), torch.arange(3)))
    with pytest.raises(ValueError, match="two classes apart, got 3"):
        tangent_svm(three, three)
    with pytest.raises(ValueError, match="regularisation must be positive"):
        tangent_svm(three, three, regularisation=0)
    with pytest.raises(ValueError, match="one row per example"):
        tangent_svm(three, three, kind="full")
