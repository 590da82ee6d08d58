"""Pictures that keep still, and say how far they may be trusted."""

import numpy as np
import pytest
import torch
from torch import nn

from landscope.embedding import project
from landscope.measurements import Measurement
from landscope.measurements.placement import laid_over
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
    assert found.scalars().items() >= {"trustworthiness": 1.0, "continuity": 1.0}.items()
    assert "displacement" not in found.scalars()


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
        ({"method": "tsne"}, "method must be one of pca, fixed, means, sphere, umap, got 'tsne'"),
        ({"start": "random"}, "start must be one of umap-learn, pca, got 'random'"),
        ({"dimensions": 4}, "dimensions must be 2 or 3, got 4"),
        ({"neighbours": 0}, "neighbours must be positive, got 0"),
        ({"examples": 0}, "examples must be positive, got 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            project(objective, **arguments)


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


METHODS = ["pca", "fixed", "means", "sphere", "umap"]


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_where_no_feature_changed_the_picture_is_the_same_to_the_last_bit(cloud, method, dimensions):
    options = {"method": method, "dimensions": dimensions, "start": "pca"}
    first = project(objective_of(cloud), **options)
    again = project(objective_of(cloud.copy()), previous=first, **options)
    assert first.displacement is None
    assert (again.displacement, again.feature_displacement) == (0.0, 0.0)
    np.testing.assert_array_equal(again.points, first.points)
    assert again.trustworthiness == first.trustworthiness
    changed = project(objective_of(cloud + np.eye(60, 5)), previous=first, **options)
    assert changed.displacement > 0 or method == "fixed"  # where most points do not move


def test_with_fixed_axes_a_point_moves_only_if_its_features_do(cloud):
    first = project(objective_of(cloud), method="fixed")
    np.testing.assert_array_equal(first.points, project(objective_of(cloud)).points)
    moved = cloud.copy()
    moved[:10] += 5
    second = project(objective_of(moved), method="fixed", previous=first)
    np.testing.assert_array_equal(second.points[10:], first.points[10:])
    np.testing.assert_allclose(second.points[:10] - first.points[:10], 5 * first.axes.sum(axis=0) + np.zeros((10, 2)))
    assert project(objective_of(moved), previous=first).displacement is None  # principal axes are another method


def test_points_whose_neighbourhood_did_not_change_stay_in_umap_too():
    generator = np.random.default_rng(7)
    labels = torch.arange(120) % 3
    values = np.eye(3, 10)[labels] * 20 + generator.normal(size=(120, 10))
    first = project(objective_of(values, labels), method="umap", start="pca")
    values[labels == 2] += generator.normal(size=(40, 10))
    second = project(objective_of(values, labels), method="umap", previous=first)
    still = np.all(second.points == first.points, axis=1)
    np.testing.assert_array_equal(still, labels.numpy() != 2)
    assert second.displacement == 0
    assert second.feature_displacement == 0


def test_displacement_is_the_median_in_radii(cloud):
    first = project(objective_of(cloud))
    second = project(objective_of(2 * cloud), previous=first)
    radius = np.sqrt((first.points**2).sum(axis=1).mean())
    expected = np.median(np.linalg.norm(second.points - first.points, axis=1)) / radius
    assert second.displacement == pytest.approx(expected)
    whole = np.sqrt(((cloud - cloud.mean(axis=0)) ** 2).sum(axis=1).mean())
    assert second.feature_displacement == pytest.approx(np.median(np.linalg.norm(cloud, axis=1)) / whole)


def test_three_class_means_lie_in_their_plane_as_they_are():
    generator = np.random.default_rng(8)
    labels = torch.arange(90) % 3
    means = generator.normal(size=(3, 8))
    values = means[labels] + 3 * generator.normal(size=(90, 8))
    found = project(objective_of(values, labels), method="means")
    drawn = np.stack([found.points[labels == c].mean(axis=0) for c in range(3)])
    own = np.stack([values[labels == c].mean(axis=0) for c in range(3)])
    np.testing.assert_allclose(distances(drawn), distances(own), atol=1e-9)
    with pytest.raises(ValueError, match="at least 2 classes, got 1"):
        project(objective_of(values, torch.zeros(90, dtype=torch.long)), method="means")


@pytest.mark.parametrize("dimensions", [2, 3])
def test_sphere_shows_angles(dimensions):
    generator = np.random.default_rng(9)
    flat = generator.normal(size=(50, dimensions))
    frame, _ = np.linalg.qr(generator.normal(size=(7, 7)))
    values = flat @ frame[:dimensions] * generator.uniform(0.1, 9, size=(50, 1))
    values[0] = 0
    found = project(objective_of(values), method="sphere", dimensions=dimensions)
    assert found.explained == pytest.approx(1)
    assert not found.points[0].any()
    np.testing.assert_allclose(np.linalg.norm(found.points[1:], axis=1), 1)
    units = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    np.testing.assert_allclose((found.points @ found.points.T)[1:, 1:], (units @ units.T)[1:, 1:], atol=1e-9)
    rotated = project(objective_of(values @ frame), method="sphere", dimensions=dimensions, previous=found)
    np.testing.assert_allclose(rotated.points, found.points, atol=1e-9)


def test_examples_are_told_with_their_points():
    generator = np.random.default_rng(10)
    labels = torch.as_tensor(generator.integers(3, size=40))
    objective = objective_of(generator.normal(size=(40, 5)), labels)
    found = project(objective, examples=25)
    outputs = objective.outputs()[found.positions]
    own = labels[found.positions]
    assert found.available == 40
    np.testing.assert_array_equal(found.labels, own)
    np.testing.assert_array_equal(found.predictions, outputs.argmax(1))
    np.testing.assert_array_equal(found.correct, (outputs.argmax(1) == own).numpy())
    np.testing.assert_allclose(found.losses, nn.functional.cross_entropy(outputs, own, reduction="none"))
    others = outputs.clone()
    others[torch.arange(25), own] = -torch.inf
    np.testing.assert_allclose(found.margins, outputs[torch.arange(25), own] - others.max(1).values)
    np.testing.assert_array_equal(found.margins > 0, found.correct)
    chosen = found.margins < 0
    selection = objective.subset(found.positions[chosen])
    rounding = 4 * np.finfo(np.float32).eps
    np.testing.assert_allclose(selection.value(), found.losses[chosen].mean(dtype=np.float64), rtol=rounding)


def test_examples_that_cannot_be_told_are_left_out():
    layer = nn.Linear(4, 1)
    data = torch.randn(10, 4), torch.randn(10, 1)
    regression = project(Objective(layer, nn.MSELoss(), data))
    assert regression.predictions is None
    assert regression.margins is None
    assert regression.correct is None
    assert regression.losses.shape == (10,)
    assert project(Objective(layer, of_pairs, data)).losses is None


def of_pairs(outputs, _):
    if len(outputs) < 2:
        raise ValueError("needs two")
    return outputs.square().mean()


def test_features_kept_in_memory_are_not_kept_in_files(cloud):
    first = project(objective_of(cloud), method="umap", start="pca")
    read = Measurement.from_bytes(first.to_bytes())
    assert (read.values, read.graph) == (None, None)
    second = project(objective_of(cloud + 1e-3), method="umap", previous=read)
    assert second.displacement < 0.2
    assert second.feature_displacement is None
    line = project(objective_of(cloud), method="fixed", previous=Measurement.from_bytes(first.to_bytes()))
    assert line.displacement is None


@pytest.mark.parametrize("start", ["pca", "umap-learn"])
@pytest.mark.parametrize(
    "values",
    [
        np.repeat(np.random.default_rng(0).normal(size=(4, 3)), 10, axis=0),
        np.linspace(0, 1, 30)[:, None],
        np.random.default_rng(0).normal(size=(3, 4)),
        np.random.default_rng(0).normal(size=(5, 400)).astype(np.float32),
    ],
    ids=["duplicates", "line", "three", "wide"],
)
def test_awkward_features_are_laid_out(values, start):
    first = project(objective_of(values), method="umap", start=start)
    second = project(objective_of(values * 1.01), method="umap", previous=first)
    for found in (first, second):
        assert np.isfinite(found.points).all()
        assert 0 <= found.trustworthiness <= 1


def test_a_frame_of_another_method_tells_how_to_turn_the_picture(cloud):
    flat = project(objective_of(cloud))
    turned = project(objective_of(cloud), method="umap", start="pca", previous=flat)
    assert turned.displacement is None
    assert np.median(np.linalg.norm(turned.points - flat.points, axis=1)) < np.linalg.norm(flat.points, axis=1).mean()


def test_what_moved_far_is_laid_out_anew():
    generator = np.random.default_rng(11)
    labels = torch.arange(150) % 3
    values = np.eye(3, 10)[labels] * 20 + generator.normal(size=(150, 10))
    first = project(objective_of(values, labels), method="umap", start="pca")
    order = generator.permutation(150)
    second = project(objective_of(values[order], labels[order]), method="umap", previous=first)
    assert second.trustworthiness > first.trustworthiness - 0.02
    assert second.displacement > 0.5


def test_a_frame_that_goes_on_is_as_trustworthy_as_a_fit_from_nothing_and_moves_little():
    generator = np.random.default_rng(12)
    labels = torch.arange(400) % 8
    values = generator.normal(size=(8, 32))[labels] * 2 + generator.normal(size=(400, 32))
    frame = project(objective_of(values), method="umap")
    for _ in range(3):
        values = values + 0.05 * generator.normal(size=values.shape)
        frame = project(objective_of(values), method="umap", previous=frame)
        assert 0 < frame.displacement <= 0.15
    cold = project(objective_of(values), method="umap", seed=1)
    assert frame.trustworthiness >= cold.trustworthiness - 0.01
    assert (
        np.median(np.linalg.norm(cold.points - frame.points, axis=1))
        > 0.15 * np.linalg.norm(frame.points, axis=1).mean()
    )


def test_umap_separates_clusters_and_stays_near_the_frame_before(one_thread):
    generator = np.random.default_rng(6)
    labels = torch.arange(90) % 3
    values = np.eye(3, 10)[labels] * 20 + generator.normal(size=(90, 10))
    before = objective_of(values, labels)
    after = objective_of(values + 0.1 * generator.normal(size=values.shape), labels)
    state, legacy = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    threads = torch.get_num_threads()  # umap-learn's compiler would set it
    first = project(before, method="umap")
    second = project(after, method="umap", previous=first)
    cold = project(after, method="umap", seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(np.random.get_state()[1], legacy)  # noqa: NPY002
    assert torch.get_num_threads() == threads
    for found in (first, second):
        between = distances(found.points)
        same = labels.numpy()[:, None] == labels.numpy()[None]
        assert between[same].max() < between[~same].min()
        assert found.trustworthiness > 0.85
        assert found.explained is None
    extent = np.linalg.norm(first.points, axis=1).mean()
    displacement = np.median(np.linalg.norm(second.points - first.points, axis=1)) / extent
    assert displacement < 0.25 < np.median(np.linalg.norm(cold.points - first.points, axis=1)) / extent
