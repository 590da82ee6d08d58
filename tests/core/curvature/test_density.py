from copy import deepcopy

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance
from torch import nn
from torch.nn.functional import cross_entropy

from landscope.curvature import density, eigenvalues
from landscope.objective import Objective


def axis(measured):
    return np.arcsinh(measured.grid / measured.scale)


def test_weights_and_density_integrate_to_one(problem):
    measured = density(problem.objective, spikes=4)
    np.testing.assert_allclose(measured.weights.sum(1), 1, rtol=1e-12)
    np.testing.assert_allclose(np.trapezoid(measured.density, axis(measured)), 1, rtol=1e-4)
    assert (measured.low <= measured.density + 1e-12).all()
    assert (measured.density <= measured.high + 1e-12).all()
    assert (np.diff(measured.grid.astype(np.float32)) > 0).all()
    assert measured.hvps == measured.provenance.products


def test_spikes_are_the_leading_eigenvalues(problem):
    measured = density(problem.objective, spikes=4)
    truth = problem.eigenvalues[:4].numpy()
    assert (np.abs(measured.spikes - truth) <= measured.spike_residuals).all()
    np.testing.assert_allclose(measured.spikes, truth, rtol=1e-3)
    # and the rest knows nothing of them
    bulk = measured.nodes[:, :-4]
    assert bulk.max() <= problem.eigenvalues[4].item() * 1.001


def test_distance_to_the_exact_spectrum(problem):
    truth = problem.eigenvalues.numpy()
    spread = truth[0] - truth[-1]
    for seed in range(3):
        measured = density(problem.objective, spikes=10, seed=seed)
        distance = wasserstein_distance(truth, measured.nodes.ravel(), v_weights=measured.weights.ravel())
        assert distance < 0.03 * spread


def test_trace_is_unbiased_and_its_error_honest(mlp):
    exact = mlp.eigenvalues.sum().item()
    measured = [density(mlp.objective, probes=6, steps=3, spikes=5, seed=seed) for seed in range(40)]
    estimates = np.array([one.trace for one in measured])
    errors = np.array([one.trace_stderr for one in measured])
    assert abs(estimates.mean() - exact) < 3.5 * estimates.std() / np.sqrt(len(estimates))
    within = (np.abs(estimates - exact) < 2 * errors).mean()
    assert 0.8 < within < 1.0  # Student's t with five degrees of freedom: 0.90


def test_as_many_steps_as_dimensions_give_the_whole_spectrum(objective_of):
    spectrum = torch.tensor([5.0, 2.0, 1.0, 0.5, -1.0, -3.0], dtype=torch.float64)
    measured = density(objective_of(torch.diag(spectrum)), spikes=2, steps=50)
    assert measured.nodes.shape == (5, 6)
    for row in measured.nodes:
        np.testing.assert_allclose(np.sort(row), np.sort(spectrum), atol=1e-12)


def test_more_spikes_than_parameters(objective_of):
    measured = density(objective_of(torch.diag(torch.tensor([2.0, 1.0]).double())), spikes=5)
    np.testing.assert_allclose(measured.spikes, [2, 1])
    assert measured.trace == pytest.approx(3)
    assert measured.trace_stderr == 0
    np.testing.assert_allclose(measured.weights, 0.5)


def test_few_distinct_eigenvalues_end_the_recursion_early(objective_of):
    spectrum = torch.cat([torch.full((30,), 2.0), torch.full((10,), -1.0), torch.zeros(60)]).double()
    measured = density(objective_of(torch.diag(spectrum)), spikes=0, probes=60, steps=8)
    carried = measured.nodes[measured.weights > 1e-12]
    assert np.abs(carried[:, None] - [2.0, -1.0, 0.0]).min(1).max() < 1e-9
    shares = [measured.weights[np.abs(measured.nodes - value) < 1e-6].sum() / 60 for value in (2.0, -1.0, 0.0)]
    np.testing.assert_allclose(shares, [0.3, 0.1, 0.6], atol=0.03)


def test_zero_hessian(objective_of):
    measured = density(objective_of(torch.zeros(20, 20, dtype=torch.float64)))
    assert measured.scale == 1
    assert measured.trace == 0
    np.testing.assert_allclose(np.trapezoid(measured.density, axis(measured)), 1, rtol=1e-4)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_scale_follows_the_loss(objective_of, factor):
    hessian = torch.diag(torch.cat([torch.tensor([10.0, 4.0]), torch.linspace(-0.1, 0.3, 50)]).double())
    one, other = density(objective_of(hessian)), density(objective_of(factor * hessian))
    np.testing.assert_allclose(other.grid, factor * one.grid, rtol=1e-6)
    np.testing.assert_allclose(other.density, one.density, rtol=1e-6)


def test_band_covers_the_smoothed_truth_where_probes_alone_err(mlp):
    # the mean over very many probes is what the band is about: it holds no smoothing error
    reference = density(mlp.objective, probes=150, steps=10, seed=100)
    inside = []
    for seed in range(6):
        measured = density(mlp.objective, probes=10, steps=10, seed=seed)
        mass = measured.density > 0.05
        truth = np.interp(axis(measured), axis(reference), reference.density)
        inside.append(((measured.low <= truth) & (truth <= measured.high))[mass].mean())
    assert np.mean(inside) > 0.7


def test_warm_start_saves_products(mlp):
    known = eigenvalues(mlp.objective, 3, tolerance=1e-6)
    cold = density(mlp.objective, spikes=3)
    warm = density(mlp.objective, spikes=3, start=known.vectors)
    np.testing.assert_allclose(warm.spikes, cold.spikes, rtol=1e-3)
    assert warm.hvps < cold.hvps


def test_a_hundred_products_are_enough_for_a_trained_network(trained):
    truth = trained.eigenvalues.numpy()
    distances = []
    for seed in range(5):
        measured = density(trained.objective, probes=3, spikes=15, seed=seed)
        assert measured.hvps <= 100
        distances.append(wasserstein_distance(truth, measured.nodes.ravel(), v_weights=measured.weights.ravel()))
    assert np.median(distances) < 0.003
    assert max(distances) < 0.004
    plain = density(trained.objective, spikes=0)
    assert plain.hvps == 100
    without = wasserstein_distance(truth, plain.nodes.ravel(), v_weights=plain.weights.ravel())
    assert max(distances) < 0.5 * without


def test_negative_outliers_are_found_along_with_the_leading_eigenvalues(objective_of):
    spectrum = torch.cat([torch.tensor([9.0, 7.0, 4.0]), torch.linspace(-0.1, 0.2, 90), torch.tensor([-5.0, -8.0])])
    measured = density(objective_of(torch.diag(spectrum.double())), spikes=3, tolerance=1e-6)
    np.testing.assert_allclose(measured.spikes, [9, 7, 4], rtol=1e-6)
    np.testing.assert_allclose(measured.negative_spikes, [-5, -8], rtol=1e-6)
    assert (np.abs(measured.negative_spikes - [-5, -8]) <= measured.negative_residuals).all()
    assert measured.trace == pytest.approx(spectrum.sum().item(), abs=4 * measured.trace_stderr + 1e-9)
    assert measured.trace_stderr < 0.1 * spectrum.norm()


def test_checks_hold_and_a_broken_quadrature_fails_them(mlp, monkeypatch):
    measured = density(mlp.objective)
    assert [(name, outcome) for name, outcome, _ in measured.checks] == [("weights", "pass"), ("first moment", "pass")]
    whole = np.linalg.eigh
    monkeypatch.setattr(np.linalg, "eigh", lambda matrix: (whole(matrix)[0], whole(matrix)[1].swapaxes(-1, -2)))
    broken = density(mlp.objective, spikes=0)  # rows for columns: weights that sum to one all the same
    assert [outcome for _, outcome, _ in broken.checks] == ["pass", "fail"]
    assert broken.figure().layout.title.text.startswith("check failed: first moment")


def test_criteria_are_those_of_the_exact_spectrum(objective_of):
    spectrum = torch.tensor([5.0, 2.0, 1.0, 0.5, -1.0, -3.0], dtype=torch.float64)
    found = density(objective_of(torch.diag(spectrum)), steps=50).criteria()
    assert found.extreme_ratio == pytest.approx(0.6)
    assert found.negative_mass == pytest.approx(1 / 3)
    assert found.k_h_1 == pytest.approx(4 / 8.5)
    assert found.k_h_half == pytest.approx((1 + 3**0.5) / (5**0.5 + 2**0.5 + 1 + 0.5**0.5))
    assert found.k_h_1_stderr < 1e-12
    assert found.scalars() == {"r_e": found.extreme_ratio, "K_H.1": found.k_h_1, "K_H.0.5": found.k_h_half}
    drawn = found.figure(dark=True)
    assert drawn.layout.title.text == "5 probes × 0 steps, 6 vectors taken out"
    np.testing.assert_allclose(drawn.data[0].y, [found.extreme_ratio, found.k_h_1, found.k_h_half])


def test_k_h_of_one_is_a_property_of_the_spectrum_and_of_one_half_is_not(mlp):
    values = mlp.eigenvalues.numpy()
    exact = -values[values < 0].sum() / values[values > 0].sum()
    few, many = (density(mlp.objective, probes=10, steps=m, spikes=0).criteria() for m in (10, 60))
    for found in (few, many):
        assert abs(found.k_h_1 - exact) < 4 * found.k_h_1_stderr
        assert found.extreme_ratio == pytest.approx(-values[-1] / values[0], rel=0.35)
    assert many.k_h_half > 1.1 * few.k_h_half


def test_criteria_without_positive_curvature(objective_of):
    found = density(objective_of(torch.diag(-torch.arange(1.0, 9.0).double()))).criteria()
    assert np.isnan([found.extreme_ratio, found.k_h_1, found.k_h_half]).all()
    assert found.negative_mass == pytest.approx(1)


@pytest.mark.parametrize(("precision", "tolerance"), [(torch.float16, 0.02), (torch.bfloat16, 0.2)])
def test_short_floats_and_eight_examples(precision, tolerance):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 3))
    x, y = torch.randn(8, 6), torch.randint(3, (8,))
    truth = density(Objective(model, cross_entropy, (x, y)))
    found = density(Objective(deepcopy(model).to(precision), cross_entropy, (x.to(precision), y)))
    np.testing.assert_allclose(found.spikes[:3], truth.spikes[:3], rtol=tolerance)
    assert found.trace == pytest.approx(truth.trace, rel=tolerance)
    assert {outcome for _, outcome, _ in found.checks} == {"pass"}


def test_a_loss_that_is_not_finite_is_an_error(mlp):
    nowhere = torch.full_like(mlp.objective.theta(), float("nan"))
    for spikes in (0, 3):
        with pytest.raises(FloatingPointError, match="not finite"):
            density(mlp.objective, theta=nowhere, spikes=spikes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probes": 1}, "probes must be at least 2, got 1"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"spikes": -1}, "spikes must be at least 0"),
        ({"tolerance": 0.0}, "tolerance must be positive"),
        ({"operator": "kfac"}, "operator must be"),
    ],
)
def test_what_makes_no_sense_is_refused(mlp, options, message):
    with pytest.raises(ValueError, match=message):
        density(mlp.objective, **options)
