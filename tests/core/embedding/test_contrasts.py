"""Contrast by its definitions over explicit pairs, at configurations with known values, and beside scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from landscope.embedding import contrast, geometry
from landscope.embedding.contrasts import knn_accuracy, probe_accuracy
from landscope.objective import Objective


def objective_of(values, labels=None):
    values = torch.as_tensor(values)
    layer = nn.Linear(values.shape[1], 4, dtype=values.dtype)
    targets = torch.zeros(len(values), 4, dtype=values.dtype) if labels is None else torch.as_tensor(labels)
    return Objective(layer, nn.MSELoss() if labels is None else nn.CrossEntropyLoss(), (values, targets))


@pytest.fixture
def cloud():
    generator = np.random.default_rng(0)
    labels = np.arange(30) % 3
    return generator.normal(size=(3, 5))[labels] + 0.6 * generator.normal(size=(30, 5)), labels


def test_is_the_definition_over_pairs(cloud):
    values, labels = cloud
    units = values / np.linalg.norm(values, axis=1, keepdims=True)
    pairs = [(i, j) for i in range(30) for j in range(i)]
    squares = {(i, j): ((units[i] - units[j]) ** 2).sum() for i, j in pairs}
    same = [pair for pair in pairs if labels[pair[0]] == labels[pair[1]]]
    own = [
        min(squares.get((max(i, j), min(i, j)), np.inf) for j in range(30) if labels[j] == labels[i]) for i in range(30)
    ]
    other = [min(squares[max(i, j), min(i, j)] for j in range(30) if labels[j] != labels[i]) for i in range(30)]
    own, other = np.sqrt(own), np.sqrt(other)
    found = contrast(objective_of(values, labels))
    assert found.alignment == pytest.approx(np.mean([squares[pair] for pair in same]))
    assert found.tolerance == pytest.approx(np.mean([units[i] @ units[j] for i, j in same]))
    assert found.uniformity == pytest.approx(np.log(np.mean([np.exp(-2 * square) for square in squares.values()])))
    assert found.separation == pytest.approx(((other - own) / np.maximum(own, other)).mean())
    widths = np.diff(found.edges)
    assert (found.positive * widths).sum() == pytest.approx(1)
    cosines = [units[i] @ units[j] for i, j in pairs if (i, j) not in same]
    np.testing.assert_allclose(found.negative * widths * len(cosines), np.histogram(cosines, found.edges)[0], atol=1e-9)


def test_known_configurations():
    labels = np.arange(40) % 4
    found = contrast(objective_of(3.0 * np.eye(4, 6)[labels], labels))
    assert (found.alignment, found.tolerance) == pytest.approx((0, 1), abs=1e-12)
    share = 4 * 10 * 9 / (40 * 39)
    assert found.uniformity == pytest.approx(np.log(share + (1 - share) * np.exp(-4)))
    assert (found.separation, found.knn_accuracy, found.probe_accuracy) == pytest.approx((1, 1, 1))
    point = contrast(objective_of(np.ones((5, 3))))
    assert point.uniformity == pytest.approx(0, abs=1e-9)
    assert (point.alignment, point.tolerance, point.separation, point.knn_accuracy) == (None,) * 4
    assert point.scalars() == {"uniformity": point.uniformity}
    sphere = contrast(objective_of(np.random.default_rng(1).normal(size=(400, 200))))
    assert sphere.uniformity == pytest.approx(-4, abs=0.05)  # nearly orthogonal to one another


def test_views_are_the_positive_pairs(cloud):
    values, labels = cloud
    noise = np.random.default_rng(2).normal(size=values.shape)
    layer = objective_of(values, labels)
    views = Objective(layer.model, layer.loss, (torch.as_tensor(values + noise), torch.as_tensor(labels)))
    found = contrast(layer, views=views)
    units = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (values, values + noise)]
    assert found.alignment == pytest.approx(((units[0] - units[1]) ** 2).sum(axis=1).mean())
    with pytest.raises(ValueError, match="views must be of the same 30 examples, got 29"):
        contrast(layer, views=views.subset(range(29)))


def test_readers_are_scikit_learn_s(cloud):
    values, labels = cloud
    units = values / np.linalg.norm(values, axis=1, keepdims=True)
    reader = KNeighborsClassifier(5)
    expected = np.mean(cross_val_predict(reader, units, labels, cv=LeaveOneOut()) == labels)
    assert knn_accuracy(units @ units.T, labels, 5) == pytest.approx(expected)
    # The ridge's penalty is of all the data, as is the mean that it leaves alone.
    penalty = (
        1e-3
        * np.linalg.svd(values - values.mean(axis=0), compute_uv=False)
        @ np.linalg.svd(values - values.mean(axis=0), compute_uv=False)
        / 5
    )
    predicted = cross_val_predict(Ridge(penalty), values, np.eye(3)[labels], cv=LeaveOneOut()).argmax(axis=1)
    assert probe_accuracy(values, labels) == pytest.approx(np.mean(predicted == labels))
    assert 0.3 < probe_accuracy(values, labels) < 1


def test_geometry_is_all_of_them(cloud):
    values, labels = cloud
    objective = objective_of(values, labels)
    found = geometry(objective)
    assert found.uniformity == contrast(objective).uniformity
    assert found.classes == 3  # the fourth does not occur
    assert {
        "nc1",
        "nc3",
        "effective_rank",
        "intrinsic",
        "alignment",
        "eigenvalue.4",
        "within",
    } <= found.scalars().keys()
    assert np.isfinite(list(found.scalars().values())).all()
    assert type(found).from_bytes(found.to_bytes()).scalars() == found.scalars()


def test_geometry_without_what_collapse_needs(cloud):
    values, _ = cloud
    for objective in (
        objective_of(values),
        objective_of(values, np.zeros(30, int)),
        objective_of(np.full((30, 3), 0.5), np.arange(30) % 3),
    ):
        found = geometry(objective)
        assert found.nc1 is None
        assert found.target == ""
        assert "nc1" not in found.scalars()
        assert np.isfinite(found.uniformity)
    with pytest.raises(ValueError, match="at least 3 examples, got 2"):
        geometry(objective_of(values[:2]))


def test_wide_features_of_few_examples_have_the_same_geometry_in_their_own_span():
    generator = np.random.default_rng(5)
    narrow = generator.normal(size=(20, 6)) + 1
    frame, _ = np.linalg.qr(generator.normal(size=(300, 300)))
    labels = np.arange(20) % 3
    wide, own = (geometry(objective_of(values, labels)) for values in (narrow @ frame[:6], narrow))
    assert (wide.features, wide.eigenvalues.shape) == (300, (19,))
    np.testing.assert_allclose(wide.eigenvalues[:6], own.eigenvalues, rtol=1e-9)
    for name in ("effective_rank", "intrinsic", "uniformity", "alignment", "separation", "knn_accuracy", "within"):
        assert getattr(wide, name) == pytest.approx(getattr(own, name), rel=1e-4), name
