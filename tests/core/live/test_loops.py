"""Loops as people have them: watched, they count their steps right and come to the same weights, bit for bit."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from landscope.live import default_probes, watch
from landscope.live.alterations import Alterations
from landscope.runs import open_run

STEPS = 4
X = torch.randn(24, 5, generator=torch.Generator().manual_seed(1))
Y = torch.arange(24) % 3


def following():
    return [probe for probe in default_probes() if probe.name in FOLLOWING]


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.2), nn.Tanh(), nn.Linear(8, 3))


def batch():
    chosen = torch.randperm(len(X))[:12]
    return X[chosen], Y[chosen]


def plain(model, watched, *, groups=False):
    parts = [{"params": model[0].parameters()}, {"params": model[3].parameters(), "lr": 0.01}]
    optimizer = torch.optim.SGD(parts if groups else model.parameters(), lr=0.1, momentum=0.9, nesterov=groups)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    scope = watched(model, optimizer)
    for _ in range(STEPS):
        x, y = batch()
        optimizer.zero_grad()
        loss = cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step()
        scope.step(loss)


def groups(model, watched):
    plain(model, watched, groups=True)


def accumulated(model, watched):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    scope = watched(model, optimizer)
    for micro in range(3 * STEPS):
        x, y = batch()
        loss = cross_entropy(model(x), y)
        (loss / 3).backward()
        if micro % 3 == 2:
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            optimizer.zero_grad()
        scope.step(loss)  # after every micro-batch, of which only those with a step count


def mixed_precision(model, watched):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scope = watched(model, optimizer)
    for _ in range(STEPS):
        x, y = batch()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        scope.step(loss)


def scaled(model, watched):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    scope = watched(model, optimizer)
    for number in range(STEPS + 2):
        x, y = batch()
        optimizer.zero_grad()
        loss = cross_entropy(model(x), y)
        scaler.scale(loss * (float("inf") if number in (0, 3) else 1.0)).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)  # skipped twice
        scaler.update()
        scope.step(loss)


def closures(model, watched):
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=3)
    scope = watched(model, optimizer)

    def closure():
        optimizer.zero_grad()
        loss = cross_entropy(model(X), Y)
        loss.backward()
        return loss

    for _ in range(STEPS):
        scope.step(optimizer.step(closure))


def several_optimizers(model, watched):
    optimizers = [torch.optim.SGD(model[0].parameters(), lr=0.1), torch.optim.Adam(model[3].parameters())]
    scope = watched(model, optimizers)
    for _ in range(STEPS):
        x, y = batch()
        model.zero_grad()
        loss = cross_entropy(model(x), y)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        scope.step(loss)


def compiled(model, watched):
    plain(model, lambda model, optimizer: watched(torch.compile(model, backend="eager"), optimizer))


def compiled_in_place(model, watched):
    model.compile(backend="eager")
    plain(model, watched)


def parallel(model, watched):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    wrapper = nn.DataParallel(model)
    scope = watched(wrapper, optimizer)
    for _ in range(STEPS):
        x, y = batch()
        optimizer.zero_grad()
        loss = cross_entropy(wrapper(x), y)
        loss.backward()
        optimizer.step()
        scope.step(loss.item())


def by_hand(model, watched):
    scope = watched(model, None)
    for _ in range(STEPS):
        x, y = batch()
        loss = cross_entropy(model(x), y)
        for parameter, slope in zip(model.parameters(), torch.autograd.grad(loss, model.parameters()), strict=True):
            parameter.data -= 0.1 * slope
        scope.step()


LOOPS = [
    plain, groups, accumulated, mixed_precision, scaled, closures, several_optimizers, compiled, compiled_in_place,
    parallel, by_hand,
]  # fmt: skip
PROBES = [probe for probe in default_probes() if probe.name in ("evaluate", "norms", "sharpness")]
FOLLOWING = {"evaluate", "sharpness", "ntk", "linearised", "slice/trajectory"}  # what builds on what it found before


class Unwatched:
    """In place of a scope: nobody looks."""

    def step(self, loss=None):
        pass


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.__name__)
def test_steps_are_counted_and_weights_are_bit_identical(loop, tmp_path):
    model, scopes = network(), []

    def watched(model, optimizer):
        scopes.append(
            watch(model, cross_entropy, (X, Y), optimizer=optimizer, probes=PROBES, runs=tmp_path, overhead=9)
        )
        return scopes[0]

    loop(model, watched)
    scopes[0].measure()
    scopes[0].close()
    alone = network()
    loop(alone, lambda *_: Unwatched())
    torch._dynamo.reset()
    for (name, ours), theirs in zip(model.state_dict().items(), alone.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name
    run = open_run(scopes[0].path)
    assert not run.events("probe-off")
    assert scopes[0].step_number == STEPS
    if loop is not by_hand:
        assert run.scalars("step/loss")[0].tolist() == list(range(1, STEPS + 1))
    snapshot = run.measurement("snapshot")
    assert snapshot.names == ("0.weight", "0.bias", "3.weight", "3.bias")
    assert snapshot.provenance.step == STEPS
    assert run.scalars("sharpness/lambda_max")[0][-1] == STEPS


@pytest.mark.parametrize(
    "build",
    [
        lambda p: torch.optim.SGD(p, lr=0.1, foreach=True),
        lambda p: torch.optim.SGD(p, lr=0.1, foreach=False),
        lambda p: torch.optim.Adam(p, foreach=True),
        torch.optim.RMSprop,
        torch.optim.Adagrad,
        torch.optim.Rprop,
        torch.optim.ASGD,
        torch.optim.LBFGS,
    ],
)
def test_a_step_of_torch_s_optimizers_is_seen_and_nothing_else_is(build):
    model = network()
    optimizer = build(list(model.parameters()))
    alterations = Alterations(model, optimizer)
    loss = cross_entropy(model(X), Y)
    loss.backward(retain_graph=True)
    assert not alterations.stepped()
    if isinstance(optimizer, torch.optim.LBFGS):
        optimizer.step(lambda: loss)
    else:
        optimizer.step()
    assert alterations.stepped()
    assert not alterations.stepped()
    optimizer.zero_grad()
    assert not alterations.stepped()
    assert not alterations.reformed()


def test_an_optimizer_from_elsewhere_is_taken_at_its_word():
    class Foreign(torch.optim.SGD):
        pass

    model = network()
    assert Alterations(model, Foreign(model.parameters(), lr=0.1)).stepped()
    assert Alterations(model, torch.optim.SGD(model.parameters(), lr=0.1, fused=True)).stepped()
    assert Alterations(model, None).stepped()


def test_layers_unfrozen_later_are_measured_from_then_on(tmp_path):
    model = network()
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(
        model, cross_entropy, (X, Y), (X, Y), optimizer, probes=following(), runs=tmp_path, overhead=1e9
    ) as scope:
        for step in range(1, 7):
            if step == 4:
                model[0].requires_grad_(True)
            optimizer.zero_grad()
            loss = cross_entropy(model(X), Y)
            loss.backward()
            optimizer.step()
            scope.step(loss)
        scope.measure()
    run = open_run(scope.path)
    assert not run.events("probe-off")
    assert run.measurement("snapshot", step=3).names == ("3.weight", "3.bias")
    snapshot = run.measurement("snapshot")
    assert snapshot.names == ("0.weight", "0.bias", "3.weight", "3.bias")
    theta = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    assert snapshot.theta.tolist() == theta.tolist()
    (event,) = run.events("message")
    assert event.step == 4
    assert event.data["parameters"] == ["0.weight", "0.bias"]
    assert run.measurement("slice/trajectory").path_steps.tolist() == [4, 5, 6]
    assert run.measurement("ntk").provenance.step == 6


def test_a_frozen_layer_stays_part_of_what_is_measured(tmp_path):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, cross_entropy, (X, Y), None, optimizer, probes=PROBES, runs=tmp_path) as scope:
        model[0].requires_grad_(False)
        cross_entropy(model(X), Y).backward()
        optimizer.step()
        scope.step()
        scope.measure()
    run = open_run(scope.path)
    assert len(run.measurement("snapshot").names) == 4
    assert not run.events("probe-off")


def test_a_model_of_another_type_is_followed_with_its_data(tmp_path):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(
        model, cross_entropy, (X, Y), (X, Y), optimizer, probes=following(), runs=tmp_path, overhead=1e9
    ) as scope:
        for step in range(1, 5):
            if step == 2:
                model.double()
            optimizer.zero_grad()
            loss = cross_entropy(model(X.to(model[0].weight.dtype)), Y)
            loss.backward()
            optimizer.step()
            scope.step(loss)
        scope.measure()
    run = open_run(scope.path)
    assert not run.events("probe-off")
    assert run.measurement("snapshot").theta.dtype == "float64"
    with torch.no_grad():
        expected = cross_entropy(model.eval()(X.double()), Y)
    assert run.scalars("train/loss")[1][-1] == pytest.approx(float(expected), rel=1e-12)


def test_averaged_weights_are_watched_under_their_own_names(tmp_path):
    model = network()
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    scope = watch(ema, cross_entropy, (X, Y), probes=PROBES, runs=tmp_path)
    for _ in range(3):
        with torch.no_grad():
            model[0].weight += 1
        ema.update_parameters(model)
        scope.step()
    scope.measure()
    scope.close()
    snapshot = open_run(scope.path).measurement("snapshot")
    assert snapshot.names == ("0.weight", "0.bias", "3.weight", "3.bias")
    assert snapshot.theta[:40].tolist() == ema.module[0].weight.detach().flatten().tolist()
    assert scope.step_number == 3


def test_resumed_training_counts_on_in_a_run_that_knows_its_parent(tmp_path):
    model = network()
    with watch(model, cross_entropy, (X, Y), probes=[], runs=tmp_path) as scope:
        for _ in range(3):
            scope.step(1.0)
        state = copy.deepcopy(scope.state_dict())
    with watch(model, cross_entropy, (X, Y), probes=PROBES, runs=tmp_path, resume=state) as resumed:
        for _ in range(200):
            resumed.step(2.0)
    run = open_run(resumed.path)
    assert (run.manifest.parent.run, run.manifest.parent.step) == (scope.path.name, 3)
    assert run.scalars("step/loss")[0].tolist() == list(range(4, 204))
    assert run.scalars("train/loss")[0][0] == 3
    steps = [frame.step for frame in run.frames("snapshot")]
    assert steps[:3] == [3, 4, 5]
    with watch(model, cross_entropy, (X, Y), probes=[], runs=tmp_path) as later:
        later.load_state_dict(state)
        later.step(1.0)
        with pytest.raises(ValueError, match="already"):
            later.load_state_dict({"step": 1})
    assert open_run(later.path).scalars("step/loss")[0].tolist() == [4]


@pytest.mark.parametrize("loss", [0.5, torch.tensor(0.5), torch.tensor([[0.5]]), torch.tensor(0.5).bfloat16()])
def test_losses_in_every_form(loss, tmp_path):
    with watch(network(), cross_entropy, (X, Y), probes=[], runs=tmp_path) as scope:
        scope.step(loss)
    assert open_run(scope.path).scalars("step/loss")[1].tolist() == [0.5]


def test_a_loss_that_is_overwritten_later_is_recorded_as_it_was(tmp_path):
    loss = torch.tensor(1.0)
    with watch(network(), cross_entropy, (X, Y), probes=[], runs=tmp_path) as scope:
        for _ in range(3):
            scope.step(loss)
            loss += 1
    assert open_run(scope.path).scalars("step/loss")[1].tolist() == [1, 2, 3]


def test_a_loss_that_is_not_one_number_is_refused_at_once(tmp_path):
    with (
        watch(network(), cross_entropy, (X, Y), probes=[], runs=tmp_path) as scope,
        pytest.raises(ValueError, match=r"shape \(24,\): pass loss.mean\(\)"),
    ):
        scope.step(cross_entropy(network()(X), Y, reduction="none"))


def test_after_its_end_a_scope_does_nothing(tmp_path):
    scope = watch(network(), cross_entropy, (X, Y), probes=PROBES, runs=tmp_path)
    scope.close()
    scope.step(1.0)
    scope.measure()
    scope.close()
    assert scope.step_number == 0
    assert "step/loss" not in open_run(scope.path).scalar_names()


def test_two_watched_models_in_one_process(tmp_path):
    models = [network(), nn.Linear(5, 3)]
    scopes = [watch(model, cross_entropy, (X, Y), probes=PROBES, runs=tmp_path, name="two") for model in models]
    for number in range(4):
        for scope in scopes:
            scope.step(float(number))
    for scope, model in zip(scopes, models, strict=True):
        scope.close()
        run = open_run(scope.path)
        assert run.scalars("step/loss")[0].tolist() == [1, 2, 3, 4]
        assert run.manifest.config["parameters"] == sum(parameter.numel() for parameter in model.parameters())
