import numpy as np
import pytest
import torch
from torch import Tensor

from landscope.curvature.lanczos import KrylovSpace, all_leading_eigenpairs, leading_eigenpairs
from landscope.curvature.probes import private_generator


class Diagonal:
    """A diagonal operator that counts its products."""

    def __init__(self, values: np.ndarray, dtype: torch.dtype = torch.float64) -> None:
        self.values = torch.as_tensor(values).to(dtype)
        self.products = 0

    def __call__(self, vector: Tensor) -> Tensor:
        self.products += 1
        return self.values * vector


def random_start(operator: Diagonal, seed: int = 0) -> Tensor:
    return torch.randn(len(operator.values), generator=private_generator(seed), dtype=operator.values.dtype)


def solve(values: np.ndarray, k: int, *, dtype: torch.dtype = torch.float64, search: bool = False, **options):
    operator = Diagonal(values, dtype)
    solver = all_leading_eigenpairs if search else leading_eigenpairs
    given = {"tolerance": 1e-12, "max_products": 2000, "generator": private_generator(1)} | options
    pairs = solver(operator, random_start(operator), k, **given)
    assert pairs.products == operator.products
    return pairs


CLUSTERED = np.concatenate([[3.0, 2.0, 2.0 - 1e-4, 1.5, 1.5 - 1e-3], np.linspace(-1, 1, 195)])


def test_leading_values_of_a_clustered_indefinite_spectrum():
    pairs = solve(CLUSTERED, 5)
    np.testing.assert_allclose(pairs.values, [3.0, 2.0, 2.0 - 1e-4, 1.5, 1.5 - 1e-3], rtol=1e-12)
    assert pairs.converged.all()


def test_error_stays_within_residual_and_bound_before_convergence():
    truth = np.sort(CLUSTERED)[::-1]
    for budget in range(8, 80, 6):
        pairs = solve(CLUSTERED, 3, tolerance=1e-15, max_products=budget)
        nearest = np.abs(pairs.values[:, None] - truth).min(1)
        assert (nearest <= pairs.residuals * (1 + 1e-9)).all()
        vectors = pairs.vectors.numpy()
        measured = np.linalg.norm(vectors * CLUSTERED - pairs.values[:, None] * vectors, axis=1)
        np.testing.assert_allclose(pairs.residuals, measured, rtol=1e-6, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("steps", [10, 40, 100, 200])
def test_no_ghosts_at_any_basis_size(dtype: torch.dtype, steps: int):
    # one eigenvalue far out is where unorthogonalised Lanczos repeats itself first
    spectrum = np.concatenate([[100.0, 60.0, -30.0], np.linspace(0, 1, 197)])
    operator = Diagonal(spectrum, dtype)
    space = KrylovSpace(operator, random_start(operator), private_generator(0))
    for _ in range(steps):
        space.expand()
    values, _ = space.ritz_values()
    basis = space.ritz_vectors(steps)
    assert (basis @ basis.T - torch.eye(steps, dtype=dtype)).abs().max() < 100 * torch.finfo(dtype).eps
    for outlier in (100.0, 60.0, -30.0):
        assert (np.abs(values - outlier) < 1e-3).sum() == 1


@pytest.mark.parametrize("steps", [1, 3, 17])
def test_whole_spectrum_once_the_basis_is_full(steps: int):
    spectrum = np.linspace(-2, 5, steps)
    pairs = solve(spectrum, steps)
    np.testing.assert_allclose(pairs.values, spectrum[::-1], atol=1e-13)
    assert pairs.products == steps


def test_restarts_find_what_an_unbounded_basis_finds():
    spectrum = 1 - np.linspace(0, 1, 300) ** 2  # crowded at the top: needs more than one basis of 64
    operator = Diagonal(spectrum)
    space = KrylovSpace(operator, random_start(operator), private_generator(0))
    for _ in range(30):
        space.expand()
    before, _ = space.ritz_values()
    space.restart(10)
    after, residuals = space.ritz_values()
    np.testing.assert_allclose(after, before[:10], rtol=1e-13)
    for _ in range(20):
        space.expand()
    vectors = space.ritz_vectors(3).numpy()
    values, residuals = space.ritz_values()
    measured = np.linalg.norm(vectors * spectrum - values[:3, None] * vectors, axis=1)
    np.testing.assert_allclose(residuals[:3], measured, rtol=1e-8)
    pairs = solve(spectrum, 1, tolerance=1e-8, max_products=1000)
    assert pairs.converged.all()
    assert pairs.products > 64
    assert abs(pairs.values[0] - 1) < 1e-8


@pytest.mark.parametrize("copies", [2, 4])
def test_every_copy_of_a_multiple_eigenvalue_is_found(copies: int):
    spectrum = np.concatenate([np.full(copies, 5.0), [4.0], np.full(copies, 3.0), np.linspace(-1, 2, 300)])
    pairs = solve(spectrum, copies + 2, search=True, tolerance=1e-10)
    np.testing.assert_allclose(pairs.values, [5.0] * copies + [4.0, 3.0], rtol=1e-9)
    np.testing.assert_allclose(pairs.vectors @ pairs.vectors.T, np.eye(copies + 2), atol=1e-12)


def test_invariant_space_goes_on_with_a_new_direction():
    spectrum = np.concatenate([[2.0, 2.0, 2.0, -1.0], np.zeros(60)])
    pairs = solve(spectrum, 5)
    np.testing.assert_allclose(pairs.values, [2.0, 2.0, 2.0, 0.0, 0.0], atol=1e-13)


def test_zero_operator():
    pairs = solve(np.zeros(30), 4)
    assert (pairs.values == 0).all()
    assert (pairs.residuals == 0).all()
    assert pairs.converged.all()


@pytest.mark.parametrize("factor", [1e-12, 1e-6, 1e6])
def test_scale_invariance_in_float32(factor: float):
    pairs = solve(CLUSTERED * factor, 3, dtype=torch.float32, tolerance=1e-7, search=True)
    np.testing.assert_allclose(pairs.values, np.array([3.0, 2.0, 2.0 - 1e-4]) * factor, rtol=1e-6)
    assert pairs.products == solve(CLUSTERED, 3, dtype=torch.float32, tolerance=1e-7, search=True).products


def test_products_that_are_not_finite_are_refused():
    with pytest.raises(FloatingPointError, match="not finite"):
        solve(np.array([1.0, np.nan, 2.0]), 1)
