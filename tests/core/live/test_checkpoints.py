"""Checkpoints: what is kept, how much of it, and what happens when it cannot be."""

import pytest
import torch
from torch import nn

from landscope.live.checkpoints import Checkpoints
from landscope.live.steered import Steered
from landscope.live.training_state import TrainingState
from landscope.runs import checkpoint_path, checkpoint_steps


def kept(folder, overhead=1.0, size=4):
    model = nn.Linear(size, size)
    made = Checkpoints(TrainingState(model, Steered([])), overhead)
    folder.mkdir(exist_ok=True)
    made.begin(folder, 0, 50.0)
    return model, made


def test_automatic_ones_are_few_and_spread_over_the_training(tmp_path):
    _, checkpoints = kept(tmp_path / "run")
    for step in range(1, 1001):
        checkpoints.keep_due(step, training=float(step))
    assert checkpoints.steps == checkpoint_steps(tmp_path / "run")
    assert 16 <= len(checkpoints.steps) <= 32
    assert checkpoints.steps[0] == 0
    gaps = [b - a for a, b in zip(checkpoints.steps, checkpoints.steps[1:], strict=False)]
    assert max(gaps) <= 2 * min(gaps)
    assert checkpoints.off == ""


def test_they_are_written_when_the_budget_pays_for_it(tmp_path):
    _, checkpoints = kept(tmp_path / "run")
    checkpoints._cost = 2.0  # a fifth of all measuring: due after 10 seconds of training
    checkpoints.keep_due(1, training=9.9)
    assert checkpoints.steps == [0]
    checkpoints.keep_due(2, training=10.1)
    assert checkpoints.steps == [0, 2]


def test_they_stay_within_their_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr("landscope.live.checkpoints._BYTES", 100_000)
    _, checkpoints = kept(tmp_path / "run")
    for step in range(1, 50):
        checkpoints.keep_due(step, training=2.0 * step)
        assert sum(path.stat().st_size for path in (tmp_path / "run" / "checkpoints").iterdir()) <= 100_000
    assert checkpoints.steps[0] == 0


def test_too_large_ones_are_kept_only_when_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("landscope.live.checkpoints._BYTES", 100)
    _, checkpoints = kept(tmp_path / "run")
    assert checkpoints.steps == []
    assert "only when asked for" in checkpoints.off
    checkpoints.keep(7)
    checkpoints.keep_due(8, training=100.0)
    assert checkpoints.steps == [7]


def test_one_that_takes_long_is_not_written_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr("landscope.live.checkpoints._RATE", 1.0)
    _, checkpoints = kept(tmp_path / "run")
    assert checkpoints.steps == []


def test_those_asked_for_are_never_dropped(tmp_path):
    _, checkpoints = kept(tmp_path / "run")
    for step in range(1, 200):
        checkpoints.keep_due(step, training=float(step))
        if step in (5, 77):
            checkpoints.keep(step)
    assert {5, 77} <= set(checkpoints.steps)


def test_a_disk_that_refuses_ends_them_and_not_the_training(tmp_path, caplog):
    _, checkpoints = kept(tmp_path / "run")
    checkpoint_path(tmp_path / "run", 0).unlink()
    (tmp_path / "run" / "checkpoints").rmdir()
    (tmp_path / "run" / "checkpoints").write_text("in the way")
    for step in (1, 2):
        checkpoints.keep_due(step, training=10.0 * step)
    assert "kept no more" in checkpoints.off
    assert caplog.text.count("kept no more") == 1


def test_all_of_a_model_is_in_it_and_nothing_else_can_be_run(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model[0].bias.requires_grad_(False)
    model.register_buffer("scratch", torch.arange(3.0), persistent=False)
    checkpoints = Checkpoints(TrainingState(model, Steered([torch.optim.SGD(model[1].parameters(), lr=0.1)])), 1.0)
    checkpoints.begin(tmp_path, 5, 50.0)
    state = torch.load(checkpoint_path(tmp_path, 5), weights_only=True)
    assert state["step"] == 5
    assert set(state["parameters"]) == {"0.weight", "0.bias", "1.weight", "1.bias"}
    assert set(state["buffers"]) == {"1.running_mean", "1.running_var", "1.num_batches_tracked", "scratch"}
    folder, again = checkpoints.load(5)
    assert folder == tmp_path
    assert torch.equal(again["parameters"]["0.weight"], model[0].weight)


def test_another_model_s_checkpoint_is_refused_and_changes_nothing(tmp_path):
    _, checkpoints = kept(tmp_path / "a")
    _, state = checkpoints.load(0)
    model = nn.Linear(5, 4)
    before = model.weight.detach().clone()
    with pytest.raises(ValueError, match=r"weight has shape \(4, 4\) there and \(4, 5\) in training"):
        TrainingState(model, Steered([])).load(state)
    assert torch.equal(model.weight, before)
