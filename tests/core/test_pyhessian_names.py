"""The drop-in beside PyHessian itself, and beside the explicit Hessian."""

import warnings

import numpy as np
import pytest
import torch
from pyhessian import hessian as original
from torch import nn
from torch.nn.functional import cross_entropy

from landscope.curvature import density
from landscope.objective import Objective
from landscope.pyhessian import density_generate, get_esd_plot, hessian


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    x = torch.randn(150, 5)
    y = (x @ torch.randn(5, 3)).argmax(1)
    model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    for _ in range(40):
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()
    model.zero_grad()
    objective = Objective(model, cross_entropy, (x, y))
    matrix = objective.hessian()(torch.eye(objective.layout.size).double())
    return model, x, y, matrix, torch.linalg.eigvalsh((matrix + matrix.T) / 2)


def theirs(model, x, y, method):
    """By PyHessian, which writes to gradients and switches the mode."""
    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Using backward")
        found = method(original(model, cross_entropy, data=(x, y), cuda=False))
    model.train()
    model.zero_grad()
    return found


def test_eigenvalues_have_its_shapes_and_the_explicit_values(network):
    model, x, y, matrix, exact = network
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    rng = torch.random.get_rng_state()
    values, vectors = hessian(model, cross_entropy, data=(x, y), cuda=False).eigenvalues(top_n=3, tol=1e-5)
    assert torch.equal(rng, torch.random.get_rng_state())
    assert model.training
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    np.testing.assert_allclose(values, exact[exact.abs().argsort(descending=True)[:3]], rtol=1e-4)
    for value, vector in zip(values, vectors, strict=True):
        flat = torch.cat([part.reshape(-1) for part in vector]).double()
        assert torch.linalg.vector_norm(matrix @ flat - value * flat) < 1e-3 * abs(value)
    others, their_vectors = theirs(model, x, y, lambda engine: engine.eigenvalues(top_n=3, tol=1e-6, maxIter=1000))
    np.testing.assert_allclose(values, others, rtol=2e-2)
    assert type(values) is type(others)
    assert type(values[0]) is type(others[0])
    assert [[part.shape for part in vector] for vector in vectors] == [
        [part.shape for part in vector] for vector in their_vectors
    ]


def test_largest_in_magnitude_may_be_negative():
    class Saddle(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(4))

        def forward(self, x):
            return (0.5 * torch.tensor([-4.0, 3.0, 1.0, 0.5]) * self.w**2).sum().expand(len(x))

    engine = hessian(Saddle(), lambda output, target: output.mean(), data=(torch.zeros(2, 1), torch.zeros(2)))
    values, vectors = engine.eigenvalues(top_n=3)
    np.testing.assert_allclose(values, [-4, 3, 1], rtol=1e-5)
    assert [tuple(part.shape) for part in vectors[0]] == [(4,)]


def test_trace_is_a_list_of_quadratic_forms(network):
    model, x, y, _, exact = network
    forms = hessian(model, cross_entropy, data=(x, y)).trace(maxIter=60)
    others = theirs(model, x, y, lambda engine: engine.trace(maxIter=60, tol=-np.inf))
    assert (type(forms), len(forms)) == (type(others), len(others))
    for found in (forms, others):
        assert abs(np.mean(found) - exact.sum().item()) < 4 * np.std(found, ddof=1) / len(found) ** 0.5
    assert len(hessian(model, cross_entropy, data=(x, y)).trace(tol=1.0)) < 60


def test_density_works_and_integrates_to_one(network):
    model, x, y, _, exact = network
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=64)
    nodes, weights = hessian(model, cross_entropy, dataloader=loader).density(iter=30, n_v=4)
    assert np.shape(nodes) == np.shape(weights) == (4, 30)
    np.testing.assert_allclose(np.sum(weights, axis=1), 1, rtol=1e-6)
    assert np.max(nodes) == pytest.approx(exact[-1].item(), rel=1e-4)
    heights, grid = density_generate(nodes, weights)
    assert heights.shape == grid.shape == (10000,)
    assert heights.sum() * (grid[1] - grid[0]) == pytest.approx(1)
    reference = density(Objective(model, cross_entropy, (x, y)), probes=50, spikes=0)
    mean = (heights * grid).sum() * (grid[1] - grid[0])
    assert mean * len(exact) == pytest.approx(reference.trace, rel=0.3)
    for dark in (False, True):
        drawn = get_esd_plot(nodes, weights, dark=dark)
        assert drawn.layout.yaxis.type == "log"
        assert "λ" in drawn.layout.xaxis.title.text


def test_fewer_parameters_than_steps(network):
    _, x, y, *_ = network
    single = nn.Linear(5, 1, bias=False)
    engine = hessian(single, lambda output, target: (output[:, 0] - target).square().mean(), data=(x, y.float()))
    nodes, weights = engine.density()
    np.testing.assert_allclose(np.sort(nodes[0]), torch.linalg.eigvalsh(2 * x.T @ x / len(x)), rtol=1e-4)
    assert len(weights[0]) == 5
    assert len(engine.eigenvalues(top_n=9)[0]) == 5


def test_what_makes_no_sense_is_refused(network):
    model, x, y, *_ = network
    with pytest.raises(ValueError, match="either data"):
        hessian(model, cross_entropy)
    with pytest.raises(ValueError, match="either data"):
        hessian(model, cross_entropy, data=(x, y), dataloader=[(x, y)])
    engine = hessian(model, cross_entropy, data=(x, y))
    with pytest.raises(ValueError, match="k must be positive"):
        engine.eigenvalues(top_n=0)
    with pytest.raises(ValueError, match="maxIter must be positive"):
        engine.trace(maxIter=0)
    with pytest.raises(ValueError, match="iter and n_v must be positive"):
        engine.density(n_v=0)
