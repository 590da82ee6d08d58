"""Measuring leaves no trace: each thing that could be changed, one by one, also when an evaluation fails."""

import copy
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscope.isolation import isolated
from landscope.objective import Objective

N = 12


class Everything(nn.Module):
    """Dropout, batch normalisation, recurrence, weight normalisation by hook, attributes and caches set in forward."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4, momentum=0.3)
        self.recurrent = nn.LSTM(4, 4, batch_first=True)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(4, 3)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        self.cache = self.embed(x)
        hidden = self.recurrent(self.norm(self.cache).unsqueeze(1))[0][:, 0]
        return self.head(self.dropout(hidden))


@pytest.fixture
def xy():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(N, 3, generator=generator, dtype=torch.float64), torch.randint(3, (N,), generator=generator)


@pytest.fixture
def model(xy):
    torch.manual_seed(0)
    model = Everything().double()
    F.cross_entropy(model(xy[0]), xy[1]).backward()
    model.embed.bias.grad = None
    model.head.bias.requires_grad_(False)
    model.train()
    model.dropout.eval()
    model.recurrent.eval()
    return model


class BoomError(Exception):
    pass


def failing(output, target):
    raise BoomError


def measure_everything(model, xy):
    for policy in ("eval", "batch", "recompute"):
        objective = Objective(model, F.cross_entropy, xy, batch_norm=policy, batch_size=8)
        objective.value()
        objective.metrics(torch.stack([objective.theta()] * 3))
        objective.losses()
        objective.outputs()
        objective.labels()
        if policy != "recompute":
            theta = objective.theta()
            objective.gradient(theta * 1.1)
            objective.hessian(theta * 1.1)(theta)
            objective.ggn()(theta)
    Objective(model, F.cross_entropy, xy).of_class(0).gradient()


def draw_and_fail(objective):
    with objective.measuring():
        random.random(), np.random.random(), torch.rand(1)  # noqa: NPY002
        raise BoomError


def measure_and_fail(model, xy):
    objective = Objective(model, F.cross_entropy, xy)
    objective.loss = failing
    for call in (objective.value, objective.gradient, objective.losses, lambda: objective.hessian()(objective.theta())):
        with pytest.raises(BoomError):
            call()
    with pytest.raises(BoomError):
        Objective(model, failing, xy)
    with pytest.raises(BoomError):
        draw_and_fail(objective)


@pytest.fixture(params=[measure_everything, measure_and_fail])
def measure(request, model, xy):
    return lambda: request.param(model, xy)


def test_weights_and_their_identity(model, measure):
    before = [(name, id(p), p.data_ptr(), p.detach().clone(), p._version) for name, p in model.named_parameters()]
    measure()
    after = [(name, id(p), p.data_ptr(), p.detach().clone(), p._version) for name, p in model.named_parameters()]
    for old, new in zip(before, after, strict=True):
        assert old[:3] + old[4:] == new[:3] + new[4:]
        assert torch.equal(old[3], new[3])


def test_buffers_and_their_identity(model, measure):
    before = [(name, id(b), b.detach().clone(), b._version) for name, b in model.named_buffers()]
    measure()
    for (name, buffer), old in zip(model.named_buffers(), before, strict=True):
        assert (name, id(buffer), buffer._version) == (old[0], old[1], old[3])
        assert torch.equal(buffer, old[2])


def test_gradients_are_the_same_tensors_and_none_stays_none(model, measure):
    before = [(p.grad, None if p.grad is None else p.grad.clone()) for p in model.parameters()]
    assert any(grad is None for grad, _ in before)
    assert any(grad is not None for grad, _ in before)
    measure()
    for parameter, (grad, value) in zip(model.parameters(), before, strict=True):
        assert parameter.grad is grad
        assert grad is None or torch.equal(grad, value)


def test_requires_grad(model, measure):
    before = [p.requires_grad for p in model.parameters()]
    measure()
    assert [p.requires_grad for p in model.parameters()] == before
    assert not all(before)


def test_training_flags(model, measure):
    before = [module.training for module in model.modules()]
    assert len(set(before)) == 2
    measure()
    assert [module.training for module in model.modules()] == before


HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks")


def test_hooks(model, measure):
    model.head.register_forward_hook(lambda *_: None)
    model.norm.register_forward_pre_hook(lambda *_: None)
    model.embed.weight.register_hook(lambda grad: grad * 0)
    before = [[(name, id(getattr(m, name)), dict(getattr(m, name))) for name in HOOKS] for m in model.modules()]
    tensor_hooks = dict(model.embed.weight._backward_hooks)
    measure()
    assert before == [[(name, id(getattr(m, name)), dict(getattr(m, name))) for name in HOOKS] for m in model.modules()]
    assert dict(model.embed.weight._backward_hooks) == tensor_hooks


def test_hooks_on_the_users_parameters_are_not_called(model, xy):
    calls = []
    model.embed.weight.register_hook(lambda grad: calls.append(1))
    model.embed.weight.register_post_accumulate_grad_hook(lambda parameter: calls.append(2))
    measure_everything(model, xy)
    assert not calls


def test_attributes_of_modules(model, measure):
    before = [dict(vars(module)) for module in model.modules()]
    flat = [id(tensor) for tensor in model.recurrent._flat_weights]
    measure()
    after = [dict(vars(module)) for module in model.modules()]
    assert [list(attributes) for attributes in after] == [list(attributes) for attributes in before]
    for old, new in zip(before, after, strict=True):
        assert all(new[name] is value for name, value in old.items())
    assert [id(tensor) for tensor in model.recurrent._flat_weights] == flat
    assert model.calls == 1


def test_attributes_that_forward_sets_for_the_first_time_are_gone(xy):
    model = Everything().double()
    Objective(model, F.cross_entropy, xy).value()
    assert not hasattr(model, "cache")


def test_weights_that_hooks_compute_stay_the_users(xy):
    torch.manual_seed(0)
    model = nn.Linear(3, 3).double()
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(model)
    weight = model.weight
    objective = Objective(model, F.cross_entropy, xy)
    objective.gradient(2 * objective.theta())
    assert model.weight is weight


def test_the_order_of_parameters_and_the_state_dict(model, measure):
    before = copy.deepcopy(model.state_dict())
    names = [name for name, _ in model.named_parameters()]
    measure()
    assert list(model.state_dict()) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [name for name, _ in model.named_parameters()] == names


def test_random_number_generators(measure):
    random.seed(3), np.random.seed(4), torch.manual_seed(5)  # noqa: NPY002
    np.random.standard_normal(3)  # noqa: NPY002 leaves a second normal number waiting in the state
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    measure()
    after = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    assert after[0] == before[0]
    assert all(np.array_equal(*pair) for pair in zip(after[1], before[1], strict=True))
    assert torch.equal(after[2], before[2])


def test_random_numbers_drawn_while_measuring_are_given_back():
    def draw():
        return random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002

    with isolated(nn.Linear(1, 1)):
        inside = draw()
    assert draw() == inside


def modes():
    return {
        "autocast": torch.is_autocast_enabled("cpu"),
        "autocast type": torch.get_autocast_dtype("cpu"),
        "autocast cuda": torch.is_autocast_enabled("cuda"),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "cudnn": torch.backends.cudnn.enabled,
        "flash": torch.backends.cuda.flash_sdp_enabled(),
        "efficient": torch.backends.cuda.mem_efficient_sdp_enabled(),
        "math": torch.backends.cuda.math_sdp_enabled(),
        "threads": torch.get_num_threads(),
        "default type": torch.get_default_dtype(),
        "hooks allowed": torch._C._autograd._saved_tensors_hooks_is_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


@pytest.mark.parametrize(
    "around",
    [torch.enable_grad, torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)],
)
def test_modes_of_torch(measure, around):
    torch.backends.mha.set_fastpath_enabled(True)
    torch.backends.cudnn.enabled = True
    with around():
        before = modes()
        measure()
        assert modes() == before


def test_within_nothing_but_definitions_is_computed():
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16), isolated(nn.LSTM(1, 1)):
        found = modes()
    off = {"autocast", "autocast cuda", "inference", "fast path", "cudnn", "flash", "efficient"}
    assert {name for name in off if found[name]} == set()
    assert found["math"]


def test_within_dropout_is_off_and_evaluations_repeat(model, xy):
    model.train()
    objective = Objective(model, F.cross_entropy, xy)
    value, outputs = objective.value(), objective.outputs()
    assert objective.value() == value
    assert torch.equal(objective.outputs(), outputs)
    model.eval()
    assert torch.allclose(outputs, model(xy[0]).detach(), rtol=1e-10)


def test_within_autocast_is_off(xy):
    model = nn.Linear(3, 3).double()
    expected = Objective(model, F.cross_entropy, xy).outputs()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        objective = Objective(model.float(), F.cross_entropy, (xy[0].float(), xy[1]))
        outputs = objective.outputs()
    assert outputs.dtype == torch.float32
    assert torch.allclose(outputs.double(), expected, rtol=1e-5, atol=1e-6)


def test_measurements_nest(model, xy):
    objective = Objective(model, F.cross_entropy, xy)
    other = Objective(model, F.cross_entropy, xy, batch_norm="batch")
    values = objective.value(), other.value()
    flags = [module.training for module in model.modules()]
    with objective.measuring(), objective.measuring():
        assert objective.of_class(0).value() == pytest.approx(float(objective.losses()[xy[1] == 0].mean()))
        with other.measuring():
            assert other.value() == values[1]
        assert objective.value() == values[0]
        assert not model.training
    assert [module.training for module in model.modules()] == flags
    assert objective.value() == values[0]


def test_measuring_imports_no_compiler(tmp_path):
    code = (
        "import sys, torch; from landscope.objective import Objective; m = torch.nn.Linear(2, 2); "
        "x = torch.ones(3, 2); o = Objective(m, torch.nn.functional.mse_loss, (x, x)); "
        "o.hessian()(o.gradient()); o.values(torch.ones(2, 6)); assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_a_training_is_bit_identical_with_and_without_measuring_everything_at_each_step():
    def trained(measuring):
        random.seed(0), np.random.seed(0), torch.manual_seed(0)  # noqa: NPY002
        model = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(64, 3)
        )
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        x, y = torch.randn(40, 1, 6, 6), torch.randint(3, (40,))
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=10, shuffle=True)
        steps = 0
        while steps < 20:
            for batch_x, batch_y in loader:
                optimizer.zero_grad()
                loss = F.cross_entropy(model(batch_x + 0.1 * random.random()), batch_y)
                if measuring:  # with a graph and gradients under way
                    for policy in ("eval", "batch"):
                        objective = Objective(model, F.cross_entropy, loader, batch_norm=policy, batch_size=16)
                        theta = objective.theta()
                        objective.value()
                        objective.hessian(theta)(objective.gradient())
                        objective.ggn(theta)(theta)
                        objective.metrics(torch.stack([theta, 1.1 * theta]))
                        objective.losses(), objective.outputs()
                loss.backward()
                optimizer.step()
                steps += 1
        return [tensor.clone() for tensor in model.state_dict().values()] + [
            state["momentum_buffer"].clone() for state in optimizer.state.values()
        ]

    plain, measured = trained(False), trained(True)
    assert len(plain) == 9 + 6
    assert all(torch.equal(*pair) for pair in zip(plain, measured, strict=True))
