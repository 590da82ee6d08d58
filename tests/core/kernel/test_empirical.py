"""The empirical kernel against the Jacobian, one autograd call for each row of it, in float64."""

import copy
import logging

import kernel_cases as networks
import numpy as np
import pytest
import torch
from torch import nn

from landscope.kernel import contractions, empirical, ntk, structured, sums
from landscope.kernel.rows import layer_of
from landscope.objective import Objective

KINDS = ("full", "trace", "output", "pseudo")


def objective_of(name):
    torch.manual_seed(0)
    network, inputs, _ = networks.CASES[name]
    x = inputs()
    x = x.double() if x.is_floating_point() else x
    return Objective(network().double(), networks.loss, (x, torch.zeros(len(x))), forward=networks.forward)


def jacobian(objective, theta=None):
    """(N, C, P), row by row."""
    leaf = (objective.theta() if theta is None else theta).requires_grad_()
    with objective.measuring(), torch.enable_grad():
        batches = objective.batches_on_device()
        pieces = [objective.function(objective.layout.unflatten(leaf), batch) for batch, _ in batches]
        outputs = torch.cat([piece.reshape(len(piece), -1) for piece in pieces])
        rows = [
            torch.autograd.grad(entry, leaf, retain_graph=True, materialize_grads=True, allow_unused=True)[0]
            for entry in outputs.flatten()
        ]
    return torch.stack(rows).view(*outputs.shape, -1).detach()


def trace_kernel(jacobian):
    return (torch.einsum("iap,jap->ij", jacobian, jacobian) / jacobian.shape[1]).numpy()


def distance(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def trace_of(full, outputs):
    n = len(full) // outputs
    return np.einsum("iaja->ij", full.reshape(n, outputs, n, outputs)) / outputs


@pytest.mark.parametrize("name", networks.CASES)
def test_is_the_gram_matrix_of_the_jacobian(name, monkeypatch):
    """Of every kind, for every layer, and with gradients formed for no other parameters than must be."""
    objective = objective_of(name)
    formed = set()

    def spy(outputs, parameters, names, *rest):
        formed.update(names)
        return gram_of_rows(outputs, parameters, names, *rest)

    gram_of_rows = empirical.gram_of_rows
    monkeypatch.setattr(empirical, "gram_of_rows", spy)
    rows = jacobian(objective)
    flat = rows.flatten(0, 1)
    kernels = {kind: ntk(objective, kind=kind, by_layer=True, output=1 % rows.shape[1]) for kind in KINDS}
    expected = {
        "full": flat @ flat.T,
        "trace": torch.from_numpy(trace_kernel(rows)),
        "output": rows[:, 1 % rows.shape[1]] @ rows[:, 1 % rows.shape[1]].T,
        "pseudo": rows.sum(1) @ rows.sum(1).T / rows.shape[1],
    }
    for kind, kernel in kernels.items():
        assert distance(kernel.gram, expected[kind].numpy()) <= 1e-12, kind
        assert distance(kernel.layer_grams.sum(0), kernel.gram) <= 1e-12
        assert kernel.gram_kind == kind
        assert kernel.outputs == rows.shape[1]
    assert formed == (
        set() if networks.CASES[name][2] is None else set(objective.layout.names) - networks.CASES[name][2]
    )
    for layer, gram in zip(kernels["full"].layer_names, kernels["full"].layer_grams, strict=True):
        columns = torch.cat(
            [torch.full((size,), layer_of(n) == layer) for n, size in zip(*names_and_sizes(objective), strict=True)]
        )
        part = flat[:, columns]
        assert np.linalg.norm(gram - (part @ part.T).numpy()) <= 1e-12 * np.linalg.norm(kernels["full"].gram)


def names_and_sizes(objective):
    return objective.layout.names, objective.layout.sizes


def test_eigenvalues_and_shares():
    kernel = ntk(objective_of("linear"), by_layer=True)
    assert kernel.gram_kind == "full"  # 15 rows
    assert kernel.layer_names == ("0", "2")
    np.testing.assert_allclose(kernel.layer_shares, [np.trace(g) / np.trace(kernel.gram) for g in kernel.layer_grams])
    np.testing.assert_allclose(kernel.eigenvalues, np.linalg.eigvalsh(kernel.gram)[::-1], atol=1e-12)
    assert ntk(objective_of("linear")).layer_shares is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_duplicate_examples_make_it_singular(dtype):
    torch.manual_seed(0)
    x = torch.randn(4, 4, dtype=dtype)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1)).to(dtype)
    once, twice = (
        ntk(Objective(model, networks.loss, (inputs, torch.zeros(len(inputs))))) for inputs in (x, torch.cat([x, x]))
    )
    assert once.condition == once.eigenvalues[0] / once.lambda_min < 1e4
    assert once.lambda_min > 0
    assert twice.condition == np.inf
    assert abs(twice.lambda_min) <= 1e-5 * twice.eigenvalues[0]
    assert "condition" not in twice.scalars()


def test_kind_goes_by_size(monkeypatch):
    objective = objective_of("linear")
    assert ntk(objective).gram.shape == (15, 15)
    monkeypatch.setattr(empirical, "_FULL", 14)
    assert ntk(objective).gram_kind == "trace"
    monkeypatch.setattr(empirical, "_TRACE", 2)
    assert ntk(objective).gram_kind == "pseudo"


@pytest.mark.parametrize("budget", [7, 40])
@pytest.mark.parametrize("name", ["tokens", "convolution 2d", "tied embedding", "attention", "gated"])
def test_small_slabs_give_the_same(name, budget, monkeypatch):
    for setting in (
        "contractions.BUDGET",
        "uses.BUDGET",
        "structured.BUDGET",
        "structured._SLOPES",
        "rows.BUDGET",
        "sums._ROWS",
    ):
        monkeypatch.setattr(f"landscope.kernel.{setting}", budget)
    objective = objective_of(name)
    expected = jacobian(objective).flatten(0, 1)
    full = ntk(objective, kind="full")
    assert distance(full.gram, (expected @ expected.T).numpy()) <= 1e-12
    assert distance(ntk(objective, kind="trace").gram, trace_of(full.gram, full.outputs)) <= 1e-12


@pytest.mark.parametrize(("rows", "examples"), [(3, None), (600, None), (600, 200)])
def test_products_of_rows_fill_the_lower_triangle(rows, examples):
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(rows, 7, generator=generator)
    factors = None if examples is None else torch.randn(examples, examples, generator=generator)
    expected = matrix.double() @ matrix.double().T
    if factors is not None:
        expected *= factors.repeat_interleave(3, 0).repeat_interleave(3, 1)
    total = torch.ones(rows, rows, dtype=torch.float64)
    sums.add_products(total, matrix, factors)
    assert torch.allclose(total.tril(), (1 + expected).tril(), atol=1e-4)


def test_positions_that_read_the_same_row_are_paired_where_that_is_cheaper():
    index = torch.arange(4).view(2, 2)
    assert structured.lookup_is_cheaper(index, 10**6)
    assert not structured.lookup_is_cheaper(index, 2)
    lookup = contractions.Lookup(torch.tensor([[0, 1], [1, -1]]), paired=False)
    slopes = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]], [[[5.0, 6.0]], [[7.0, 8.0]]]])
    lookup.add([slopes])
    total = torch.zeros(2, 2)
    lookup.add_to(total)
    assert total.tolist() == [[1 + 4 + 9 + 16, 15 + 24], [15 + 24, 25 + 36]]


def test_batches_of_different_lengths():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(6, 3), nn.Linear(3, 4), nn.Tanh(), networks.mean(1), nn.Linear(4, 2)).double()
    batches = [(torch.randint(6, (2, 4)), torch.zeros(2)), (torch.randint(6, (3, 2)), torch.zeros(3))]
    objective = Objective(model, networks.loss, batches)
    assert distance(ntk(objective, kind="trace").gram, trace_kernel(jacobian(objective))) <= 1e-12


def test_batches_of_equal_shape_are_one():
    torch.manual_seed(0)
    data = torch.randn(9, 4).double(), torch.zeros(9)
    model = networks.CASES["linear"][0]().double()
    small, whole = (Objective(model, networks.loss, data, batch_size=size) for size in (2, 9))
    np.testing.assert_allclose(ntk(small, kind="trace").gram, ntk(whole, kind="trace").gram, rtol=1e-12)


def test_spectrum_is_that_of_the_gauss_newton_matrix():
    """With one output and loss (1/n) sum_i (f_i - y_i)^2 / 2 the GGN is J^T J / n, and the kernel J J^T."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    data = torch.randn(8, 3).double(), torch.randn(8, 1).double()
    objective = Objective(model, lambda output, target: 0.5 * nn.functional.mse_loss(output, target), data)
    ggn = objective.ggn()(torch.eye(objective.layout.size, dtype=torch.float64))
    expected = 8 * torch.linalg.eigvalsh(ggn).flip(0)[:8].numpy()
    np.testing.assert_allclose(ntk(objective, kind="trace").eigenvalues, expected, rtol=1e-9)


def test_elsewhere_than_at_the_models_weights():
    objective = objective_of("linear")
    theta = torch.randn_like(objective.theta())
    assert distance(ntk(objective, theta=theta, kind="trace").gram, trace_kernel(jacobian(objective, theta))) <= 1e-12
    assert distance(ntk(objective, kind="trace").gram, trace_kernel(jacobian(objective, theta))) > 0.01


def test_some_parameters_alone():
    objective = objective_of("linear").with_parameters(["0.*"])
    assert distance(ntk(objective, kind="trace").gram, trace_kernel(jacobian(objective))) <= 1e-12


def test_single_precision_is_near():
    torch.manual_seed(0)
    network, inputs, _ = networks.CASES["convolution 2d"]
    model, x = network(), inputs()
    single = Objective(copy.deepcopy(model), networks.loss, (x, torch.zeros(5)))
    double = Objective(model.double(), networks.loss, (x.double(), torch.zeros(5)))
    assert 0 < distance(ntk(single, kind="trace").gram, ntk(double, kind="trace").gram) <= 1e-6


def test_subset_is_the_same_every_time_and_within_the_data():
    torch.manual_seed(0)
    x, labels = torch.randn(30, 4), torch.arange(30) % 3
    objective = Objective(nn.Linear(4, 3), nn.CrossEntropyLoss(), (x, labels))
    first, again, other = (ntk(objective, 10, kind="trace", seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.gram, again.gram)
    assert first.gram.shape == (10, 10)
    assert first.provenance.examples == 10
    assert not np.array_equal(first.labels, other.labels)
    assert ntk(objective, 1000).gram.shape == (90, 90)


def test_labels_belong_to_the_rows():
    """A linear network without bias has the kernel x . x', so that examples can be told by it."""
    torch.manual_seed(0)
    x, labels = torch.randn(12, 4).double(), torch.randint(3, (12,))
    objective = Objective(nn.Linear(4, 3, bias=False).double(), nn.CrossEntropyLoss(), (x, labels), batch_size=5)
    kernel = ntk(objective, 7, kind="trace")
    length = dict(zip((x**2).sum(1).tolist(), labels.tolist(), strict=True))
    found = [min(length, key=lambda square, entry=entry: abs(square - entry)) for entry in np.diag(kernel.gram)]
    assert [length[square] for square in found] == kernel.labels.tolist()


def test_alignment_is_one_for_features_that_are_the_classes():
    """f = W x with one-hot x: the kernel is the labels' Gram matrix itself."""
    labels = torch.tensor([0, 0, 1, 2, 2, 2])
    x = nn.functional.one_hot(labels, 3).double()
    objective = Objective(nn.Linear(3, 3).double(), nn.CrossEntropyLoss(), (x, labels))
    assert ntk(objective, kind="trace").alignment == pytest.approx(1, abs=1e-12)


def test_no_alignment_without_classes():
    assert ntk(objective_of("linear")).alignment is None


def test_leaves_model_and_random_state_alone():
    torch.manual_seed(0)
    model = networks.batch_normalised().train()
    calls = []
    model[4].register_forward_hook(lambda module, args, output: calls.append(1))
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    objective = Objective(model, nn.CrossEntropyLoss(), (networks.images(), torch.tensor([0, 1, 1, 0, 0])))
    before = copy.deepcopy(model.state_dict())
    hooks = {name: (dict(m._forward_hooks), dict(m._forward_pre_hooks)) for name, m in model.named_modules()}
    state = torch.get_rng_state()
    ntk(objective, kind="trace")
    assert torch.equal(torch.get_rng_state(), state)
    assert calls
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(bool((parameter.grad == 1).all()) and parameter.requires_grad for parameter in model.parameters())
    assert hooks == {name: (dict(m._forward_hooks), dict(m._forward_pre_hooks)) for name, m in model.named_modules()}


def test_says_why_gradients_are_taken_one_by_one(caplog):
    with caplog.at_level(logging.INFO, logger="landscope.kernel"):
        ntk(objective_of("branching"))
        ntk(objective_of("hidden use"))
    assert "vmap refused" in caplog.text
    assert "layer.weight" in caplog.text


@pytest.mark.parametrize("policy", ["batch", "recompute"])
def test_refuses_kernels_across_examples(policy):
    data = networks.images(), torch.tensor([0, 1, 1, 0, 0])
    objective = Objective(networks.batch_normalised(), nn.CrossEntropyLoss(), data, batch_norm=policy)
    with pytest.raises(ValueError, match=f"not defined with batch_norm='{policy}'.*batch_norm='eval'"):
        ntk(objective, kind="trace")


def test_refuses_outputs_that_depend_on_other_examples():
    data = torch.randn(6, 3), torch.zeros(6)
    centred = Objective(nn.Linear(3, 2), networks.loss, data, forward=lambda model, b: model(b[0] - b[0].mean(0)))
    with pytest.raises(ValueError, match=r"outputs depend on the other examples.*one by one"):
        ntk(centred)


def test_refuses_what_makes_no_sense():
    objective = objective_of("linear")
    with pytest.raises(ValueError, match="kind must be one of auto, full, trace, output, pseudo, got 'sum'"):
        ntk(objective, kind="sum")
    with pytest.raises(ValueError, match=r"output must lie in 0\.\.2, got 3"):
        ntk(objective, kind="output", output=3)
    with pytest.raises(ValueError, match="n must be positive, got 0"):
        ntk(objective, 0)
    with pytest.raises(ValueError, match="theta must have shape"):
        ntk(objective, theta=torch.zeros(3))
    with pytest.raises(ValueError, match="not finite"):
        ntk(objective, theta=torch.full_like(objective.theta(), torch.inf))


def test_refuses_outputs_that_are_not_rows():
    data = torch.randn(4, 3), torch.zeros(4)
    pair = Objective(nn.Linear(3, 2), lambda output, _: output[0].mean(), data, forward=lambda m, b: (m(b[0]), b[0]))
    with pytest.raises(TypeError, match="tuple"):
        ntk(pair)
    pooled = Objective(nn.Linear(3, 2), lambda output, _: output.sum(), data, forward=lambda m, b: m(b[0]).mean(0))
    with pytest.raises(ValueError, match="output has 2 rows for 4 examples"):
        ntk(pooled)


def test_outputs_that_are_zero_up_to_rounding_have_a_kernel():
    torch.manual_seed(0)

    class Centred(nn.Module):
        """A network less itself, as it is at the start of a lazy training."""

        def __init__(self):
            super().__init__()
            self.now = nn.Sequential(nn.Linear(3, 40), nn.Tanh(), nn.Linear(40, 1)).double()
            self.start = copy.deepcopy(self.now).requires_grad_(False)

        def forward(self, x):
            return self.now(x) - torch.cat([self.start(row) for row in x.split(1)])

    x = torch.randn(12, 3, dtype=torch.float64)
    objective = Objective(Centred(), nn.MSELoss(), (x, torch.zeros(12, 1, dtype=torch.float64)))
    assert objective.outputs().abs().max() < 1e-12
    assert ntk(objective).gram.shape == (12, 12)
