"""Ways to a Hessian-vector product against explicit matrices in float64, and the choice between them."""

import logging

import explicit
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable

from landscope import hessian_products
from landscope.derivatives import rowwise
from landscope.objective import Objective

N = 12
EXACT = ["retained", "linearized", "forward-over-reverse", "reverse-over-forward"]


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.unused = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(2, 2)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(2, 6), nn.Linear(4, 3)

    def forward(self, x):
        q, k, v = self.qkv(x.unflatten(1, (2, 2))).chunk(3, dim=-1)
        return self.out(F.scaled_dot_product_attention(q, k, v).flatten(1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.out = nn.LSTM(2, 2, batch_first=True), nn.Linear(2, 3)

    def forward(self, x):
        return self.out(self.lstm(x.unflatten(1, (2, 2)))[0][:, -1])


def mlp():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))


def convolution():
    return nn.Sequential(
        nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 2, 2), nn.BatchNorm1d(2), nn.SiLU(), nn.MaxPool1d(2), nn.Flatten(),
        nn.Linear(2, 3),
    )  # fmt: skip


def data():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(N, 4, generator=generator, dtype=torch.float64), torch.randint(3, (N,), generator=generator)


def objective_of(build, **options):
    torch.manual_seed(0)
    return Objective(build().double(), F.cross_entropy, data(), **options)


def vectors(objective, k=3):
    generator = torch.Generator().manual_seed(2)
    return torch.randn(k, objective.layout.size, generator=generator, dtype=torch.float64)


def truth(objective):
    (x, y), model = data(), objective.model.eval()
    return explicit.hessian(model, lambda m: objective.loss(m(x), y))


@pytest.fixture
def impatient(monkeypatch):
    """Others than the retained graph are tried after the second call."""
    monkeypatch.setattr(hessian_products, "_PATIENCE", 1)
    monkeypatch.setattr(hessian_products, "_PAUSE", 0.0)
    monkeypatch.setattr(hessian_products, "_clock", lambda point: 0.0)


def replace(monkeypatch, name, build):
    """The back end `name` built otherwise, and every other one refused."""

    def refused(loss, point):
        raise RuntimeError("not here")

    for other in ("linearized", "forward-over-reverse", "reverse-over-forward"):
        monkeypatch.setitem(hessian_products.BACKENDS, other, build if other == name else refused)


@pytest.mark.parametrize("build", [mlp, convolution, Tied])
@pytest.mark.parametrize("backend", EXACT)
def test_every_way_gives_the_explicit_hessian(backend, build):
    objective = objective_of(build)
    block, hessian = vectors(objective), truth(objective)
    assert hessian.abs().max() > 1e-2
    operator = objective.hessian(backend=backend)
    for _ in range(2):
        assert torch.allclose(operator(block), block @ hessian, rtol=1e-9, atol=1e-11)
    assert torch.allclose(operator(block[0]), block[0] @ hessian, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("backend", ["retained", "forward-over-reverse", "reverse-over-forward"])
def test_batches_of_unequal_size_and_derived_objectives(backend):
    objective = objective_of(mlp, batch_size=5)
    block, hessian = vectors(objective), truth(objective)
    assert torch.allclose(objective.hessian(backend=backend)(block), block @ hessian, rtol=1e-9, atol=1e-11)
    part = objective.of_class(1).with_loss(lambda output, target: 2 * F.cross_entropy(output, target))
    found = part.hessian(backend=backend)(block)
    assert torch.allclose(found, 2 * objective.of_class(1).hessian()(block), rtol=1e-9, atol=1e-11)


def test_attention_is_linearised():
    attention = objective_of(Attention)
    block = vectors(attention)
    expected = attention.hessian(backend="retained")(block)
    assert torch.allclose(attention.hessian(backend="linearized")(block), expected, rtol=1e-9, atol=1e-11)


def test_a_linearisation_that_is_overwritten_by_its_own_use_is_refused():
    recurrent = objective_of(Recurrent)  # torch writes to what it has folded into the linear map
    block = vectors(recurrent)
    assert torch.allclose(recurrent.hessian()(block), block @ truth(recurrent), rtol=1e-9, atol=1e-11)
    with pytest.raises(RuntimeError, match="not those of the retained graph, or not symmetric"):
        recurrent.hessian(backend="linearized")(block[0])


def test_few_products_at_each_point_stay_with_the_retained_graph():
    objective = objective_of(mlp)
    for shift in range(30):
        objective.hessian(objective.theta() + 0.01 * shift)(vectors(objective, 5))
    assert objective.work.backend == "retained"
    assert objective._chosen.name is None


def test_the_fastest_that_agrees_is_kept_and_remembered(monkeypatch):
    objective = objective_of(mlp)
    now, calls = [0.0], []

    def costing(name, seconds, set_up):
        build = hessian_products.BACKENDS[name]

        def at(loss, point):
            product, now[0] = build(loss, point), now[0] + set_up

            def counted(block):
                calls.append(name)
                now[0] += seconds * len(block)
                return product(block)

            return counted

        monkeypatch.setitem(hessian_products.BACKENDS, name, at)

    monkeypatch.setattr(hessian_products, "_clock", lambda point: now[0])
    costing("retained", 1.0, 0.0)
    costing("linearized", 0.5, 5.0)
    costing("forward-over-reverse", 0.8, 0.0)
    costing("reverse-over-forward", 2.0, 0.0)
    block, hessian = vectors(objective, 12), truth(objective)
    operator = objective.hessian()
    for expected in ("retained", "retained", "linearized"):
        with objective.measuring() as meter:
            assert torch.allclose(operator(block), block @ hessian, rtol=1e-9, atol=1e-11)
            assert meter.provenance("test").method == f"test; Hessian products: {expected}"
    assert objective._chosen.worth == pytest.approx(10.0)  # five seconds of set-up, half a second less for each product
    again, calls[:] = objective.hessian(), []
    for vector in block:
        again(vector)
    assert calls == ["retained"] * 10 + ["linearized"] * 2
    assert objective.subset([1, 2])._chosen.name is None


@pytest.mark.parametrize("wrong", ["value", "asymmetric"])
def test_a_way_that_is_wrong_is_never_used(monkeypatch, impatient, wrong):
    objective = objective_of(mlp)
    block, hessian = vectors(objective), truth(objective)
    size = objective.layout.size
    spoilt = 1.001 * hessian
    if wrong == "asymmetric":  # right for every vector of the trial, and for no other
        basis = torch.linalg.qr(block.T).Q
        spoilt = hessian + 0.1 * (torch.eye(size) - basis @ basis.T) @ torch.randn(size, size).double()
    replace(monkeypatch, "forward-over-reverse", lambda loss, point: rowwise(lambda v: v @ spoilt))
    operator = objective.hessian()
    for _ in range(3):
        assert torch.allclose(operator(block), block @ hessian, rtol=1e-9, atol=1e-11)
    assert objective._chosen.name == "retained"
    with pytest.raises(RuntimeError, match="not those of the retained graph, or not symmetric"):
        objective.hessian(backend="forward-over-reverse")(block)


def test_refused_ways_are_passed_over(monkeypatch, impatient, caplog):
    objective = objective_of(mlp)
    block = vectors(objective)
    replace(monkeypatch, "", None)
    operator = objective.hessian()
    with caplog.at_level(logging.INFO, logger="landscope.hessian_products"):
        for _ in range(3):
            assert torch.allclose(operator(block), block @ truth(objective), rtol=1e-9, atol=1e-11)
    assert "torch refused" in caplog.text
    assert objective._chosen.name == "retained"


class Once(torch.autograd.Function):
    """x^3, differentiable once, with an error at the second derivative."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @once_differentiable
    def backward(ctx, slope):
        return 3 * ctx.saved_tensors[0] ** 2 * slope


class Hidden(Once):
    """The same without an error."""

    @staticmethod
    def backward(ctx, slope):
        return (3 * ctx.saved_tensors[0] ** 2 * slope).detach()


@pytest.mark.parametrize("function", [Once, Hidden])
def test_without_second_derivatives_gradients_are_subtracted_and_it_is_said_once(function, caplog):
    class Cubic(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor([0.5, -1.0, 2.0]).double())

        def forward(self, x):
            return function.apply(self.w).expand(len(x), 3)

    objective = Objective(Cubic(), lambda output, target: output.sum() / len(output), data())
    block = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).double()
    block[3] = 0
    expected = block * 6 * objective.theta()
    with caplog.at_level(logging.WARNING, logger="landscope.hessian_products"), objective.measuring() as meter:
        for _ in range(2):
            assert torch.allclose(objective.hessian()(block), expected, rtol=1e-8)
        assert meter.provenance("test").method == "test; Hessian products: differences"
    assert len(caplog.records) == 1
    assert "a second derivative is missing" in caplog.text


def test_differences_in_single_precision_keep_three_digits():
    objective = objective_of(mlp)
    x, y = data()
    single = Objective(objective.model.float(), F.cross_entropy, (x.float(), y))
    block = vectors(objective).float()
    expected = single.hessian()(block)
    assert (single.hessian(backend="differences")(block) - expected).norm() < 1e-3 * expected.norm()


def test_what_fails_without_derivatives_fails_as_it_did():
    objective = objective_of(mlp)
    operator = objective.hessian()
    objective.loss = lambda output, target: output.no_such_method()
    with pytest.raises(AttributeError):
        operator(vectors(objective))


def test_an_unknown_way_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"backend must be one of 'auto', 'retained', 'linearized', .* got 'fast'"):
        objective_of(mlp).hessian(backend="fast")
