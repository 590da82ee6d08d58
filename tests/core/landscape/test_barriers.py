"""Straight lines between two sets of weights, whose barriers are known."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from landscope.landscape import barrier, barriers_along, connect
from landscope.objective import Objective
from tests.core.landscape import known
from tests.core.landscape.known import LEFT, RIGHT, objective_of


@pytest.fixture
def ring():
    return known.ring()


def test_the_barrier_of_a_concave_quadratic_is_known():
    """L = x^2 / 2 - 4 y^2 / 2 falls below the chord by curvature / 8 along x, and rises above it along y."""
    saddle = objective_of(lambda theta: theta[0] ** 2 / 2 - 2 * theta[1] ** 2)
    origin = torch.zeros(2).double()
    for end, expected in (([2.0, 0.0], 0.0), ([0.0, 2.0], 4 * 2**2 / 8)):
        found = barrier(saddle, origin, torch.tensor(end).double(), points=5)
        assert found.barrier == pytest.approx(expected)
    assert found.loss == pytest.approx(-8 * np.linspace(0, 1, 5) ** 2)
    assert found.height == 0  # it falls all the way
    assert found.instability == pytest.approx(4)  # the maximum, 0, above the mean of the ends, -4
    assert found.arc == pytest.approx(np.linspace(0, 2, 5))
    assert (found.curve, found.length, found.distance) == ("line", pytest.approx(2), 2)
    assert found.straight == {}


def test_heights_above_the_chord_and_above_the_higher_end_differ_where_the_ends_do():
    hill = objective_of(lambda theta: theta[0] - 8 * theta[0] * (theta[0] - 1) + 0 * theta[1])
    found = barrier(hill, torch.zeros(2).double(), torch.tensor([1.0, 0]).double(), points=101)
    top = 9**2 / 32  # of 9 x - 8 x^2
    assert found.barrier == pytest.approx(2)
    assert found.height == pytest.approx(top - 1, abs=1e-3)
    assert found.instability == pytest.approx(top - 0.5, abs=1e-3)


def test_the_straight_line_across_the_ring_has_barrier_one(ring):
    found = barrier(ring, LEFT, RIGHT)
    assert found.barrier == 1
    assert found.t[np.argmax(found.loss)] == 0.5
    assert found.scalars() == {"barrier": 1.0, "height": 1.0}


def test_accuracy_and_other_objectives_come_along():
    torch.manual_seed(0)
    model = nn.Linear(1, 2, bias=False).double()
    x = torch.tensor([[1.0], [-1.0], [2.0], [3.0]]).double()
    train = Objective(model, functional.cross_entropy, (x, torch.tensor([0, 1, 0, 0])), split="train")
    test = Objective(model, functional.cross_entropy, (x, torch.tensor([1, 0, 0, 0])))
    first, second = torch.tensor([1.0, -1.0]).double(), torch.tensor([-1.0, 1.0]).double()
    found = barrier(train, first, second, points=4, also={"test": test})
    assert found.accuracy == pytest.approx([1, 1, 0, 0])
    assert found.metrics["test/accuracy"] == pytest.approx([0.5, 0.5, 0.5, 0.5])
    margin = 2 * (1 - 2 * found.t)[:, None] * np.array([1, 1, 2, 3])
    losses = np.log1p(np.exp(-margin))
    assert found.loss == pytest.approx(losses.mean(axis=1))
    rises = losses - np.outer(1 - found.t, losses[0]) - np.outer(found.t, losses[-1])
    top = 1 + np.argmax(rises[1:-1].mean(axis=1))
    assert found.barrier_error == pytest.approx(rises[top].std(ddof=1) / 2)
    assert set(found.metrics) == {"test/loss", "test/accuracy"}
    curve = connect(train, first, second, steps=2, points=4, also={"test": test})
    assert curve.straight["test/loss"] == pytest.approx(found.metrics["test/loss"])
    assert curve.straight["accuracy"] == pytest.approx(found.accuracy)
    assert curve.straight_barrier == pytest.approx(found.barrier)


def test_losses_that_are_not_finite_are_kept():
    cliff = objective_of(lambda theta: theta[0].log() + 0 * theta[1], (1.0, 0.0))
    found = barrier(cliff, torch.tensor([-1.0, 0]).double(), RIGHT, points=3)
    assert math.isnan(found.loss[0])
    assert found.loss[1] == -math.inf
    assert math.isnan(found.barrier)
    assert found.span() == (0.0, 0.0)


# Runs that part


def test_the_barrier_along_training_says_when_two_runs_part(ring):
    """On the ring at angles +-a the straight line passes at cos(a): barrier (cos(a)^2 - 1)^2 = sin(a)^4."""
    angles = torch.tensor([0.0, 0.2, 0.6, 1.2, math.pi / 2]).double()
    paths = [torch.stack([angles.cos(), sign * angles.sin()], dim=1) for sign in (1, -1)]
    found = barriers_along(ring, *paths, steps=[0, 10, 20, 30, 40], points=5)
    assert found.barrier == pytest.approx(angles.sin().numpy() ** 4)
    assert found.height == pytest.approx(angles.sin().numpy() ** 4)
    assert found.distance == pytest.approx(2 * angles.sin().numpy())
    assert found.loss.shape == (5, 5)
    assert found.parting(0.05) == 20
    assert found.parting(2.0) is None
    assert found.parting(-1.0) == 0
    assert found.scalars() == {"barrier": pytest.approx(1), "distance": pytest.approx(2)}


def test_the_error_barrier_is_the_rise_above_the_mean_of_the_ends():
    model = nn.Linear(1, 2, bias=False).double()
    x = torch.tensor([[1.0], [2.0]]).double()
    objective = Objective(model, functional.cross_entropy, (x, torch.tensor([0, 0])))
    path = torch.tensor([[1.0, -1.0], [1.0, -1.0]]).double()
    found = barriers_along(objective, path, -path, points=3)
    assert found.error_barrier == pytest.approx([0.5, 0.5])
    assert found.steps.tolist() == [0, 1]


def test_paths_that_do_not_fit_are_refused(ring):
    path = torch.stack([LEFT, RIGHT])
    with pytest.raises(ValueError, match=r"same shape \(T, P\), got \(2, 2\) and \(1, 2\)"):
        barriers_along(ring, path, path[:1])
    with pytest.raises(ValueError, match="each of the 2 moments, got 3"):
        barriers_along(ring, path, path, steps=[1, 2, 3])
    with pytest.raises(ValueError, match="same shape"):
        barriers_along(ring, path[:0], path[:0])
