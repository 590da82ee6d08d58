"""Overlaps, masses and angles of leading eigenvectors, where they are known."""

import numpy as np
import pytest
import torch
from torch import nn

from landscope.curvature import eigenvector_readout
from landscope.measurements import Measurement
from landscope.objective import Objective


def diagonal(*values):
    return torch.diag(torch.tensor(values).double())


def test_overlaps_of_a_diagonal_quadratic(objective_of):
    objective = objective_of(diagonal(9.0, 4.0, 1.0, 0.5))
    theta = torch.tensor([1.0, 2.0, 3.0, 0.0]).double()  # slope (9, 8, 3, 0)
    measured = eigenvector_readout(objective, 2, theta=theta, update=torch.tensor([0.0, 1.0, 1.0, 0.0]))
    assert measured.values == pytest.approx([9.0, 4.0])
    assert measured.gradient_overlap == pytest.approx([81 / 154, 64 / 154])
    assert measured.update_overlap == pytest.approx([0.0, 0.5])
    assert measured.chance == 0.5
    assert measured.scalars() == pytest.approx({"gradient_overlap": 145 / 154, "update_overlap": 0.5})


def test_mass_by_layer(objective_of):
    """The leading eigenvector of this matrix is (3, 0, 4, 0) / 5, which parts 0 and 1 share."""
    lead = torch.tensor([3.0, 0.0, 4.0, 0.0]).double() / 5
    objective = objective_of(8 * torch.outer(lead, lead) + diagonal(0.0, 2.0, 0.0, 1.0), (2, 2))
    measured = eigenvector_readout(objective, 2)
    assert measured.layers == ("parts",)  # both belong to one module
    np.testing.assert_allclose(measured.mass, 1.0)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    data = torch.randn(20, 3).double(), torch.randn(20, 2).double()
    measured = eigenvector_readout(Objective(model, nn.functional.mse_loss, data), 3)
    assert measured.layers == ("0", "2")
    np.testing.assert_allclose(measured.mass[:, 0], (measured.vectors[:, :16] ** 2).sum(1))
    np.testing.assert_allclose(measured.mass.sum(1), 1.0)


def test_eigenvectors_of_an_explicit_hessian(mlp):
    measured = eigenvector_readout(mlp.objective, 3, tolerance=1e-10)
    vectors = torch.linalg.eigh(mlp.hessian)[1].flip(1)[:, :3].numpy()
    slope = mlp.objective.gradient().numpy()
    assert measured.values == pytest.approx(mlp.eigenvalues[:3].numpy())
    np.testing.assert_allclose(measured.gradient_overlap, (vectors.T @ slope) ** 2 / (slope @ slope), atol=1e-6)
    assert measured.update_overlap is None
    assert measured.angles is None


def test_drift_is_the_angle_by_which_the_subspace_was_turned(objective_of):
    angle = 0.3
    turn = torch.eye(4).double()
    turn[1:3, 1:3] = torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    spectrum = diagonal(9.0, 4.0, 1.0, 0.5)
    before = eigenvector_readout(objective_of(spectrum), 2, tolerance=1e-12)
    after = eigenvector_readout(objective_of(turn @ spectrum @ turn.T), 2, previous=before, tolerance=1e-12)
    assert after.angles == pytest.approx([angle, 0.0], abs=1e-6)
    assert after.scalars()["drift"] == pytest.approx(angle)
    mixed = torch.tensor([[1.0, 1, 0, 0], [1, -1, 0, 0]]) / 2**0.5  # another basis of the same subspace
    same = eigenvector_readout(objective_of(spectrum), 2, previous=mixed, tolerance=1e-12)
    np.testing.assert_allclose(same.angles, 0.0, atol=1e-6)


def test_no_gradient_and_a_single_parameter(objective_of):
    flat = eigenvector_readout(objective_of(diagonal(2.0, 1.0)), 1, theta=torch.zeros(2).double())
    assert np.isnan(flat.gradient_overlap).all()
    assert flat.scalars() == {}
    single = eigenvector_readout(objective_of(diagonal(2.0)), 5)
    assert single.gradient_overlap == pytest.approx([1.0])
    assert single.chance == 1.0


def test_what_makes_no_sense_is_refused(objective_of):
    objective = objective_of(diagonal(2.0, 1.0))
    with pytest.raises(ValueError, match="k must be positive"):
        eigenvector_readout(objective, 0)
    with pytest.raises(ValueError, match="tolerance must be positive"):
        eigenvector_readout(objective, tolerance=0.0)
    with pytest.raises(ValueError, match="update must have shape"):
        eigenvector_readout(objective, update=torch.ones(3))
    stored = Measurement.from_bytes(eigenvector_readout(objective).to_bytes())
    with pytest.raises(ValueError, match="previous has no vectors, which a run does not keep"):
        eigenvector_readout(objective, previous=stored)
