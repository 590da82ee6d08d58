"""The numbers of every step against the same by hand."""

import copy

import numpy as np
import pytest
import torch
from dynamics_cases import problem
from torch import nn
from torch.nn.functional import cross_entropy

from landscope.dynamics import StepMonitor


def flat(tensors):
    return torch.cat([tensor.detach().flatten() for tensor in tensors]).clone()


def trained(model, x, y, optimizer, monitor=None, steps=6):
    """Losses, gradients and weights of a few steps."""
    losses, gradients, weights = [], [], []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        if monitor is not None:
            monitor.step(loss)
        losses.append(loss.item())
        gradients.append(flat(p.grad for p in model.parameters()))
        weights.append(flat(model.parameters()))
    return np.array(losses), torch.stack(gradients), torch.stack(weights)


@pytest.mark.parametrize("alike", [True, False])
def test_numbers_are_those_of_the_vectors(alike):
    case = problem()
    model = copy.deepcopy(case.model)
    x = case.x
    if not alike:  # parameters of two types
        model[2].float()
        model = nn.Sequential(model[0], model[1], Narrow(), model[2])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    monitor = StepMonitor(optimizer)
    losses, gradients, weights = trained(model, x, case.y, optimizer, monitor)
    found = monitor.read()
    updates = weights[1:] - weights[:-1]
    cosines = torch.nn.functional.cosine_similarity(updates[1:], updates[:-1])
    assert found.steps.tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(found.loss, losses, rtol=1e-6)
    np.testing.assert_allclose(found.gradient_norm, gradients.norm(dim=1), rtol=1e-5)
    np.testing.assert_allclose(found.weight_norm, weights.norm(dim=1), rtol=1e-5)
    np.testing.assert_allclose(found.update_norm[1:], updates.norm(dim=1), rtol=1e-4)
    np.testing.assert_allclose(found.update_ratio[1:], updates.norm(dim=1) / weights[1:].norm(dim=1), rtol=1e-4)
    np.testing.assert_allclose(found.update_cosine[2:], cosines, rtol=1e-4)
    assert np.isnan(found.update_norm[0])
    assert np.isnan(found.update_cosine[:2]).all()


class Narrow(nn.Module):
    def forward(self, x):
        return x.float()


def test_training_is_the_same_with_and_without():
    case = problem()
    results = []
    for watched in (False, True):
        model = copy.deepcopy(case.model)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        results.append(trained(model, case.x, case.y, optimizer, StepMonitor(optimizer) if watched else None)[2])
    assert torch.equal(*results)


def test_a_single_tensor_is_not_followed_by_what_is_kept_of_it():
    weight = nn.Parameter(torch.zeros(3))
    monitor = StepMonitor([weight])
    for step in range(4):
        with torch.no_grad():
            weight[step % 2] += 2.0
        monitor.step()
    found = monitor.read()
    np.testing.assert_allclose(found.update_norm[1:], 2)
    np.testing.assert_allclose(found.update_cosine[2:], 0)
    assert np.isnan(found.loss).all()
    assert np.isnan(found.gradient_norm).all()


def test_reading_forgets_and_the_oldest_are_lost():
    weight = nn.Parameter(torch.ones(3))
    monitor = StepMonitor([weight], capacity=3)
    for _ in range(5):
        monitor.step(1.0)
    assert monitor.read().steps.tolist() == [3, 4, 5]
    assert monitor.read().steps.tolist() == []
    monitor.step(torch.tensor([2.0]))
    assert monitor.read().steps.tolist() == [6]


def test_no_number_is_read_from_the_device_before_it_is_asked_for():
    """Tensors of the meta device have no values: any read would raise."""
    weights = [nn.Parameter(torch.empty(3, 2, device="meta")), nn.Parameter(torch.empty(4, device="meta"))]
    for weight in weights:
        weight.grad = torch.empty_like(weight)
    monitor = StepMonitor(weights)
    for _ in range(3):
        monitor.step(torch.empty((), device="meta"))
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        monitor.read()


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="capacity must be positive, got 0"):
        StepMonitor([nn.Parameter(torch.ones(1))], capacity=0)
    with pytest.raises(ValueError, match="no trainable parameter"):
        StepMonitor([torch.ones(2)])
