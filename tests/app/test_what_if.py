import numpy as np
import pytest

from landscope.dynamics import annealing_areas, wsd_schedule
from landscope.runs import RunWriter
from landscope_app.server import create_server
from landscope_app.what_if import drawn_rates, held_rates, imagined, knots_of
from tests.app.test_api import blank, body

STEPS = 300
RATES = 0.1 * wsd_schedule(STEPS, cooldown=0.4)
KNOTS = "0.08,0.02,0.001"


def losses(rates):
    """A run that obeys the annealing law."""
    forward, annealed = annealing_areas(rates)
    return 1.2 + 0.9 * forward**-0.5 - 0.02 * annealed


def test_knots_are_joined_by_straight_lines():
    np.testing.assert_allclose(drawn_rates(np.array([0.4, 0.2, 0.2]), 5), [0.4, 0.3, 0.2, 0.2, 0.2])


def test_a_rate_holds_until_the_next_is_told():
    assert held_rates(np.array([2, 4]), np.array([0.5, 0.1]), 5).tolist() == [0.5, 0.5, 0.5, 0.1, 0.1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "2 to 16"),
        ("0.1", "2 to 16"),
        (",".join(["0.1"] * 17), "got 17"),
        ("0.1,much", "must be numbers"),
        ("0.1,-1", "finite and positive"),
        ("0.1,0", "finite and positive"),
        ("0.1,nan", "finite and positive"),
        ("inf,0.1", "finite and positive"),
    ],
)
def test_knots_that_make_no_sense(text, message):
    with pytest.raises(ValueError, match=message):
        knots_of(text)


def test_the_law_of_a_run_tells_of_another_schedule():
    at = np.arange(2, STEPS + 1, 2)
    law, made = imagined(at, losses(RATES)[at - 1], RATES, knots_of(KNOTS))
    assert (law.floor, law.scale, law.exponent, law.annealing) == pytest.approx((1.2, 0.9, 0.5, 0.02), rel=1e-3)
    whole = np.concatenate([RATES, drawn_rates(knots_of(KNOTS), STEPS)])
    assert (made.steps[0], made.steps[-1]) == (STEPS + 1, 2 * STEPS)
    np.testing.assert_allclose(made.expected, losses(whole)[STEPS:], rtol=1e-4)


def recorded(root, rates, count=STEPS, name="train/loss", lower=0.0):
    """A run with those learning rates, told where they change."""
    with RunWriter.create(root, name="drawn", config={}) as writer:
        loss = losses(RATES if rates is None else rates)
        for step in range(1, count + 1):
            writer.scalars(step, {name: loss[step - 1] - lower})
            if rates is not None and (step == 1 or rates[step - 1] != rates[step - 2]):
                writer.scalars(step, {"step/learning_rate": rates[step - 1]})
        writer.progress(count, None)
    return writer.id


@pytest.fixture
def ask(tmp_path):
    client = create_server(tmp_path, page=blank).server.test_client()

    def asked(run, knots=KNOTS, rest="", status=200):
        return body(client.get(f"/api/v1/runs/{run}/what-if?knots={knots}{rest}"), status)

    return asked


def test_the_page_is_told_the_forecast_and_its_law(tmp_path, ask):
    run = recorded(tmp_path, RATES)
    told = ask(run)
    whole = np.concatenate([RATES, drawn_rates(knots_of(KNOTS), STEPS)])
    assert (told["refused"], told["made_at"], len(told["steps"])) == ("", STEPS, 200)
    np.testing.assert_allclose(told["expected"], losses(whole)[np.array(told["steps"]) - 1], rtol=1e-3)
    assert (np.array(told["low"]) <= told["expected"]).all()
    for words in (
        "Annealing law",
        "points of the training loss up to step 300",
        "language models (Tissue et al. 2024), and a guess elsewhere",
    ):
        assert words in told["words"]
    earlier = ask(run, rest="&step=250")
    assert (earlier["made_at"], earlier["steps"][0], earlier["steps"][-1]) == (250, 251, 500)
    assert ask(run, knots="0.1,-1", status=400) == {"error": "knots must be finite and positive, got '0.1,-1'"}
    assert "step must be" in ask(run, rest="&step=-1", status=400)["error"]


def test_without_a_change_the_annealing_term_is_left_out_in_words(tmp_path, ask):
    rates = np.full(STEPS, 0.1)
    told = ask(recorded(tmp_path, rates), knots="0.2,0.2")
    assert "never changed, so the annealing term cannot be fitted" in told["words"]
    forward = 0.1 * STEPS + 0.2 * (np.array(told["steps"]) - STEPS)
    np.testing.assert_allclose(told["expected"], 1.2 + 0.9 * forward**-0.5, rtol=1e-3)


def test_a_forecast_below_zero_is_called_one(tmp_path, ask):
    run = recorded(tmp_path, RATES, lower=0.9)
    lasting, spent = ask(run, knots="0.1,0.1"), ask(run, knots="0.0001,0.0001")
    assert min(lasting["expected"]) > 0 > min(spent["expected"])
    assert ["as no loss does" in told["words"] for told in (lasting, spent)] == [False, True]


def test_losses_of_batches_do_where_the_others_are_few(tmp_path, ask):
    told = ask(recorded(tmp_path, RATES, name="step/loss"))
    assert "points of the loss of batches up to step 300" in told["words"]


def test_what_cannot_be_told_is_refused_in_words(tmp_path, ask):
    assert "no recorded learning rate" in ask(recorded(tmp_path, None))["refused"]
    assert ask(recorded(tmp_path, RATES, 15))["refused"] == (
        "A law needs 16 training losses, and up to here there are 15."
    )
