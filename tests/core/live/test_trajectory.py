"""Thinning: bounded, even, and never without the beginning."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from landscope.live.trajectory import Trajectory


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
