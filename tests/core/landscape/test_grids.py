"""Grids of coordinates: their ends, their middle and the grids nested in them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landscope.landscape.grids import Grid, spaced

ends = st.floats(-1e6, 1e6).map(lambda x: round(x, 6))
counts = st.integers(2, 40)


@given(ends, st.floats(1e-6, 1e6), counts, st.sampled_from(["linear", "log"]))
def test_coordinates_rise_from_end_to_end(low, length, count, scale):
    high = low + length
    axis = spaced(low, high, count, scale)
    assert axis.shape == (count,)
    assert (axis[0], axis[-1]) == (low, high)
    assert (np.diff(axis) > 0).all() or length < 1e-9 * abs(low)


@given(ends, st.floats(1e-3, 1e6), counts)
def test_linear_coordinates_are_evenly_spaced(low, length, count):
    axis = spaced(low, low + length, count, "linear")
    np.testing.assert_allclose(axis, np.linspace(low, low + length, count), atol=1e-12 * max(abs(low), length, 1))


@given(st.floats(1e-9, 1e9), st.integers(1, 30), st.sampled_from(["linear", "log"]))
def test_an_odd_box_is_symmetric_about_zero_itself(radius, half, scale):
    axis = spaced(-radius, radius, 2 * half + 1, scale)
    assert axis[half] == 0
    np.testing.assert_allclose(axis, -axis[::-1], rtol=1e-9)


def test_logarithmic_coordinates_are_as_defined():
    """u = asinh(1000 c / r) / asinh(1000) is even; far from zero, neighbours differ by one factor."""
    axis = spaced(-2, 2, 41, "log")
    np.testing.assert_allclose(np.arcsinh(1000 * axis / 2) / np.arcsinh(1000), np.linspace(-1, 1, 41), atol=1e-12)
    ratios = axis[-8:] / axis[-9:-1]
    np.testing.assert_allclose(ratios, 2000 ** (1 / 20), rtol=1e-3)
    one_sided = spaced(0, 3, 5, "log")
    np.testing.assert_allclose(one_sided, 3e-3 * np.sinh(np.linspace(0, 1, 5) * np.arcsinh(1000)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 1, 5, "linear"), r"low < high, got \(1, 1\)"),
        ((2, 1, 5, "log"), "low < high"),
        ((0, np.inf, 5, "linear"), "finite"),
        ((np.nan, 1, 5, "linear"), "low < high"),
        ((0, 1, 1, "linear"), "points must be at least 2 a side, got 1"),
        ((0, 1, 5, "cubic"), "scale must be one of linear, log, got 'cubic'"),
    ],
)
def test_bad_axes_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        spaced(*arguments)


@pytest.mark.parametrize(
    ("shape", "strides"),
    [
        ((33, 33), [8, 4, 2, 1]),
        ((65,), [16, 8, 4, 2, 1]),
        ((25, 25), [8, 4, 2, 1]),
        ((21, 21), [4, 2, 1]),
        ((9, 33), [2, 1]),
        ((9, 17, 9), [2, 1]),
        ((32, 33), [1]),
        ((7, 7), [2, 1]),
        ((3, 3), [1]),
        ((2,), [1]),
    ],
)
def test_strides(shape, strides):
    assert Grid(tuple(np.arange(n) for n in shape)).strides() == strides


@given(st.lists(st.integers(2, 20), min_size=1, max_size=3))
def test_nested_grids_hold_the_ends_and_their_points_make_up_the_whole(shape):
    axes = tuple(np.linspace(-1, 2, n) for n in shape)
    grid = Grid(axes)
    found, before = [], None
    for stride in grid.strides():
        coarse = grid.every(stride)
        assert all((a[0], a[-1]) == (-1, 2) for a in coarse.axes)
        assert stride == 1 or min(coarse.shape) >= 4
        every = grid.coordinates(grid.indices(stride)).numpy()
        np.testing.assert_array_equal(every, coarse.coordinates(coarse.indices(1)).numpy())
        found.extend(map(tuple, grid.indices(stride, but=before)))
        before = stride
    assert len(found) == len(set(found)) == np.prod(shape)
    expected = np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], axis=1)
    np.testing.assert_array_equal(grid.coordinates(grid.indices(1)).numpy(), expected)
