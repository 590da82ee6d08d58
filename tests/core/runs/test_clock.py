"""Clocks that jump: what is recorded and what is known of the trainer does not depend on them."""

import time

import numpy as np
import pytest

from landscope.runs import RunWriter, list_runs, open_run

HOUR = 3600.0


@pytest.fixture
def clock(monkeypatch):
    """The time of day, an attribute of which is by how much it is off."""
    true = time.time

    class Clock:
        off = 0.0

    monkeypatch.setattr(time, "time", lambda: true() + Clock.off)
    return Clock


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_jump_of_the_clock_loses_nothing_and_ends_nothing(tmp_path, wait, clock, jump):
    with RunWriter.create(tmp_path, name="x") as writer:
        run = open_run(writer.path)
        for step in range(5):
            writer.scalars(step, {"x": step})
        wait(lambda: writer.committed == 5)
        clock.off = jump
        assert run.head().status == "running"  # at once, by an old heartbeat
        for step in range(5, 10):
            writer.scalars(step, {"x": step})
        wait(lambda: writer.committed == 10)
        head = run.head()
        assert head.status == "running"
        assert 0 <= head.heartbeat_age_s < 60
        assert run.since(5).scalars["x"][1].tolist() == [5, 6, 7, 8, 9]
        assert list_runs(tmp_path)[0].status == "running"
        clock.off = 0.0
        writer.scalars(10, {"x": 10})
        wait(lambda: writer.committed == 11)
        assert run.head().status == "running"
    np.testing.assert_array_equal(run.scalars("x")[1], np.arange(11))
    assert run.head().status == "finished"


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_trainer_whose_clock_is_off_is_heard_all_the_same(tmp_path, wait, clock, jump):
    clock.off = jump
    with RunWriter.create(tmp_path, name="x") as writer:
        writer.scalars(0, {"x": 0})
        wait(lambda: writer.committed == 1)
        run = open_run(writer.path)
        run.send("pause")
        wait(lambda: [command.kind for command in writer.commands()] == ["pause"])
        clock.off = 0.0
        assert run.head().status == "running"
        assert run.head().heartbeat_age_s >= 0
