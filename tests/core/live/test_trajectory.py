"""Thinning: bounded, even, and never without the beginning."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from landscope.landscape import rebuilt_directions
from landscope.live import Probe, default_probes, watch
from landscope.live.trajectory import Trajectory
from landscope.runs import open_run


def walked(steps, parameters=3):
    trajectory = Trajectory(parameters, 4)
    for step in range(steps + 1):
        if trajectory.wants(step):
            trajectory.add(step, torch.full((parameters,), float(step)), step / 2)
    return trajectory


@given(st.integers(0, 3000))
@settings(max_examples=40, deadline=None)
def test_any_length_leaves_an_even_bounded_path_from_the_start(steps):
    trajectory = walked(steps)
    assert trajectory.steps[0] == 0
    assert len(trajectory.steps) < trajectory.capacity
    gaps = {later - earlier for earlier, later in zip(trajectory.steps, trajectory.steps[1:], strict=False)}
    assert len(gaps) <= 1
    assert steps - trajectory.steps[-1] < max(gaps, default=1)


def test_path_holds_the_weights_of_its_steps():
    trajectory = walked(200)
    path = trajectory.path(torch.device("cpu"))
    assert path[:, 0].tolist() == trajectory.steps
    assert [2 * loss for loss in trajectory.losses] == trajectory.steps


def test_snapshots_are_copies():
    trajectory, theta = Trajectory(2, 4), torch.zeros(2)
    trajectory.add(0, theta, 0.0)
    theta += 1
    assert trajectory.path(torch.device("cpu")).sum() == 0


def test_a_model_too_large_to_remember_has_no_path():
    trajectory = Trajectory(10**9, 4)
    assert trajectory.capacity == 0
    assert not trajectory.wants(0)


def test_the_weights_through_which_planes_are_laid_are_kept(tmp_path):
    torch.manual_seed(0)
    model, data = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)), (torch.randn(6, 2), torch.randn(6, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    names = ("slice/random", "slice/trajectory")
    planes = [Probe(probe.name, probe.measure, every="asked") for probe in default_probes() if probe.name in names]
    with watch(model, nn.MSELoss(), data, optimizer=optimizer, probes=planes, runs=tmp_path) as scope:
        for _ in range(65):
            optimizer.zero_grad()
            nn.MSELoss()(model(data[0]), data[1]).backward()
            optimizer.step()
            scope.step()
        assert 65 not in scope._watched.trajectory.steps
        scope.measure()
        theta, objective = scope._watched.train.theta(), scope._watched.train
    run = open_run(scope.path)
    kept = {frame.step for frame in run.frames("snapshot")}
    assert [frame.step for frame in run.frames("snapshot")].count(65) == 1
    weights = {step: torch.from_numpy(run.measurement("snapshot", step).theta) for step in kept}
    assert torch.equal(weights[65], theta)
    for plane in ("random", "trajectory"):
        found = run.measurement(f"slice/{plane}")
        path = torch.stack([weights[step] for step in found.path_steps.tolist()])
        directions = rebuilt_directions(objective, found, weights[65], path)
        last = scope._watched.latest[f"slice/{plane}"]
        torch.testing.assert_close(directions, torch.from_numpy(last.directions))
