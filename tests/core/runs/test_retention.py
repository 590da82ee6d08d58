"""A long run's folder stops growing, and what stays is evenly spread over it."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landscope.runs import RunWriter, open_run, retention
from landscope.runs.retention import spread


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=200), st.integers(2, 50))
@settings(max_examples=50, deadline=None)
def test_what_is_kept_is_bounded_and_has_both_ends(steps, most):
    steps = np.sort(np.array(steps))
    kept = spread(steps, most)
    assert len(kept) <= most
    assert kept[0] == 0
    assert kept[-1] == len(steps) - 1
    assert (np.diff(kept) > 0).all()


def test_what_is_kept_is_even_in_the_step_and_in_its_logarithm():
    steps = np.arange(100_000)
    kept = spread(steps, 200)
    assert np.diff(steps[kept]).max() <= 100_000 / 98
    assert (kept < 100).sum() > 20  # an even spread would have one
    ratios = kept[1:][kept[1:] > 50] / kept[:-1][kept[1:] > 50]
    assert ratios.max() < 1.15


def test_the_first_and_the_last_stay():
    with pytest.raises(ValueError, match="most must be at least 2, got 1"):
        spread(np.arange(3), 1)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(retention, "MOST_ROWS", 200)
    monkeypatch.setattr(retention, "MOST_FRAMES", 16)


def test_scalars_and_frames_of_a_long_run_are_thinned(small, tmp_path, plane, wait):
    with RunWriter.create(tmp_path, name="x") as writer:
        for step in range(3000):
            writer.scalars(step, {"loss": float(step), "double": 2.0 * step})
            if step % 100 == 0:
                writer.scalars(step, {"rare": float(step)})
            if step % 20 == 0:
                writer.measurement(step, "slice", plane(low=float(step)))
                writer.measurement(step, "few", plane()) if step < 200 else None
            if step % 500 == 0:
                wait(lambda: writer.committed > 0)
    run = open_run(writer.path)
    steps, values = run.scalars("loss")
    assert 50 <= len(steps) <= 200
    assert (steps[0], steps[-1]) == (0, 2999)
    np.testing.assert_array_equal(values, steps)
    np.testing.assert_array_equal(run.scalars("double")[1], 2 * run.scalars("double")[0])
    assert len(run.scalars("rare")[0]) == 30
    frames = run.frames("slice")
    assert 6 <= len(frames) <= 16
    assert (frames[0].step, frames[-1].step) == (0, 2980)
    for frame in frames:
        assert run.measurement("slice", frame.step).centre_loss == frame.step
    assert len(run.frames("few")) == 10
    increment = run.since(0, limit=10**6)
    assert increment.seq == run.head().seq == 3000 + 30 + 150 + 10
    np.testing.assert_array_equal(increment.scalars["loss"][0], steps)
    assert not increment.more


def test_large_frames_are_thinned_by_their_bytes_and_their_files_go(tmp_path, monkeypatch, plane):
    monkeypatch.setattr(retention, "MOST_BYTES", 5 * 2**20)
    with RunWriter.create(tmp_path, name="x") as writer:
        for step in range(12):
            writer.measurement(step, "slice", plane(low=float(step), points=370))  # 1.1 MB
            writer.measurement(step, "other", plane(points=370))
    run = open_run(writer.path)
    steps = [frame.step for frame in run.frames("slice")]
    assert len(steps) <= 4
    assert (steps[0], steps[-1]) == (0, 11)
    with closing(sqlite3.connect(writer.path / "run.sqlite")) as connection:
        named = {sha for (sha,) in connection.execute("SELECT sha FROM frame")}
    assert {file.stem for file in (writer.path / "blobs").iterdir()} == named
    assert all(run.measurement("slice", step).centre_loss == step for step in steps)
    assert run.measurement("other").loss.shape == (370, 370)


def test_two_frames_stay_however_large_they_are(tmp_path, monkeypatch, plane):
    monkeypatch.setattr(retention, "MOST_BYTES", 10)
    with RunWriter.create(tmp_path, name="x") as writer:
        for step in range(5):
            writer.measurement(step, "slice", plane(low=float(step)))
    assert [frame.step for frame in open_run(writer.path).frames("slice")] == [0, 4]
