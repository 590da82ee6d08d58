import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from landscope.curvature.krylov_spaces import KrylovSpace
from landscope.curvature.lanczos import all_leading_eigenpairs, basis_size, leading_eigenpairs
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


def test_both_ends_come_from_one_space():
    top, both = (solve(CLUSTERED - 0.5, 3, smallest=smallest, tolerance=1e-9) for smallest in (0, 2))
    np.testing.assert_allclose(both.values[:3], top.values, rtol=1e-9)
    np.testing.assert_allclose(both.values[3:], np.sort(CLUSTERED)[1::-1] - 0.5, rtol=1e-8)
    bottom = solve(0.5 - CLUSTERED, 2, tolerance=1e-9)
    assert both.products < top.products + bottom.products
    only = solve(CLUSTERED, 0, smallest=2, tolerance=1e-9, search=True)
    np.testing.assert_allclose(only.values, np.sort(CLUSTERED)[1::-1], rtol=1e-8)


@pytest.mark.parametrize("ends", [(1, 1), (2, 2), (3, 1), (0, 3), (5, 5)])
def test_every_copy_is_found_at_both_ends_and_none_twice(ends):
    spectrum = np.concatenate([np.full(3, 5.0), [4.0], np.linspace(-1, 2, 300), np.full(3, -3.0)])
    pairs = solve(spectrum, ends[0], smallest=ends[1], search=True, tolerance=1e-10)
    truth = np.sort(spectrum)[::-1]
    np.testing.assert_allclose(pairs.values, np.r_[truth[: ends[0]], truth[len(truth) - ends[1] :]], rtol=1e-9)
    np.testing.assert_allclose(pairs.vectors @ pairs.vectors.T, np.eye(sum(ends)), atol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_more_wanted_at_both_ends_than_there_are(size):
    spectrum = np.linspace(-2, 5, size)
    pairs = solve(spectrum, 3, smallest=3, search=True)
    np.testing.assert_allclose(pairs.values, spectrum[::-1], atol=1e-13)


@pytest.mark.parametrize("smallest", [0, 2])
@pytest.mark.parametrize("basis", [12, 20])
def test_no_more_vectors_are_held_than_allowed(monkeypatch, basis, smallest):
    spectrum = np.concatenate([1 - np.linspace(0, 1, 300) ** 2, [1.5, 1.4, -0.8, -0.7]])
    held, append = [], KrylovSpace._append

    def spy(space, vector):
        append(space, vector)
        held.append(len(space._basis) + len(space._locked))

    monkeypatch.setattr(KrylovSpace, "_append", spy)
    pairs = solve(spectrum, 2, smallest=smallest, tolerance=1e-9, basis=basis, search=True)
    np.testing.assert_allclose(pairs.values, [1.5, 1.4, -0.7, -0.8][: 2 + smallest], rtol=1e-9)
    assert pairs.products > basis
    assert max(held) <= basis


def test_the_basis_is_bounded_by_memory_and_has_room_to_work_in():
    assert basis_size(torch.zeros(1000), 5) == 64
    assert basis_size(torch.zeros(1000), 30) == 90
    assert basis_size(torch.empty(124_000_000, device="meta"), 5) == 14
    assert basis_size(torch.empty(60_000_000, device="meta"), 5) == 17
    with pytest.raises(ValueError, match="basis must have room for at least 14 vectors for 5 eigenvalues, got 13"):
        basis_size(torch.zeros(1000), 5, 13)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    size=st.integers(1, 40),
    ends=st.tuples(st.integers(0, 4), st.integers(0, 4)).filter(any),
    budget=st.integers(1, 60),
    scale=st.sampled_from([1e-8, 1.0, 1e8]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_an_eigenvalue_lies_within_every_residual(seed, size, ends, budget, scale, dtype):
    generator = np.random.default_rng(seed)
    spectrum = scale * generator.standard_normal(size) ** generator.choice([1, 3, 5])
    pairs = solve(spectrum, ends[0], smallest=ends[1], dtype=dtype, tolerance=1e-6, max_products=budget, search=True)
    exact = torch.as_tensor(spectrum).to(dtype).double().numpy()
    assert (np.abs(pairs.values[:, None] - exact).min(1) <= pairs.residuals * (1 + 1e-9) + 1e-300).all()
    assert pairs.products <= max(budget, 1)
    assert (np.diff(pairs.values) <= 0).all()
    if pairs.converged.all() and pairs.products < budget:
        expected = np.sort(exact)[::-1]
        if sum(ends) < size:
            expected = np.r_[expected[: ends[0]], expected[size - ends[1] :]]
        assert (np.abs(pairs.values - expected) <= 1e-6 * np.abs(expected) + 1e-5 * np.abs(exact).max()).all()


class Noisy(Diagonal):
    """With errors of its products that are not those of its vectors' type."""

    def __call__(self, vector: Tensor) -> Tensor:
        image = super().__call__(vector)
        error = torch.randn(len(image), generator=private_generator(self.products), dtype=image.dtype)
        return image + 1e-3 * error / error.norm()


@pytest.mark.parametrize("seed", range(5))
def test_errors_of_products_show_in_the_residuals_and_errors(seed):
    operator = Noisy(CLUSTERED)
    pairs = leading_eigenpairs(
        operator, random_start(operator, seed), 1, tolerance=1e-9, max_products=40, generator=private_generator(1)
    )
    assert pairs.converged.all()  # to what the products are worth
    assert 1e-7 < abs(pairs.values[0] - 3.0) <= pairs.errors[0] <= pairs.residuals[0]
    assert pairs.residuals[0] < 0.1
