"""The plane of a curve: exact for one bend, the closest for more."""

import numpy as np
import pytest
import torch

from landscope.landscape import barrier, curve_plane, curve_slice
from landscope.landscape.curves import Curve
from landscope.measurements import Connection, Provenance
from landscope.objective import Objective
from tests.core.landscape.known import Weights


def connection(points, curve="bezier", positions=25):
    points = np.asarray(points, dtype=np.float64)
    t = np.linspace(0, 1, positions)
    return Connection(
        provenance=Provenance(method="test"), curve=curve, t=t, loss=np.arange(25.0), arc=t,
        distance=float(np.linalg.norm(points[-1] - points[0])), points=points,
    )  # fmt: skip


@pytest.fixture
def spatial():
    """L = |theta - (1, 2, 3, 4)|^2 in four dimensions."""
    zeros = torch.zeros(1, 1, dtype=torch.float64)
    target = torch.arange(1.0, 5.0).double()
    return Objective(Weights([0.0] * 4), lambda output, _: (output[0] - target).square().sum(), (zeros, zeros))


def test_three_points_span_the_plane_of_a_curve_with_one_bend():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(3, 6))
    plane = curve_plane(connection(points))
    assert plane.directions @ plane.directions.T == pytest.approx(np.eye(2), abs=1e-12)
    assert plane.distances == pytest.approx(np.zeros(25), abs=1e-12)
    assert plane.explained == pytest.approx(1)
    assert plane.coordinates[0] == pytest.approx([0, 0], abs=1e-12)
    assert plane.coordinates[-1] == pytest.approx([np.linalg.norm(points[2] - points[0]), 0], abs=1e-12)
    shown = plane.centre + plane.coordinates @ plane.directions
    curve = Curve("bezier", torch.from_numpy(points)).at(torch.linspace(0, 1, 25, dtype=torch.float64))
    assert shown == pytest.approx(curve.numpy())
    assert (plane.coordinates[1:-1, 1] > 0).all()  # drawn above the line


def test_of_a_curve_with_more_bends_the_distance_from_the_plane_is_stated():
    """Bends of height 1 to one side and 0.1 to another: the plane takes the first, the rest is its distance."""
    points = [[0, 0, 0], [1, 1, 0.1], [2, 1, -0.1], [3, 0, 0]]
    found = connection(points, "polygon")
    plane = curve_plane(found)
    curve = Curve("polygon", torch.tensor(points, dtype=torch.float64)).at(torch.from_numpy(found.t)).numpy()
    assert plane.directions[0] == pytest.approx([1, 0, 0])
    assert plane.directions[1] == pytest.approx([0, 1, 0], abs=1e-12)
    assert plane.coordinates == pytest.approx(curve[:, :2], abs=1e-12)
    assert plane.distances == pytest.approx(np.abs(curve[:, 2]), abs=1e-12)
    sideways, rest = (curve[:, 1] ** 2).sum(), (curve[:, 2] ** 2).sum()
    assert plane.explained == pytest.approx(sideways / (sideways + rest))


def test_the_slice_shows_the_curve_on_its_plane(spatial):
    found = connection([[0.0, 0, 0, 0], [1, 3, 0, 0], [4, 0, 0, 0]])
    cut = curve_slice(spatial, found, points=5, margin=0.5)
    exact = (cut.alpha[:, None] - 1) ** 2 + (cut.beta[None, :] - 2) ** 2 + 9 + 16
    assert cut.loss == pytest.approx(exact)
    assert cut.plane == "curve"
    assert (cut.alpha[0], cut.alpha[-1]) == (-2, 6)
    assert (cut.beta[0], cut.beta[-1]) == pytest.approx((-2, 3.5))  # the curve rises to half its bend's height
    assert cut.path[12] == pytest.approx([0.5 * 1 + 0.25 * 4, 1.5])
    assert cut.path_distances == pytest.approx(np.zeros(25), abs=1e-7)
    shown = np.column_stack([cut.path, np.zeros((25, 2))])
    assert cut.path_losses == pytest.approx(((shown - np.arange(1, 5)) ** 2).sum(axis=1))
    assert cut.centre_loss == pytest.approx(1 + 4 + 9 + 16)


def test_what_spans_no_plane_is_refused(spatial):
    with pytest.raises(ValueError, match="the curve is straight"):
        curve_plane(connection([[0.0, 0], [1, 0], [2, 0]]))
    with pytest.raises(ValueError, match="a straight line spans no plane"):
        curve_plane(barrier(spatial, spatial.theta(), spatial.theta() + 1, points=2))
    with pytest.raises(ValueError, match="no points"):
        curve_plane(connection([[0.0, 0], [1, 1], [2, 0]]).replaced(points=None))
