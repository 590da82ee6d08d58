"""What the probes of training dynamics keep from frame to frame, and what every step is measured by."""

import time

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from landscope import dynamics
from landscope.live import Probe, watch
from landscope.live.dynamics_probes import (
    ExampleFrames,
    LossForecasts,
    OutputFrames,
    class_conflict,
    example_mixture,
    gradients,
    loss_ahead,
    plasticity,
    reliability,
    units,
    weights,
)
from landscope.live.monitoring import Monitoring
from landscope.live.trajectory import Trajectory
from landscope.live.watched import Watched
from landscope.objective import Objective
from landscope.runs import open_run


def watched(loss=cross_entropy, hidden=True, outputs=3, classes=3):
    torch.manual_seed(0)
    below = [nn.Linear(6, 8), nn.Tanh()] if hidden else []
    model = nn.Sequential(*below, nn.Linear(8 if hidden else 6, outputs))
    targets = torch.randint(classes, (40,)) if loss is cross_entropy else torch.randn(40, outputs)
    focus = Objective(model, loss, (torch.randn(40, 6), targets))
    return Watched(focus, None, focus, focus.sample(16), None, None, Trajectory(focus.layout.size, 4))


def moved(seen, step):
    with torch.no_grad():
        seen.focus.model[-1].weight.normal_()
    seen.step = step
    return seen


def test_names_are_those_that_rules_read():
    seen = watched(classes=1)  # all gradients point the same way
    assert {"noise_scale", "noise_scale_error"} <= gradients(seen).scalars().keys()
    assert "loss" in plasticity(seen).scalars()


def test_examples_are_followed_over_the_frames():
    seen, probe = watched(), ExampleFrames()
    probe(seen)
    probe(moved(seen, 5))
    once = probe(moved(seen, 9))
    again = probe(seen)
    assert again.steps.tolist() == once.steps.tolist() == [0, 5, 9]
    losses = seen.focus.losses().numpy()
    np.testing.assert_allclose(once.losses[np.argsort(once.positions), -1], losses, rtol=1e-5)
    assert (once.available, sorted(once.positions)) == (40, list(range(40)))
    probe.rewound(5)
    assert probe(moved(seen, 6)).steps.tolist() == [6]


def test_outputs_are_held_against_those_of_the_time_before():
    seen, probe = watched(), OutputFrames()
    assert probe(seen) is None
    before = seen.focus.outputs().double()
    change = probe(moved(seen, 7))
    p, q = (outputs.log_softmax(1) for outputs in (before, seen.focus.outputs().double()))
    np.testing.assert_allclose(change.kl, (p.exp() * (p - q)).sum(1).numpy(), atol=1e-6)
    assert change.provenance.method.endswith("7 steps before")
    assert probe(seen) is None
    probe.rewound(3)
    assert probe(moved(seen, 8)) is None


def test_weights_are_held_against_the_first_of_the_path():
    seen = watched()
    assert weights(seen).distances is None
    start = seen.focus.theta()
    seen.trajectory.add(0, start, 1.0)
    found = weights(moved(seen, 1))
    assert np.linalg.norm(found.distances) == pytest.approx(float((seen.focus.theta() - start).norm()), rel=1e-5)


def test_the_loss_ahead_follows_the_path_s_law():
    seen = watched()
    assert loss_ahead(seen) is None
    steps = np.arange(1, 61)
    for step in steps.tolist():
        seen.trajectory.steps.append(step)
        seen.trajectory.losses.append(0.3 + 2 * step**-0.7)
    made = loss_ahead(seen)
    assert made.steps[[0, -1]].tolist() == [61, 120]
    assert len(made.steps) <= 200
    np.testing.assert_allclose(made.expected, 0.3 + 2 * made.steps**-0.7, rtol=1e-3)


def test_a_forecast_is_scored_by_the_losses_that_came():
    seen, forecasts = watched(), LossForecasts()
    assert forecasts.score(seen) is None

    def go_on(first, last, loss):
        for step in range(first, last + 1):
            seen.trajectory.steps.append(step)
            seen.trajectory.losses.append(loss(step))

    go_on(1, 30, lambda step: 0.3 + 2 * step**-0.7)
    assert forecasts(seen) is not None
    assert forecasts.score(seen) is None  # nothing has come yet
    go_on(31, 50, lambda step: 0.3 + 2 * step**-0.7)
    assert forecasts.score(seen)["forecast/error"] < 1e-3
    forecasts(seen)
    go_on(51, 60, lambda step: 1.1 * (0.3 + 2 * step**-0.7))
    scores = forecasts.score(seen)  # of the forecast made at step 30, which ten of thirty losses fail by a tenth
    assert scores["forecast/error"] == pytest.approx((10 / 30) * (1 - 1 / 1.1), rel=1e-2)
    assert scores["forecast/coverage"] <= 20 / 30
    assert scores["forecast/deviation"] > 2
    forecasts.rewound(29)
    assert forecasts.score(seen) is None


def test_what_a_training_has_not_is_not_measured():
    seen = watched(mse_loss, hidden=False, outputs=1)
    for probe in (ExampleFrames(), OutputFrames(), class_conflict, example_mixture, reliability, units):
        assert probe(seen) is None
    assert gradients(seen).groups == ("all",)
    conflict = class_conflict(watched())
    assert (conflict.parts, conflict.provenance.examples) == (("0", "1", "2"), 16)
    assert units(watched()).layers == ("1",)
    assert example_mixture(watched()).shares.sum() == pytest.approx(1)
    assert reliability(watched()).right.shape == (40,)


def test_gradients_of_more_classes_than_can_be_held_are_refused(monkeypatch):
    monkeypatch.setattr("landscope.live.dynamics_probes._MOST_NUMBERS", 100)
    with pytest.raises(ValueError, match="at most 100 are held at once"):
        class_conflict(watched())


def trained(folder, steps=6, **options):
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    x, y = torch.randn(20, 3), torch.randn(20, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    thetas, gradients = [], []
    with watch(model, mse_loss, (x, y), optimizer=optimizer, probes=[], runs=folder, **options) as scope:
        for _ in range(steps):
            thetas.append(torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone())
            optimizer.zero_grad()
            loss = mse_loss(model(x), y)
            loss.backward()
            gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]).clone())
            optimizer.step()
            scope.step(loss)
    thetas.append(torch.nn.utils.parameters_to_vector(model.parameters()).detach())
    return open_run(scope.path), torch.stack(thetas).double(), torch.stack(gradients).double()


def test_every_step_is_measured(tmp_path):
    run, thetas, gradients = trained(tmp_path)
    steps, norms = run.scalars("step/gradient_norm")
    assert steps.tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(norms, gradients.norm(dim=1), rtol=1e-5)
    updates = thetas.diff(dim=0)
    steps, ratios = run.scalars("step/update_ratio")
    assert steps.tolist() == [2, 3, 4, 5, 6]
    np.testing.assert_allclose(ratios, updates.norm(dim=1)[1:] / thetas.norm(dim=1)[2:], rtol=1e-4)
    steps, cosines = run.scalars("step/update_cosine")
    assert steps.tolist() == [3, 4, 5, 6]
    np.testing.assert_allclose(
        cosines, torch.nn.functional.cosine_similarity(updates[1:-1], updates[2:], dim=1), rtol=1e-4
    )
    assert run.scalars("step/loss")[0].tolist() == [1, 2, 3, 4, 5, 6]


def test_a_step_that_cannot_be_measured_ends_that_and_not_the_training(caplog, monkeypatch):
    monitoring = Monitoring(watched())
    monkeypatch.setattr(dynamics.StepMonitor, "step", lambda self: 1 / 0)
    monitoring.step()
    monitoring.step()
    assert monitoring.read() == []
    assert caplog.text.count("division by zero") == 1
    monkeypatch.setattr("landscope.live.monitoring._MOST_PARAMETERS", 10)
    assert Monitoring(watched()).read() == []


def test_the_batch_size_is_recorded_where_it_is_known(tmp_path):
    data = torch.utils.data.TensorDataset(torch.randn(20, 3), torch.randn(20, 2))
    loader = torch.utils.data.DataLoader(data, batch_size=5)
    with watch(nn.Linear(3, 2), mse_loss, loader, probes=[], runs=tmp_path) as scope:
        assert scope.batch_size == 5
        scope.step(1.0)
        scope.batch_size = 10
        scope.step(1.0)
    steps, sizes = open_run(scope.path).scalars("batch/size")
    assert (steps.tolist(), sizes.tolist()) == ([0, 2], [5, 10])
    with watch(nn.Linear(3, 2), mse_loss, data, probes=[], runs=tmp_path) as scope:
        assert scope.batch_size is None
        next(iter(scope.batches(data, 4)))
        scope.step(1.0)
        with pytest.raises(ValueError, match="drawn by scope"):
            scope.batch_size = 3
    assert open_run(scope.path).scalars("batch/size")[1].tolist() == [4]


def test_the_learning_rate_is_recorded_where_it_changes(tmp_path):
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD([{"params": [model.weight], "lr": 0.5}, {"params": [model.bias]}], lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)
    data = torch.randn(8, 3), torch.randn(8, 2)
    with watch(model, mse_loss, data, optimizer=optimizer, probes=[], runs=tmp_path) as scope:
        for _ in range(5):
            optimizer.zero_grad()
            model(torch.randn(4, 3)).square().mean().backward()
            optimizer.step()
            scope.step()
            schedule.step()
    steps, rates = open_run(scope.path).scalars("step/learning_rate")
    assert (steps.tolist(), rates.tolist()) == ([1, 3, 5], [0.5, 0.25, 0.125])


def test_with_a_beginning_go_the_words_of_its_rule(tmp_path, monkeypatch):
    monkeypatch.setattr("landscope.live.chronicle._FINDING_INTERVAL", -1.0)
    falling = Probe("sharpness", lambda watched: {"train/loss": 1.0 if watched.step < 4 else 100.0 * watched.step})
    model = nn.Linear(3, 2)
    with watch(model, mse_loss, (torch.randn(8, 3), torch.randn(8, 2)), probes=[falling], runs=tmp_path) as scope:
        for _ in range(8):
            scope.step(1.0)
            scope.measure()
            time.sleep(0.001)
    (phase,) = open_run(scope.path).phases()
    rule = next(rule for rule in dynamics.RULES if rule.kind == "diverging")
    assert phase.data["kind"] == "diverging"
    assert (phase.data["criterion"], phase.data["sources"]) == (rule.criterion, list(rule.sources))
