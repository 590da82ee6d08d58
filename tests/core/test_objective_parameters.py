"""Which parameters make up theta: frozen, tied, shared, scalar, of several types; and wrapped models."""

import explicit
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscope.objective import Objective

N = 16


@pytest.fixture
def xy():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(N, 3, generator=generator, dtype=torch.float64), torch.randint(3, (N,), generator=generator)


class Shared(nn.Module):
    """One module under two names, a weight tied to another's, a scalar, and a frozen layer."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = self.first
        self.tied = nn.Linear(3, 3)
        self.tied.weight = self.first.weight
        self.scale = nn.Parameter(torch.tensor(1.5))
        self.frozen = nn.Linear(3, 3).requires_grad_(False)

    def forward(self, x):
        return self.scale * self.frozen(torch.tanh(self.tied(torch.tanh(self.second(torch.tanh(self.first(x)))))))


def test_tied_shared_scalar_and_frozen_parameters(xy):
    torch.manual_seed(0)
    model = Shared().double()
    objective = Objective(model, F.cross_entropy, xy)
    assert objective.layout.names == ("scale", "first.weight", "first.bias", "tied.bias")

    def loss(m):
        return F.cross_entropy(m(xy[0]), xy[1])

    v = torch.randn(objective.layout.size, dtype=torch.float64)
    assert torch.allclose(objective.gradient(), explicit.gradient(model, loss), rtol=1e-10)
    assert torch.allclose(objective.hessian()(v), explicit.hessian(model, loss) @ v, rtol=1e-9, atol=1e-12)


def test_every_place_of_a_tied_parameter_is_exchanged_and_put_back(xy):
    torch.manual_seed(0)
    model = Shared().double()
    weight, value = model.first.weight, model.first.weight.detach().clone()
    objective = Objective(model, F.cross_entropy, xy)
    point = objective.theta() + 0.5
    found = objective.value(point)
    objective.values(torch.stack([point, point]))
    assert model.first.weight is model.second.weight is model.tied.weight is weight
    assert torch.equal(weight, value)
    with torch.no_grad():
        nn.utils.vector_to_parameters(point, [p for p in model.parameters() if p.requires_grad])
        assert found == pytest.approx(float(F.cross_entropy(model(xy[0]), xy[1])), rel=1e-13)


def test_a_single_scalar_parameter(xy):
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

        def forward(self, x):
            return self.w * x

    x = xy[0]
    objective = Objective(Scale(), F.mse_loss, (x, 2 * x))
    power = float((x * x).mean())
    assert objective.value() == pytest.approx(1.5**2 * power)
    assert objective.gradient().tolist() == pytest.approx([2 * -1.5 * power])
    assert objective.hessian()(torch.ones(1)).tolist() == pytest.approx([2 * power])
    assert objective.values(torch.tensor([[2.0], [1.0]])).tolist() == pytest.approx([0.0, power])


def test_theta_is_a_copy_that_follows_the_model(xy):
    model = nn.Linear(3, 3, bias=False).double()
    objective = Objective(model, F.cross_entropy, xy)
    theta = objective.theta()
    assert not theta.requires_grad
    with torch.no_grad():
        model.weight.mul_(2.0)
    assert torch.equal(objective.theta(), 2.0 * theta)
    assert objective.value() == objective.value(2.0 * theta) != objective.value(theta)
    theta.zero_()
    assert not torch.equal(model.weight, torch.zeros(3, 3))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_short_types_on_the_cpu(dtype):
    torch.manual_seed(0)
    exact = nn.Sequential(nn.Linear(3, 8), nn.GELU(), nn.Linear(8, 3)).to(dtype).double()
    x, y = torch.randn(N, 3).to(dtype).double(), torch.randint(3, (N,))
    reference = Objective(exact, F.cross_entropy, (x, y))
    v = torch.randn(reference.layout.size, dtype=torch.float64)
    expected = reference.value(), reference.gradient(), reference.hessian()(v), reference.ggn()(v)
    objective = Objective(exact.to(dtype), F.cross_entropy, (x.to(dtype), y), batch_size=5)
    v = v.to(dtype)
    found = objective.value(), objective.gradient(), objective.hessian()(v), objective.ggn()(v)
    tolerance = 30 * torch.finfo(dtype).eps
    assert objective.layout.dtype == dtype
    assert found[1].dtype == found[2].dtype == dtype
    assert found[0] == pytest.approx(expected[0], rel=tolerance)
    for short, long in zip(found[1:], expected[1:], strict=True):
        assert float((short.double() - long).norm()) < tolerance * float(long.norm())


def test_several_types_in_one_model(xy):
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.low, self.high = nn.Linear(3, 4, dtype=torch.float32), nn.Linear(4, 3, dtype=torch.float64)

        def forward(self, x):
            return self.high(torch.tanh(self.low(x.float())).double())

    torch.manual_seed(0)
    model, (x, y) = Mixed(), xy
    objective = Objective(model, F.cross_entropy, xy)
    assert objective.layout.dtype == torch.float64
    expected = explicit.gradient(model, lambda m: F.cross_entropy(m(x), y))
    assert torch.allclose(objective.gradient(), expected.double(), rtol=1e-5, atol=1e-8)


def test_chosen_parameters_the_rest_held_at_the_models_values(xy):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)).double()
    objective = Objective(model, F.cross_entropy, xy, parameters=["2.*"])
    assert objective.layout.names == ("2.weight", "2.bias")
    with torch.no_grad():
        hidden = torch.tanh(model[0](xy[0]))
        expected = float(F.cross_entropy(torch.zeros(N, 3, dtype=torch.float64) + 0 * hidden, xy[1]))
    assert objective.value(torch.zeros(12, dtype=torch.float64)) == pytest.approx(expected)


def test_models_without_trainable_parameters_are_refused(xy):
    for model in (nn.Identity(), nn.Linear(3, 3).requires_grad_(False)):
        with pytest.raises(ValueError, match="no trainable parameter"):
            Objective(model, F.cross_entropy, xy)
    with pytest.raises(ValueError, match=r"matches 'head\.\*'; trainable parameters: weight, bias"):
        Objective(nn.Linear(3, 3).double(), F.cross_entropy, xy, parameters=["head.*"])


def test_compiled_models_are_measured_as_written(xy):
    def eager_once(graph, inputs):
        return graph.forward

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    expected = Objective(model, F.cross_entropy, xy)
    v = torch.randn(expected.layout.size, dtype=torch.float64)
    compiled = torch.compile(model, backend=eager_once)
    objective = Objective(compiled, F.cross_entropy, xy)
    assert objective.model is model
    assert torch.equal(objective.hessian()(v), expected.hessian()(v))


def test_models_compiled_in_part_run_as_written_and_stay_compiled(xy):
    compilations = []

    def counting(graph, inputs):
        compilations.append(1)
        return graph.forward

    torch.manual_seed(0)
    layers = nn.Linear(3, 4).double(), nn.Linear(4, 3).double()
    plain = Objective(nn.Sequential(layers[0], nn.Tanh(), layers[1]), F.cross_entropy, xy)
    v = torch.randn(plain.layout.size, dtype=torch.float64)
    model = nn.Sequential(torch.compile(layers[0], backend=counting), nn.Tanh(), layers[1])
    objective = Objective(model, F.cross_entropy, xy)
    assert torch.equal(objective.hessian()(v), plain.hessian()(v))
    assert not compilations
    model(xy[0])
    assert compilations == [1]
    torch._dynamo.reset()


def test_data_parallel_wrappers_are_taken_off(xy):
    inner = nn.Linear(3, 3).double()
    objective = Objective(nn.DataParallel(inner), F.cross_entropy, xy)
    assert objective.model is inner
    assert objective.layout.names == ("weight", "bias")


def test_distributed_wrappers_are_taken_off(xy, tmp_path):
    if not (torch.distributed.is_available() and torch.distributed.is_gloo_available()):
        pytest.skip("this torch has no gloo")
    inner = nn.Linear(3, 3).double()
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(inner)
        objective = Objective(wrapped, F.cross_entropy, xy)
        assert objective.model is inner
        assert objective.gradient().norm() > 0
        assert all(parameter.grad is None for parameter in inner.parameters())
    finally:
        torch.distributed.destroy_process_group()
