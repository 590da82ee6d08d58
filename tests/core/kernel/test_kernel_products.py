"""Products with the kernel, its leading eigenvalues, and its link to the Gauss-Newton matrix, against Jacobians."""

import numpy as np
import pytest
import torch
from kernel_cases import CASES
from test_empirical import jacobian, objective_of
from torch import nn
from torch.nn import functional

from landscope import curvature
from landscope.kernel import ggn_eigenvalues, leading_eigenvalues, ntk, ntk_operator
from landscope.objective import Objective


@pytest.mark.parametrize("name", ["linear", "convolution 2d", "gated", "own attention", "branching"])
def test_products_are_those_of_the_gram_matrix(name):
    objective = objective_of(name)
    rows = jacobian(objective).flatten(0, 1)
    block = torch.randn(3, len(rows), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    operator = ntk_operator(objective)
    expected = block @ (rows @ rows.T)
    assert torch.allclose(operator(block), expected, rtol=1e-12, atol=1e-12 * float(expected.abs().max()))
    assert torch.allclose(operator(block[0]), expected[0], rtol=1e-12, atol=1e-12 * float(expected.abs().max()))


def test_products_over_several_batches_and_elsewhere():
    torch.manual_seed(0)
    model, data = CASES["linear"][0]().double(), (torch.randn(9, 4).double(), torch.randint(3, (9,)))
    objective = Objective(model, nn.CrossEntropyLoss(), data, batch_size=4)
    theta = torch.randn_like(objective.theta())
    rows = jacobian(objective, theta.clone()).flatten(0, 1)
    vector = torch.randn(27).double()
    assert torch.allclose(ntk_operator(objective, theta=theta)(vector), rows @ (rows.T @ vector), rtol=1e-11)


def test_leading_eigenvalues_without_the_matrix():
    objective = objective_of("convolution 2d")
    found = leading_eigenvalues(objective, 4, tolerance=1e-10)
    np.testing.assert_allclose(found.values, ntk(objective, kind="full").eigenvalues[:4], rtol=1e-8)
    assert found.vectors.shape == (4, 5 * ntk(objective).outputs)
    assert found.converged.all()
    assert "tangent kernel (output² / parameter²)" in found.figure().layout.yaxis.title.text


def test_refuses_what_makes_no_sense():
    objective = objective_of("linear")
    with pytest.raises(ValueError, match="k must be positive, got 0"):
        leading_eigenvalues(objective, 0)
    with pytest.raises(ValueError, match="tolerance must be positive"):
        leading_eigenvalues(objective, tolerance=0)
    data = torch.randn(5, 4), torch.zeros(5)
    with pytest.raises(ValueError, match="batch_norm='eval'"):
        ntk_operator(Objective(nn.Linear(4, 1), lambda o, _: o.mean(), data, batch_norm="batch"))


def token_loss(output, target):
    return functional.cross_entropy(output.flatten(0, -2), target.flatten())


LOSSES = {
    "cross-entropy": ("linear", nn.CrossEntropyLoss(), lambda n: torch.randint(3, (n,))),
    "squares": ("linear", nn.MSELoss(), lambda n: torch.randn(n, 3).double()),
    "squares of one output": ("one output", nn.MSELoss(), lambda n: torch.randn(n).double()),
    "tokens": ("tokens", token_loss, lambda n: torch.randint(2, (n, 3))),
}


@pytest.mark.parametrize("batch_size", [2, 9])
@pytest.mark.parametrize("name", LOSSES)
def test_gauss_newton_matrix_has_the_kernels_eigenvalues(name, batch_size):
    """The standing test between the two engines: this one never sees the Gauss-Newton matrix, that one no kernel."""
    torch.manual_seed(0)
    network, loss, targets = LOSSES[name]
    x = CASES[network][1]().double()
    objective = Objective(CASES[network][0]().double(), loss, (x, targets(len(x))), batch_size=batch_size)
    matrix = objective.ggn()(torch.eye(objective.layout.size, dtype=torch.float64))
    expected = np.linalg.eigvalsh(matrix.numpy())[::-1]
    found = ggn_eigenvalues(objective)
    shared = min(len(found.values), len(expected))
    np.testing.assert_allclose(found.values[:shared], expected[:shared], atol=1e-12 * expected[0])
    lanczos = curvature.eigenvalues(objective, 3, operator="ggn", tolerance=1e-9)
    np.testing.assert_allclose(found.values[:3], lanczos.values, rtol=1e-7)


def test_of_a_mean_of_squares_they_are_the_kernels_times_two_over_its_rows():
    torch.manual_seed(0)
    objective = objective_of("linear").with_loss(lambda output, _: functional.mse_loss(output, torch.ones_like(output)))
    kernel = ntk(objective, kind="full")
    np.testing.assert_allclose(ggn_eigenvalues(objective).values, 2 / 15 * kernel.eigenvalues, atol=1e-13)


def test_refuses_a_loss_that_is_not_convex():
    objective = objective_of("linear").with_loss(lambda output, _: output.cos().mean())
    with pytest.raises(ValueError, match="expected none below 0"):
        ggn_eigenvalues(objective)
