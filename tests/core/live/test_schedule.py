"""When probes run: at the steps they were asked to, more often where more changes, and again after a want of memory."""

import itertools
import math

import pytest
import torch
from torch import nn

from landscope.live import Probe, watch
from landscope.live.budget import Budget
from landscope.live.memory import is_out_of_memory
from landscope.live.schedule import next_due, relative_change
from landscope.runs import open_run


def due_steps(every, until):
    steps = itertools.takewhile(lambda step: step <= until, itertools.count())
    found, due = [], 0
    for step in steps:
        if step >= due:
            found.append(step)
            due = next_due(every, step)
    return found


def test_fixed_log_spaced_and_other_schedules():
    assert due_steps(3, 10) == [0, 3, 6, 9]
    assert due_steps(None, 4) == [0, 1, 2, 3, 4]
    assert due_steps("asked", 100) == [0]
    log = due_steps("log", 100_000)
    assert log[:12] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert all(later <= math.ceil(1.1 * earlier) for earlier, later in itertools.pairwise(log[11:]))
    a_decade = sum(1000 < step <= 10_000 for step in log)
    assert a_decade == pytest.approx(math.log(10) / math.log(1.1), abs=1)


def test_a_fixed_schedule_that_had_to_wait_goes_on_at_its_multiples():
    assert next_due(100, 250) == 300


@pytest.mark.parametrize("every", [0, -1, 2.5, "sometimes"])
def test_what_is_no_schedule_is_refused(every):
    with pytest.raises(ValueError, match="every must be a positive number of steps, 'log', 'asked' or None, got"):
        Probe("x", lambda watched: None, every=every)


def test_relative_change_is_a_median_and_knows_no_scale():
    before, after = {"a": 1.0, "b": 10.0, "c": 4.0, "new": 1.0}, {"a": 2.0, "b": 10.0, "c": 5.0}
    assert relative_change(before, after) == pytest.approx(0.2)  # of 0.5, 0 and 0.2
    assert relative_change({"a": 1.0}, {"a": -1.0}) == 2.0
    assert relative_change({"a": 0.0}, {"a": 0.0}) == 0.0
    assert relative_change({"a": math.nan, "b": 1.0}, {"a": 1.0, "b": math.inf}) is None
    assert relative_change({}, {"a": 1.0}) is None


def simulate(budget, costs, rates, seconds, step=0.02):
    """A training whose every probe measures a number that grows at a relative rate; returns how often each ran."""
    counts, last, now = dict.fromkeys(costs, 0), dict.fromkeys(costs, 0.0), 0.0
    for training in (step * index for index in range(1, int(seconds / step))):
        now += step
        for name in budget.affordable(training, now):
            now += costs[name]
            budget.charge(name, costs[name], now)
            budget.changed(name, 1 - math.exp(-rates[name] * (training - last[name])), training)
            counts[name], last[name] = counts[name] + 1, training
    return counts


def test_what_changes_fast_is_measured_more_often_within_bounds_and_within_the_budget():
    costs = dict.fromkeys(("still", "slow", "medium", "fast"), 0.3)
    rates = {"still": 0.0, "slow": 1e-3, "medium": 4e-3, "fast": 9e-3}
    budget = Budget(0.2, dict.fromkeys(costs, 1.0))
    for name in costs:
        budget.charge(name, 0.3, 0.0)
    first = budget.spent
    counts = simulate(budget, costs, rates, 400)
    assert budget.spent - first <= 0.2 * 400 + 0.3
    assert counts["fast"] > 1.3 * counts["medium"] > 1.3 * counts["slow"]
    # As the square root of the rate, within a factor of two from the median of the four, which is 1.5 sqrt(1e-3).
    shares = {name: budget.share(name) for name in costs}
    assert shares["fast"] / shares["medium"] == pytest.approx(1.5, rel=0.1)
    assert shares["still"] / shares["fast"] == pytest.approx(1 / 4, rel=0.05)
    assert sum(shares.values()) == pytest.approx(1.0)


def test_dear_probes_gain_by_the_square_root_of_their_cost():
    budget = Budget(0.1, dict.fromkeys(("cheap", "dear"), 1.0))
    for name, cost in (("cheap", 0.1), ("dear", 0.4)):
        budget.charge(name, 4 * cost, 0.0)
        for training in (0.0, 10.0):
            budget.changed(name, 0.1, training)
    assert budget.share("dear") / budget.share("cheap") == pytest.approx(2.0)


def test_shares_that_change_never_earn_more_than_the_budget():
    budget = Budget(0.1, {"a": 1.0, "b": 1.0})
    budget.charge("a", 1.0, 0.0)
    budget.charge("b", 1.0, 0.0)
    first, now = budget.spent, 0.0
    for tick in range(1, 4000):
        training = 0.05 * tick
        now = max(now, training)
        faster = "ab"[tick // 1000 % 2]
        for name in budget.affordable(training, now):
            budget.charge(name, 0.25, now)
            budget.changed(name, 0.5 if name == faster else 0.001, training)
        assert budget.spent - first <= 0.1 * training + 0.25


def test_what_a_dropped_probe_had_left_goes_to_the_others():
    budget = Budget(0.1, {"kept": 1.0, "dropped": 1.0})
    for name in ("kept", "dropped"):
        budget.charge(name, 4.0, 0.0)
    assert budget.affordable(15.0, 20.0) == []  # 0.75 each, of the 1.0 expected
    budget.drop("dropped")
    assert budget.affordable(15.0, 20.0) == ["kept"]


def watched_steps(tmp_path, probes, steps, **options):
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    options = {"overhead": math.inf} | options
    scope = watch(model, nn.MSELoss(), (torch.randn(8, 3), torch.randn(8, 2)), probes=probes, runs=tmp_path, **options)
    for _ in range(steps):
        scope.step()
    return scope


def counting(name, **options):
    return Probe(name, lambda watched: {f"{name}/step": float(watched.step)}, **options)


def test_probes_run_at_their_steps_when_nothing_bounds_them(tmp_path):
    probes = [
        counting("fixed", every=7),
        counting("log", every="log"),
        counting("each"),
        counting("mine", every="asked"),
    ]
    with watched_steps(tmp_path, probes, 30) as scope:
        scope.measure("mine")
        with pytest.raises(ValueError, match="no probe is called yours; there are: fixed, log, each, mine"):
            scope.measure("yours")
    run = open_run(scope.path)
    assert run.scalars("fixed/step")[0].tolist() == [0, 7, 14, 21, 28]
    assert run.scalars("log/step")[0].tolist() == [*range(12), 13, 15, 17, 19, 21, 24, 27, 30]
    assert run.scalars("each/step")[0].tolist() == list(range(31))
    assert run.scalars("mine/step")[0].tolist() == [30]


def test_a_schedule_keeps_to_the_budget_unless_asked_otherwise(tmp_path):
    def slow(watched):
        torch.linspace(0, 1, 3_000_000).sin().sum()  # milliseconds, beside steps of microseconds
        return {"slow": float(watched.step)}

    with watched_steps(tmp_path, [Probe("slow", slow, every=2)], 100, overhead=0.01) as scope:
        pass
    assert len(open_run(scope.path).scalars("slow")[0]) < 10


@pytest.mark.parametrize(
    "failure",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 80 GiB"),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] . DefaultCPUAllocator: not enough memory: you tried to allocate"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_out_of_memory_is_tried_once_more_with_half_of_the_examples(tmp_path, failure):
    seen = []

    def hungry(watched):
        seen.append((watched.train.examples, watched.focus.examples, watched.sketch.examples))
        if watched.focus.examples > 4:
            raise failure
        return {"fine": 1.0}

    with watched_steps(tmp_path, [Probe("hungry", hungry)], 2) as scope:
        pass
    run = open_run(scope.path)
    assert seen == [(8, 8, 8), *[(4, 4, 4)] * 3]
    assert len(run.scalars("fine")[0]) == 3
    (event,) = run.events("probe-halved")
    assert "goes on with half of its examples" in event.text
    assert not run.events("probe-off")


def test_out_of_memory_twice_switches_off_with_a_remedy(tmp_path):
    def starved(watched):
        raise torch.OutOfMemoryError("tried to allocate 80 GiB")

    with watched_steps(tmp_path, [Probe("starved", starved)], 2) as scope:
        pass
    (event,) = open_run(scope.path).events("probe-off")
    assert event.text == (
        "OutOfMemoryError: tried to allocate 80 GiB; also with half of its examples: watch with fewer examples=, or "
        "leave it out of probes="
    )


def test_a_real_want_of_memory_is_known_as_one():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(raised.value)
    assert not is_out_of_memory(ValueError("not enough memory"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_weights_that_are_not_finite_switch_nothing_off(tmp_path):
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    healthy = model.weight.detach().clone()

    def refuses(watched):
        if not torch.isfinite(watched.focus.gradient()).all():
            raise FloatingPointError("a product is not finite")
        return {"fine": 1.0}

    data = (torch.randn(8, 3), torch.randn(8, 2))
    with watch(model, nn.MSELoss(), data, probes=[Probe("p", refuses)], runs=tmp_path, overhead=math.inf) as scope:
        for value in (float("nan"), healthy):
            with torch.no_grad():
                model.weight.copy_(torch.as_tensor(value).expand_as(model.weight))
            scope.step()
    run = open_run(scope.path)
    assert not run.events("probe-off")
    assert run.scalars("fine")[0].tolist() == [0, 2]
