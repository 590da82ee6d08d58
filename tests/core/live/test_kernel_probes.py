"""Probes that follow a training in function space, held against what they measure taken by hand."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from landscope.kernel import eigenmodes, ntk
from landscope.live.kernel_probes import Linearised, Modes, TangentKernel
from landscope.live.trajectory import Trajectory
from landscope.live.watched import Watched
from landscope.objective import Objective


def watched_with(loss, target, *, outputs=2, share=None):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, outputs)).double()
    train = Objective(model, loss, (torch.randn(12, 4).double(), target))
    focus = train if share is None else train.sample(share)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.5)
    trajectory = Trajectory(train.layout.size, 8)
    trajectory.add(0, train.theta(), 0.0)
    return Watched(train, None, focus, focus, None, optimizer, trajectory)


def descend(watched, steps, *, remember=()):
    model, (x, y) = watched.train.model, watched.train.batches.items[0]
    for _ in range(steps):
        watched.optimizer.zero_grad()
        watched.train.loss(model(x), y).backward()
        watched.optimizer.step()
        watched.step += 1
        if watched.step in remember:
            watched.trajectory.add(watched.step, watched.train.theta(), 0.0)


def test_modes_are_followed_from_the_first_steps_on():
    watched = watched_with(mse_loss, torch.randn(12, 2).double())
    probe = Modes(leading=3)
    thetas = [watched.train.theta()]
    assert probe(watched).times.tolist() == [0]
    descend(watched, 2, remember=(1, 2))
    descend(watched, 3)
    thetas += [*(theta for step, theta in watched.trajectory.snapshots() if step), watched.train.theta()]
    found = probe(watched)
    pace = 0.02 / (1 - 0.5)
    np.testing.assert_allclose(found.times, [0, pace, 2 * pace, 5 * pace])
    expected = eigenmodes(watched.train, thetas, found.times, leading=3)
    np.testing.assert_allclose(found.residuals, expected.residuals, rtol=1e-9)
    np.testing.assert_allclose(found.predicted, expected.predicted, rtol=1e-9)
    watched.optimizer.param_groups[0]["lr"] = 0.1
    descend(watched, 1)
    assert probe(watched).times[-1] == pytest.approx(5 * pace + 0.2)


def test_a_long_training_keeps_its_beginning_and_its_end(monkeypatch):
    monkeypatch.setattr("landscope.live.kernel_probes._MOST_TIMES", 6)
    watched = watched_with(mse_loss, torch.randn(12, 2).double())
    probe = Modes(leading=2)
    for _ in range(20):
        found = probe(watched)
        descend(watched, 1)
    assert len(found.times) <= 6
    assert found.times[0] == 0
    assert found.times[-1] == pytest.approx(19 * 0.04)
    assert (np.diff(found.times) > 0).all()


def test_trainings_that_no_kernel_predicts_are_refused():
    labels = torch.arange(12) % 2
    with pytest.raises(ValueError, match="squared loss alone"):
        Modes()(watched_with(cross_entropy, labels))
    targets = torch.randn(12, 2).double()
    with pytest.raises(ValueError, match="these are 5 of 12; watch with examples="):
        Modes()(watched_with(mse_loss, targets, share=5))
    watched = watched_with(mse_loss, targets)
    watched.optimizer = torch.optim.Adam(watched.train.model.parameters())
    with pytest.raises(ValueError, match="SGD with one group of parameters, got Adam"):
        Modes()(watched)
    watched.optimizer = None
    with pytest.raises(ValueError, match="got no optimiser"):
        Modes()(watched)


def test_the_linearisation_stays_where_training_began():
    watched = watched_with(cross_entropy, torch.arange(12) % 2)
    probe, start = Linearised(), watched.train.outputs()
    first = probe(watched)
    assert first.error == 0
    descend(watched, 5)
    found = probe(watched)
    np.testing.assert_allclose(found.initial, start, rtol=1e-6)
    np.testing.assert_allclose(found.actual, watched.train.outputs(), rtol=1e-6)
    assert 0 < found.error < 1
    assert found.distance > 0
    assert found.actual.dtype == np.float32
    with pytest.raises(ValueError, match="at most 2,048 outputs of an example, got 2,050"):
        probe(watched_with(cross_entropy, torch.arange(12) % 2, outputs=2050))


def test_the_held_out_kernel_is_measured_rarely_and_whenever_the_kernel_has_moved():
    watched, probe = watched_with(cross_entropy, torch.arange(12) % 2), TangentKernel()
    watched.held_out = Objective(
        watched.train.model, cross_entropy, (torch.randn(10, 4).double(), torch.arange(10) % 2)
    )
    measured = []

    def ask():
        movement = probe(watched).movement
        measured.append("test_alignment" in movement)
        if measured[-1]:
            assert movement["test_alignment"] == pytest.approx(ntk(watched.held_out, kind="trace").alignment)
        watched.step += 1

    for _ in range(7):
        ask()
    assert measured == [True, False, False, False, False, True, False]
    with torch.no_grad():
        watched.train.model[0].weight.normal_(std=3)
    ask()
    ask()
    assert measured[7:] == [True, False]
