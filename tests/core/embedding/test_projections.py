"""Pictures that keep still, and say how far they may be trusted."""

import numpy as np
import pytest
import torch
from torch import nn

from landscope.embedding import project
from landscope.embedding.placement import laid_over
from landscope.objective import Objective


def objective_of(values, labels=None):
    """An objective whose features, the input of its only layer, are `values`."""
    values = torch.as_tensor(values)
    labels = torch.arange(len(values)) % 3 if labels is None else labels
    layer = nn.Linear(values.shape[1], 3, dtype=values.dtype)
    return Objective(layer, nn.CrossEntropyLoss(), (values, labels))


@pytest.fixture
def cloud():
    """(60, 5) with variances that are well apart."""
    return np.random.default_rng(0).normal(size=(60, 5)) * [5, 3, 1, 0.5, 0.2] + 10


def distances(points):
    return np.linalg.norm(points[:, None] - points[None], axis=2)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("n", [60, 4])  # wider than long, too
def test_pca_is_the_truncated_decomposition(cloud, dimensions, n):
    cloud = cloud[:n]
    centred = cloud - cloud.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    expected = left[:, :dimensions] * singular[:dimensions]
    found = project(objective_of(cloud), dimensions=dimensions)
    np.testing.assert_allclose(np.abs(found.points), np.abs(expected), atol=1e-10)
    assert found.explained == pytest.approx((singular[:dimensions] ** 2).sum() / (singular**2).sum(), rel=1e-12)
    assert found.features == 5
    assert found.classes == 3


def test_nothing_moves_while_features_do_not(cloud):
    objective = objective_of(cloud)
    first = project(objective)
    mirrored = type(first)(**{**vars(first), "points": first.points * [-1, 1]})
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    turned = type(first)(**{**vars(first), "points": first.points @ turn})
    for previous in (first, mirrored, turned):
        again = project(objective, previous=previous)
        assert np.abs(again.points - previous.points).max() <= 1e-6


def test_rotated_features_do_not_move_the_picture(cloud):
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))
    first = project(objective_of(cloud))
    second = project(objective_of(cloud @ rotation + 3), previous=first)
    assert np.abs(second.points - first.points).max() <= 1e-6


def test_growth_is_seen(cloud):
    first = project(objective_of(cloud))
    second = project(objective_of(2 * cloud), previous=first)
    np.testing.assert_allclose(second.points, 2 * first.points, atol=1e-6)


def test_laid_over_is_the_best_rotation():
    generator = np.random.default_rng(2)
    points, previous = generator.normal(size=(2, 30, 2))
    points, previous = points - points.mean(axis=0), previous - previous.mean(axis=0)
    best = np.linalg.norm(laid_over(points, previous, scaled=False) - previous)
    for angle in np.linspace(0, 2 * np.pi, 400):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        for mirror in ([1, 1], [1, -1]):
            assert best <= np.linalg.norm(points @ turn * mirror - previous) + 1e-12


def test_laid_over_finds_scale_and_place():
    points = np.random.default_rng(3).normal(size=(30, 3))
    rotation, _ = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))
    previous = 4 * points @ rotation + [1, 2, 3]
    np.testing.assert_allclose(laid_over(points, previous, scaled=True), previous, atol=1e-12)


def test_two_dimensional_features_are_trusted_fully(cloud):
    found = project(objective_of(cloud[:, :2]))
    assert found.trustworthiness == 1
    assert found.explained == pytest.approx(1)
    assert found.scalars() == {"trustworthiness": 1.0}


def test_trustworthiness_by_its_definition(cloud):
    """T(k) = 1 - 2/(n k (2n - 3k - 1)) sum over points' k neighbours in the picture of (rank in the features - k)+."""
    generator = np.random.default_rng(5)
    values, k = generator.normal(size=(40, 8)), 5
    found = project(objective_of(values), neighbours=k)
    n, loss = 40, 0
    for near, far in zip(distances(found.points), distances(values), strict=True):
        ranks = np.argsort(np.argsort(far))  # a point itself has rank 0
        loss += np.maximum(ranks[np.argsort(near)[1 : k + 1]] - k, 0).sum()
    assert found.trustworthiness == pytest.approx(1 - 2 * loss / (n * k * (2 * n - 3 * k - 1)), rel=1e-12)
    assert found.trustworthiness < 0.95


def test_few_examples_have_fewer_neighbours(cloud):
    assert project(objective_of(cloud)).neighbours == 12
    assert project(objective_of(cloud[:10])).neighbours == 4
    assert project(objective_of(cloud[:3])).neighbours == 1
    with pytest.raises(ValueError, match="at least 3 examples, got 2"):
        project(objective_of(cloud[:2]))


def test_subset_is_fixed(cloud):
    objective = objective_of(cloud)
    first, second = project(objective, examples=20), project(objective, examples=20)
    assert first.points.shape == (20, 2)
    assert first.provenance.examples == 20
    np.testing.assert_array_equal(first.points, second.points)
    with pytest.raises(ValueError, match=r"previous has points of shape \(20, 2\), expected \(60, 2\)"):
        project(objective, previous=first)


@pytest.mark.parametrize("method", ["pca", "umap"])
def test_constant_features_are_one_point(method):
    found = project(objective_of(np.full((30, 4), 0.1)), method=method)
    assert not found.points.any()
    assert found.explained is None
    assert np.isnan(found.trustworthiness)


def test_features_on_a_line_and_of_one_class():
    line = np.linspace(-1, 1, 20)[:, None]
    found = project(objective_of(line, torch.zeros(20, dtype=torch.long)))
    np.testing.assert_allclose(np.abs(found.points), np.abs(np.hstack([line, 0 * line])), atol=1e-12)
    assert found.classes == 1


def test_no_labels():
    layer = nn.Linear(4, 1)
    objective = Objective(layer, nn.MSELoss(), (torch.randn(10, 4), torch.randn(10, 1)))
    found = project(objective)
    assert found.classes == 0
    assert set(found.labels) == {-1}


def test_features_that_are_not_finite_are_refused(cloud):
    objective = objective_of(cloud)
    model = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 3)).double()
    objective = Objective(model, nn.CrossEntropyLoss(), objective.batches.items[0])
    with torch.no_grad():
        model[0].weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match="features of layer '1' are not all finite"):
        project(objective)


def test_arguments_out_of_range(cloud):
    objective = objective_of(cloud)
    for arguments, message in [
        ({"method": "tsne"}, "method must be one of pca, umap, got 'tsne'"),
        ({"dimensions": 4}, "dimensions must be 2 or 3, got 4"),
        ({"neighbours": 0}, "neighbours must be positive, got 0"),
        ({"examples": 0}, "examples must be positive, got 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            project(objective, **arguments)


def test_umap_separates_clusters_and_stays_near_the_frame_before():
    generator = np.random.default_rng(6)
    labels = torch.arange(90) % 3
    values = np.eye(3, 10)[labels] * 20 + generator.normal(size=(90, 10))
    before = objective_of(values, labels)
    after = objective_of(values + 0.1 * generator.normal(size=values.shape), labels)
    state, legacy = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = project(before, method="umap")
    second = project(after, method="umap", previous=first)
    cold = project(after, method="umap", seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(np.random.get_state()[1], legacy)  # noqa: NPY002
    for found in (first, second):
        between = distances(found.points)
        same = labels.numpy()[:, None] == labels.numpy()[None]
        assert between[same].max() < between[~same].min()
        assert found.trustworthiness > 0.85
        assert found.explained is None
    extent = np.linalg.norm(first.points, axis=1).mean()
    displacement = np.median(np.linalg.norm(second.points - first.points, axis=1)) / extent
    assert displacement < 0.25 < np.median(np.linalg.norm(cold.points - first.points, axis=1)) / extent
