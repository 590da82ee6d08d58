"""The plane of a path against its singular vectors, and projections against points placed by hand."""

import pytest
import torch

from landscope.landscape import project_path, trajectory_plane


def test_trajectory_plane_is_that_of_the_singular_vectors():
    torch.manual_seed(1)
    path, centre = torch.randn(7, 40).double(), torch.randn(40).double()
    plane = trajectory_plane(path, centre)
    _, _, right = torch.linalg.svd(path - centre, full_matrices=False)
    torch.testing.assert_close(plane.abs(), right[:2].abs())
    torch.testing.assert_close(plane @ plane.T, torch.eye(2).double())


def test_plane_keeps_the_orientation_of_the_one_before():
    torch.manual_seed(1)
    path, centre = torch.randn(7, 40).double(), torch.randn(40).double()
    plane = trajectory_plane(path, centre)
    flipped = plane * torch.tensor([[-1.0], [1.0]])
    torch.testing.assert_close(trajectory_plane(path, centre, previous=flipped), flipped)


def test_straight_path_is_completed_by_the_fallback():
    centre, along = torch.zeros(10).double(), torch.eye(10).double()[0]
    path = torch.stack([0.5 * along, along])
    with pytest.raises(ValueError, match="straight"):
        trajectory_plane(path, centre)
    plane = trajectory_plane(path, centre, fallback=torch.ones(10).double())
    torch.testing.assert_close(plane @ plane.T, torch.eye(2).double())
    torch.testing.assert_close(plane[0].abs(), along)


def test_path_without_extent_is_refused():
    with pytest.raises(ValueError, match="no extent"):
        trajectory_plane(torch.ones(3, 4), torch.ones(4))


def test_projection_recovers_coordinates_in_a_skew_basis():
    torch.manual_seed(2)
    directions, centre = torch.randn(2, 30).double(), torch.randn(30).double()
    coordinates = torch.randn(6, 2).double()
    normal = torch.linalg.svd(directions, full_matrices=True).Vh[2:]  # spans the complement of the plane
    offsets = torch.randn(6).double()
    path = centre + coordinates @ directions + offsets[:, None] * normal[0]
    foot = project_path(path, centre, directions)
    torch.testing.assert_close(foot.coordinates, coordinates)
    torch.testing.assert_close(foot.distances, offsets.abs())
    inside = (coordinates @ directions).square().sum()
    assert foot.explained == pytest.approx(float(inside / (inside + offsets.square().sum())))


def test_parallel_directions_span_no_plane():
    direction = torch.randn(1, 5)
    with pytest.raises(ValueError, match="span a plane"):
        project_path(torch.randn(3, 5), torch.zeros(5), torch.cat([direction, 2 * direction]))


def test_shares_are_the_explained_variances_of_each_axis():
    torch.manual_seed(1)
    path, centre = torch.randn(7, 40).double(), torch.randn(40).double()
    plane = trajectory_plane(path, centre)
    values = torch.linalg.svdvals(path - centre)
    seen = project_path(path, centre, plane)
    torch.testing.assert_close(seen.shares, values[:2] ** 2 / (values**2).sum())
    assert seen.explained == pytest.approx(float(seen.shares.sum()))


def test_a_path_is_seen_from_lines_and_spaces_too():
    torch.manual_seed(3)
    directions, centre = torch.randn(3, 30).double(), torch.randn(30).double()
    path = torch.randn(5, 30).double()
    for count in (1, 3):
        basis = directions[:count]
        seen = project_path(path, centre, basis)
        expected = torch.linalg.lstsq(basis.T, (path - centre).T).solution.T
        torch.testing.assert_close(seen.coordinates, expected)
        torch.testing.assert_close(seen.distances, (path - centre - expected @ basis).norm(dim=1))
        assert float(seen.shares.sum()) == pytest.approx(seen.explained)
    with pytest.raises(ValueError, match="directions must be independent"):
        project_path(path, centre, torch.cat([directions[:2], directions[:1] + directions[1:2]]))


def test_a_long_path_is_handled_by_its_products_alone():
    path = torch.randn(3, 2_000_000)
    plane = trajectory_plane(path, path[-1])
    torch.testing.assert_close(plane @ plane.T, torch.eye(2), atol=1e-4, rtol=0)


def test_a_diverged_path_and_a_parallel_fallback_are_refused():
    path = torch.eye(4).double()[:1]
    with pytest.raises(ValueError, match="fallback direction is parallel"):
        trajectory_plane(path, torch.zeros(4).double(), fallback=2 * path[0])
    with pytest.raises(ValueError, match="path and centre must be finite"):
        trajectory_plane(torch.full((2, 4), torch.nan), torch.zeros(4))
