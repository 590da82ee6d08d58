"""Neural collapse against its definition with explicit scatter matrices, and at the simplex where all is zero."""

import numpy as np
import pytest
import torch
from torch import nn

from landscope.embedding import collapse
from landscope.objective import Objective

CLASSES, WIDTH = 4, 7


def simplex():
    """The (C, d) vertices of a simplex around zero, in a random frame."""
    frame, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(WIDTH, WIDTH)))
    return (np.eye(CLASSES) - 1 / CLASSES) @ frame[:CLASSES]


def classifier(features, labels, weight, bias=None):
    """An objective of one linear layer, so that its features are the data."""
    layer = nn.Linear(features.shape[1], len(weight)).double()
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(weight))
        layer.bias.copy_(torch.zeros(len(weight)) if bias is None else torch.as_tensor(bias))
    return Objective(layer, nn.CrossEntropyLoss(), (torch.as_tensor(features), torch.as_tensor(labels)))


@pytest.fixture
def cloud():
    """Features, labels (unequally many of each class) and a classifier in general position."""
    generator = np.random.default_rng(1)
    labels = np.array([0] * 5 + [1] * 9 + [2] * 7 + [3] * 6)
    features = generator.normal(size=(CLASSES, WIDTH))[labels] + 0.5 * generator.normal(size=(len(labels), WIDTH)) + 2
    return features, labels, generator.normal(size=(CLASSES, WIDTH))


def test_zero_at_a_simplex():
    labels = np.arange(23) % CLASSES
    found = collapse(classifier(3 * simplex()[labels] + 5, labels, 2 * simplex(), -2 * simplex() @ np.full(WIDTH, 5.0)))
    assert found.nc1 == pytest.approx(0, abs=1e-24)
    assert found.nc2_norms == pytest.approx(0, abs=1e-12)
    assert found.nc2_angles == pytest.approx(0, abs=1e-12)
    assert found.nc3 == pytest.approx(0, abs=1e-12)
    assert found.nc4 == 0
    assert found.classes == CLASSES


def test_is_the_definition_with_explicit_matrices(cloud):
    features, labels, weight = cloud
    means = np.stack([features[labels == c].mean(axis=0) for c in range(CLASSES)])
    centred = means - means.mean(axis=0)
    deviations = features - means[labels]
    within = sum(np.outer(row, row) for row in deviations) / len(features)
    between = sum(np.outer(row, row) for row in centred) / CLASSES
    lengths = [np.sqrt(row @ row) for row in centred]
    angles = [
        abs(centred[i] @ centred[j] / (lengths[i] * lengths[j]) + 1 / 3) for i in range(4) for j in range(4) if i != j
    ]
    rows = weight - weight.mean(axis=0)
    duality = np.linalg.norm(rows / np.linalg.norm(rows) - centred / np.linalg.norm(centred)) ** 2
    nearest = [min(range(CLASSES), key=lambda c, row=row: np.linalg.norm(row - means[c])) for row in features]
    found = collapse(classifier(features, labels, weight))
    assert found.nc1 == pytest.approx(np.trace(within @ np.linalg.pinv(between, rcond=1e-10)) / CLASSES, rel=1e-10)
    assert found.nc2_norms == pytest.approx(np.std(lengths) / np.mean(lengths), rel=1e-12)
    assert found.nc2_angles == pytest.approx(np.mean(angles), rel=1e-12)
    assert found.nc3 == pytest.approx(duality, rel=1e-12)
    assert found.nc4 == np.mean((features @ weight.T).argmax(axis=1) != nearest)
    assert 0 < found.nc4 < 1


def test_what_softmax_ignores_does_not_count(cloud):
    features, labels, weight = cloud
    first = collapse(classifier(features, labels, weight))
    second = collapse(classifier(features, labels, weight + np.arange(WIDTH)))
    assert second.nc3 == pytest.approx(first.nc3, rel=1e-10)
    assert second.nc4 == first.nc4


def test_classifier_is_compared_with_what_it_reads_alone(cloud):
    features, labels, _ = cloud
    model = nn.Sequential(nn.Linear(WIDTH, 5), nn.Tanh(), nn.Linear(5, CLASSES)).double()
    data = torch.as_tensor(features), torch.as_tensor(labels)
    objective = Objective(model, nn.CrossEntropyLoss(), data, batch_size=10)
    assert collapse(objective).nc3 is not None
    assert collapse(objective, "1").nc3 == collapse(objective).nc3
    assert collapse(objective, "0").nc3 is None
    assert collapse(objective, "1").scalars() == collapse(objective).scalars()
    assert "nc3" not in collapse(objective, "0").scalars()


def test_elsewhere_than_at_the_models_weights(cloud):
    features, labels, weight = cloud
    objective = classifier(features, labels, weight)
    other = np.random.default_rng(2).normal(size=weight.shape)
    theta = objective.layout.flatten({"weight": torch.as_tensor(other), "bias": torch.zeros(CLASSES)})
    expected = collapse(classifier(features, labels, other))
    assert collapse(objective, theta=theta).nc3 == pytest.approx(expected.nc3, rel=1e-12)


def test_an_orthogonal_frame_is_a_target_of_its_own():
    """Where no classifier reads the features: the layer before a nonlinear one."""
    labels = np.arange(24) % CLASSES
    model = nn.Sequential(nn.Identity(), nn.Linear(CLASSES, 5), nn.Tanh(), nn.Linear(5, CLASSES)).double()
    data = torch.as_tensor(3 * np.eye(CLASSES)[labels]), torch.as_tensor(labels)
    objective = Objective(model, nn.CrossEntropyLoss(), data)
    found = collapse(objective, "0")
    assert (found.target, found.nc3) == ("orthogonal", None)
    assert (found.nc1, found.nc2_norms, found.nc2_angles) == pytest.approx((0, 0, 0), abs=1e-12)
    np.testing.assert_allclose(found.cosines, np.eye(CLASSES), atol=1e-12)
    simplex = collapse(objective, "0", target="simplex")  # less their mean, they are one as well
    assert simplex.nc2_angles == pytest.approx(0, abs=1e-12)
    labels = np.array([0] * 12 + [1] * 6 + [2] * 4 + [3] * 2)
    uneven = Objective(
        model, nn.CrossEntropyLoss(), (torch.as_tensor(np.eye(CLASSES)[labels]), torch.as_tensor(labels))
    )
    assert collapse(uneven, "0", target="orthogonal").nc2_angles == pytest.approx(0, abs=1e-12)


def test_of_an_orthogonal_frame_each_row_of_the_classifier_is_parallel_to_a_mean():
    lengths = np.array([1.0, 2.0, 3.0, 4.0])
    labels = np.repeat(np.arange(CLASSES), [9, 6, 3, 2])
    frame, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(WIDTH, WIDTH)))
    means, rows = lengths[:, None] * frame[:CLASSES], frame[:CLASSES] / lengths[:, None]
    found = collapse(classifier(means[labels], labels, rows), target="orthogonal")
    assert (found.nc1, found.nc2_angles, found.nc3) == pytest.approx((0, 0, 0), abs=1e-12)
    assert found.nc2_norms == pytest.approx(np.std(lengths) / np.mean(lengths))
    turned = rows.copy()
    turned[0] = -rows[0]
    assert collapse(classifier(means[labels], labels, turned), target="orthogonal").nc3 == pytest.approx(4 / CLASSES)


def test_unequal_classes_have_unequal_lengths():
    """The global minimum of Thrampoulidis et al. by its own construction: the decomposition of the label matrix."""
    counts = [16, 16, 4, 2]
    labels = np.repeat(np.arange(CLASSES), counts)
    encoded = (np.eye(CLASSES) - 1 / CLASSES)[:, labels]
    left, singular, right = np.linalg.svd(encoded, full_matrices=False)
    left, singular, right = left[:, :3], singular[:3], right[:3]
    frame, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(WIDTH, WIDTH)))
    features = (np.sqrt(singular)[:, None] * right).T @ frame[:3]
    weight = (left * np.sqrt(singular)) @ frame[:3]
    np.testing.assert_allclose(weight @ features.T, encoded, atol=1e-12)
    found = collapse(classifier(features, labels, 3 * weight + np.arange(WIDTH)))
    assert found.target == "counts"
    assert (found.nc1, found.nc2_norms, found.nc2_angles, found.nc3) == pytest.approx((0, 0, 0, 0), abs=1e-12)
    np.testing.assert_allclose(found.cosines, found.target_cosines, atol=1e-12)
    simplex = collapse(classifier(features, labels, weight), target="simplex")
    assert min(simplex.nc2_norms, simplex.nc2_angles, simplex.nc3) > 0.01


def test_targets_of_equal_classes_are_one():
    labels = np.arange(24) % CLASSES
    objective = classifier(simplex()[labels], labels, simplex())
    for target in ("simplex", "counts"):
        found = collapse(objective, target=target)
        assert (found.nc2_norms, found.nc2_angles, found.nc3) == pytest.approx((0, 0, 0), abs=1e-12)
        assert found.cosines[0, 1] == pytest.approx(-1 / 3)


def test_scatters_are_the_traces(cloud):
    features, labels, weight = cloud
    found = collapse(classifier(features, labels, weight))
    means = np.stack([features[labels == c].mean(axis=0) for c in range(CLASSES)])
    assert found.within == pytest.approx(
        np.mean([((h - means[c]) ** 2).sum() for h, c in zip(features, labels, strict=True)])
    )
    assert found.between == pytest.approx(((means - means.mean(axis=0)) ** 2).sum() / CLASSES)


def test_refusals(cloud):
    features, labels, weight = cloud
    with pytest.raises(ValueError, match=r"examples of all 4 classes, got none of \[3\]"):
        collapse(classifier(features[labels < 3], labels[labels < 3], weight))
    with pytest.raises(ValueError, match="same mean in every class"):
        collapse(classifier(np.full((8, WIDTH), 0.1), np.arange(8) % CLASSES, weight))
    with pytest.raises(ValueError, match="target must be one of auto, simplex, orthogonal, counts, got 'cube'"):
        collapse(classifier(features, labels, weight), target="cube")
    regression = Objective(nn.Linear(3, 2), nn.MSELoss(), (torch.randn(4, 3), torch.randn(4, 2)))
    with pytest.raises(ValueError, match="one class per example"):
        collapse(regression)
