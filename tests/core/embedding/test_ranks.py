"""Effective ranks in closed form, TwoNN on sets of known dimension and beside the published regression."""

import numpy as np
import pytest
import torch
from torch import nn

from landscope.embedding import dimension, participation_ratio, rankme, two_nn
from landscope.objective import Objective


def objective_of(values, labels=None):
    values = torch.as_tensor(values)
    layer = nn.Linear(values.shape[1], 12, dtype=values.dtype)
    targets = torch.zeros(len(values), 12, dtype=values.dtype) if labels is None else torch.as_tensor(labels)
    return Objective(layer, nn.MSELoss() if labels is None else nn.CrossEntropyLoss(), (values, targets))


@pytest.mark.parametrize("k", [1, 3, 20])
def test_k_equal_values_have_rank_k(k):
    values = np.concatenate([np.full(k, 2.5), np.zeros(30)])
    assert rankme(values) == pytest.approx(k, rel=2e-4)  # 1e-7 is added to every share
    assert participation_ratio(values) == pytest.approx(k)


def test_ranks_of_nothing_are_zero():
    assert rankme(np.zeros(4)) == participation_ratio(np.zeros(4)) == 0


@pytest.mark.parametrize(
    ("d", "peer", "regression"),
    [
        (2, 2.063767204854883, 2.0620632363641924),
        (5, 5.322304476105501, 5.311349344606462),
        (9, 8.927380281768881, 8.847008480329848),
    ],
)
def test_two_nn_is_that_of_a_peer(d, peer, regression):
    """Values of scikit-dimension 0.5.0, `TwoNN(discard_fraction=0.1, method="mle")`, and of its linear fit."""
    generator = np.random.default_rng(d)
    values = generator.normal(size=(1000, d)) @ generator.normal(size=(d, 64))
    found = two_nn(torch.from_numpy(values))
    assert found.dimension == pytest.approx(peer, rel=1e-9)
    assert found.low < regression < found.high


@pytest.mark.parametrize("d", [1, 2, 5])
def test_two_nn_finds_the_dimension_of_a_gaussian_in_a_larger_space(d):
    generator = torch.Generator().manual_seed(d)
    flat = torch.randn(1500, d, generator=generator, dtype=torch.float64)
    values = flat @ torch.randn(d, 20, generator=generator, dtype=torch.float64)
    found = two_nn(values)
    assert found.low < d < found.high or found.dimension == pytest.approx(d, rel=0.05)
    independent = 2 * 1.96 * found.dimension / np.sqrt(0.9 * 1500)
    assert independent < found.high - found.low < 1.6 * independent  # points share their neighbours
    repeated = two_nn(torch.cat([values, values[:700], values[:100]]))
    assert repeated.distinct == 1500
    assert repeated.dimension == pytest.approx(found.dimension, rel=1e-6)


def test_two_nn_agrees_with_the_regression_of_its_paper():
    """Facco et al.: without the largest tenth, fit -log(1 - F) = d log mu through the origin."""
    values = np.random.default_rng(0).uniform(size=(1200, 4))
    apart = np.linalg.norm(values[:, None] - values[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    nearest = np.sort(apart, axis=1)[:, :2]
    logarithms = np.sort(np.log(nearest[:, 1] / nearest[:, 0]))
    heights = -np.log(1 - np.arange(1200) / 1200)
    kept = slice(0, 1080)
    slope = (logarithms[kept] @ heights[kept]) / (logarithms[kept] @ logarithms[kept])
    found = two_nn(torch.as_tensor(values))
    assert found.low - 0.1 < slope < found.high + 0.1


def test_interval_holds_the_truth_as_often_as_it_says():
    hits = 0
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        found = two_nn(torch.rand(300, 2, generator=generator))
        hits += found.low < 2 < found.high
    assert hits >= 50


def test_dimension_is_of_the_covariance():
    values = np.random.default_rng(1).normal(size=(80, 6)) * [4, 3, 2, 1, 0.5, 0.1] + 5
    found = dimension(objective_of(values))
    expected = np.sort(np.linalg.eigvalsh(np.cov(values.T, bias=True)))[::-1]
    np.testing.assert_allclose(found.eigenvalues, expected, rtol=1e-9)
    assert found.participation_ratio == pytest.approx(expected.sum() ** 2 / (expected**2).sum())
    assert found.effective_rank == pytest.approx(rankme(np.linalg.svd(values, compute_uv=False)))
    assert found.scalars()["eigenvalue.4"] == found.eigenvalues[3]
    assert (found.features, found.layer, found.collapsed, found.alarm) == (6, "", False, "")
    lattice = np.stack(np.meshgrid(np.arange(5.0), np.arange(5.0)), axis=-1).reshape(25, 2)
    assert np.isnan(dimension(objective_of(lattice)).intrinsic)
    few = dimension(objective_of(values[:4]))
    assert few.eigenvalues.shape == (3,)
    assert np.isnan(few.intrinsic)


def test_alarm_is_raised_where_directions_are_too_few():
    generator = np.random.default_rng(2)
    flat = generator.normal(size=(60, 1)) @ generator.normal(size=(1, 50)) + 1e-3 * generator.normal(size=(60, 50))
    assert dimension(objective_of(flat)).alarm.startswith("Features use 1.")
    labels = np.arange(60) % 12
    assert "12 classes need up to 11" in dimension(objective_of(flat, labels)).alarm
    assert not dimension(objective_of(np.eye(12, 50)[labels], labels)).collapsed
    constant = dimension(objective_of(np.full((60, 5), 0.1)))
    assert constant.collapsed
    assert "All features are equal" in constant.alarm
    assert not constant.eigenvalues.any()


def test_refusals():
    with pytest.raises(ValueError, match="at least 3 examples, got 2"):
        dimension(objective_of(np.ones((2, 3))))
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3))
    objective = Objective(model, nn.CrossEntropyLoss(), (torch.randn(5, 2), torch.arange(5) % 3))
    with torch.no_grad():
        model[0].weight.fill_(torch.inf)
    with pytest.raises(ValueError, match="features of layer '1' are not all finite"):
        dimension(objective)
