"""Measurements that the page asks for while a training goes on."""

import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

from landscope import curvature, lab
from landscope.live import watch
from landscope.live.feature_probes import pictured
from landscope.live.probes import Probe
from landscope.runs import open_run


class Training:
    """A watched training of a small network on random data, one step at a time."""

    def __init__(self, folder, probes=(), classes=False):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.data = torch.randn(40, 3), torch.arange(40) % 2 if classes else torch.randn(40, 2)
        self.loss = nn.CrossEntropyLoss() if classes else nn.MSELoss()
        self.scope = watch(
            self.model, self.loss, self.data, optimizer=self.optimizer, probes=[*probes], examples=32, runs=folder
        )

    @property
    def run(self):
        return open_run(self.scope.path)

    def step(self):
        self.optimizer.zero_grad()
        loss = self.loss(self.model(self.data[0]), self.data[1])
        loss.backward()
        self.optimizer.step()
        self.scope.step(loss)

    def ask(self, kind, **params):
        seq = self.run.send(kind, **params)
        while not self.scope._writer._commands:
            time.sleep(0.005)
        return seq

    def until(self, *states, steps=200):
        """Trains on until the last job's state is one of these."""
        for _ in range(steps):
            self.step()
            time.sleep(0.02)
            jobs = self.run.events("job")
            if jobs and jobs[-1].data["state"] in states:
                return jobs
        raise AssertionError(f"no {states} within {steps} steps: {self.run.events('job')}")

    def weights(self):
        return torch.cat([parameter.detach().flatten() for parameter in self.model.parameters()])


@pytest.fixture
def training(tmp_path):
    made = Training(tmp_path)
    yield made
    made.scope.close()


def slow(seconds, pulse=0.02):
    """An engine in one piece that only reports, as a long derivative would."""

    def begin(what, subject, parameters=None, *, report=None):
        def steps():
            yield lab.Progress(0.0, seconds)
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                time.sleep(pulse)
                report(lab.Progress(1 - (until - time.monotonic()) / seconds, until - time.monotonic()))
            yield lab.Progress(1.0, 0.0, curvature.eigenvalues(subject.objective, 1))

        return steps()

    return begin


def test_what_is_asked_for_is_measured_at_the_weights_it_was_asked_at(training):
    training.step()
    job = training.ask("measure", what="eigenvalues", objective="train", parameters={"k": 2, "tolerance": 1e-6})
    training.step()
    there, objective = training.weights(), training.scope._watched.focus
    jobs = training.until("done", "failed")
    expected = curvature.eigenvalues(objective, 2, theta=there, tolerance=1e-6)
    assert jobs[-1].data["state"] == "done"
    assert jobs[-1].data["frame"] == f"lab/{job}/eigenvalues"
    (*_, frame) = training.run.frames(f"lab/{job}/eigenvalues")
    assert frame.step == 2
    found = training.run.measurement(f"lab/{job}/eigenvalues")
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-5)
    assert found.provenance.step == 2
    assert jobs[0].data == {
        "job": job, "what": "eigenvalues", "state": "queued", "done": 0.0, "seconds_left": None, "frame": None,
    }  # fmt: skip


def test_measuring_changes_nothing(tmp_path):
    training, alone = Training(tmp_path / "a"), Training(tmp_path / "b")
    training.ask("measure", what="slice2d", parameters={"points": 17})
    training.until("done")
    for _ in range(training.scope.step_number):
        alone.step()
    assert torch.equal(training.weights(), alone.weights())
    frames = training.run.frames("lab/1/slice2d")
    assert {frame.step for frame in frames} == {1}
    training.scope.close()
    alone.scope.close()


def test_the_weights_of_a_checkpoint_are_measured_while_training_goes_on(training):
    there = training.weights()
    versions = [parameter._version for parameter in training.model.parameters()]
    training.step()
    now = training.weights()
    training.ask("measure", what="trace", step=0, parameters={"budget": 200})
    training.scope._control.obey()
    assert torch.equal(training.weights(), now)
    assert all(b > a for a, b in zip(versions, (p._version for p in training.model.parameters()), strict=True))
    training.until("done")
    found = training.run.measurement("lab/1/trace")
    expected = curvature.trace(training.scope._watched.focus, budget=200, theta=there)
    assert found.value == pytest.approx(expected.value, rel=1e-5)
    assert found.provenance.step == 0


def test_the_weights_of_a_snapshot_are_measured_too(training):
    training.step()
    there = training.weights()
    training.step()
    while 1 not in [frame.step for frame in training.run.frames("snapshot")]:
        time.sleep(0.01)
    training.ask("measure", what="trace", step=1, parameters={"budget": 200}, examples=20)
    training.until("done")
    found = training.run.measurement("lab/1/trace")
    objective = training.scope._watched.train.sample(20)
    assert 1 not in training.scope._control.checkpoints.steps
    assert found.value == pytest.approx(curvature.trace(objective, budget=200, theta=there).value, rel=1e-5)
    assert found.provenance.examples == 20


def test_one_class_and_selected_examples_are_measured(tmp_path):
    training = Training(tmp_path, [Probe("embedding", pictured, every=1)], classes=True)
    training.step()
    while not training.run.frames("embedding"):
        time.sleep(0.01)
    frame = training.run.frames("embedding")[0].seq
    positions = training.run.measurement("embedding").positions[[2, 5, 11]].tolist()
    whole, focus, there = training.scope._watched.train, training.scope._watched.focus, training.weights()
    asked = (
        {"class": 1},
        {"class": 1, "examples": 7},
        {"chosen": {"frame": frame, "positions": positions}},
        {"class": 2},
    )
    for one in asked:
        training.run.send("measure", what="trace", parameters={"budget": 200}, **one)
    while len(training.scope._writer._commands) < len(asked):
        time.sleep(0.005)
    training.scope._control.obey()
    while training.scope._control._jobs.busy:
        training.step()
    training.scope.close()
    expected = whole.of_class(1), whole.of_class(1).sample(7), focus.subset(positions)
    for job, objective in enumerate(expected, start=1):
        found = training.run.measurement(f"lab/{job}/trace")
        assert found.value == pytest.approx(curvature.trace(objective, budget=200, theta=there).value, rel=1e-5)
        assert found.provenance.examples == objective.examples
    words = {event.data["job"]: event.data["examples"] for event in training.run.events("job")}
    assert words == {
        1: "class 1 of the training data, 20 examples",
        2: "class 1 of the training data, 7 examples",
        3: "3 selected training examples",
    }
    (refused,) = training.run.events("refused")
    assert "no example has class 2; classes are [0, 1]" in refused.text


def test_it_goes_on_while_the_training_is_paused(training):
    training.ask("pause")
    sent = [threading.Timer(0.3, lambda: training.run.send("measure", what="trace", parameters={"budget": 10}))]
    sent.append(threading.Timer(2.5, lambda: training.run.send("resume")))
    for timer in sent:
        timer.start()
    training.step()  # returns when the training may go on
    states = [event.data["state"] for event in training.run.events("job")]
    assert (states[0], states[-1]) == ("queued", "done")
    assert training.scope.step_number == 1


def test_a_cancel_works_within_a_second_in_the_middle_of_a_derivative(training, monkeypatch):
    monkeypatch.setattr(lab, "begin", slow(60.0), raising=False)
    job = training.ask("measure", what="trace")
    at = []
    threading.Timer(0.5, lambda: (at.append(time.monotonic()), training.run.send("cancel", job=job))).start()
    while not at:
        training.step()
    while training.scope._control._jobs.busy:
        training.step()
    assert time.monotonic() - at[0] < 1.0
    jobs = training.until("cancelled")
    running = [event for event in jobs if event.data["state"] == "running"]
    assert 1 <= len(running) <= 5  # at most two a second
    assert all(0 <= event.data["done"] < 1 and event.data["seconds_left"] > 0 for event in running)
    assert not training.run.frames(f"lab/{job}/trace")


def test_other_commands_wait_until_a_derivative_is_done(training, monkeypatch):
    monkeypatch.setattr(lab, "begin", slow(0.6), raising=False)
    training.ask("measure", what="trace")
    threading.Timer(0.2, lambda: training.run.send("set", name="lr", value=0.2)).start()
    training.until("done")
    training.step()
    assert training.scope._control.knobs.all()[0].value == 0.2


def test_what_waits_is_cancelled_too_and_only_so_many_wait(training, monkeypatch):
    monkeypatch.setattr(lab, "begin", slow(0.3), raising=False)
    for _ in range(9):
        training.run.send("measure", what="trace")
    cancels = [training.run.send("cancel", job=job) for job in (1, 2)]
    while len(training.scope._writer._commands) < 9 + len(cancels):
        time.sleep(0.005)
    training.step()
    training.scope.close()
    states = {}
    for event in training.run.events("job"):
        states.setdefault(event.data["job"], []).append(event.data["state"])
    assert states.pop(3) == ["queued", "running", "done"]
    assert states == {job: ["queued", "cancelled"] for job in (1, 2, 4, 5, 6, 7, 8)}
    (refused,) = training.run.events("refused")
    assert "at most 8" in refused.text


def test_stopping_does_not_wait_for_a_measurement(training, monkeypatch):
    monkeypatch.setattr(lab, "begin", slow(60.0), raising=False)
    training.ask("measure", what="trace")
    threading.Timer(0.3, lambda: training.run.send("stop")).start()
    began = time.monotonic()
    while not training.scope.stopped:
        training.step()
    assert time.monotonic() - began < 2


def test_a_measurement_that_fails_says_why_and_training_goes_on(training, monkeypatch):
    def breaks(what, subject, parameters=None, *, report=None):
        yield lab.Progress(0.0, 1.0)
        raise RuntimeError("no such derivative")

    monkeypatch.setattr(lab, "begin", breaks, raising=False)
    training.ask("measure", what="trace")
    jobs = training.until("failed")
    assert "no such derivative" in jobs[-1].text
    training.step()
