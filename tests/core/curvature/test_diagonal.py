import numpy as np
import pytest
import torch

from landscope.curvature import diagonal
from landscope.figures import figure
from landscope.measurements import Measurement


def test_exact_where_all_products_are_affordable(mlp):
    measured = diagonal(mlp.objective, budget=mlp.objective.layout.size)
    np.testing.assert_allclose(measured.values, mlp.hessian.diag(), atol=1e-12)
    assert (measured.probes, measured.stderr.max(), measured.mean_errors.max()) == (0, 0, 0)
    pieces = mlp.hessian.diag().split(mlp.objective.layout.sizes)
    np.testing.assert_allclose(measured.means, [piece.mean() for piece in pieces], atol=1e-12)
    assert measured.scalars()["curvature/0.weight"] == pytest.approx(pieces[0].mean().item())


def test_xdiag_is_unbiased_better_than_plain_probes_and_its_errors_cover(trained, objective_of):
    objective, exact = objective_of(trained.hessian), trained.hessian.diag().numpy()
    found = [diagonal(objective, seed=seed) for seed in range(10)]
    values, errors = (np.stack([getattr(one, name) for one in found]) for name in ("values", "stderr"))
    assert {one.provenance.products for one in found} == {60}
    error = np.sqrt(((values - exact) ** 2).mean())
    plain = []
    for seed in range(10):
        z = torch.randint(2, (60, len(exact)), generator=torch.Generator().manual_seed(seed)).double() * 2 - 1
        plain.append((z * (z @ trained.hessian)).mean(0).numpy())
    assert error < 0.3 * np.sqrt(((np.array(plain) - exact) ** 2).mean())
    assert np.abs(values.mean(0) - exact).max() < 6 * values.std(0).max() / np.sqrt(10)
    assert 0.75 < (np.abs(values - exact) < 2 * errors).mean() < 1.0


def test_zero_thin_and_scaled_matrices(objective_of):
    torch.manual_seed(0)
    thin = torch.randn(80, 3).double()
    for factor in (0.0, 1e-6, 1e6):
        hessian = factor * thin @ thin.T
        measured = diagonal(objective_of(hessian), budget=20)
        np.testing.assert_allclose(measured.values, hessian.diag(), rtol=1e-8, atol=0)
        assert (measured.stderr <= 1e-8 * factor * 80).all()


def test_its_figure_and_its_file(mlp):
    measured = diagonal(mlp.objective)
    back = Measurement.from_bytes(measured.to_bytes())
    assert back.values is None
    np.testing.assert_array_equal(back.means, measured.means)
    for dark in (False, True):
        drawn = figure(back, dark=dark)
        assert list(drawn.data[0].x) == list(measured.names)
    assert np.all(np.sign(drawn.data[0].y) == np.sign(measured.means))


def test_what_makes_no_sense_is_refused(mlp):
    with pytest.raises(ValueError, match="budget must be at least 4 products"):
        diagonal(mlp.objective, budget=3)
    with pytest.raises(FloatingPointError, match="not finite"):
        diagonal(mlp.objective, theta=torch.full_like(mlp.objective.theta(), torch.inf))
