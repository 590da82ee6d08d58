"""Exponents of power laws that are known, and what follows from them against a numerical solution."""

import numpy as np
import pytest

from landscope.kernel import fit_power_laws
from landscope.kernel.power_laws import exponent
from landscope.measurements import NTK, PowerLaws, Provenance


def kernel_with(eigenvalues, kind="trace", outputs=1, labels=None, seed=0):
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(eigenvalues),) * 2))[0]
    gram = basis @ np.diag(eigenvalues) @ basis.T
    kernel = NTK(
        provenance=Provenance(method="test"), eigenvalues=eigenvalues, gram_kind=kind, outputs=outputs,
        effective_rank=1.0, gram=(gram + gram.T) / 2, labels=labels,
    )  # fmt: skip
    return kernel, basis


def test_finds_both_exponents():
    ranks = np.arange(1.0, 401)
    kernel, basis = kernel_with(ranks**-1.7)
    signs = np.random.default_rng(1).choice([-1, 1], 400)
    laws = fit_power_laws(kernel, basis @ (signs * ranks**-0.7), last=200)
    assert laws.capacity == pytest.approx(1.7, abs=1e-6)
    assert laws.capacity_error < 1e-6
    assert laws.source == pytest.approx(1.4, abs=0.02)
    assert abs(laws.source - 1.4) <= 3 * laws.source_error + 0.01
    assert (laws.first, laws.last) == (2, 200)
    np.testing.assert_allclose(laws.coefficients, ranks**-1.4 / 400, rtol=1e-6)


def test_the_error_covers_the_scatter_of_random_coefficients():
    ranks, found = np.arange(1.0, 301), []
    kernel, basis = kernel_with(ranks**-1.5)
    for seed in range(12):
        noise = np.random.default_rng(seed).normal(size=300)
        laws = fit_power_laws(kernel, basis @ (noise * ranks**-0.6))
        found.append((laws.source, laws.source_error))
    values, errors = np.array(found).T
    assert (np.abs(values - 1.2) <= 2 * errors).mean() >= 0.75
    assert np.abs(values.mean() - 1.2) < 0.15


def test_a_line_that_bends_has_a_larger_error():
    ranks = np.arange(2.0, 100)
    straight, bent = (exponent(ranks, ranks**-1.5 * np.exp(-c * ranks), np.ones(98)) for c in (0, 0.02))
    assert straight[1] < 1e-10
    assert bent[1] > 0.3


def eigenframework(alpha, beta, noise, ridge, n=100, modes=4000):
    """Test and training error of kernel ridge regression, the equations solved by bisection (Simon et al. 2023)."""
    ranks = np.arange(1.0, modes + 1)
    eigenvalues, coefficients = ranks**-alpha, ranks**-beta
    low, high = 1e-12, 1e3
    beyond = modes + 0.5  # the sums go on as integrals, where hardly anything is learnt
    for _ in range(60):
        kappa = np.sqrt(low * high)
        learnt = eigenvalues / (eigenvalues + kappa)
        count = learnt.sum() + beyond ** (1 - alpha) / ((alpha - 1) * kappa)
        low, high = (kappa, high) if count + ridge / kappa > n else (low, kappa)
    bias = ((1 - learnt) ** 2 * coefficients).sum() + beyond ** (1 - beta) / (beta - 1)
    test = (bias + noise) / (1 - (learnt**2).sum() / n)
    return test, (ridge / (n * kappa)) ** 2 * test


def laws_with(alpha, beta):
    return PowerLaws(
        provenance=Provenance(method="test"), eigenvalues=np.ones(4), coefficients=np.ones(4), capacity=alpha,
        capacity_error=0.0, source=beta, source_error=0.0, first=1, last=4, gram_kind="trace",
    )  # fmt: skip


@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 1.3), (1.6, 1.2), (1.5, 2.2)])
def test_best_ratio_of_errors_is_that_of_the_best_ridge(alpha, beta):
    ridges = [0, *np.logspace(-3.5, 0.5, 30)]
    errors = [eigenframework(alpha, beta, 0.0, ridge) for ridge in ridges]
    test, train = min(errors)
    assert laws_with(alpha, beta).optimal_ratio == pytest.approx(train / test, abs=0.03)


def test_noise_below_the_limit_leaves_interpolation_best():
    alpha, beta = 1.5, 2.0
    limit = laws_with(alpha, beta).tolerated_noise
    assert limit == pytest.approx(1.0)
    without = eigenframework(alpha, beta, 0.0, 0.0)[0] / alpha  # E = (bias + noise) alpha at ridge 0
    for share, interpolates in ((0.5, True), (2.0, False)):
        errors = [eigenframework(alpha, beta, share * limit * without, ridge)[0] for ridge in (0.0, 0.01, 0.03, 0.1)]
        assert (int(np.argmin(errors)) == 0) == interpolates


def test_test_error_decays_with_the_exponent():
    few, many = (eigenframework(1.8, 1.5, 0.0, 0.0, n=n)[0] for n in (25, 200))
    assert np.log(few / many) / np.log(8) == pytest.approx(laws_with(1.8, 1.5).decay, abs=0.02)


def test_nothing_is_concluded_outside_the_theory():
    for alpha, beta in ((0.9, 1.2), (1.5, 0.9), (1.5, 4.1)):
        laws = laws_with(alpha, beta)
        assert laws.optimal_ratio is laws.decay is laws.tolerated_noise is None
        assert set(laws.scalars()) == {"capacity", "source"}


def test_labels_are_the_targets_of_every_kind_of_kernel():
    labels = np.arange(40) % 2
    for kind, outputs, rows in (("trace", 2, 40), ("full", 2, 80), ("output", 2, 40)):
        kernel, _ = kernel_with(np.arange(1.0, rows + 1) ** -1.5, kind, outputs, labels)
        laws = fit_power_laws(kernel)
        assert laws.coefficients.sum() == pytest.approx(0.5)  # (1/2)^2 twice for each example
        assert laws.gram_kind == kind


def test_refuses_what_cannot_be_fitted():
    kernel, _ = kernel_with(np.arange(1.0, 21) ** -1.5)
    with pytest.raises(ValueError, match="no class labels"):
        fit_power_laws(kernel)
    with pytest.raises(ValueError, match="20 rows, got shape"):
        fit_power_laws(kernel, np.ones(7))
    with pytest.raises(ValueError, match=r"four at least, got 3\.\.4"):
        fit_power_laws(kernel, np.ones(20), first=3, last=4)
    with pytest.raises(ValueError, match="no Gram matrix"):
        fit_power_laws(kernel.replaced(gram=None), np.ones(20))
    flat, _ = kernel_with(np.concatenate([np.ones(3), -np.ones(17)]))
    with pytest.raises(ValueError, match="must be positive"):
        fit_power_laws(flat, np.ones(20))
