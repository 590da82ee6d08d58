"""Three schedules: a causal model of a fixed text, a bound fitted by its constants, and the verdict of the numbers."""

import numpy as np
import pytest
import torch

from landscope.dynamics import forecast, schedule_bound, score_forecast
from landscope.measurements import Forecast, LossLaw, Provenance
from landscope.recipes import schedule
from landscope.recipes.charts import lines
from landscope.recipes.schedule import (
    SCHEDULES,
    CharacterTransformer,
    Config,
    agreement,
    documentation,
    factors,
    judge,
    train,
    windows,
)
from landscope.recipes.studies import Study
from landscope.runs import open_run


def test_the_text_is_all_there_and_cut_into_windows_without_overlap():
    text, characters = documentation()
    assert len(text) > 100_000
    assert int(text.max()) + 1 == characters == len(text.unique())
    trained, held_out, again = windows()
    assert trained.shape[1] == held_out.shape[1] == 33
    assert again == characters
    cut = text[: len(text) // 33 * 33].view(-1, 33)
    ours = torch.cat([trained, held_out])
    assert sorted(map(tuple, ours.tolist())) == sorted(map(tuple, cut.tolist()))


def test_the_transformer_does_not_look_ahead():
    torch.manual_seed(0)
    model = CharacterTransformer(7, 8, 2)
    seen = torch.randint(7, (2, 32))
    other = seen.clone()
    other[:, 20:] = (other[:, 20:] + 1) % 7
    first, second = model(seen).detach(), model(other).detach()
    assert first.shape == (2, 7, 32)
    torch.testing.assert_close(first[..., :20], second[..., :20])
    assert (first[..., 20] - second[..., 20]).abs().max() > 1e-3


def test_schedules_begin_alike_and_two_of_them_fall_to_nothing():
    constant, cosine, stable = factors(Config(steps=200)).values()
    np.testing.assert_array_equal(constant[:160], stable[:160])
    assert constant[-1] == 1
    assert 0 < cosine[-1] < 0.01
    assert 0 < stable[-1] < 0.05


def test_a_bound_is_fitted_exactly_to_losses_that_are_one():
    rates = np.stack(list(factors(Config(steps=300)).values()))
    at = np.arange(30, 301, 10)
    bounds = [schedule_bound(rate, start=3.0, gradients=0.5).bound[at - 1] for rate in rates]
    losses = 1.5 + 0.2 * np.stack(bounds)
    np.testing.assert_allclose(agreement(rates, losses, at), losses, rtol=1e-9)
    assert np.abs(agreement(rates, losses[::-1], at) - losses[::-1]).max() > 1e-3


def test_a_small_study_shows_all_of_it_and_can_be_judged(tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, "_HELD_OUT", 8)
    run = open_run(train(Config(steps=100, head=2, batch_size=2), tmp_path))
    names = [event.data["name"] for event in run.events("exhibit")]
    assert names == ["rates", "bound", "losses", "agreement", "forecast", "cooldown"]
    losses = run.measurement("exhibit/losses").y
    np.testing.assert_array_equal(losses["constant"][:80], losses[SCHEDULES[2]][:80])
    assert (losses["constant"][81:] != losses[SCHEDULES[2]][81:]).all()
    told = run.measurement("exhibit/forecast")
    assert told.made_at == 10
    assert told.error is not None
    assert len(judge(run)) == 4


def record(root, *, losses, bound, error, power):
    """A study that ended at these losses and bounds, one for each schedule, and was so far off."""
    at = np.arange(1, 4)
    words = ("", "", ("", ""))
    with Study("schedule", Config(), root, total=1) as study:
        came = {name: (at, np.array([2.5, 2.2, loss])) for name, loss in zip(SCHEDULES, losses, strict=True)}
        told = {f"bound, {name}": (at, np.array([2.5, 2.2, b])) for name, b in zip(SCHEDULES, bound, strict=True)}
        study.exhibit("losses", lines(*words, came))
        study.exhibit("agreement", lines(*words, came, expected=told))
        expected = np.array([2.0, 2.0])
        made = Forecast(
            provenance=Provenance(method="by hand"), law="annealing", made_at=0, steps=at[:2], expected=expected,
            low=expected, high=expected,
        )  # fmt: skip
        study.exhibit("forecast", score_forecast(made, at[:2], expected / (1 - error)), "forecast")
        cooling = {SCHEDULES[2]: (at[:1], [2.0])}
        laws = {"annealing law": (at[:1], [2 * (1 + error)]), "power law": (at[:1], [2 * (1 + power)])}
        study.exhibit("cooldown", lines(*words, cooling, expected=laws))
        study.advance()
    return open_run(study.path)


@pytest.mark.parametrize(
    ("losses", "bound", "error", "power", "outcomes"),
    [
        ([2.0, 1.9, 1.85], [2.0, 1.9, 1.85], 0.005, 0.02, ["reproduced"] * 4),
        ([1.7, 1.9, 2.0], [2.6, 2.3, 2.1], 0.05, 0.03, ["not here"] * 4),
        ([1.9, 2.0, 1.85], [1.9, 1.85, 1.86], 0.015, 0.02, ["partly"] * 4),
    ],
)
def test_the_verdict_is_that_of_the_numbers(tmp_path, losses, bound, error, power, outcomes):
    run = record(tmp_path, losses=losses, bound=bound, error=error, power=power)
    assert [one.outcome for one in judge(run)] == outcomes


def test_a_law_says_of_another_run_what_its_formula_says():
    law = LossLaw(
        provenance=Provenance(method="by hand"), law="annealing", floor=1.0, scale=2.0, exponent=0.5, annealing=0.1,
        memory=0.0, covariance=np.zeros((4, 4)), steps=np.arange(1.0, 9.0), losses=np.ones(8), fitted=np.ones(8),
        spread=0.0,
    )  # fmt: skip
    rates = np.array([1.0, 1.0, 0.5, 0.25])
    told = forecast(law, 4, rates, first=2)
    # S1 = 2, 2.5, 2.75 and, without memory, S2 is the sum of the falls.
    np.testing.assert_allclose(told.expected, 1 + 2 / np.sqrt([2, 2.5, 2.75]) - 0.1 * np.array([0, 0.5, 0.75]))
    assert told.made_at == 1
    with pytest.raises(ValueError, match="steps must be beyond"):
        forecast(law, 4, rates, first=0)
