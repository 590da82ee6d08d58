import re

import numpy as np
import pytest

from landscope.comparison import minus, placed, unlike_axes
from landscope.measurements import Projection, Provenance, Slice2D

ALPHA, BETA = np.linspace(-1, 1, 5), np.linspace(-2, 2, 3)


def plane(lift=0.0, *, parameters=10, seed=0, alpha=ALPHA, **changes):
    loss = alpha[:, None] ** 2 + 3 * BETA[None] ** 2 + lift * alpha[:, None]
    fields = {"plane": "random", "normalisation": "filter", "axes": ("one", "two")} | changes
    source = Provenance(method="test", step=3, parameters=parameters, seed=seed)
    return Slice2D(provenance=source, alpha=alpha, beta=BETA, loss=loss, centre_loss=0.0, **fields)


def cloud(points, positions=None, labels=None, data=""):
    count = len(points)
    return Projection(
        provenance=Provenance(method="test", step=3, data=data),
        points=np.asarray(points, dtype=np.float64),
        labels=np.arange(count) % 3 if labels is None else labels,
        classes=3,
        layer="last",
        features=8,
        method="pca",
        trustworthiness=1.0,
        neighbours=3,
        positions=np.arange(count) if positions is None else positions,
    )


POINTS = np.random.default_rng(0).normal(size=(20, 2)) * [3, 1]
TURN = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]]) @ np.diag([1, -1])  # and a reflection


def test_difference_is_that_of_two_paraboloids():
    found = minus(plane(2.0), plane(0.5))
    np.testing.assert_allclose(found.loss, np.broadcast_to(1.5 * ALPHA[:, None], (5, 3)))
    np.testing.assert_array_equal(found.alpha, ALPHA)
    np.testing.assert_array_equal(minus(plane(), plane()).loss, 0)


def test_a_coarse_grid_is_held_against_the_finer_one_that_it_is_part_of():
    fine = plane(1.0, alpha=np.linspace(-1, 1, 9))
    for found, sign in ((minus(plane(), fine), -1), (minus(fine, plane()), 1)):
        np.testing.assert_allclose(found.alpha, ALPHA)
        np.testing.assert_allclose(found.loss, sign * np.broadcast_to(ALPHA[:, None], (5, 3)), atol=1e-12)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (plane(parameters=11), "networks of 10 and 11 parameters"),
        (plane(plane="hessian"), "of different kinds: random .filter. and hessian"),
        (plane(normalisation="layer"), "of different kinds"),
        (plane(seed=1), "different seeds: 0 and 1"),
        (plane(alpha=np.linspace(-0.9, 0.9, 5)), "grids of 5 × 3 and 5 × 3 points have 1 × 3 in common"),
        (plane(alpha=ALPHA + 0.1), "have 0 × 3 in common"),
    ],
)
def test_planes_with_other_coordinates_are_refused(other, words):
    assert unlike_axes(plane(), plane(1.0)) == ""
    with pytest.raises(ValueError, match=words):
        minus(plane(), other)


def test_planes_of_each_runs_own_directions_are_refused_though_their_grids_agree():
    own = [plane(lift, plane="trajectory", normalisation="none") for lift in (0.0, 1.0)]
    assert "trajectory directions of its own" in unlike_axes(*own)


def test_points_that_were_turned_scaled_and_moved_lie_over_the_reference_again():
    found = placed(cloud(0.4 * POINTS @ TURN + [5, -2]), cloud(POINTS))
    np.testing.assert_allclose(found.projection.points, POINTS, atol=1e-12)
    assert found.residual == pytest.approx(0, abs=1e-24)
    assert (found.shared, found.reason) == (20, "")


def test_residual_is_what_the_singular_values_leave():
    """With X and Y of Frobenius norm one and centred, the least |s X R - Y|^2 is 1 - |X^T Y|_*^2."""
    other = np.random.default_rng(1).normal(size=(20, 2))
    x, y = ((each - each.mean(axis=0)) / np.linalg.norm(each - each.mean(axis=0)) for each in (other, POINTS))
    nuclear = np.linalg.svd(x.T @ y, compute_uv=False).sum()
    found = placed(cloud(other), cloud(POINTS))
    assert found.residual == pytest.approx(1 - nuclear**2)
    assert placed(cloud(7 * other), cloud(POINTS)).residual == pytest.approx(found.residual)


def test_common_examples_decide_and_all_points_move():
    reference = cloud(POINTS[:12], positions=np.arange(12), labels=np.arange(12) % 3)
    moved = 2 * POINTS[6:] @ TURN - 1
    found = placed(cloud(moved, positions=np.arange(6, 20), labels=np.arange(6, 20) % 3), reference)
    assert found.shared == 6
    np.testing.assert_allclose(found.projection.points, POINTS[6:], atol=1e-12)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (cloud(POINTS, labels=np.zeros(20, dtype=int)), "examples are others"),
        (cloud(POINTS, data="feed"), "examples are others"),
        (cloud(POINTS, positions=np.arange(18, 38), labels=(np.arange(20) + 18) % 3), "2 examples in common"),
        (cloud(np.ones((20, 3))), "3 and 2 dimensions"),
    ],
)
def test_points_of_other_examples_stay_where_they_were_measured(other, words):
    found = placed(other, cloud(POINTS, data="beef"))
    assert found.residual is None
    assert found.projection is other
    assert re.search(words, found.reason)
