"""The empirical kernel against the Jacobian, one autograd call for each row of it, in float64."""

import copy
import logging
import math

import kernel_cases as networks
import numpy as np
import pytest
import torch
from torch import nn

from landscope.kernel import empirical, ntk
from landscope.objective import Objective


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


@pytest.mark.parametrize("name", networks.CASES)
def test_is_the_gram_matrix_of_the_jacobian(name):
    objective = objective_of(name)
    kernel = ntk(objective)
    expected = trace_kernel(jacobian(objective))
    assert distance(kernel.gram, expected) <= 1e-12
    assert kernel.outputs == math.prod(objective.outputs().shape[1:])
    assert kernel.eigenvalues[0] >= kernel.eigenvalues[-1] >= -1e-12 * kernel.eigenvalues[0]
    np.testing.assert_allclose(kernel.eigenvalues.sum(), np.trace(expected), rtol=1e-12)


@pytest.mark.parametrize("name", networks.CASES)
def test_gradients_are_formed_for_no_other_parameters_than_must_be(name, monkeypatch):
    objective = objective_of(name)
    formed = set()

    def spy(outputs, parameters, names, batches, width):
        formed.update(names)
        return gram_of_rows(outputs, parameters, names, batches, width)

    gram_of_rows = empirical.gram_of_rows
    monkeypatch.setattr(empirical, "gram_of_rows", spy)
    ntk(objective)
    factored = networks.CASES[name][2]
    assert formed == (set() if factored is None else set(objective.layout.names) - factored)


@pytest.mark.parametrize("budget", [1, 40])
@pytest.mark.parametrize("name", ["linear", "tokens", "convolution 2d", "embedding", "attention", "bare parameters"])
def test_small_slabs_give_the_same(name, budget, monkeypatch):
    for module in ("contractions", "graphs", "rows"):
        monkeypatch.setattr(f"landscope.kernel.{module}.BUDGET", budget)
    objective = objective_of(name)
    assert distance(ntk(objective).gram, trace_kernel(jacobian(objective))) <= 1e-12


def test_batches_of_different_lengths():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(6, 3), nn.Linear(3, 4), nn.Tanh(), networks.mean(1), nn.Linear(4, 2)).double()
    batches = [(torch.randint(6, (2, 4)), torch.zeros(2)), (torch.randint(6, (3, 2)), torch.zeros(3))]
    objective = Objective(model, networks.loss, batches)
    assert distance(ntk(objective).gram, trace_kernel(jacobian(objective))) <= 1e-12


def test_batches_of_equal_shape_are_one():
    torch.manual_seed(0)
    data = torch.randn(9, 4).double(), torch.zeros(9)
    model = networks.CASES["linear"][0]().double()
    small, whole = (Objective(model, networks.loss, data, batch_size=size) for size in (2, 9))
    np.testing.assert_allclose(ntk(small).gram, ntk(whole).gram, rtol=1e-12)


def test_pseudo_kernel_is_that_of_the_summed_outputs():
    objective = objective_of("convolution 2d")
    summed = jacobian(objective).sum(1)
    kernel = ntk(objective, kind="pseudo")
    assert distance(kernel.gram, (summed @ summed.T).numpy() / kernel.outputs) <= 1e-12
    assert kernel.gram_kind == "pseudo"
    assert distance(ntk(objective).gram, kernel.gram) > 0.01


def test_spectrum_is_that_of_the_gauss_newton_matrix():
    """With one output and loss (1/n) sum_i (f_i - y_i)^2 / 2 the GGN is J^T J / n, and the kernel J J^T."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    data = torch.randn(8, 3).double(), torch.randn(8, 1).double()
    objective = Objective(model, lambda output, target: 0.5 * nn.functional.mse_loss(output, target), data)
    ggn = objective.ggn()(torch.eye(objective.layout.size, dtype=torch.float64))
    expected = 8 * torch.linalg.eigvalsh(ggn).flip(0)[:8].numpy()
    np.testing.assert_allclose(ntk(objective).eigenvalues, expected, rtol=1e-9)


def test_elsewhere_than_at_the_models_weights():
    objective = objective_of("linear")
    theta = torch.randn_like(objective.theta())
    assert distance(ntk(objective, theta=theta).gram, trace_kernel(jacobian(objective, theta))) <= 1e-12
    assert distance(ntk(objective).gram, trace_kernel(jacobian(objective, theta))) > 0.01


def test_some_parameters_alone():
    objective = objective_of("linear").with_parameters(["0.*"])
    assert distance(ntk(objective).gram, trace_kernel(jacobian(objective))) <= 1e-12


def test_single_precision_is_near():
    torch.manual_seed(0)
    network, inputs, _ = networks.CASES["convolution 2d"]
    model, x = network(), inputs()
    single = Objective(copy.deepcopy(model), networks.loss, (x, torch.zeros(5)))
    double = Objective(model.double(), networks.loss, (x.double(), torch.zeros(5)))
    assert 0 < distance(ntk(single).gram, ntk(double).gram) <= 1e-6


def test_subset_is_the_same_every_time_and_within_the_data():
    torch.manual_seed(0)
    x, labels = torch.randn(30, 4), torch.arange(30) % 3
    objective = Objective(nn.Linear(4, 3), nn.CrossEntropyLoss(), (x, labels))
    first, again, other = ntk(objective, 10), ntk(objective, 10), ntk(objective, 10, seed=1)
    np.testing.assert_array_equal(first.gram, again.gram)
    assert first.gram.shape == (10, 10)
    assert first.provenance.examples == 10
    assert not np.array_equal(first.labels, other.labels)
    assert ntk(objective, 1000).gram.shape == (30, 30)


def test_labels_belong_to_the_rows():
    """A linear network without bias has the kernel x . x', so that examples can be told by it."""
    torch.manual_seed(0)
    x, labels = torch.randn(12, 4).double(), torch.randint(3, (12,))
    objective = Objective(nn.Linear(4, 3, bias=False).double(), nn.CrossEntropyLoss(), (x, labels), batch_size=5)
    kernel = ntk(objective, 7)
    length = dict(zip((x**2).sum(1).tolist(), labels.tolist(), strict=True))
    found = [min(length, key=lambda square, entry=entry: abs(square - entry)) for entry in np.diag(kernel.gram)]
    assert [length[square] for square in found] == kernel.labels.tolist()


def test_alignment_is_one_for_features_that_are_the_classes():
    """f = W x with one-hot x: the kernel is the labels' Gram matrix itself."""
    labels = torch.tensor([0, 0, 1, 2, 2, 2])
    x = nn.functional.one_hot(labels, 3).double()
    objective = Objective(nn.Linear(3, 3).double(), nn.CrossEntropyLoss(), (x, labels))
    assert ntk(objective).alignment == pytest.approx(1, abs=1e-12)


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
    ntk(objective)
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
        ntk(objective)


def test_refuses_what_makes_no_sense():
    objective = objective_of("linear")
    with pytest.raises(ValueError, match="kind must be one of trace, pseudo, got 'full'"):
        ntk(objective, kind="full")
    with pytest.raises(ValueError, match="n must be positive, got 0"):
        ntk(objective, 0)
    with pytest.raises(ValueError, match="length"):
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
