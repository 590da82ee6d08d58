import itertools

import numpy as np
import pytest
from scipy import stats

from landscope.dynamics import Series, seed_bands, seed_variance
from landscope.figures import figure


def drawn(runs, examples, seed, spread=0.0):
    """Answers with rates of their own for each example, and a quality of its own for each run."""
    generator = np.random.default_rng(seed)
    rates = np.linspace(0.2, 0.9, examples)[None] + spread * generator.standard_normal((runs, 1))
    return generator.random((runs, examples)) < rates


def test_bands_are_those_of_the_common_steps():
    curves = [Series(np.array([0, 10, 20]), np.array([0.0, 1.0, 2.0])), Series(np.array([5, 15]), np.array([3.0, 5.0]))]
    bands = seed_bands(curves, "train/loss")
    assert bands.steps.tolist() == [5, 10, 15]
    np.testing.assert_allclose(bands.values, [[0.5, 1.0, 1.5], [3.0, 4.0, 5.0]])
    np.testing.assert_allclose(bands.mean, [1.75, 2.5, 3.25])
    np.testing.assert_allclose(bands.deviation, np.std(bands.values, axis=0, ddof=1))
    with pytest.raises(ValueError, match="do not overlap"):
        seed_bands([curves[0], Series(np.array([30, 40]), np.zeros(2))], "x")
    with pytest.raises(ValueError, match="two runs"):
        seed_bands(curves[:1], "x")


def test_variance_on_the_distribution_is_the_covariance_of_halves_over_all_splits():
    right = drawn(7, 6, seed=0, spread=0.2).astype(float)
    splits = [
        np.cov(right[:, list(half)].mean(axis=1), right[:, [i for i in range(6) if i not in half]].mean(axis=1))[0, 1]
        for half in itertools.combinations(range(6), 3)
    ]
    assert seed_variance(right).distribution == pytest.approx(np.mean(splits))


def test_independent_errors_are_recognised():
    made = seed_variance(drawn(400, 300, seed=1))
    true = sum(p * (1 - p) for p in np.linspace(0.2, 0.9, 300)) / 300**2
    assert made.independent == pytest.approx(true, rel=0.02)
    assert made.observed == pytest.approx(true, abs=3 * made.observed_error)
    assert made.distribution == pytest.approx(0, abs=3 * made.distribution_error)


def test_better_and_worse_networks_are_recognised():
    made = seed_variance(drawn(400, 300, seed=2, spread=0.05))
    assert made.distribution > 5 * made.distribution_error
    assert np.sqrt(made.distribution) == pytest.approx(0.05, rel=0.15)
    assert made.observed == pytest.approx(made.independent + made.distribution * 299 / 300, rel=0.05)


def test_prediction_is_the_binomial_for_equal_rates():
    right = np.zeros((4, 10))
    right[::2] = 1
    np.testing.assert_allclose(seed_variance(right).predicted, stats.binom.pmf(np.arange(11), 10, 0.5), atol=1e-12)


def test_bad_answers_are_refused():
    with pytest.raises(ValueError, match="3 runs"):
        seed_variance(np.ones((2, 5)))
    with pytest.raises(ValueError, match="0 and 1"):
        seed_variance(np.full((3, 5), 0.5))


def test_seeds_have_pictures():
    made = seed_variance(drawn(50, 100, seed=3))
    bars, expected = figure(made).data
    assert sum(bars.y) == 50
    assert sum(expected.y) == pytest.approx(50, abs=1.5)
    bands = seed_bands([Series(np.arange(5), np.arange(5.0) * k) for k in (1, 2, 3)], "test/loss")
    assert figure(bands, dark=True).layout.yaxis.title.text == "test/loss"
