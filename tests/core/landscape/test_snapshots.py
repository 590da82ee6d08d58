"""Planes through chosen points: where the points are drawn, and what lies between them."""

import math

import pytest
import torch
from torch import nn

from landscope.landscape import plane_between, plane_through
from landscope.objective import Objective


def points(count, size=50, dtype=torch.float64):
    torch.manual_seed(4)
    return list(torch.randn(count, size, dtype=dtype))


@pytest.mark.parametrize("basis", ["orthonormal", "edges"])
def test_the_three_points_lie_at_their_corners(basis):
    chosen = points(3)
    plane = plane_through(*chosen, basis=basis)
    torch.testing.assert_close(plane.centre + plane.corners @ plane.directions, torch.stack(chosen))


def test_an_orthonormal_plane_draws_the_triangle_with_its_sides():
    first, second, third = points(3)
    plane = plane_through(first, second, third)
    torch.testing.assert_close(plane.directions @ plane.directions.T, torch.eye(2).double())
    for a, b, one, other in ((0, 1, first, second), (0, 2, first, third), (1, 2, second, third)):
        assert math.dist(plane.corners[a], plane.corners[b]) == pytest.approx(float((one - other).norm()))


@pytest.mark.parametrize("basis", ["orthonormal", "edges"])
def test_barycentric_coordinates_mix_the_points(basis):
    chosen = torch.stack(points(3))
    plane = plane_through(*chosen, basis=basis)
    where = torch.tensor([[0.3, 0.2], [-1.0, 4.0]]).double()
    weights = plane.barycentric(where)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2).double())
    torch.testing.assert_close(weights @ chosen, plane.centre + where @ plane.directions)
    if basis == "edges":
        torch.testing.assert_close(weights[0], torch.tensor([0.5, 0.3, 0.2]).double())


def test_the_extent_holds_all_points_with_a_margin():
    plane = plane_through(*points(3))
    for (low, high), along in zip(plane.extent(margin=0.1), plane.corners.T, strict=True):
        assert low < float(along.min()) - 0.5
        assert high > float(along.max()) + 0.5


def test_points_on_one_line_are_refused_up_to_rounding():
    first, second, third = points(3, dtype=torch.float32)
    with pytest.raises(ValueError, match=r"three points lie on one line.*plane_between"):
        plane_through(first, second, 0.3 * first + 0.7 * second)
    with pytest.raises(ValueError, match="first two points are the same"):
        plane_through(first, first.clone(), third)
    with pytest.raises(ValueError, match="points must be finite"):
        plane_through(first, second, third * torch.nan)
    with pytest.raises(ValueError, match=r"got shapes \(50,\), \(50,\), \(49,\)"):
        plane_through(first, second, third[1:])
    nearly = 0.3 * first + 0.7 * second + 1e-4 * third
    torch.testing.assert_close(plane_through(first, second, nearly).directions.norm(dim=1), torch.ones(2))


def linear_objective():
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 2)).double()
    return Objective(model, nn.MSELoss(), (torch.randn(3, 4).double(), torch.randn(3, 2).double()))


def test_a_plane_between_two_points_has_a_second_axis_across():
    objective = linear_objective()
    first = objective.theta()
    second = first + torch.randn_like(first)
    plane = plane_between(objective, first, second)
    torch.testing.assert_close(plane.directions @ plane.directions.T, torch.eye(2).double())
    torch.testing.assert_close(plane.centre + plane.corners @ plane.directions, torch.stack([first, second]))
    given = torch.randn_like(first)
    across = plane_between(objective, first, second, direction=given).directions[1]
    expected = given - (given @ plane.directions[0]) * plane.directions[0]
    torch.testing.assert_close(across, expected / expected.norm())


def test_what_spans_no_plane_between_two_points_is_refused():
    objective = linear_objective()
    first = objective.theta()
    with pytest.raises(ValueError, match="two points are the same"):
        plane_between(objective, first, first)
    second = first + torch.randn_like(first)
    with pytest.raises(ValueError, match="parallel to the line"):
        plane_between(objective, first, second, direction=second - first)
    with pytest.raises(ValueError, match="through three points, got two"):
        plane_between(objective, first, second).barycentric(torch.zeros(2))
