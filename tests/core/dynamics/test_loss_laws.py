import numpy as np
import pytest

from landscope.dynamics import (
    annealing_areas,
    cosine_schedule,
    fit_annealing_law,
    fit_annealing_law_jointly,
    fit_power_law,
    forecast,
    schedule_bound,
    score_forecast,
    wsd_schedule,
)
from landscope.figures import figure

STEPS = np.arange(1, 2001)


def test_annealing_areas_are_the_double_sum_of_the_paper():
    rates = np.random.default_rng(0).uniform(0.1, 1.0, 40)
    memory = 0.9
    expected = [
        sum((rates[k - 1] - rates[k]) * memory ** (i - k) for i in range(s + 1) for k in range(1, i + 1))
        for s in range(40)
    ]
    forward, annealed = annealing_areas(rates, memory=memory)
    np.testing.assert_allclose(annealed, expected, atol=1e-12)
    np.testing.assert_allclose(forward, np.cumsum(rates))


def test_a_constant_rate_anneals_nothing():
    assert not annealing_areas(np.full(50, 0.3))[1].any()


def test_power_law_finds_the_constants_it_was_made_of():
    law = fit_power_law(STEPS, 0.7 + 5.0 * STEPS**-0.6, skip=0)
    assert law.floor == pytest.approx(0.7, rel=2e-3)  # bins average over a curved line
    assert law.exponent == pytest.approx(0.6, rel=5e-3)
    few = fit_power_law(STEPS[:150], 0.7 + 5.0 * STEPS[:150] ** -0.6, skip=0)  # no bins
    assert (few.floor, few.scale, few.exponent) == pytest.approx((0.7, 5.0, 0.6), rel=1e-5)


def test_without_a_floor_the_floor_is_zero():
    law = fit_power_law(STEPS[:150], 3.0 * STEPS[:150] ** -0.5)
    assert law.floor == pytest.approx(0, abs=1e-5)
    assert law.exponent == pytest.approx(0.5, rel=1e-4)


def test_errors_of_the_constants_cover_them():
    """Over repetitions the true floor lies within two standard errors about as often as it should."""
    inside = 0
    for seed in range(60):
        noise = np.exp(0.02 * np.random.default_rng(seed).standard_normal(150))
        law = fit_power_law(STEPS[:150], (0.7 + 5.0 * STEPS[:150] ** -0.8) * noise, skip=0)
        inside += abs(law.floor - 0.7) < 2 * np.sqrt(law.covariance[0, 0])
    assert 50 <= inside <= 60


def annealing_curve(rates):
    forward, annealed = annealing_areas(rates)
    return 1.2 + 0.9 * forward**-0.5 - 5e-4 * annealed


def test_annealing_law_fitted_to_one_schedule_forecasts_another():
    made = fit_annealing_law(STEPS[::10], annealing_curve(cosine_schedule(2000))[::10], cosine_schedule(2000))
    assert (made.floor, made.scale, made.exponent, made.annealing) == pytest.approx((1.2, 0.9, 0.5, 5e-4), rel=1e-3)
    ahead = np.arange(1, 3001)
    other = wsd_schedule(3000, cooldown=0.3)
    expected = annealing_curve(other)
    told = score_forecast(forecast(made, 3000, other), ahead, expected)
    np.testing.assert_allclose(told.expected, expected[1991:], rtol=1e-4)
    assert told.error < 1e-4
    assert told.steps[0] == made.last + 1


def test_two_schedules_tell_the_annealing_from_the_forward_area():
    steps = np.arange(1, 401)
    rates = np.stack([np.full(400, 0.1), 0.1 * cosine_schedule(400)])
    curves = []
    for rate in rates:
        forward, annealed = annealing_areas(rate, memory=0.95)
        curves.append((steps, 1.5 + 0.8 * forward**-0.4 - 0.3 * annealed, rate))
    law = fit_annealing_law_jointly(curves, memory=0.95)
    found = [law.floor, law.scale, law.exponent, law.annealing]
    np.testing.assert_allclose(found, [1.5, 0.8, 0.4, 0.3], rtol=0.02)
    assert "to 400 of 2 runs" in law.provenance.method
    alone = fit_annealing_law(*curves[1], memory=0.95)
    np.testing.assert_array_equal(alone.fitted, fit_annealing_law_jointly(curves[1:], memory=0.95).fitted)
    with pytest.raises(ValueError, match="needs curves"):
        fit_annealing_law_jointly([])


def test_a_forecast_is_scored_by_what_comes():
    noise = np.exp(0.01 * np.random.default_rng(1).standard_normal(2000))
    losses = (0.5 + 4.0 * STEPS**-0.7) * noise
    made = forecast(fit_power_law(STEPS[:1000:8], losses[:1000:8]), 2000)
    told = score_forecast(made, STEPS, losses)
    assert told.error < 0.03
    assert 0.85 < told.coverage <= 1
    wrong = score_forecast(made, STEPS, losses * 1.5)
    assert wrong.error == pytest.approx(1 / 3, abs=0.03)
    assert wrong.coverage == 0


@pytest.mark.parametrize(
    ("steps", "losses", "message"),
    [
        (np.arange(1, 6), np.ones(5), "8 losses"),
        (np.arange(20), np.ones(20), "ascend from 1"),
        (np.arange(1, 21), np.r_[np.ones(19), np.nan], "positive and finite"),
        (np.arange(1, 21), np.ones(19), "as long"),
    ],
)
def test_bad_curves_are_refused(steps, losses, message):
    with pytest.raises(ValueError, match=message):
        fit_power_law(steps, losses)


def test_a_forecast_needs_a_schedule_and_something_ahead():
    made = fit_annealing_law(STEPS[::10], annealing_curve(cosine_schedule(2000))[::10], cosine_schedule(2000))
    with pytest.raises(ValueError, match="pass rates"):
        forecast(made, 2500)
    with pytest.raises(ValueError, match="beyond 1,991"):
        forecast(made, 1000, cosine_schedule(2000))


def test_laws_forecasts_and_bounds_have_pictures():
    made = fit_annealing_law(STEPS[::10], annealing_curve(cosine_schedule(2000))[::10], cosine_schedule(2000))
    told = score_forecast(
        forecast(made, 2200, cosine_schedule(2200)), STEPS, annealing_curve(cosine_schedule(2200))[:2000]
    )
    for measurement in (made, told, schedule_bound(cosine_schedule(100))):
        for dark in (False, True):
            drawn = figure(measurement, dark=dark)
            assert len(drawn.data) >= 3
            assert drawn.layout.yaxis.title.text
