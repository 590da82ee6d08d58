"""Gauss-Newton, Fisher and restricted operators against explicit matrices in float64."""

import random
from itertools import pairwise, product
from typing import get_args

import explicit
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss, one_hot

from landscope.curvature import (
    OperatorName,
    block_diagonal,
    curvature_operator,
    eigenvalues,
    empirical_fisher,
    fisher,
    preconditioned_operator,
)
from landscope.curvature.stability import stability_rule
from landscope.objective import Objective


def matrix(operator, size):
    return operator(torch.eye(size, dtype=torch.float64))


def scores(objective, targets=None):
    """(N, P), the gradients of the losses of single examples, by backward passes of the user's own model."""
    model, rows = objective.model.eval(), []
    for x, y in objective.batches.items:
        for i in range(len(x)):
            target = y[i : i + 1] if targets is None else targets[i : i + 1]
            rows.append(explicit.gradient(model, lambda m, x=x, i=i, t=target: objective.loss(m(x[i : i + 1]), t)))
    return torch.stack(rows)


def split(objective, sizes):
    (x, y), starts = objective.batches.items[0], torch.tensor([0, *sizes]).cumsum(0)
    return [(x[a:b], y[a:b]) for a, b in pairwise(starts)]


def close(found, expected):
    return torch.allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_empirical_fisher_is_the_mean_of_outer_products_of_gradients(problem):
    rows = scores(problem.objective)
    found = matrix(empirical_fisher(problem.objective), rows.shape[1])
    assert close(found, rows.T @ rows / len(rows))
    assert not torch.allclose(found, problem.hessian, rtol=0.1, atol=1e-3)


def test_batches_subsets_classes_losses_and_parameters_are_followed(mlp):
    model = mlp.objective.model
    whole = Objective(model, cross_entropy, split(mlp.objective, (128, 64, 8)))
    rows, labels = scores(whole), whole.labels()
    size = whole.layout.size
    assert close(matrix(empirical_fisher(whole), size), rows.T @ rows / 200)
    chosen = rows[labels == 2]
    assert close(matrix(empirical_fisher(whole.of_class(2)), size), chosen.T @ chosen / len(chosen))
    assert close(
        matrix(empirical_fisher(whole.subset([3, 150, 199])), size), rows[[3, 150, 199]].T @ rows[[3, 150, 199]] / 3
    )
    tripled = whole.with_loss(lambda output, target: 3 * cross_entropy(output, target))
    assert close(matrix(empirical_fisher(tripled), size), 9 * rows.T @ rows / 200)
    part = whole.with_parameters(["2.*"])
    inside = slice(whole.layout.slices["2.weight"].start, whole.layout.slices["2.bias"].stop)
    assert close(matrix(empirical_fisher(part), part.layout.size), rows[:, inside].T @ rows[:, inside] / 200)


@pytest.mark.parametrize("name", ["fisher", "empirical-fisher", "ggn", "hessian"])
def test_unused_and_frozen_parameters(name):
    torch.manual_seed(0)
    model = nn.ModuleDict({"used": nn.Linear(4, 3), "frozen": nn.Linear(4, 4), "unused": nn.Linear(2, 2)}).double()
    model["frozen"].requires_grad_(False)
    data = torch.randn(9, 4).double(), torch.randint(3, (9,))
    objective = Objective(model, cross_entropy, data, forward=lambda m, batch: m["used"](m["frozen"](batch[0]).tanh()))
    found = matrix(curvature_operator(objective, name, None), 21)
    assert torch.linalg.matrix_rank(found) > 0
    assert (found[15:] == 0).all()
    assert (found[:, 15:] == 0).all()
    alone = curvature_operator(objective.with_parameters(["unused.*"]), name, None)
    assert torch.equal(alone(torch.ones(6).double()), torch.zeros(6).double())


def test_sampled_fisher_is_that_of_some_targets_and_the_same_at_every_product():
    torch.manual_seed(0)
    x, y = torch.randn(3, 2).double(), torch.tensor([0, 1, 2])
    objective = Objective(nn.Linear(2, 3).double(), cross_entropy, (x, y))
    possible = [scores(objective, torch.tensor(labels)) for labels in product(range(3), repeat=3)]
    hits = set()
    for seed in range(12):
        operator = fisher(objective, seed=seed)
        found = matrix(operator, 9)
        assert torch.equal(found, matrix(operator, 9))
        equal = [number for number, rows in enumerate(possible) if close(found, rows.T @ rows / 3)]
        assert len(equal) == 1
        hits |= set(equal)
    assert len(hits) > 3


def test_batches_draw_targets_of_their_own_and_keep_them(mlp):
    x, y = (part[:1].repeat_interleave(8, 0) for part in mlp.objective.batches.items[0])
    objective = Objective(mlp.objective.model, cross_entropy, [(x[i : i + 1], y[i : i + 1]) for i in range(8)])
    operator = fisher(objective)
    found = matrix(operator, objective.layout.size)
    assert torch.equal(found, matrix(operator, objective.layout.size))
    assert torch.linalg.matrix_rank(found, rtol=1e-9) > 1  # eight times one example: one target each time has rank one


@pytest.mark.parametrize("loss", [cross_entropy, mse_loss], ids=["softmax", "gaussian"])
def test_sampled_fisher_tends_to_the_gauss_newton_matrix(mlp, loss):
    model, (x, y) = mlp.objective.model, mlp.objective.batches.items[0]
    x, y = x[:40], y[:40]
    # one-hot targets name classes, but squared errors make a Gaussian
    objective = Objective(model, loss, (x, one_hot(y, 5).double() if loss is mse_loss else y))
    ggn = explicit.gauss_newton(model, lambda m: m(x), lambda output: loss(output, objective.batches.items[0][1]))
    few, many = (matrix(fisher(objective, samples=samples), len(ggn)) for samples in (10, 1000))
    off = [(found - ggn).norm() / ggn.norm() for found in (few, many)]
    assert off[1] < 0.04
    assert off[1] < 0.3 * off[0]
    assert torch.allclose(few, few.T, rtol=1e-9, atol=1e-14)
    assert torch.linalg.eigvalsh(few).min() > -1e-12


def test_batches_of_the_sampled_fisher_weigh_by_size():
    torch.manual_seed(0)
    x, y = torch.randn(9, 2).double(), torch.randint(3, (9,))
    model = nn.Linear(2, 3).double()
    batches = [(x[a:b], y[a:b]) for a, b in ((0, 6), (6, 8), (8, 9))]
    ggn = explicit.gauss_newton(model, lambda m: m(x), lambda output: cross_entropy(output, y))
    found = matrix(fisher(Objective(model, cross_entropy, batches), samples=20_000), len(ggn))
    assert (found - ggn).norm() < 0.01 * ggn.norm()


def test_tokens_are_examples_of_the_sampled_fisher_and_ignored_ones_count_for_nothing():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(5, 3), nn.Tanh(), nn.Linear(3, 5)).double()
    tokens, following = torch.randint(5, (2, 6, 4))
    following[0, :2] = -100

    def loss(logits, targets):
        return cross_entropy(logits.flatten(0, 1), targets.flatten())

    objective = Objective(model, loss, (tokens, following))
    ggn = explicit.gauss_newton(model, lambda m: m(tokens), lambda output: loss(output, following))
    found = matrix(fisher(objective, samples=20_000), len(ggn))
    assert (found - ggn).norm() < 0.01 * ggn.norm()


def test_a_loss_without_a_known_likelihood_has_no_sampled_fisher():
    torch.manual_seed(0)
    data = torch.randn(6, 2), torch.randint(2, (6, 1)).float()
    objective = Objective(nn.Linear(2, 1), binary_cross_entropy_with_logits, data)
    with pytest.raises(ValueError, match="neither; use operator='ggn'"):
        fisher(objective)(torch.ones(3))
    with pytest.raises(ValueError, match="samples must be at least 1, got 0"):
        fisher(objective, samples=0)
    assert empirical_fisher(objective)(torch.ones(3)).shape == (3,)


def test_block_diagonal_leaves_out_what_couples_modules(problem):
    layout = problem.objective.layout
    modules = [name.rpartition(".")[0] for name in layout.names]
    owner = torch.tensor([modules.index(module) for module in modules]).repeat_interleave(torch.tensor(layout.sizes))
    truth = problem.hessian * (owner[:, None] == owner)
    assert not torch.equal(truth, problem.hessian)
    found = matrix(block_diagonal(problem.objective.hessian(), layout), layout.size)
    assert torch.allclose(found, truth, rtol=1e-9, atol=1e-12)
    whole = block_diagonal(problem.objective.hessian(), layout, {"all": layout.names})
    assert torch.allclose(matrix(whole, layout.size), problem.hessian, rtol=1e-9, atol=1e-12)


def test_block_diagonal_wants_each_parameter_once(mlp):
    layout, operator = mlp.objective.layout, mlp.objective.hessian()
    with pytest.raises(ValueError, match=r"not so of 0\.bias, 9\.weight"):
        block_diagonal(operator, layout, {"a": ["0.weight", "9.weight"], "b": ["2.weight", "2.bias"]})
    with pytest.raises(ValueError, match=r"not so of 0\.bias"):
        block_diagonal(operator, layout, {"a": layout.names, "b": ["0.bias"]})


def test_preconditioned_as_adam_sees_it(mlp):
    model, (x, y) = mlp.objective.model, mlp.objective.batches.items[0]
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=0.1)
    try:
        cross_entropy(model(x), y).backward()
        optimizer.step()
        second = [optimizer.state[p]["exp_avg_sq"] / (1 - 0.999) for p in model.parameters()]
    finally:
        model.load_state_dict(weights)
        optimizer.zero_grad()
    root = torch.cat([((1 - 0.9) * (v.sqrt() + 1e-8)).rsqrt().reshape(-1) for v in second])
    size = len(root)
    truth = root[:, None] * (mlp.hessian + 0.1 * torch.eye(size)) * root
    rule = stability_rule(optimizer, mlp.objective.layout, model)
    found = matrix(preconditioned_operator(mlp.objective.hessian(), rule), size)
    assert torch.allclose(found, truth, rtol=1e-6, atol=1e-9 * float(truth.max()))


def test_an_unknown_operator_is_refused_with_those_there_are(mlp):
    with pytest.raises(
        ValueError, match="operator must be one of 'hessian', 'ggn', 'fisher', 'empirical-fisher', got 'kfac'"
    ):
        curvature_operator(mlp.objective, "kfac", None)


def test_measuring_curvature_leaves_no_trace():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Dropout(0.4), nn.Linear(5, 3)).train()
    model[4].eval()
    x, y = torch.randn(12, 4), torch.randint(3, (12,))
    cross_entropy(model(x), y).backward()
    model[0].weight.requires_grad_(False)

    def state():
        tensors = [*model.state_dict().values(), *(p.grad for p in model.parameters())]
        return (
            [(id(p), p._version, p.requires_grad, id(p.grad)) for p in model.parameters()],
            [module.training for module in model.modules()],
            [tensor.clone() for tensor in tensors],
            (torch.get_rng_state(), random.getstate(), repr(np.random.get_state())),  # noqa: NPY002
            torch.is_grad_enabled(),
        )

    before = state()
    for policy in ("eval", "batch"):
        objective = Objective(model, cross_entropy, (x, y), batch_norm=policy)
        layout, block = objective.layout, torch.ones(2, objective.layout.size)
        for name in get_args(OperatorName):
            curvature_operator(objective, name, None)(block)
            eigenvalues(objective, 2, operator=name, which="both")
        for backend in ("linearized", "forward-over-reverse", "differences"):
            objective.hessian(backend=backend)(block)
        block_diagonal(objective.hessian(), layout)(block)
        fisher(objective, samples=3)(block)
    after = state()
    assert before[:2] == after[:2]
    assert all(torch.equal(*pair) for pair in zip(before[2], after[2], strict=True))
    assert torch.equal(before[3][0], after[3][0])
    assert before[3][1:] == after[3][1:]
    assert before[4] == after[4]
