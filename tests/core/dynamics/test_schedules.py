import numpy as np
import pytest

from landscope.dynamics import constant_schedule, cosine_schedule, linear_schedule, schedule_bound, wsd_schedule


def harmonic(n):
    return sum(1 / k for k in range(1, n + 1))


def test_constant_rate_has_the_bound_in_closed_form():
    made = schedule_bound(0.3 * constant_schedule(50), gradients=2.0, start=1.5)
    for t in (1, 2, 7, 50):
        assert made.distance[t - 1] == pytest.approx(1.5**2 / (2 * 0.3 * t))
        assert made.noise[t - 1] == pytest.approx(0.3 * 2.0**2 / 2 * (1 + harmonic(t - 1)))


def direct(eta, norms, start, t):
    """The three terms, sum by sum."""
    total = eta[:t].sum()
    third = sum(
        eta[k] / eta[k + 1 : t].sum() * (eta[k:t] ** 2 * norms[k:t] ** 2).sum() / eta[k:t].sum() for k in range(t - 1)
    )
    return start**2 / (2 * total) + (eta[:t] ** 2 * norms[:t] ** 2).sum() / (2 * total) + third / 2


def test_any_schedule_is_the_sum_of_the_three_terms():
    generator = np.random.default_rng(0)
    eta, norms = generator.uniform(0.1, 1, 30), generator.uniform(0.5, 2, 30)
    made = schedule_bound(eta, gradients=norms, start=0.7)
    np.testing.assert_allclose(made.bound, [direct(eta, norms, 0.7, t) for t in range(1, 31)], rtol=1e-12)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [(constant_schedule, 2.91), (wsd_schedule, 2.17), (cosine_schedule, 2.06), (linear_schedule, 2.01)],
    ids=lambda x: getattr(x, "__name__", None),
)
def test_best_bounds_at_a_thousand_steps(schedule, expected):
    assert schedule_bound(schedule(1000)).best_bound * np.sqrt(1000) == pytest.approx(expected, abs=0.012)


def test_the_best_factor_is_the_best():
    made = schedule_bound(cosine_schedule(100), gradients=3.0, start=2.0)
    best = schedule_bound(made.best_factor * cosine_schedule(100), gradients=3.0, start=2.0)
    assert best.bound[-1] == pytest.approx(made.best_bound)
    for factor in (0.9, 1.1):
        other = schedule_bound(factor * made.best_factor * cosine_schedule(100), gradients=3.0, start=2.0)
        assert other.bound[-1] > made.best_bound


def test_subgradient_descent_on_a_convex_function_keeps_to_it():
    """f(x) = mean |a_i . x| has subgradients of norm at most mean |a_i|, and its minimum, 0, at 0."""
    generator = np.random.default_rng(3)
    rows = generator.standard_normal((20, 5))
    x = generator.standard_normal(5)
    eta = 0.2 * wsd_schedule(200, cooldown=0.4)
    made = schedule_bound(eta, gradients=np.linalg.norm(rows, axis=1).mean(), start=float(np.linalg.norm(x)))
    for step in range(200):
        assert np.abs(rows @ x).mean() <= (made.bound[step - 1] if step else np.inf)
        x = x - eta[step] * (np.sign(rows @ x) @ rows) / 20


def test_steps_of_rate_zero_change_nothing():
    made = schedule_bound(np.r_[np.ones(10), np.zeros(5)])
    assert made.bound[-1] == pytest.approx(made.bound[9])


def test_long_schedules_are_interpolated_closely():
    made = schedule_bound(cosine_schedule(3000))
    exact = schedule_bound(cosine_schedule(3000)[:1000])
    np.testing.assert_allclose(made.bound[:1000], exact.bound, rtol=2e-2)


@pytest.mark.parametrize("make", [constant_schedule, linear_schedule, cosine_schedule, wsd_schedule])
def test_schedules_start_at_one_warm_up_and_never_rise_later(make):
    made = make(100, warmup=10)
    assert len(made) == 100
    assert make(100)[0] == 1
    assert (np.diff(made[:10]) > 0).all()
    assert (np.diff(made[10:]) <= 0).all()
    with pytest.raises(ValueError, match="warmup"):
        make(10, warmup=10)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        make(0)


def test_bad_rates_are_refused():
    with pytest.raises(ValueError, match="first one positive"):
        schedule_bound([0.0, 1.0])
    with pytest.raises(ValueError, match="start must be positive"):
        schedule_bound([1.0], start=0.0)
    with pytest.raises(ValueError, match="gradients must be finite"):
        schedule_bound([1.0, 1.0], gradients=[1.0, -1.0])
    with pytest.raises(ValueError, match="cooldown"):
        wsd_schedule(10, cooldown=0.0)
