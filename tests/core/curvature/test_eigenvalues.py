import copy

import explicit
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from landscope.curvature import curvature_operator, eigenvalues
from landscope.objective import Objective


def test_top_five_against_the_explicit_hessian(problem):
    truth = problem.eigenvalues[:5].numpy()
    loose = eigenvalues(problem.objective, 5)
    assert loose.converged.all()
    assert (np.abs(loose.values - truth) <= loose.residuals).all()
    np.testing.assert_allclose(loose.values, truth, rtol=1e-3)
    tight = eigenvalues(problem.objective, 5, tolerance=1e-9)
    np.testing.assert_allclose(tight.values, truth, rtol=1e-8)
    vectors = torch.from_numpy(tight.vectors)
    defects = vectors @ problem.hessian - torch.from_numpy(tight.values)[:, None] * vectors
    measured = defects.norm(dim=1).numpy()
    assert (measured <= 1.001 * tight.residuals).all()
    assert (tight.residuals <= 1.5 * measured + 1e-14).all()
    assert tight.hvps == tight.provenance.products


def test_float32_reaches_a_millionth(problem):
    model = problem.objective.model
    data = [
        tuple(part.float() if part.is_floating_point() else part for part in b) for b in problem.objective.batches.items
    ]
    try:
        single = Objective(model.float(), cross_entropy, data)
        found = eigenvalues(single, 5, tolerance=1e-7)
        truth = problem.eigenvalues[:5].numpy()
    finally:
        model.double()
    assert (np.abs(found.values - truth) <= found.residuals).all()
    np.testing.assert_allclose(found.values, truth, rtol=2e-6)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_scaled_loss_scales_the_eigenvalues(mlp, factor):
    scaled = mlp.objective.with_loss(lambda output, target: factor * cross_entropy(output, target))
    np.testing.assert_allclose(
        eigenvalues(scaled, 3, tolerance=1e-8).values, factor * mlp.eigenvalues[:3].numpy(), rtol=1e-7
    )


def test_batches_of_unequal_size_weigh_by_size(mlp):
    x, y = mlp.objective.batches.items[0]
    batches = [(x[a:b], y[a:b]) for a, b in ((0, 128), (128, 192), (192, 200))]
    found = eigenvalues(Objective(mlp.objective.model, cross_entropy, batches), 3, tolerance=1e-8)
    np.testing.assert_allclose(found.values, mlp.eigenvalues[:3].numpy(), rtol=1e-7)


def test_gauss_newton_of_squared_error_is_jacobian_gram(mlp):
    model, (x, _) = mlp.objective.model, mlp.objective.batches.items[0]
    torch.manual_seed(0)
    target = torch.randn(len(x), 5, dtype=x.dtype)
    objective = Objective(model, mse_loss, (x, target))

    def outputs(theta):
        return torch.func.functional_call(model, objective.layout.unflatten(theta), (x,))

    jacobian = torch.autograd.functional.jacobian(outputs, objective.theta()).flatten(0, 1)
    truth = torch.linalg.eigvalsh(jacobian.T @ jacobian * 2 / target.numel()).flip(0)
    found = eigenvalues(objective, 4, operator="ggn", tolerance=1e-10)
    np.testing.assert_allclose(found.values, truth[:4].numpy(), rtol=1e-9)
    assert found.operator == "ggn"


def test_multiple_eigenvalues_of_a_linear_model():
    # with squared error every output has the same block, so each eigenvalue comes as often as there are outputs
    torch.manual_seed(0)
    x, y = torch.randn(50, 8).double(), torch.randn(50, 3).double()
    objective = Objective(nn.Linear(8, 3, bias=False).double(), mse_loss, (x, y))
    block = torch.linalg.eigvalsh(x.T @ x * 2 / y.numel()).flip(0).numpy()
    np.testing.assert_allclose(eigenvalues(objective, 7, tolerance=1e-9).values, block.repeat(3)[:7], rtol=1e-8)


def test_algebraic_order_with_a_large_negative_end(objective_of):
    spectrum = torch.cat([torch.tensor([-50.0, -20.0, 3.0, 2.0]), torch.linspace(-1, 1, 60)]).double()
    found = eigenvalues(objective_of(torch.diag(spectrum)), 3, tolerance=1e-9)
    np.testing.assert_allclose(found.values, [3.0, 2.0, 1.0], rtol=1e-8)


@pytest.mark.parametrize("size", [1, 3])
def test_more_eigenvalues_than_parameters(objective_of, size):
    found = eigenvalues(objective_of(torch.diag(torch.arange(1.0, size + 1).double())), 5)
    np.testing.assert_allclose(found.values, np.arange(size, 0, -1), rtol=1e-12)
    assert found.vectors.shape == (size, size)
    assert found.hvps == size


def test_zero_hessian(objective_of):
    found = eigenvalues(objective_of(torch.zeros(20, 20, dtype=torch.float64)), 3)
    assert (found.values == 0).all()
    assert found.converged.all()


@pytest.mark.parametrize("which", ["smallest", "both"])
def test_the_other_end_against_the_explicit_hessian(problem, which):
    found = eigenvalues(problem.objective, 3, which=which, tolerance=1e-9)
    truth = problem.eigenvalues.numpy()
    truth = truth[-3:] if which == "smallest" else np.r_[truth[:3], truth[-3:]]
    np.testing.assert_allclose(found.values, truth, rtol=1e-8)
    assert (np.abs(found.values - truth) <= found.residuals).all()
    assert (found.which, found.converged.all()) == (which, True)
    names = ["eigenvalue.-3", "eigenvalue.-2", "eigenvalue.-1"]
    if which == "both":
        names = ["eigenvalue.1", "eigenvalue.2", "eigenvalue.3", *names]
    assert list(found.scalars()) == names
    assert list(found.figure().layout.xaxis.ticktext) == [name.rpartition(".")[2] for name in names]
    assert "Hessian products: retained" in found.provenance.method


@pytest.mark.parametrize("name", ["ggn", "fisher", "empirical-fisher"])
def test_eigenvalues_of_every_operator_are_those_of_its_matrix(mlp, name):
    matrix = curvature_operator(mlp.objective, name, None)(torch.eye(125, dtype=torch.float64))
    found = eigenvalues(mlp.objective, 3, operator=name, tolerance=1e-9)
    np.testing.assert_allclose(found.values, torch.linalg.eigvalsh(matrix).flip(0)[:3].numpy(), rtol=1e-8)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), which=st.sampled_from(["largest", "both"]), scale=st.sampled_from([0.3, 1.0, 3.0]))
def test_bounds_hold_for_random_objectives_in_single_precision(seed, which, scale):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
    x, y = scale * torch.randn(8, 3), torch.randint(3, (8,))
    found = eigenvalues(Objective(model, cross_entropy, (x, y)), 3, which=which)
    double = model.double()
    truth = np.linalg.eigvalsh(explicit.hessian(double, lambda m: cross_entropy(m(x.double()), y)).numpy())[::-1]
    expected = truth[:3] if which == "largest" else np.r_[truth[:3], truth[-3:]]
    assert (np.abs(found.values[:, None] - truth).min(1) <= found.residuals).all()
    assert found.converged.all()
    np.testing.assert_allclose(found.values, expected, rtol=2e-3, atol=2e-3 * truth[0])


@pytest.mark.parametrize(("dtype", "digits"), [(torch.bfloat16, 2e-2), (torch.float16, 3e-3)])
def test_half_precision_says_what_it_is_worth(mlp, dtype, digits):
    x, y = mlp.objective.batches.items[0]
    model = copy.deepcopy(mlp.objective.model).to(dtype)
    found = eigenvalues(Objective(model, cross_entropy, (x.to(dtype), y)), 3)
    rounded = Objective(copy.deepcopy(model).double(), cross_entropy, (x.to(dtype).double(), y))
    truth = eigenvalues(rounded, 3, tolerance=1e-9).values
    assert found.vectors.dtype == np.float32
    assert (np.abs(found.values - truth) <= found.residuals).all()
    assert 1e-5 * truth[0] < found.residuals[0] < digits * truth[0]


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_the_scale_of_the_loss_changes_nothing_in_single_precision(factor):
    torch.manual_seed(0)
    model, data = (
        nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)),
        (torch.randn(40, 5), torch.randint(3, (40,))),
    )
    plain = eigenvalues(Objective(model, cross_entropy, data), 3, which="both")
    scaled = eigenvalues(Objective(model, lambda o, t: factor * cross_entropy(o, t), data), 3, which="both")
    np.testing.assert_allclose(scaled.values, factor * plain.values, rtol=1e-4)
    np.testing.assert_allclose(scaled.residuals, factor * plain.residuals, rtol=0.2)
    assert scaled.hvps == plain.hvps


def test_a_linear_loss_has_eigenvalues_zero():
    objective = Objective(
        nn.Linear(4, 1), lambda output, target: (output * target).mean(), (torch.ones(8, 4), torch.ones(8, 1))
    )
    found = eigenvalues(objective, 2, which="both")
    assert (found.values == 0).all()
    assert found.converged.all()


def test_weights_without_a_finite_loss_are_refused(mlp):
    theta = mlp.objective.theta()
    with pytest.raises(FloatingPointError, match="a product with the operator is not finite"):
        eigenvalues(mlp.objective, 2, theta=torch.full_like(theta, torch.nan))


def test_a_small_basis_restarts_and_finds_the_same(mlp):
    whole, small = (eigenvalues(mlp.objective, 3, basis=basis, tolerance=1e-8) for basis in (None, 10))
    np.testing.assert_allclose(small.values, whole.values, rtol=1e-8)
    assert small.hvps >= whole.hvps


def test_warm_start_saves_products(mlp):
    cold = eigenvalues(mlp.objective, 1, tolerance=1e-6)
    theta = mlp.objective.theta()
    moved = theta + 1e-3 * torch.sin(torch.arange(len(theta))) * theta.norm() / len(theta) ** 0.5
    again = eigenvalues(mlp.objective, 1, theta=moved, tolerance=1e-6)
    warm = eigenvalues(mlp.objective, 1, theta=moved, tolerance=1e-6, start=cold.vectors)
    np.testing.assert_allclose(warm.values, again.values, rtol=1e-6)
    assert warm.hvps < again.hvps


def test_budget_is_kept_and_shortfall_is_told(mlp):
    found = eigenvalues(mlp.objective, 5, tolerance=1e-12, max_products=10)
    assert found.hvps <= 10
    assert not found.converged.all()


def test_seed_decides_and_global_generator_is_left_alone(mlp):
    before = torch.random.get_rng_state()
    first, second = (eigenvalues(mlp.objective, 2, seed=5) for _ in range(2))
    assert (first.values == second.values).all()
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k must be positive"),
        ({"tolerance": 0.0}, "tolerance must be positive"),
        ({"max_products": 2}, "max_products must be at least k = 5"),
        ({"which": "outer"}, "which must be 'largest', 'smallest' or 'both', got 'outer'"),
        ({"basis": 13}, "basis must have room for at least 14 vectors for 5 eigenvalues, got 13"),
        ({"which": "both", "backend": "pyhessian"}, "backend='pyhessian' finds the largest"),
        ({"operator": "kfac"}, "operator must be"),
        ({"backend": "arpack"}, "backend must be"),
        ({"start": np.ones(3)}, "start must have shape"),
        ({"start": np.full(125, np.nan)}, "start must be finite"),
        ({"start": np.zeros(125)}, "start must not be zero"),
    ],
)
def test_what_makes_no_sense_is_refused(mlp, options, message):
    with pytest.raises(ValueError, match=message):
        eigenvalues(mlp.objective, **options)
