"""Drift, velocity and alignment of moments whose answer is known."""

import numpy as np
import pytest
import torch
from torch import nn

from landscope.kernel import laziness, moment, ntk
from landscope.kernel.laziness import drift, label_energy
from landscope.objective import Objective


@pytest.fixture
def objective():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    return Objective(model, nn.CrossEntropyLoss(), (torch.randn(30, 4).double(), torch.randint(3, (30,))))


def test_at_the_beginning_nothing_has_moved(objective):
    start = moment(objective, 20)
    found = laziness(start, start, last=start)
    assert found.drift == pytest.approx(0, abs=1e-14)
    assert found.relative_drift == found.weights == found.features == 0
    assert found.velocity == pytest.approx(0, abs=1e-14)
    assert found.test_alignment is None


def test_movement_is_the_definition(objective):
    theta = objective.theta()
    middle, later = theta + 0.1 * torch.randn_like(theta), theta + 0.3 * torch.randn_like(theta)
    start, before, now = (moment(objective, 20, theta=at, step=s) for at, s in ((theta, 0), (middle, 5), (later, 9)))
    found = laziness(now, start, last=before, test=ntk(objective, 10, theta=later, kind="trace"))
    one, other = now.kernel.gram, start.kernel.gram
    assert found.drift == pytest.approx(1 - np.vdot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other)))
    assert found.relative_drift == pytest.approx(np.linalg.norm(one - other) / np.linalg.norm(other))
    assert found.velocity == pytest.approx(drift(one, before.kernel.gram) / 4)
    assert found.weights == pytest.approx(float((later - theta).norm() / theta.norm()))
    assert found.features == pytest.approx(float((now.features - start.features).norm() / start.features.norm()))
    assert found.alignment == now.kernel.alignment
    assert found.test_alignment is not None
    scalars = found.scalars()
    assert scalars["label_energy"] == pytest.approx(found.label_energy[1])  # two directions tell three classes apart
    assert set(scalars) == {
        "drift", "relative_drift", "velocity", "alignment", "test_alignment", "label_energy", "weights", "features",
    }  # fmt: skip


def test_scale_moves_the_norm_alone():
    gram = np.diag([3.0, 1.0])
    assert drift(2 * gram, gram) == pytest.approx(0, abs=1e-15)
    assert drift(np.diag([1.0, 0.0]), np.diag([0.0, 1.0])) == 1
    assert drift(np.zeros((2, 2)), gram) == 0


def test_energy_of_labels_that_are_the_kernel():
    labels = np.array([0, 0, 1, 1, 2, 2, 2])
    same = (labels[:, None] == labels[None, :]).astype(float)
    energy = label_energy(same, labels)
    assert energy[1] == pytest.approx(1)
    assert energy[0] < 1
    assert (np.diff(energy) >= -1e-12).all()
    assert not label_energy(same, np.zeros(7, dtype=int)).any()


def test_without_classes_and_without_a_linear_layer():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(1, 2, 2), nn.Tanh(), nn.Flatten())
    start = moment(Objective(model, lambda output, _: output.square().mean(), (torch.randn(6, 1, 4), torch.zeros(6))))
    found = laziness(start, start)
    assert found.features is None
    assert found.alignment is None
    assert found.label_energy is None
    assert found.velocity is None


def test_moments_must_be_comparable(objective):
    with pytest.raises(ValueError, match="one kind of kernel on the same examples"):
        laziness(moment(objective, 20), moment(objective, 20, kind="pseudo"))
    with pytest.raises(ValueError, match="same examples"):
        laziness(moment(objective, 20), moment(objective, 19))
