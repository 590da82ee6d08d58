"""Probes in a thread beside the training: the same numbers, the same weights, and no more than the budget."""

import math
import os
import random
import threading
import time
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from landscope.live import Probe, background, default_probes, watch
from landscope.live.background import Background
from landscope.live.placement import Pace, Placement
from landscope.live.probes import Watched
from landscope.live.replica import Replicator, UnsharedError
from landscope.live.trajectory import Trajectory
from landscope.objective import Objective
from landscope.runs import open_run

DEAR = ("sharpness", "sharpness/measures", "quadratic", "density", "slice/random", "slice/hessian", "slice/trajectory")


class Attention(nn.Module):
    """Attention, an embedding, dropout and batch normalisation: what measuring inline switches or isolates."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(11, 8)
        self.qkv = nn.Linear(8, 24)
        self.drop = nn.Dropout(0.2)
        self.norm = nn.BatchNorm1d(8)
        self.readout = nn.Linear(8, 3)

    def forward(self, tokens):
        q, k, v = self.qkv(self.drop(self.tokens(tokens))).unsqueeze(1).chunk(3, dim=-1)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True).squeeze(1)
        return self.readout(self.norm(mixed.mean(1)))


def data(count=48):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(11, (count, 5), generator=generator), torch.randint(3, (count,), generator=generator)


def attention_case(batch_norm="eval", optimizer=torch.optim.AdamW):
    """A network in training, some steps in, as its probes see it."""
    torch.manual_seed(0)
    model = Attention()
    x, y = data()
    steps = optimizer(model.parameters(), lr=1e-2)
    for _ in range(3):
        steps.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        steps.step()
    whole = Objective(model, functional.cross_entropy, (x, y), batch_norm=batch_norm)
    trajectory = Trajectory(whole.layout.size, 4)
    trajectory.add(0, whole.theta() + 0.1, 1.0)
    trajectory.add(2, whole.theta() + 0.05, 1.0)
    return Watched(whole, whole.sample(40), whole, whole.sample(32), whole.sample(32), steps, trajectory, step=3)


def last_of(probe, watched):
    result = probe.measure(watched)
    return [one for one in result if one is not None][-1] if hasattr(result, "__next__") else result


def finished(background):
    found = []
    while True:
        for outcome in background.outcomes():
            assert outcome.failure is None, outcome.failure
            if outcome.ended:
                return [result for result in found if result is not None][-1]
            found.append(outcome.result)
        time.sleep(0.001)


@pytest.mark.parametrize("name", DEAR)
def test_the_numbers_are_those_measured_inline(name):
    watched = attention_case()
    (probe,) = (probe for probe in default_probes() if probe.name == name)
    assert probe.background
    inline = last_of(probe, watched)
    aside = finished(Background(probe, watched, Replicator(watched)))
    if name.startswith("slice"):  # whose points are evaluated one by one or together, as is found faster at the time
        np.testing.assert_allclose(inline.loss, aside.loss, rtol=1e-6)
    else:
        assert inline.scalars() == aside.scalars()
    assert inline.provenance.examples == aside.provenance.examples


def test_numbers_under_batch_statistics_are_those_measured_inline():
    watched = attention_case(batch_norm="batch")
    probe = Probe("gradient", lambda watched: {"norm": float(watched.focus.gradient().norm())})
    assert finished(Background(probe, watched, Replicator(watched))) == probe.measure(watched)


def test_a_thread_sees_the_weights_and_the_optimiser_of_its_step_while_both_go_on():
    watched = attention_case()
    model, optimizer = watched.train.model, watched.optimizer
    gate = threading.Event()

    def looks(seen):
        gate.wait()
        moments = [state["exp_avg_sq"].sum().item() for state in seen.optimizer.state.values()]
        return {
            "theta": seen.focus.theta().sum().item(),
            "moments": sum(moments),
            "lr": seen.optimizer.param_groups[0]["lr"],
        }

    gate.set()
    expected = looks(watched)
    gate.clear()
    aside = Background(Probe("looks", looks), watched, Replicator(watched))
    x, y = data()
    for _ in range(3):
        functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    optimizer.param_groups[0]["lr"] = 5.0
    gate.set()
    assert finished(aside) == expected


def generators():
    return torch.get_rng_state().sum(), random.getstate(), np.random.get_state()[1].sum()  # noqa: NPY002


def test_a_thread_leaves_generators_switches_and_the_module_alone():
    watched = attention_case()
    (probe,) = (probe for probe in default_probes() if probe.name == "density")
    replicator = Replicator(watched)
    watched.train.model.train()
    before, buffers = generators(), {n: b.clone() for n, b in watched.train.model.named_buffers()}
    aside = Background(probe, watched, replicator)
    switches = set()
    while aside._thread.is_alive():
        switches.add((torch.backends.cuda.flash_sdp_enabled(), torch.backends.mha.get_fastpath_enabled()))
        assert watched.train.model.training
    assert finished(aside).kind == "density"
    assert switches == {(True, True)}
    assert generators() == before
    assert all(torch.equal(b, buffers[n]) for n, b in watched.train.model.named_buffers())


def watched_case(model, **options):
    objective = Objective(model, nn.MSELoss(), (torch.randn(40, 3), torch.randn(40, 2)), **options)
    return Watched(objective, None, objective, objective, None, None, Trajectory(objective.layout.size, 4))


class Drawing(nn.Linear):
    def forward(self, inputs):
        torch.rand(1)  # not used, yet the next number of the training is another one
        return super().forward(inputs)


def hooked():
    model = nn.Linear(3, 2)
    model.register_forward_hook(lambda *_: None)
    return model


class Uncopied(nn.Linear):
    def __deepcopy__(self, memo):
        raise TypeError("this holds a lock")


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Drawing(3, 2), "draws random numbers"),
        (hooked(), "has hooks"),
        (Uncopied(3, 2), "cannot be copied .TypeError: this holds a lock"),
        (nn.Sequential(nn.Linear(3, 2), nn.Flatten(0), nn.Unflatten(0, (-1, 2))), None),
    ],
)
def test_a_model_that_two_threads_cannot_share_is_refused_with_the_reason(model, reason):
    watched = watched_case(model)
    if reason is None:
        Replicator(watched)
        return
    with pytest.raises(UnsharedError, match=reason):
        Replicator(watched)


def test_a_forward_that_looks_at_the_user_s_own_model_is_found_out():
    model = nn.Linear(3, 2)
    watched = watched_case(model, forward=lambda _, batch: model(batch[0]))
    with pytest.raises(UnsharedError, match="looks at something else than the model it is given"):
        Replicator(watched)


def test_fast_paths_that_are_switched_for_the_whole_process_are_refused():
    with pytest.raises(UnsharedError, match="it has a MultiheadAttention, whose fast path"):
        Replicator(
            watched_case(
                nn.ModuleDict({"a": nn.MultiheadAttention(4, 1), "b": nn.Linear(3, 2)}),
                forward=lambda m, b: m["b"](b[0]),
            )
        )


def test_a_thread_ends_when_asked_within_a_second():
    watched = attention_case()

    def endless(seen):
        while True:
            seen.sketch.value()

    aside = Background(Probe("endless", endless), watched, Replicator(watched))
    began = time.perf_counter()
    aside.end()
    assert time.perf_counter() - began < 1
    assert not aside._thread.is_alive()


def test_a_process_forks_only_between_two_calls_of_the_model():
    watched = attention_case()

    def endless(seen):
        while True:
            seen.sketch.gradient()

    aside = Background(Probe("endless", endless), watched, Replicator(watched))
    try:
        for _ in range(5):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of newer Pythons, as for a loader's workers
                child = os.fork()
            if child == 0:
                free = background._computing.acquire(blocking=False)
                os._exit(0 if free and torch.ones(8, 8).matmul(torch.ones(8, 8)).sum() == 512 else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        aside.end()
    assert not aside._thread.is_alive()


def trained(path=None, steps=60, **options):
    """A training with dropout and shuffling, watched if there is a folder for it."""
    torch.manual_seed(0)
    model = Attention()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    x, y = data()
    scope = None
    if path is not None:
        scope = watch(model, functional.cross_entropy, (x, y), None, optimizer, runs=path, overhead=50.0, **options)
    for _ in range(steps):
        chosen = torch.randperm(len(x))[:16]
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x[chosen]), y[chosen])
        loss.backward()
        optimizer.step()
        if scope:
            scope.step(loss)
    if scope:
        scope.close()
    return model, optimizer, scope


@pytest.fixture
def always(monkeypatch):
    """Whatever may run in the background does."""
    monkeypatch.setattr(Placement, "where", lambda self, step: "inline" if step is None else "background")


def test_training_is_bit_identical_with_probes_in_the_background(tmp_path, always):
    model, optimizer, scope = trained(tmp_path)
    alone, alone_optimizer, _ = trained()
    for name, tensor in alone.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name
    for state, other in zip(optimizer.state.values(), alone_optimizer.state.values(), strict=True):
        assert torch.equal(state["exp_avg_sq"], other["exp_avg_sq"])
    run = open_run(scope.path)
    frames = [frame for frame in run.frames() if frame.name in DEAR]
    beside = [f for f in frames if run.measurement(f.name, f.step).provenance.background]
    assert beside
    assert not run.events("probe-off")
    assert [event.data["where"] for event in run.events("probe-placed") if "where" in event.data]


def test_a_failure_in_the_background_sends_a_probe_inline_with_its_reason(tmp_path, always):
    def fails(watched):
        if watched.focus.function.alone:
            raise RuntimeError("not here")
        return {"inline": float(watched.step)}

    torch.manual_seed(0)
    model, batch = nn.Linear(3, 2), (torch.randn(8, 3), torch.randn(8, 2))
    probe = Probe("fails", fails, background=True, every=5)
    with watch(model, nn.MSELoss(), batch, probes=[probe], runs=tmp_path, overhead=math.inf) as scope:
        for _ in range(40):
            scope.step()
            time.sleep(0.002)
    run = open_run(scope.path)
    (event,) = run.events("probe-placed")
    assert event.text == "fails runs inline, between steps: RuntimeError: not here in the background"
    assert not run.events("probe-off")
    assert run.scalars("inline")[0][-1] == 40


def test_watching_says_why_nothing_runs_in_the_background(tmp_path, always):
    probe = Probe("p", lambda watched: {"x": 1.0}, background=True, every=5)
    batch = (torch.randn(8, 3), torch.randn(8, 2))
    with watch(hooked(), nn.MSELoss(), batch, probes=[probe], runs=tmp_path, overhead=math.inf) as scope:
        for _ in range(40):
            scope.step()
    (event,) = open_run(scope.path).events("probe-placed")
    assert event.text == ("probes run inline, between steps: module 'Linear' has hooks, which would run in two threads")


def test_what_a_thread_costs_is_by_how_much_it_lengthens_steps():
    pace = Pace()
    for _ in range(7):
        pace.add(0.010, beside=False)
    assert pace.typical is None
    pace.add(5.0, beside=False)  # a validation
    assert pace.typical == pytest.approx(0.010)
    assert pace.rested
    for seconds in (0.015, 0.015, 0.015, 3.0):  # another one
        pace.add(seconds, beside=True)
    assert pace.lost() == pytest.approx(4 * 0.005)
    assert not pace.rested
    pace.add(0.009, beside=True)
    assert pace.lost() == 0.0


def test_a_probe_runs_where_it_costs_training_less():
    placement = Placement()
    placement.took("inline", 9.0)  # the first run is no measure
    assert placement.where(0.01) == "inline"
    placement.took("inline", 1.0)
    assert placement.where(None) == "inline"
    assert placement.where(0.2) == "inline"  # five steps: not dear
    assert placement.where(0.01) == "background"  # a trial
    placement.took("background", 0.9)
    assert placement.where(0.01) == "inline"
    placement.background = 0.5
    assert placement.where(0.01) == "background"
    placement.took("background", 0.95)
    assert placement.where(0.01) == "inline"
    for _ in range(50):
        placement.took("inline", 1.0)
    assert placement.where(0.01) == "background"  # machines change: tried again


def test_a_thread_has_its_own_number_of_threads(monkeypatch):
    monkeypatch.setattr("landscope.live.background._cores", lambda: 3)
    watched = watched_case(nn.Linear(3, 2))
    probe, later = Probe("count", lambda seen: {"threads": float(torch.get_num_threads())}), []
    torch.set_num_threads(2)
    try:
        found = finished(Background(probe, watched, Replicator(watched)))
        another = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        another.start()
        another.join()
        assert (found, torch.get_num_threads(), later) == ({"threads": 1.0}, 2, [2])
    finally:
        torch.set_num_threads(1)
