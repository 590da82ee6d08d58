import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from landscope.curvature import eigenvalues, trace
from landscope.objective import Objective


@pytest.fixture
def trained():
    """Trained a little, so that the largest eigenvalues in magnitude are the positive ones."""
    torch.manual_seed(0)
    x = torch.randn(200, 6)
    y = (x @ torch.randn(6, 4)).argmax(1)
    model = nn.Sequential(nn.Linear(6, 10), nn.BatchNorm1d(10), nn.Tanh(), nn.Dropout(0.5), nn.Linear(10, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(60):
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()
    return model, x, y


def test_agrees_with_ours_and_leaves_the_model_alone(trained):
    model, x, y = trained
    model[0].bias.grad = None
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    grads = {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}
    rng = torch.random.get_rng_state()
    objective = Objective(model, cross_entropy, (x, y))
    theirs = eigenvalues(objective, 3, backend="pyhessian", tolerance=1e-5)
    assert torch.equal(rng, torch.random.get_rng_state())
    assert model.training
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    for name, parameter in model.named_parameters():
        kept = grads[name]
        assert parameter.grad is None if kept is None else torch.equal(parameter.grad, kept)
    ours = eigenvalues(objective, 3, tolerance=1e-7)
    np.testing.assert_allclose(theirs.values, ours.values, rtol=1e-2)
    assert (np.abs(theirs.values - ours.values) <= theirs.residuals).all()
    assert theirs.provenance.method.startswith("PyHessian")


def test_takes_loaders_float64_and_part_of_the_parameters(trained):
    model, x, y = trained
    batches = [(x[:150].double(), y[:150]), (x[150:].double(), y[150:])]
    objective = Objective(model.double(), cross_entropy, batches, parameters=["4.*"])
    theirs = eigenvalues(objective, 2, backend="pyhessian", tolerance=1e-5)
    ours = eigenvalues(objective, 2, tolerance=1e-9)
    np.testing.assert_allclose(theirs.values, ours.values, rtol=1e-2)
    assert theirs.vectors.shape == (2, 44)


def test_its_trace_is_ours(trained):
    model, x, y = trained
    rng = torch.random.get_rng_state()
    objective = Objective(model, cross_entropy, (x, y))
    theirs = trace(objective, backend="pyhessian", budget=100)
    assert torch.equal(rng, torch.random.get_rng_state())
    assert model.training
    ours = trace(objective, budget=objective.layout.size)
    assert ours.method == "exact"
    assert abs(theirs.value - ours.value) < 3 * theirs.stderr
    assert theirs.probes == 100


def test_measures_where_it_is_told_to(trained):
    model, x, y = trained
    objective = Objective(model, cross_entropy, (x, y))
    elsewhere = objective.theta() * 0.7
    theirs = eigenvalues(objective, 1, theta=elsewhere, backend="pyhessian", tolerance=1e-5)
    ours = eigenvalues(objective, 1, theta=elsewhere, tolerance=1e-7)
    np.testing.assert_allclose(theirs.values, ours.values, rtol=1e-2)


def test_refuses_what_it_cannot_measure(trained):
    model, x, y = trained
    plain = Objective(model, cross_entropy, (x, y))
    for measure in (eigenvalues, trace):
        with pytest.raises(ValueError, match="no operator 'ggn'"):
            measure(plain, operator="ggn", backend="pyhessian")
    own = Objective(model, cross_entropy, (x, y), forward=lambda model, batch: model(batch[0]))
    with pytest.raises(ValueError, match="a forward of its own"):
        eigenvalues(own, backend="pyhessian")
    batchwise = Objective(model, cross_entropy, (x, y), batch_norm="batch")
    with pytest.raises(ValueError, match="evaluation mode"):
        eigenvalues(batchwise, backend="pyhessian")
