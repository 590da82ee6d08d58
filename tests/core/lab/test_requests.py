"""Measurements on request: the numbers that the engines give, in steps that can be ended, from checked parameters."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from landscope import curvature, dynamics, embedding, kernel, lab, landscape
from landscope.lab import engines, steps
from landscope.lab.failures import reason
from landscope.objective import Objective

SMALL = {
    "slice2d": {"points": 5},
    "slice1d": {"points": 9},
    "slice3d": {"points": 5},
    "eigenvalues": {"k": 2},
    "density": {"probes": 2, "steps": 4, "spikes": 2},
    "trace": {"budget": 8},
    "ntk": {"n": 6},
    "project": {"examples": 24},
    "gradient_statistics": {"n": 12},
    "plasticity": {"steps": 4, "n": 12},
    "learning_coefficient": {"chains": 2, "burn_in": 1, "draws": 3},
    "coefficient_calibration": {"chains": 2, "burn_in": 0, "draws": 2},
}


@pytest.fixture
def objective():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)).double()
    return Objective(model, cross_entropy, (torch.randn(24, 5).double(), torch.randint(3, (24,))), split="train")


def last(steps):
    *_, end = steps
    return end


def direct(what, objective):
    return {
        "slice2d": lambda: landscape.slice2d(objective, points=5),
        "slice1d": lambda: landscape.slice1d(objective, points=9),
        "slice3d": lambda: landscape.slice3d(objective, points=5),
        "eigenvalues": lambda: curvature.eigenvalues(objective, 2),
        "density": lambda: curvature.density(objective, probes=2, steps=4, spikes=2),
        "trace": lambda: curvature.trace(objective, budget=8),
        "sharpness": lambda: curvature.sharpness(objective),
        "quadratic": lambda: curvature.quadratic_model(objective),
        "ntk": lambda: kernel.ntk(objective, 6),
        "project": lambda: embedding.project(objective, examples=24),
        "collapse": lambda: embedding.collapse(objective),
        "geometry": lambda: embedding.geometry(objective),
        "class_spectra": lambda: curvature.class_spectra(objective, tolerance=1e-2),
        "gradient_statistics": lambda: dynamics.gradient_statistics(objective, 12),
        "gradient_conflict": lambda: dynamics.gradient_conflict(dynamics.by_group(objective)),
        "unit_activity": lambda: dynamics.unit_activity(objective),
        "example_scores": lambda: dynamics.example_scores(objective),
        "calibration": lambda: dynamics.calibration(objective),
        "plasticity": lambda: dynamics.plasticity(objective, steps=4, n=12),
        "learning_coefficient": lambda: dynamics.local_learning_coefficient(objective, chains=2, burn_in=1, draws=3),
        "coefficient_calibration": lambda: dynamics.calibrate_learning_coefficient(
            objective, chains=2, burn_in=0, draws=2
        ),
    }[what]()


def arrays(measurement):
    return {name: value for name, value in vars(measurement).items() if isinstance(value, np.ndarray)}


def test_every_entry_has_an_engine():
    assert lab.ENTRIES.keys() == engines.ENGINES.keys()


@pytest.mark.parametrize("what", lab.ENTRIES)
def test_results_are_those_of_the_engine_however_the_model_is_trained_meanwhile(what, objective):
    expected = direct(what, objective)
    seen = []
    for progress in lab.begin(what, objective, SMALL.get(what)):
        seen.append(progress)
        with torch.no_grad():
            objective.model[0].weight += 0.1
    end = seen[-1]
    assert (end.done, end.seconds_left) == (1.0, 0.0)
    assert [progress.done for progress in seen].count(1.0) == 1
    assert type(end.result) is type(expected)
    for name, array in arrays(expected).items():
        np.testing.assert_allclose(getattr(end.result, name), array, rtol=1e-6, atol=1e-9, err_msg=name)
    assert end.result.provenance.seconds > 0


@pytest.mark.parametrize("what", lab.ENTRIES)
def test_every_entry_can_be_ended_from_within(what, objective, monkeypatch):
    monkeypatch.setattr(steps, "_PULSE", 0.0)
    before = {name: value.clone() for name, value in objective.model.state_dict().items()}
    drawn, calls = torch.get_rng_state(), 0

    def report(progress):
        nonlocal calls
        calls += 1
        if calls == 5:  # four come from timing two gradients
            raise lab.Cancelled

    objective.model.train()
    with pytest.raises(lab.Cancelled):
        last(lab.begin(what, objective, SMALL.get(what), report=report))
    assert objective.model.training
    assert torch.equal(torch.get_rng_state(), drawn)
    for name, value in objective.model.state_dict().items():
        assert torch.equal(value, before[name])
    assert objective.gradient().isfinite().all()


def test_slices_and_eigenvalues_come_coarse_to_fine(objective):
    pictures = [step.result for step in lab.begin("slice2d", objective, {"points": 17}) if step.result]
    assert [len(picture.alpha) for picture in pictures] == [5, 9, 17]
    found = [step.result for step in lab.begin("eigenvalues", objective, {"k": 2, "tolerance": 1e-8}) if step.result]
    assert len(found) > 2
    errors = [abs(result.values[0] - found[-1].values[0]) for result in found]
    assert errors[0] > errors[-2]
    assert [result.vectors is None for result in found] == [True] * (len(found) - 1) + [False]


def test_reports_from_within_a_slice_count_points_as_its_steps_do(objective, monkeypatch):
    monkeypatch.setattr(steps, "_PULSE", 0.0)
    seen = []
    for progress in lab.begin("slice2d", objective, {"points": 9}, report=seen.append):
        seen.append(progress)
    shares = [progress.done for progress in seen]
    coarse = shares.index(25 / 81)
    assert None not in shares[coarse:]
    assert shares[coarse:] == sorted(shares[coarse:])


def test_the_path_gives_the_plane_of_the_trajectory(objective):
    theta = objective.theta()
    path = torch.stack(
        [theta + 0.3 * torch.randn_like(theta, generator=torch.Generator().manual_seed(k)) for k in (1, 2)]
    )
    subject = lab.Subject(objective, path=path, path_steps=[0, 5], also={"test": objective.sample(8)})
    end = last(lab.begin("slice2d", subject, {"plane": "trajectory", "points": 5})).result
    expected = landscape.trajectory_slice(objective, path, points=5)
    np.testing.assert_allclose(end.loss, expected.loss, rtol=1e-6)
    assert end.path_steps.tolist() == [0, 5]
    assert "test/loss" in end.metrics
    near = last(lab.begin("slice2d", subject, {"plane": "trajectory", "points": 5, "radius": 0.5})).result
    np.testing.assert_allclose(near.alpha, 0.5 * end.alpha, rtol=1e-6)
    np.testing.assert_allclose(near.beta, 0.5 * end.beta, rtol=1e-6)
    with pytest.raises(ValueError, match="reach must be positive"):
        landscape.trajectory_slice(objective, path, reach=0)
    with pytest.raises(ValueError, match="at least 2 snapshots"):
        last(lab.begin("slice2d", objective, {"plane": "trajectory"}))


def test_a_radius_of_zero_is_chosen_by_the_loss(objective):
    end = last(lab.begin("slice1d", objective, {"direction": "gradient", "radius": 0, "points": 5})).result
    assert end.plane == "gradient"
    assert end.alpha[-1] != 1.0


def test_parameters_come_as_text_or_as_json(objective):
    entry, asked = lab.chosen("slice2d", {"points": "9", "radius": "0.5", "orthogonal": "yes", "plane": "hessian"})
    assert (entry.name, asked.points, asked.radius, asked.orthogonal, asked.plane) == (
        "slice2d",
        9,
        0.5,
        True,
        "hessian",
    )
    assert lab.chosen("slice2d", {"points": 9.0})[1].points == 9


@pytest.mark.parametrize(
    ("what", "given", "message"),
    [
        ("slice4d", {}, "there is no measurement 'slice4d'; there are slice2d, slice1d"),
        ("slice2d", {"pints": 5}, "slice2d: there is no parameter 'pints'; there are plane, points"),
        ("slice2d", {"points": 3}, "points must be an integer from 5 to 257, got 3"),
        ("slice2d", {"points": 9.5}, "points must be an integer"),
        ("slice2d", {"points": True}, "points must be an integer"),
        ("slice2d", {"radius": "nan"}, "radius must be a number from 0"),
        ("slice2d", {"radius": [1]}, "radius must be a number"),
        ("slice2d", {"plane": "sideways"}, "plane must be one of random, hessian, trajectory, got 'sideways'"),
        ("slice2d", {"orthogonal": 3}, "orthogonal must be true or false"),
        ("project", {"layer": 3}, "layer must be text"),
    ],
)
def test_what_cannot_be_asked_for_is_said(what, given, message):
    with pytest.raises(ValueError, match=message):
        lab.chosen(what, given)


def test_the_description_is_json_whose_defaults_are_accepted():
    described = json.loads(json.dumps(lab.description(), allow_nan=False))
    assert [entry["name"] for entry in described] == list(lab.ENTRIES)
    for entry in described:
        defaults = {parameter["name"]: parameter["default"] for parameter in entry["parameters"]}
        _, asked = lab.chosen(entry["name"], defaults)
        assert lab.ENTRIES[entry["name"]].gradients(asked) > 0
        assert all(parameter["label"] for parameter in entry["parameters"])


def test_weights_that_are_not_finite_are_refused(objective):
    with torch.no_grad():
        objective.model[0].bias[0] = math.nan
    with pytest.raises(ValueError, match=r"weights are not finite.*earlier step"):
        lab.begin("trace", objective)


def test_batch_norm_that_is_recomputed_has_values(objective):
    model = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Linear(7, 3)).double()
    data = objective.batches.items[0]
    recomputed = Objective(model, cross_entropy, data, batch_norm="recompute")
    assert last(lab.begin("slice1d", recomputed, {"points": 5})).result.loss.shape == (5,)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "out of memory: ask for fewer points"),
        (MemoryError(), "out of memory: ask for fewer"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "out of memory: ask"),
        (ValueError("k must be positive"), "k must be positive"),
        (KeyError("x"), "KeyError: 'x'"),
    ],
)
def test_failures_have_a_reason_and_a_remedy(failure, expected):
    assert reason(failure).startswith(expected)
