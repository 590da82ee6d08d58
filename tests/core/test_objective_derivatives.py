"""Gradients, Hessian and Gauss-Newton products against explicit matrices in float64."""

import explicit
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from landscope.objective import Objective

N = 12


class Attention(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, 3)

    def forward(self, x):
        q, k, v = self.qkv(x.unsqueeze(1).unflatten(-1, (1, -1))[:, 0]).chunk(3, dim=-1)
        q, k, v = (torch.stack([part, part.flip(-1), part.sin()], 1) for part in (q[:, 0], k[:, 0], v[:, 0]))
        return self.out(self.norm(F.scaled_dot_product_attention(q, k, v)).mean(1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(2, 2, batch_first=True)
        self.out = nn.Linear(2, 3)

    def forward(self, x):
        return self.out(self.lstm(x.unflatten(1, (2, 2)))[0][:, -1])


class TiedLanguage(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(3, 4)
        self.mix = nn.Linear(4, 4)
        self.readout = nn.Linear(4, 3, bias=False)
        self.readout.weight = self.embedding.weight

    def forward(self, x):
        tokens = (x[:, :2] > 0).long() + (x[:, 2:] > 0).long()
        return self.readout(torch.tanh(self.mix(self.embedding(tokens).sum(1))))


def mlp():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))


def convolution():
    return nn.Sequential(
        nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 2, 2), nn.BatchNorm1d(2), nn.SiLU(), nn.Flatten(), nn.Linear(6, 3)
    )


def normalised():
    return nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.GELU(), nn.Linear(3, 3))


def encoder():
    return nn.Sequential(
        nn.Unflatten(1, (2, 2)), nn.TransformerEncoderLayer(2, 1, 3, dropout=0.3, batch_first=True), nn.Flatten(),
        nn.Linear(4, 3),
    )  # fmt: skip


MODELS = [mlp, convolution, normalised, Attention, Recurrent, TiedLanguage, encoder]


def made(build):
    torch.manual_seed(0)
    model = build().double()
    for buffer in model.buffers():
        if buffer.is_floating_point():
            buffer.add_(torch.rand_like(buffer))
    return model


def data():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(N, 4, generator=generator, dtype=torch.float64), torch.randint(3, (N,), generator=generator)


def vectors(objective, k=3):
    generator = torch.Generator().manual_seed(2)
    return torch.randn(k, objective.layout.size, generator=generator, dtype=torch.float64)


def explicit_of(model, x, y):
    """Gradient, Hessian and Gauss-Newton matrix of the mean loss, by the model's own parameters."""
    with sdpa_kernel(SDPBackend.MATH):
        torch.backends.mha.set_fastpath_enabled(False)
        found = (
            explicit.gradient(model, lambda m: F.cross_entropy(m(x), y)),
            explicit.hessian(model, lambda m: F.cross_entropy(m(x), y)),
            explicit.gauss_newton(model, lambda m: m(x), lambda output: F.cross_entropy(output, y)),
        )
        torch.backends.mha.set_fastpath_enabled(True)
    return found


def close(found, expected):
    return torch.allclose(found, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("build", MODELS)
def test_derivatives_equal_explicit_matrices(build):
    model, (x, y) = made(build), data()
    gradient, hessian, ggn = explicit_of(model.eval(), x, y)
    model.train()
    objective = Objective(model, F.cross_entropy, (x, y))
    block = vectors(objective)
    assert hessian.abs().max() > 1e-2
    assert close(objective.gradient(), gradient)
    assert close(objective.hessian()(block), block @ hessian)
    assert close(objective.ggn()(block), block @ ggn)
    assert not torch.allclose(hessian, ggn, rtol=1e-2)


@pytest.mark.parametrize("build", MODELS)
def test_many_batches_equal_one_and_blocks_equal_vectors_one_by_one(build):
    model, (x, y) = made(build), data()
    whole = Objective(model, F.cross_entropy, (x, y))
    parts = Objective(model, F.cross_entropy, (x, y), batch_size=5)
    assert parts.batches.sizes == (5, 5, 2)
    point = whole.theta() + 0.1 * vectors(whole, 1)[0]
    block = vectors(whole)
    assert close(parts.gradient(point), whole.gradient(point))
    for of in (Objective.hessian, Objective.ggn):
        one, many = of(whole, point), of(parts, point)
        assert close(many(block), one(block))
        assert close(torch.stack([one(vector) for vector in block]), one(block))
        assert close(torch.stack([many(vector) for vector in block]), many(block))


def test_batch_statistics_are_differentiated():
    model, (x, y) = made(convolution), data()
    objective = Objective(model, F.cross_entropy, (x, y), batch_norm="batch")
    running = [buffer.clone() for buffer in model.buffers()]
    model.train()  # a copy in training mode normalises by the batch
    gradient, hessian, ggn = explicit_of(model, x, y)
    for buffer, before in zip(model.buffers(), running, strict=True):
        buffer.copy_(before)
    block = vectors(objective)
    assert close(objective.gradient(), gradient)
    assert close(objective.hessian()(block), block @ hessian)
    assert close(objective.ggn()(block), block @ ggn)
    assert all(torch.equal(*pair) for pair in zip(model.buffers(), running, strict=True))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), build=st.sampled_from(MODELS), batch_size=st.sampled_from([5, N]))
def test_operators_are_symmetric_and_gauss_newton_is_positive(seed, build, batch_size):
    model = made(build)
    objective = Objective(model, F.cross_entropy, data(), batch_size=batch_size)
    generator = torch.Generator().manual_seed(seed)
    u, v = torch.randn(2, objective.layout.size, generator=generator, dtype=torch.float64)
    point = objective.theta() + 0.3 * u
    for operator in (objective.hessian(point), objective.ggn(point)):
        images = operator(torch.stack([u, v]))
        assert float(u @ images[1]) == pytest.approx(float(v @ images[0]), rel=1e-8, abs=1e-11)
    assert float(v @ images[1]) >= -1e-12


def test_at_another_point_than_the_models():
    model, (x, y) = made(mlp), data()
    objective = Objective(model, F.cross_entropy, (x, y))
    point = objective.theta() + vectors(objective, 1)[0]
    other = made(mlp)
    nn.utils.vector_to_parameters(point, other.parameters())
    gradient, hessian, ggn = explicit_of(other, x, y)
    value, slope = objective.value_and_gradient(point)
    block = vectors(objective)
    assert value == pytest.approx(float(F.cross_entropy(other(x), y).detach()), rel=1e-13)
    assert close(slope, gradient)
    assert close(objective.hessian(point)(block), block @ hessian)
    assert close(objective.ggn(point)(block), block @ ggn)


def test_an_operator_stays_at_the_point_where_it_was_made():
    model = made(mlp)
    for batch_size in (5, N):
        objective = Objective(model, F.cross_entropy, data(), batch_size=batch_size)
        block = vectors(objective)
        operator, expected = objective.hessian(), objective.hessian(objective.theta())(block)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.1)
        assert close(operator(block), expected)
        theta = objective.theta()
        operator, expected = objective.hessian(theta), objective.hessian(theta.clone())(block)
        theta.zero_()
        assert close(operator(block), expected)


def test_linear_models_and_losses():
    x, y = torch.randn(N, 2, dtype=torch.float64), torch.randn(N, 1, dtype=torch.float64)
    model = nn.Linear(2, 1, bias=False).double()
    objective = Objective(model, F.mse_loss, (x, y))
    v = torch.randn(2, dtype=torch.float64)
    assert close(objective.hessian()(v), 2 / N * x.T @ x @ v)
    assert close(objective.ggn()(v), 2 / N * x.T @ x @ v)
    linear = objective.with_loss(lambda output, target: (output * target).mean())
    assert close(linear.gradient(), (x * y).mean(0))
    assert torch.equal(linear.hessian()(v), torch.zeros(2, dtype=torch.float64))
    assert torch.equal(linear.ggn()(v), torch.zeros(2, dtype=torch.float64))


def test_unused_parameters_have_zero_derivatives():
    model = nn.ModuleDict({"used": nn.Linear(4, 3), "unused": nn.Linear(2, 2)}).double()
    objective = Objective(model, F.cross_entropy, data(), forward=lambda m, batch: m["used"](batch[0]))
    unused = objective.layout.slices["unused.weight"]
    v = vectors(objective, 1)[0]
    assert torch.equal(objective.gradient()[unused], torch.zeros(4, dtype=torch.float64))
    assert torch.equal(objective.hessian()(v)[unused], torch.zeros(4, dtype=torch.float64))
    assert torch.equal(objective.ggn()(v)[unused], torch.zeros(4, dtype=torch.float64))
    alone = objective.with_parameters(["unused.*"])
    assert torch.equal(alone.gradient(), torch.zeros(6, dtype=torch.float64))
    assert torch.equal(alone.hessian()(v[:6]), torch.zeros(6, dtype=torch.float64))


def test_frozen_and_chosen_parameters_give_blocks_of_the_whole():
    model, (x, y) = made(mlp), data()
    whole = Objective(model, F.cross_entropy, (x, y))
    _, hessian, _ = explicit_of(model, x, y)
    part = Objective(model, F.cross_entropy, (x, y), parameters=["2.*"])
    inside = slice(whole.layout.slices["2.weight"].start, whole.layout.slices["2.bias"].stop)
    v = vectors(part, 1)[0]
    assert close(part.gradient(), whole.gradient()[inside])
    assert close(part.hessian()(v), hessian[inside, inside] @ v)
    model[0].requires_grad_(False)
    frozen = Objective(model, F.cross_entropy, (x, y))
    assert frozen.layout == part.layout
    assert close(frozen.hessian()(v), hessian[inside, inside] @ v)


def test_recompute_has_no_derivatives():
    objective = Objective(made(convolution), F.cross_entropy, data(), batch_norm="recompute")
    for call in (objective.gradient, objective.value_and_gradient, objective.hessian, objective.ggn):
        with pytest.raises(ValueError, match=r"recompute.*no derivatives.*use batch_norm='batch'"):
            call()


def test_wrong_shapes_are_refused_and_empty_blocks_are_empty():
    objective = Objective(made(mlp), F.cross_entropy, data())
    size = objective.layout.size
    for operator in (objective.hessian(), objective.ggn()):
        for shape in ((size + 1,), (2, size - 1), (1, 1, size), ()):
            with pytest.raises(ValueError, match=rf"must have shape \({size},\) or \(K, {size}\)"):
                operator(torch.zeros(shape, dtype=torch.float64))
        assert operator(torch.zeros(0, size)).shape == (0, size)
        with pytest.raises(ValueError, match=r"vectors must be floating point, got torch\.int64"):
            operator(torch.ones(size, dtype=torch.int64))
    with pytest.raises(ValueError, match=rf"theta must have shape \({size},\), got \(3,\)"):
        objective.gradient(torch.zeros(3))
    with pytest.raises(TypeError, match="theta must be a tensor, got ndarray"):
        objective.gradient(objective.theta().numpy())


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)])
def test_the_users_modes_do_not_matter(around):
    model = made(mlp)
    expected = Objective(model, F.cross_entropy, data(), batch_size=5)
    gradient, block = expected.gradient(), vectors(expected)
    products = expected.hessian()(block), expected.ggn()(block)
    value = expected.value()
    with around():
        x, y = data()
        objective = Objective(model, F.cross_entropy, (x + 0, y + 0), batch_size=5)
        assert torch.equal(objective.gradient(), gradient)
        assert torch.equal(objective.gradient(objective.theta() + 0), gradient)
        assert torch.equal(objective.hessian()(block + 0), products[0])
        assert torch.equal(objective.ggn(objective.theta())(block), products[1])
        assert objective.value() == value
        with objective.measuring():
            assert torch.equal(objective.gradient(), gradient)
    assert torch.equal(objective.gradient(), gradient)


def test_recomputed_activations_are_refused_because_they_would_be_of_other_weights():
    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = made(mlp)

        def forward(self, x):
            return checkpoint(self.body, x, use_reentrant=False)

    model = Checkpointed()
    objective = Objective(model, F.cross_entropy, data())
    point = objective.theta() * 1.5
    assert objective.value(point) == Objective(model.body, F.cross_entropy, data()).value(point)
    for call in (objective.gradient, lambda theta: objective.hessian(theta)(theta)):
        with pytest.raises(RuntimeError, match=r"switch off torch\.utils\.checkpoint"):
            call(point)


def test_backward_hooks_of_the_user_run_and_change_nothing():
    model, calls = made(mlp), []
    plain = Objective(model, F.cross_entropy, data())
    v = vectors(plain, 1)[0]
    expected = plain.gradient(), plain.hessian()(v), plain.ggn()(v)
    model[1].register_full_backward_hook(lambda *arguments: calls.append(1))
    model[2].register_forward_hook(lambda *arguments: calls.append(2))
    objective = Objective(model, F.cross_entropy, data())
    assert torch.equal(objective.gradient(), expected[0])
    assert set(calls) == {1, 2}
    assert close(objective.hessian()(v), expected[1])
    assert close(objective.ggn()(v), expected[2])


def test_products_come_in_the_type_of_the_vectors():
    objective = Objective(made(mlp).float(), F.cross_entropy, (data()[0].float(), data()[1]))
    block = vectors(objective)
    exact = objective.hessian()(block)
    assert exact.dtype == torch.float64
    assert objective.hessian()(block.float()).dtype == torch.float32
    assert torch.allclose(objective.hessian()(block.float()).double(), exact, rtol=1e-4, atol=1e-6)


def test_an_embedding_with_sparse_gradients_is_measured_like_a_dense_one():
    torch.manual_seed(0)
    sparse, dense = nn.Embedding(5, 3, sparse=True).double(), nn.Embedding(5, 3).double()
    dense.load_state_dict(sparse.state_dict())
    x, y = torch.randint(4, (N,)), torch.randint(3, (N,))
    found, expected = (Objective(model, F.cross_entropy, (x, y)) for model in (sparse, dense))
    v = vectors(found, 1)[0]
    assert torch.equal(found.gradient(), expected.gradient())
    assert torch.equal(found.hessian()(v), expected.hessian()(v))
    assert sparse.sparse
