import numpy as np
import pytest
import torch

from landscope.curvature import eigenvalues, trace


def test_two_standard_errors_cover(mlp):
    exact = mlp.eigenvalues.sum().item()
    measured = [trace(mlp.objective, probes=20, seed=seed) for seed in range(80)]
    hits = [abs(one.value - exact) < 2 * one.stderr for one in measured]
    assert 0.87 < np.mean(hits) < 1.0  # Student's t with 19 degrees of freedom: 0.94


def test_deflation_is_unbiased_and_sharpens(objective_of):
    torch.manual_seed(0)
    spectrum = torch.cat([torch.linspace(50, 100, 5), torch.linspace(-1, 1, 60)]).double()
    turn = torch.linalg.qr(torch.randn(65, 65).double())[0]
    objective = objective_of(turn * spectrum @ turn.T)
    leading = eigenvalues(objective, 5).vectors
    plain = [trace(objective, probes=10, seed=seed).value for seed in range(30)]
    deflated = [trace(objective, probes=10, deflate=leading, seed=seed) for seed in range(30)]
    values = np.array([one.value for one in deflated])
    assert abs(values.mean() - spectrum.sum().item()) < 3.5 * values.std() / np.sqrt(30)
    assert values.std() < 0.1 * np.std(plain)
    assert deflated[0].provenance.products == 15


def test_stale_or_arbitrary_vectors_do_no_harm(objective_of):
    torch.manual_seed(0)
    matrix = torch.randn(40, 40).double()
    objective = objective_of(matrix + matrix.T)
    wrong = torch.randn(40, 40).double()  # all of the space: nothing is left to chance
    measured = trace(objective, deflate=wrong)
    assert measured.value == pytest.approx(2 * matrix.trace().item(), rel=1e-12)
    assert measured.stderr < 1e-12


def test_random_signs_are_exact_on_a_diagonal(objective_of):
    measured = trace(objective_of(torch.diag(torch.arange(-3.0, 9.0).double())), probes=2)
    assert measured.value == pytest.approx(30, rel=1e-14)
    assert measured.stderr < 1e-13


def test_what_makes_no_sense_is_refused(mlp):
    with pytest.raises(ValueError, match="probes must be at least 2"):
        trace(mlp.objective, probes=1)
    with pytest.raises(ValueError, match="deflate must have shape"):
        trace(mlp.objective, deflate=np.ones((2, 3)))
