"""Convexity and roughness of grids whose Hessian is known."""

import numpy as np
import pytest

from landscope.measurements.differences import grid_hessian, roughness
from tests.core.measurements.grids import slice_of


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_the_hessian_of_a_quadratic_is_exact_on_any_spacing(dimensions):
    rng = np.random.default_rng(dimensions)
    axes = [np.sort(rng.uniform(-2, 2, count)) for count in (5, 6, 4)[:dimensions]]
    A = rng.normal(size=(dimensions, dimensions))
    A, b = A + A.T, rng.normal(size=dimensions)
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    values = 0.5 * np.einsum("...i,ij,...j", points, A, points) + points @ b + 3
    found = grid_hessian(values, tuple(axes))
    assert found.shape == (*(len(axis) - 2 for axis in axes), dimensions, dimensions)
    assert found == pytest.approx(np.broadcast_to(A, found.shape), rel=1e-8, abs=1e-8)


def signed_log(count):
    positive = np.geomspace(1e-2, 1, count)
    return np.concatenate([-positive[::-1], [0], positive])


@pytest.mark.parametrize("axis", [np.linspace(-1, 1, 9), signed_log(4)], ids=["linear", "log"])
def test_shares_of_convex_and_saddle_shaped_cells(axis):
    x, y = np.meshgrid(axis, axis, indexing="ij")
    bowl = roughness(slice_of(5 + x**2 + x * y + y**2, [axis, axis]))
    assert (bowl.convex, bowl.negative, bowl.cells) == (1, 0, 49)
    saddle = roughness(slice_of(5 + x**2 + 3 * x * y + y**2, [axis, axis]))
    assert (saddle.convex, saddle.negative) == (0, 1)
    gutter = roughness(slice_of(5 + (x + y) ** 2, [axis, axis]))
    assert (gutter.convex, gutter.negative) == (0, 0)  # a zero eigenvalue is neither
    flat = roughness(slice_of(np.full_like(x, 0.1), [axis, axis]))
    assert (flat.convex, flat.negative) == (0, 0)
    assert np.isnan(flat.excess).all()


def test_a_cosine_is_convex_where_its_second_derivative_says():
    axis = np.linspace(0, 2 * np.pi, 401)
    found = roughness(slice_of(np.cos(axis), [axis]))
    assert found.convex == pytest.approx(0.5, abs=0.005)
    assert found.negative == pytest.approx(0.5, abs=0.005)


def test_rounding_is_no_curvature():
    """float32 losses of a plane: second differences are all rounding."""
    x, y = np.meshgrid(np.linspace(0, 1, 15), np.linspace(0, 1, 15), indexing="ij")
    tilted = (1 + x / 3 + y / 7).astype(np.float32)
    in_single = roughness(slice_of(tilted, precision="float32"))
    assert (in_single.convex, in_single.negative) == (0, 0)
    believed = roughness(slice_of(tilted, precision="float64"))
    assert believed.negative > 0.1


def test_cells_beside_one_that_is_not_finite_are_left_out():
    axis = np.linspace(-1, 1, 7)
    loss = axis[:, None] ** 2 + axis**2
    loss[3, 3] = np.nan
    found = roughness(slice_of(loss))
    assert found.cells == 25 - 9
    assert found.convex == 1
    assert found.lines.tolist() == [6, 6]


def test_a_grid_too_small_for_a_second_difference_has_no_cells():
    found = roughness(slice_of(np.arange(8.0).reshape(4, 2)))
    assert found.cells == 0
    assert np.isnan(found.convex)


def test_valleys_have_no_excess_and_bumps_have_twice_their_height():
    """Falls 4 - 0, rises 0 - 5: 9 needed. A bump of height 2 on the way costs 2 up and 2 down."""
    assert roughness(slice_of([4, 1, 0, 2, 5])).excess == pytest.approx([0])
    assert roughness(slice_of([1, 2, 5])).excess == pytest.approx([0])
    bumpy = roughness(slice_of([4, 1, 3, 0, 2, 5]))
    assert bumpy.excess == pytest.approx([1 - 9 / 13])
    other_axis = roughness(slice_of([4, 1, 3, 0, 2, 5], [np.geomspace(1, 100, 6)]))
    assert other_axis.excess == pytest.approx(bumpy.excess)
    plane = roughness(slice_of(np.array([[0.0, 1, 0, 1], [0, 1, 0, 1]])))
    assert np.isnan(plane.excess[0])  # nothing goes up or down along the first axis
    assert plane.excess[1] == pytest.approx(1 - 1 / 3)
    assert plane.lines.tolist() == [4, 2]


def test_scalars():
    axis = np.linspace(-1, 1, 5)
    found = roughness(slice_of(axis[:, None] ** 2 + axis**2))
    assert found.scalars() == {"convex": 1.0, "negative": 0.0, "excess": 0.0}
    assert found.provenance.method == "differences of test"
