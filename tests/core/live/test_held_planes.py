"""Places on the planes of a training that goes on: its newest ones, whose centre and directions it holds in memory."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from landscope import curvature
from landscope.landscape import random_directions
from landscope.live import watch
from landscope.live.probes import default_probes
from tests.core.live.test_jobs import Training


class Sliced(Training):
    """A training that lays planes when it is asked to."""

    def __init__(self, folder, *layers):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, 8), *layers, nn.Tanh(), nn.Linear(8, 2))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.data = torch.randn(40, 3), torch.randn(40, 2)
        self.loss = nn.MSELoss()
        wanted = ("slice/random", "slice/hessian")
        probes = [replace(probe, every="asked") for probe in default_probes() if probe.name in wanted]
        self.scope = watch(self.model, self.loss, self.data, optimizer=self.optimizer, probes=probes, runs=folder)

    def plane(self, name):
        """Lays a plane through the present weights; the number of its frame, and the plane as it is recorded."""
        self.scope.measure(name)
        return self.recorded(name)

    def recorded(self, name):
        """The frame of this step and the last stage, once it is written."""
        while True:
            frames = [frame for frame in self.run.frames(name) if frame.step == self.scope.step_number]
            if frames and (plane := self.run.measurement(name)).stage == plane.stages:
                return frames[-1].seq, plane
            time.sleep(0.005)

    def at(self, frame, alpha, beta, what="trace", **params):
        """Asks for a measurement at a place."""
        place = {"frame": frame, "alpha": float(alpha), "beta": float(beta)}
        job = self.ask("measure", what=what, at=place, **params)
        self.scope._control.obey(stepped=False)
        return job

    def said(self, job):
        """What the plane says of the place, and what was measured there, once the job is done."""
        while (last := self.until("done", "failed")[-1]).data["job"] != job:
            pass
        shown, measured = last.data["remark"].split("the plane says ")[1].split(", measured ")
        return float(shown.split()[0]), float(measured.split(":")[0])

    def refusal(self, frame, alpha, beta, **params):
        """Why a place is refused."""
        before = len(self.run.events("refused"))
        self.at(frame, alpha, beta, **params)
        while len(found := self.run.events("refused")) == before:
            time.sleep(0.005)
        return found[-1].text


@pytest.fixture
def sliced(tmp_path):
    made = Sliced(tmp_path)
    yield made
    made.scope.close()


def test_a_place_on_the_newest_random_plane_is_measured_while_training_goes_on(sliced):
    sliced.step()
    there = sliced.weights()
    frame, plane = sliced.plane("slice/random")
    for _ in range(3):
        sliced.step()
    now = sliced.weights()
    job = sliced.at(frame, 0.5, -0.25, parameters={"budget": 200})
    assert torch.equal(sliced.weights(), now)
    (*_, last) = sliced.until("done", "failed")
    objective = sliced.scope._watched.focus
    first, second = random_directions(objective, 2, seed=0, theta=there)
    theta = there + 0.5 * first - 0.25 * second
    found = sliced.run.measurement(f"lab/{job}/trace")
    assert found.value == pytest.approx(curvature.trace(objective, budget=200, theta=theta).value, rel=1e-4)
    assert found.provenance.step == plane.provenance.step == 1
    loss = objective.value(theta)
    assert last.data["remark"].startswith("at alpha 0.5, beta -0.25 of the random plane of step 1: the plane says")
    assert last.data["remark"].endswith(f"measured {loss:.4g}")
    assert last.data["remark"] in found.provenance.method


@pytest.mark.parametrize("asked_for", [False, True])
def test_on_a_plane_of_the_hessian_the_loss_is_the_one_it_shows(asked_for, sliced):
    sliced.step()
    there = sliced.weights()
    if asked_for:
        job = sliced.ask("measure", what="slice2d", parameters={"plane": "hessian", "points": 5})
        sliced.until("done")
        (*_, recorded) = sliced.run.frames(f"lab/{job}/slice2d")
        frame, plane = recorded.seq, sliced.run.measurement(f"lab/{job}/slice2d")
    else:
        frame, plane = sliced.plane("slice/hessian")
    sliced.step()
    shown, measured = sliced.said(sliced.at(frame, plane.alpha[1], plane.beta[-1], parameters={"budget": 4}))
    assert shown == pytest.approx(plane.loss[1, -1], rel=1e-3)
    watched = sliced.scope._watched
    if asked_for:  # of the same examples
        assert measured == pytest.approx(shown, rel=1e-3)
    else:
        first, second = torch.from_numpy(watched.latest["slice/hessian"].directions)
        theta = there + float(plane.alpha[1]) * first + float(plane.beta[-1]) * second
        assert watched.sketch.value(theta) == pytest.approx(shown, rel=1e-3)
        assert watched.focus.value(theta) == pytest.approx(measured, rel=1e-3)
    assert not math.isclose(measured, plane.centre_loss, rel_tol=0.05)


def test_measuring_at_places_changes_nothing(tmp_path):
    sliced, alone = Sliced(tmp_path / "a"), Training(tmp_path / "b")
    sliced.step()
    frame, _ = sliced.plane("slice/hessian")
    sliced.step()
    sliced.at(frame, 0.01, 0.02, what="slice2d", parameters={"points": 9})
    sliced.until("done")
    for _ in range(sliced.scope.step_number):
        alone.step()
    assert torch.equal(sliced.weights(), alone.weights())
    sliced.scope.close()
    alone.scope.close()


def test_what_is_not_held_is_refused_with_the_reason(sliced):
    sliced.step()
    older, _ = sliced.plane("slice/random")
    sliced.step()
    newer, _ = sliced.plane("slice/random")
    assert "that of step 1 has given way to that of step 2" in sliced.refusal(older, 0, 0)
    assert "alpha must lie on the slice, from -1 to 1, got 7" in sliced.refusal(newer, 7, 0)
    assert "is no slice on a plane" in sliced.refusal(10**6, 0, 0)
    assert "give either at or a step" in sliced.refusal(newer, 0, 0, step=2)
    sliced.scope._watched.latest.clear()
    assert "none of this kind at present" in sliced.refusal(newer, 0, 0)
    assert not sliced.run.events("job")


def test_running_statistics_of_another_step_are_never_used(tmp_path):
    sliced = Sliced(tmp_path, nn.BatchNorm1d(8))
    sliced.step()
    frame, plane = sliced.plane("slice/random")
    objective, there = sliced.scope._watched.focus, sliced.weights()
    first, second = random_directions(objective, 2, seed=0, theta=there)
    expected = objective.value(there + 0.5 * first + 0.5 * second)
    _, measured = sliced.said(sliced.at(frame, 0.5, 0.5, parameters={"budget": 4}))
    assert measured == pytest.approx(expected, rel=1e-3)
    assert "which are no longer those of step 1" in sliced.refusal(frame, 0.5, 0.5)
    assert np.isfinite(plane.loss).all()
    sliced.scope.close()


def test_a_network_too_large_for_a_path_holds_no_centre(sliced):
    sliced.scope._watched.trajectory.capacity = 0
    frame, _ = sliced.plane("slice/random")
    assert sliced.scope._watched.latest["slice/random"].centre is None
    assert "too large for its training to hold" in sliced.refusal(frame, 0, 0)
