"""The budget, on a made-up clock."""

import pytest

from landscope.live.budget import Budget


def simulate(budget, costs, seconds, step=0.01):
    """Runs a training of `seconds` whose every step offers the probes their turn; returns how often each ran."""
    counts = dict.fromkeys(costs, 0)
    training = now = 0.0
    while training < seconds:
        training += step
        now += step
        for name in budget.affordable(training, now):
            now += costs[name]
            budget.charge(name, costs[name], now)
            counts[name] += 1
    return counts


def begun(overhead, costs, weights=None):
    """A budget after a first picture, each probe of which was expected to cost nothing."""
    budget = Budget(overhead, weights or dict.fromkeys(costs, 1.0))
    for name, cost in costs.items():
        budget.charge(name, cost, 0.0)
    return budget


@pytest.mark.parametrize("overhead", [0.02, 0.1, 1.0])
def test_spends_its_share_and_not_more(overhead):
    costs = {"cheap": 0.001, "middling": 0.05, "dear": 0.4}
    budget = begun(overhead, costs)
    first = budget.spent
    assert first == pytest.approx(sum(costs.values()))
    simulate(budget, costs, 200)
    # A probe starts only when its last cost fits; only its second run, of guessed cost, can overdraw.
    assert budget.spent - first <= overhead * 200 + 0.4
    assert budget.spent - first >= 0.3 * min(overhead * 200, 200 / 0.2 * 0.001)


def test_a_dear_probe_does_not_starve_a_cheap_one():
    costs = {"cheap": 0.001, "dear": 5.0}
    counts = simulate(begun(0.1, costs), costs, 250)
    assert counts["cheap"] > 600
    assert counts["dear"] == 2  # its share is 12.5 s


def test_the_first_picture_is_shown_but_not_paid_back():
    costs = {"probe": 10.0}
    budget = begun(0.1, costs)
    assert budget.affordable(20.0, 20.0) == []  # not yet a quarter of the first cost
    assert budget.affordable(26.0, 26.0) == ["probe"]
    assert budget.spent == 10.0


def test_the_first_picture_holds_what_is_likely_to_fit():
    budget = Budget(0.1, dict.fromkeys(("cheap", "middling", "dear"), 1.0))
    for name, seconds in (("dear", 60.0), ("cheap", 0.1), ("middling", 3.0)):
        budget.expect(name, seconds)
    ran = []
    for name in budget.first_picture():  # five seconds' worth
        ran.append(name)
        budget.charge(name, 1.0, 0.0)
    assert ran == ["cheap", "middling"]
    assert budget.affordable(1199.0, 1.0)[-2:] == ["cheap", "middling"]
    assert "dear" in budget.affordable(1801.0, 1.0)  # a third of a tenth of that is sixty seconds


def test_a_probe_that_had_nothing_to_measure_yet_keeps_its_place_in_the_first_picture():
    budget = Budget(0.1, {"probe": 1.0})
    budget.expect("probe", 2.0)
    assert list(budget.first_picture()) == ["probe"]
    budget.charge("probe", 0.01, 0.0, measured=False)
    assert budget.affordable(0.1, 1.0) == ["probe"]
    budget.charge("probe", 2.0, 3.0)
    assert budget.affordable(4.9, 9.0) == []
    assert budget.affordable(5.1, 9.0) == ["probe"]  # which earned a quarter of the first run's cost


def test_what_watching_costs_besides_is_taken_off():
    costs = {"probe": 0.5}
    budget = begun(0.1, costs)
    assert budget.affordable(2.0, 9.0) == ["probe"]
    budget.charge_besides(0.1)
    assert budget.affordable(2.0, 9.0) == []
    assert budget.affordable(2.3, 9.0) == ["probe"]
    assert budget.spent == pytest.approx(0.6)


def test_weights_divide_the_time():
    costs = {"light": 0.3, "heavy": 0.3}
    counts = simulate(begun(0.5, costs, {"light": 1.0, "heavy": 3.0}), costs, 400)
    assert counts["heavy"] == pytest.approx(3 * counts["light"], rel=0.1)


def test_a_dropped_probe_leaves_its_share_to_the_others():
    budget = Budget(0.1, {"kept": 1.0, "dropped": 1.0})
    budget.drop("dropped")
    assert simulate(budget, {"kept": 0.5}, 100)["kept"] == pytest.approx(20, abs=1)


@pytest.mark.parametrize("overhead", [0, -0.1, float("nan")])
def test_overhead_must_be_positive(overhead):
    with pytest.raises(ValueError, match="overhead must be positive"):
        Budget(overhead, {"probe": 1.0})


def test_weight_must_be_positive():
    with pytest.raises(ValueError, match="weight of probe 'slice' must be positive, got 0"):
        Budget(0.1, {"slice": 0})


def test_the_dear_part_of_a_measurement_is_kept_in_mind_through_its_cheap_ones():
    budget = begun(0.1, {"slice": 0.1})
    training, spent_at_most = 0.0, []
    for tick in range(400):
        while not budget.affordable(training, training):
            training += 0.05
        seconds = 1.0 if tick % 20 == 0 else 0.1
        budget.charge("slice", seconds, training, measured=tick % 10 == 9)
        if tick > 20:
            spent_at_most.append(budget.spent - 0.1 - 0.1 * training)
    # Had the last tick been the estimate, each new measurement would have overdrawn by 0.9 s.
    assert max(spent_at_most) < 0.5
