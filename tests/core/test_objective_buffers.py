"""Buffers: the policies for batch normalisation against hand computation, and buffers left as they were."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscope.objective import Objective

EPS = 1e-5


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3)).double()
    with torch.no_grad():
        for buffer in (model[1].running_mean, model[1].running_var):
            buffer.add_(torch.rand(4))
        for parameter in model[1].parameters():
            parameter.add_(torch.randn(4))
    return model


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(n, 3, generator=generator, dtype=torch.float64), torch.randint(3, (n,), generator=generator))
        for n in (10, 6, 4)
    ]


def by_hand(model, x, mean, variance):
    hidden = (model[0](x) - mean) / torch.sqrt(variance + EPS) * model[1].weight + model[1].bias
    return model[3](torch.tanh(hidden))


def total_loss(model, batches, statistics):
    """Mean loss when each batch's normalisation statistics are what `statistics(its hidden values)` says."""
    with torch.no_grad():
        losses = [F.cross_entropy(by_hand(model, x, *statistics(model[0](x))), y, reduction="sum") for x, y in batches]
        return float(torch.stack(losses).sum()) / sum(len(y) for _, y in batches)


def test_eval_normalises_by_running_statistics(model, batches):
    running = model[1].running_mean.clone(), model[1].running_var.clone()
    expected = total_loss(model, batches, lambda hidden: running)
    assert Objective(model, F.cross_entropy, batches).value() == pytest.approx(expected, rel=1e-12)


def test_batch_normalises_by_each_batch(model, batches):
    expected = total_loss(model, batches, lambda hidden: (hidden.mean(0), hidden.var(0, correction=0)))
    objective = Objective(model, F.cross_entropy, batches, batch_norm="batch")
    assert objective.value() == pytest.approx(expected, rel=1e-12)


def test_recompute_normalises_by_statistics_of_all_the_data(model, batches):
    with torch.no_grad():
        hidden = [model[0](x) for x, _ in batches]
        mean = sum(len(h) * h.mean(0) for h in hidden) / 20
        variance = sum(len(h) * h.var(0, correction=1) for h in hidden) / 20
    expected = total_loss(model, batches, lambda hidden: (mean, variance))
    objective = Objective(model, F.cross_entropy, batches, batch_norm="recompute")
    assert objective.value() == pytest.approx(expected, rel=1e-12)


def test_recompute_follows_theta_and_serves_every_evaluation(model, batches):
    objective = Objective(model, F.cross_entropy, batches, batch_norm="recompute")
    theta = objective.theta()
    scaled = theta.clone()
    first = objective.layout.slices
    scaled[first["0.weight"]] *= 3.0  # what is normalised does not feel the scale
    scaled[first["0.bias"]] *= 3.0
    found = objective.metrics(torch.stack([theta, scaled]))
    assert found["loss"][1].item() == pytest.approx(found["loss"][0].item(), rel=1e-4)
    assert found["loss"][0].item() == objective.value()
    assert float(objective.losses().mean()) == pytest.approx(objective.value(), rel=1e-12)
    eval_loss = Objective(model, F.cross_entropy, batches).values(torch.stack([theta, scaled]))
    assert abs(float(eval_loss[1] - eval_loss[0])) > 1e-2


@pytest.mark.parametrize("policy", ["eval", "batch", "recompute"])
@pytest.mark.parametrize("training", [True, False])
def test_running_statistics_and_flags_stay_bit_identical(model, batches, policy, training):
    model.train(training)
    model[1].momentum = None
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    kept = [id(buffer) for buffer in model.buffers()]
    objective = Objective(model, F.cross_entropy, batches, batch_norm=policy)
    objective.value()
    objective.values(torch.stack([objective.theta()] * 3))
    objective.losses()
    if policy != "recompute":
        objective.hessian()(objective.gradient())
    assert [id(buffer) for buffer in model.buffers()] == kept
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())
    assert (model[1].training, model[1].track_running_stats, model[1].momentum) == (training, True, None)


@pytest.mark.parametrize("policy", ["eval", "batch"])
def test_points_at_once_equal_points_alone(model, batches, policy):
    objective = Objective(model, F.cross_entropy, batches, batch_norm=policy)
    thetas = torch.randn(3, objective.layout.size, dtype=torch.float64)
    objective._points.at_once = True
    together = objective.values(thetas)
    assert together.tolist() == pytest.approx([objective.value(theta) for theta in thetas], rel=1e-11)


def test_batch_normalisation_without_running_statistics(batches):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3, track_running_stats=False)).double()
    with torch.no_grad():
        hidden = [model[0](x) for x, _ in batches]
        outputs = [(h - h.mean(0)) / torch.sqrt(h.var(0, correction=0) + EPS) for h in hidden]
        expected = sum(F.cross_entropy(o, y, reduction="sum") for o, (_, y) in zip(outputs, batches, strict=True)) / 20
    for policy in ("eval", "batch", "recompute"):
        objective = Objective(model, F.cross_entropy, batches, batch_norm=policy)
        assert objective.value() == pytest.approx(float(expected), rel=1e-12)


def test_a_batch_of_one_cannot_be_normalised_and_torch_says_so(model, batches):
    x, y = batches[0]
    with pytest.raises(ValueError, match="Expected more than 1 value per channel") as caught:
        Objective(model, F.cross_entropy, (x[:1], y[:1]), batch_norm="batch")
    assert "first batch of 1 examples" in caught.value.__notes__[0]


def test_buffers_written_in_forward_are_copies():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3).double()
            self.register_buffer("calls", torch.zeros((), dtype=torch.long))
            self.register_buffer("last", torch.zeros(3), persistent=False)
            self.register_buffer("same", None)
            self.shared = nn.Module()
            self.shared.register_buffer("calls", self.calls)

        def forward(self, x):
            self.calls += 1
            assert self.shared.calls == self.calls
            self.last = x.mean(0)
            return self.linear(x)

    model = Counter()
    calls, last = model.calls, model.last
    objective = Objective(model, F.mse_loss, (torch.randn(5, 3).double(), torch.randn(5, 3).double()))
    objective.value()
    objective.gradient()
    objective.values(torch.stack([objective.theta()] * 3))
    objective.hessian()(objective.theta())
    assert model.calls is calls is model.shared.calls
    assert model.last is last
    assert calls.item() == 0
    assert torch.equal(last, torch.zeros(3))
