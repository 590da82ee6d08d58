"""What a slice says of itself: it notices an engine that is broken, and says what it did."""

import numpy as np
import pytest
import torch
from torch import nn

from landscope.landscape import slice1d, slice2d, trajectory_slice
from landscope.landscape.checks import agreement, batch_norm_check, path_check
from landscope.landscape.evaluator import PlaneEvaluator
from landscope.landscape.first_layers import FirstLayers
from landscope.objective import Objective


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def setting(batch_norm="eval", **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3)).double()
    labels = torch.arange(12) % 3
    return Objective(model, nn.CrossEntropyLoss(), (numbers(12, 5), labels), batch_norm=batch_norm, **options)


def by_name(found):
    return {name: (verdict, text) for name, verdict, text in found.checks}


def test_a_sound_slice_passes():
    found = slice2d(setting(split="test"), points=3, orthogonal=True, seed=4)
    checks = by_name(found)
    assert {name for name, (verdict, _) in checks.items() if verdict == "pass"} == {
        "centre", "corner", "angle", "filter normalisation",
    }  # fmt: skip
    assert not any(verdict == "fail" for verdict, _ in checks.values())
    assert checks["centre"][1].startswith(
        f"the centre is {found.centre_loss:.6g}, the model's own loss {found.centre_loss:.6g}"
    )
    assert checks["seed"] == ("note", "4")
    assert checks["data"][1].startswith("12 test examples, SHA-256 ")
    assert checks["lengths"][1].startswith(f"lengths {np.linalg.norm(found.directions[0]):.4g}, ")
    assert checks["filter normalisation"][1].startswith("9 filters as long as the weights'")


def shifted(function, by):
    """The losses of an engine that is off."""

    def evaluate(self, coordinates, plan):
        found = function(self, coordinates, plan)
        return found | {"loss": found["loss"] * (1 + by(coordinates))}

    return evaluate


BROKEN = {
    "everywhere": (lambda c: 1e-6, {"centre", "corner"}),
    "away from the centre": (lambda c: 1e-6 * c.abs().sum(1), {"corner"}),
    "not at all": (lambda c: 0.0, set()),
}


@pytest.mark.parametrize(("by", "failing"), BROKEN.values(), ids=BROKEN)
def test_an_engine_that_is_off_is_noticed(monkeypatch, by, failing):
    monkeypatch.setattr(PlaneEvaluator, "_evaluate", shifted(PlaneEvaluator._evaluate, by))
    checks = by_name(slice2d(setting(), points=3))
    assert {name for name, (verdict, _) in checks.items() if verdict == "fail"} == failing


def test_first_layers_that_are_off_are_noticed(monkeypatch):
    sound = FirstLayers.at_point
    monkeypatch.setattr(FirstLayers, "at_point", lambda self, c: sound(self, [2 * x for x in c]))
    checks = by_name(slice1d(setting(), points=3))
    assert (checks["centre"][0], checks["corner"][0]) == ("pass", "fail")


def test_a_mirrored_axis_is_noticed(monkeypatch):
    sound = PlaneEvaluator._evaluate
    monkeypatch.setattr(PlaneEvaluator, "_evaluate", lambda self, c, plan: sound(self, c * torch.tensor([1, -1]), plan))
    checks = by_name(slice2d(setting(), points=3))
    assert (checks["centre"][0], checks["corner"][0]) == ("pass", "fail")


@pytest.mark.parametrize(
    ("found", "expected", "dtype", "verdict"),
    [
        (1.0, 1.0, torch.float64, "pass"),
        (1.0, 1 + 1e-14, torch.float64, "pass"),
        (1.0, 1 + 1e-12, torch.float64, "fail"),
        (1.0, 1 + 1e-6, torch.float32, "pass"),
        (1.0, 1 + 1e-4, torch.float32, "fail"),
        (1.0, 1.3, torch.bfloat16, "fail"),
        (np.nan, np.nan, torch.float64, "pass"),
        (np.nan, 1.0, torch.float64, "fail"),
        (np.inf, np.inf, torch.float64, "pass"),
        (np.inf, -np.inf, torch.float64, "fail"),
    ],
)
def test_agreement(found, expected, dtype, verdict):
    check = agreement("centre", found, expected, "{found} against {expected}", dtype)
    assert check[1] == verdict
    assert f"{found:.6g} against {expected:.6g}" in check[2]


def test_angles_and_lengths_of_given_directions():
    directions = torch.zeros(2, 69).double()
    directions[0, 0], directions[1, :2] = 3.0, torch.tensor([1.0, 1.0])
    checks = by_name(slice2d(setting(), directions, points=2))
    assert checks["angle"] == ("note", "cosine 0.71")
    assert checks["lengths"][1].startswith("lengths 3, 1.414; the weights' is ")
    assert "seed" not in checks
    assert not any("normalisation" in name for name in checks)
    assert "angle" not in by_name(slice1d(setting(), directions[:1], points=2))


@pytest.mark.parametrize(
    ("policy", "words"),
    [("eval", "running statistics"), ("batch", "statistics of each batch"), ("recompute", "computed anew")],
)
def test_batch_normalisation_is_stated_and_random_planes_carry_the_caution(policy, words):
    random = by_name(slice2d(setting(policy), points=2))["batch norm"]
    given = by_name(slice2d(setting(policy), numbers(2, 69), points=2))["batch norm"]
    for verdict, text in (random, given):
        assert verdict == "note"
        assert text.startswith("1 layer, ")
        assert words in text
    assert "Hessian" in random[1]
    assert "Hessian" not in given[1]


def test_models_without_batch_normalisation_say_nothing_of_it():
    model = nn.Linear(5, 3).double()
    assert batch_norm_check(Objective(model, nn.MSELoss(), (numbers(4, 5), numbers(4, 3))), "random") == []


def test_the_path_is_held_against_the_surface():
    objective = setting()
    path = torch.stack(
        [objective.theta() + share * numbers(69, seed=seed) for seed, share in ((1, 0.2), (2, 0.1), (3, 0.05))]
    )
    found = trajectory_slice(objective, path, points=21)
    assert found.path_losses.tolist() == pytest.approx(objective.values(path).tolist())
    verdict, text = by_name(found)["path"]
    assert verdict == "note"
    assert text.startswith(f"up to {found.path_distances.max():.3g} out of the plane")


def test_path_check_in_numbers():
    losses, beneath, distances = np.array([1.0, 2.0, 4.0]), np.array([1.1, 2.0, np.nan]), np.array([0.5, 0.0, 3.0])
    assert path_check(losses, beneath, distances)[2].endswith("5 % off in the median, 10 % at worst")
    none = path_check(losses, np.full(3, np.nan), distances)
    assert none[2] == "the path comes within 0 of the plane and is 3 away"
