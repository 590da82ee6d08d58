"""Slices of a quadratic, whose values on any plane are known exactly."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from landscope.landscape import slice2d, trajectory_slice
from landscope.objective import Objective

SIZE = 12


class Weights(nn.Module):
    """A model whose output is its weights."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4, dtype=torch.float64))

    def forward(self, inputs):
        return self.weight.flatten().unsqueeze(0) + 0 * inputs


@pytest.fixture
def quadratic():
    """L(theta) = theta^T A theta / 2 + b^T theta, with its A and b."""
    torch.manual_seed(0)
    A = torch.randn(SIZE, SIZE, dtype=torch.float64)
    A = A + A.T
    b = torch.randn(SIZE, dtype=torch.float64)

    def loss(output, target):
        theta = output[0]
        return 0.5 * theta @ A @ theta + b @ theta

    zeros = torch.zeros(1, 1, dtype=torch.float64)
    return Objective(Weights(), loss, (zeros, zeros)), A.numpy(), b.numpy()


def exact(theta, A, b):
    return 0.5 * theta @ A @ theta + b @ theta


@pytest.mark.parametrize("normalisation", ["filter", "model", "none"])
@pytest.mark.parametrize(("points", "extent"), [(5, None), ((4, 7), None), ((3, 5), ((-0.2, 1.5), (0.3, 0.4)))])
def test_every_cell_is_the_loss_at_its_coordinates(quadratic, normalisation, points, extent):
    objective, A, b = quadratic
    cut = slice2d(objective, points=points, extent=extent, radius=0.7, normalisation=normalisation, seed=4)
    centre = objective.theta().numpy()
    for i, alpha in enumerate(cut.alpha):
        for j, beta in enumerate(cut.beta):
            theta = centre + alpha * cut.directions[0] + beta * cut.directions[1]
            assert cut.loss[i, j] == pytest.approx(exact(theta, A, b), rel=1e-10)


def test_axes_run_from_end_to_end_and_the_centre_cell_is_the_model(quadratic):
    objective, A, b = quadratic
    cut = slice2d(objective, points=(5, 3), radius=2.0)
    np.testing.assert_allclose(cut.alpha, [-2, -1, 0, 1, 2])
    np.testing.assert_allclose(cut.beta, [-2, 0, 2])
    assert cut.loss[2, 1] == pytest.approx(cut.centre_loss, rel=1e-12)
    assert cut.centre_loss == pytest.approx(exact(objective.theta().numpy(), A, b))
    assert cut.provenance.forwards == 20  # 15 cells; centre and corner twice, and the centre once more


def test_given_directions_and_centre(quadratic):
    objective, A, b = quadratic
    directions = torch.eye(SIZE, dtype=torch.float64)[:2]
    cut = slice2d(objective, directions, theta=torch.zeros(SIZE), points=3)
    assert cut.loss[2, 0] == pytest.approx(exact(np.eye(SIZE)[0] - np.eye(SIZE)[1], A, b))
    assert cut.plane == "given"
    assert cut.cosine == 0


def test_trajectory_slice_holds_the_path(quadratic):
    objective, A, b = quadratic
    centre = objective.theta()
    basis = torch.linalg.qr(torch.randn(SIZE, 2, dtype=torch.float64)).Q.T
    weights = torch.tensor([[3.0, 0.1], [2.0, 0.7], [1.0, 0.2]], dtype=torch.float64)
    cut = trajectory_slice(objective, centre + weights @ basis, path_steps=[0, 5, 9], points=9)
    assert cut.explained == pytest.approx(1)
    np.testing.assert_allclose(cut.path_distances, 0, atol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(cut.path, axis=1), weights.norm(dim=1).numpy())
    assert cut.path_steps.tolist() == [0, 5, 9]
    for axis, coordinates in enumerate((cut.alpha, cut.beta)):
        assert coordinates[0] < min(0, cut.path[:, axis].min())
        assert coordinates[-1] > max(0, cut.path[:, axis].max())
    theta = centre.numpy() + cut.alpha[2] * cut.directions[0] + cut.beta[7] * cut.directions[1]
    assert cut.loss[2, 7] == pytest.approx(exact(theta, A, b), rel=1e-10)


def test_points_that_overflow_are_kept_as_they_are():
    model = nn.Linear(2, 1, bias=False)
    objective = Objective(
        model, lambda out, y: torch.exp(40 * out.square()).mean(), (torch.ones(1, 2), torch.ones(1, 1))
    )
    cut = slice2d(objective, points=5, radius=8.0)
    assert np.isposinf(cut.loss).any()
    assert np.isfinite(cut.loss[2, 2])
    assert cut.span()[1] < np.inf


def test_accuracy_is_counted_on_the_same_points():
    torch.manual_seed(0)
    inputs = torch.randn(40, 3)
    model = nn.Linear(3, 4)
    classes = model(inputs).argmax(1)
    cut = slice2d(Objective(model, functional.cross_entropy, (inputs, classes), batch_size=16), points=3)
    assert cut.accuracy[1, 1] == 1
    theta = torch.from_numpy(cut.directions[0] * cut.alpha[0] + cut.directions[1] * cut.beta[2]).float()
    weights = {name: p.detach() for name, p in model.named_parameters()}
    moved = {"weight": weights["weight"] + theta[:12].reshape(4, 3), "bias": weights["bias"] + theta[12:]}
    right = (torch.func.functional_call(model, moved, (inputs,)).argmax(1) == classes).double().mean()
    assert cut.accuracy[0, 2] == pytest.approx(float(right))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius": -1.0}, "radius must be positive, got -1.0"),
        ({"radius": float("nan")}, "radius must be positive"),
        ({"points": 1}, "at least 2 a side"),
        ({"extent": ((1, 0), (0, 1))}, "low < high"),
        ({"directions": torch.ones(2, 3)}, r"shape \(2, 12\), got \(2, 3\)"),
    ],
)
def test_bad_arguments_are_named(quadratic, arguments, message):
    with pytest.raises(ValueError, match=message):
        slice2d(quadratic[0], **arguments)


def test_model_is_left_as_it_was():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    slice2d(Objective(model, nn.MSELoss(), (torch.randn(9, 4), torch.zeros(9, 2))), points=3)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert all(p.grad is None for p in model.parameters())
