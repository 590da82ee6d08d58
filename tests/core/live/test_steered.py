"""An optimiser whose values and rule are changed from outside, against optimisers that had them from the beginning."""

import copy

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW
from torch.optim.lr_scheduler import LambdaLR

from landscope.live.steered import OPTIMIZERS, SteeredOptimizer


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()


DATA = torch.randn(8, 3, generator=torch.Generator().manual_seed(1)).double()


def descend(model, optimizer, steps=1, schedule=None):
    def closure():
        optimizer.zero_grad()
        loss = model(DATA).square().mean()
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)
        if schedule is not None:
            schedule.step()


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def pair(kind, **options):
    """Two equal trainings: the first steered, the second not."""
    (first, steered), (second, plain) = ((m := network(), kind(m.parameters(), **options)) for _ in range(2))
    return first, steered, SteeredOptimizer(steered), second, plain


def test_nothing_of_the_loop_s_is_touched_before_something_is_set():
    model, optimizer, steered, other, plain = pair(SGD, lr=0.1)
    assert "step" not in vars(optimizer)
    descend(model, optimizer, 3)
    descend(other, plain, 3)
    assert torch.equal(weights(model), weights(other))
    steered.after_step()
    assert not optimizer._optimizer_step_pre_hooks
    assert "step" not in vars(optimizer)


@pytest.mark.parametrize(
    ("kind", "options", "name", "value", "changed"),
    [
        (SGD, {"lr": 0.1}, "lr", 0.03, {"lr": 0.03}),
        (SGD, {"lr": 0.1, "momentum": 0.9}, "momentum", 0.5, {"momentum": 0.5}),
        (SGD, {"lr": 0.1}, "momentum", 0.9, {"momentum": 0.9}),
        (AdamW, {"lr": 0.1}, "momentum", 0.5, {"betas": (0.5, 0.999)}),
        (AdamW, {"lr": 0.1}, "weight_decay", 1.0, {"weight_decay": 1.0}),
    ],
)
def test_a_value_holds_from_the_next_step_on(kind, options, name, value, changed):
    model, optimizer, steered, other, plain = pair(kind, **options)
    for training in ((model, optimizer), (other, plain)):
        descend(*training, 2)
    own = dict(optimizer.param_groups[0])
    steered.set(name, value, 0)
    plain.param_groups[0].update(changed)
    for training in ((model, optimizer), (other, plain)):
        descend(*training, 3)
    assert torch.equal(weights(model), weights(other))
    assert steered.value(name, 0) == value
    assert optimizer.param_groups[0] == own  # the loop's own values stay what they are
    with steered.effective(), steered.effective():
        assert {key: optimizer.param_groups[0][key] for key in changed} == changed


def test_a_schedule_goes_on_and_the_ratio_to_it_stays():
    def schedule(step):
        return 1 / (1 + step)

    model, optimizer, steered, other, plain = pair(SGD, lr=0.1)
    running, half = (
        LambdaLR(optimizer, schedule),
        LambdaLR(plain, lambda step: schedule(step) * (0.5 if step >= 2 else 1)),
    )
    descend(model, optimizer, 2, running)
    descend(other, plain, 2, half)
    steered.set("lr", 0.5 * optimizer.param_groups[0]["lr"], 0)
    descend(model, optimizer, 5, running)
    descend(other, plain, 5, half)
    torch.testing.assert_close(weights(model), weights(other), rtol=1e-14, atol=0)
    assert optimizer.param_groups[0]["lr"] == running.get_last_lr()[0] == 0.1 * schedule(7)
    assert steered.value("lr", 0) == pytest.approx(0.05 * schedule(7), rel=1e-12)


def test_a_schedule_made_afterwards_works_too():
    model, optimizer, steered, _, _ = pair(SGD, lr=0.1)
    steered.set("lr", 0.05, 0)
    schedule = LambdaLR(optimizer, lambda step: 1.0)
    descend(model, optimizer, 3, schedule)  # a warning of torch's would be an error
    assert steered.unreached == 0


def test_setting_it_back_ends_the_setting():
    _, optimizer, steered, _, _ = pair(SGD, lr=0.1)
    steered.set("lr", 0.05, 0)
    steered.set("lr", 0.1, 0)
    with steered.effective():
        assert optimizer.param_groups[0]["lr"] == 0.1
    assert steered.state()["settings"] == {"SGD": []}


@pytest.mark.parametrize("name", ["SAM", "Adam", "AdamW", "NAdam", "RMSprop"])
def test_another_rule_in_its_place_is_that_rule(name):
    model, optimizer, steered, other, plain = pair(SGD, lr=0.1, weight_decay=0.01)
    for training in ((model, optimizer), (other, plain)):
        descend(*training, 3)
    steered.use(name)
    rate = 0.1 if name == "SAM" else OPTIMIZERS[name]([torch.ones(1)]).defaults["lr"]
    assert steered.name == name
    assert steered.value("lr", 0) == rate
    descend(model, optimizer, 4)
    descend(other, OPTIMIZERS[name](other.parameters(), lr=rate, weight_decay=0.01), 4)
    torch.testing.assert_close(weights(model), weights(other), rtol=1e-12, atol=0)


def test_back_at_its_own_rule_it_begins_anew_with_its_own_rate():
    model, optimizer, steered, other, plain = pair(SGD, lr=0.1, momentum=0.9)
    steered.use("Adam")
    descend(model, optimizer, 3)
    descend(other, Adam(other.parameters()), 3)
    steered.use("SGD")
    assert steered.active is optimizer
    assert steered.value("lr", 0) == 0.1
    descend(model, optimizer, 3)
    descend(other, plain, 3)
    torch.testing.assert_close(weights(model), weights(other), rtol=1e-12, atol=0)


def test_schedules_drive_the_rule_in_its_place():
    model, optimizer, steered, other, _ = pair(SGD, lr=0.1)
    schedule = LambdaLR(optimizer, lambda step: 0.5**step)
    steered.use("AdamW")
    plain = AdamW(other.parameters(), lr=1e-3, weight_decay=0.0)
    descend(model, optimizer, 4, schedule)
    descend(other, plain, 4, LambdaLR(plain, lambda step: 0.5**step))
    torch.testing.assert_close(weights(model), weights(other), rtol=1e-12, atol=0)
    optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1).double())]})
    descend(model, optimizer)  # groups that come later are completed


def test_adam_is_decoupled_or_not_as_the_rule_says():
    model, optimizer, steered, other, _ = pair(Adam, lr=0.01, weight_decay=0.5)
    steered.use("AdamW")
    descend(model, optimizer, 3)
    descend(other, AdamW(other.parameters(), lr=0.01, weight_decay=0.5), 3)
    assert torch.equal(weights(model), weights(other))
    assert optimizer.param_groups[0]["decoupled_weight_decay"] is False


@pytest.mark.parametrize("rule", ["AdamW", "SAM"])
def test_its_state_is_all_that_its_steps_depend_on(rule):
    model, optimizer, steered, _, _ = pair(AdamW, lr=0.01)
    descend(model, optimizer, 3)
    steered.use(rule)
    steered.set("lr", 0.02, 0)
    descend(model, optimizer, 3)
    state, at = copy.deepcopy(steered.state()), [parameter.detach().clone() for parameter in model.parameters()]
    group = optimizer.param_groups[0]
    descend(model, optimizer, 3)
    then = weights(model)
    steered.use("NAdam")
    descend(model, optimizer, 3)
    steered.load(state)
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), at, strict=True):
            parameter.copy_(value)
    assert steered.name == rule
    assert optimizer.param_groups[0] is group
    descend(model, optimizer, 3)
    assert torch.equal(weights(model), then)


def test_whether_the_loop_passes_a_closure_is_seen_at_its_first_step():
    model, optimizer, steered, _, plain = pair(SGD, lr=0.1)
    bare = SteeredOptimizer(plain)
    assert steered.closure is None
    descend(model, optimizer)
    model(DATA)
    plain.step()
    assert (steered.closure, bare.closure) == (True, False)


def test_an_unknown_rule_and_a_state_within_are_refused():
    _, _, steered, _, _ = pair(SGD, lr=0.1)
    with pytest.raises(ValueError, match="optimizer must be one of SGD, SAM"):
        steered.use("Sophia")
    steered.set("lr", 0.2, 0)
    with steered.effective(), pytest.raises(RuntimeError, match="outside effective"):
        steered.state()
