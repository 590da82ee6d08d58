import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from landscope.comparison import ascending, band, less, thinned


def test_a_resumed_training_has_its_newest_values():
    steps, values = ascending(np.array([0, 5, 10, 5, 10, 20]), np.array([1.0, 2, 3, 4, 5, 6]))
    assert steps.tolist() == [0, 5, 10, 20]
    assert values.tolist() == [1, 4, 5, 6]
    assert [len(each) for each in ascending(np.array([], dtype=int), np.array([]))] == [0, 0]


def test_thinning_keeps_ends_and_extremes():
    steps = np.arange(10_000)
    values = np.sin(steps / 500.0)
    values[[1234, 7777]] = 9.0, -9.0
    kept, seen = thinned(steps, values, most=100)
    assert len(kept) <= 100
    assert {0, 1234, 7777, 9999} <= set(kept.tolist())
    np.testing.assert_array_equal(seen, values[kept])
    short = thinned(steps[:50], values[:50], most=100)
    assert len(short[0]) == 50


@given(st.lists(st.floats(allow_infinity=True, allow_nan=True), min_size=12, max_size=60))
def test_thinning_keeps_the_least_and_the_greatest_whatever_comes(values):
    values = np.array(values)
    kept, seen = thinned(np.arange(len(values)), values, most=10)
    finite = values[np.isfinite(values)]
    assert len(kept) <= 10
    assert (np.diff(kept) > 0).all()
    if finite.size:
        assert finite.min() in seen
        assert finite.max() in seen


def test_band_is_from_the_least_to_the_greatest_at_common_steps():
    lines = [(np.array([0, 10, 20]), np.array([0.0, 1, 2])), (np.array([5, 15]), np.array([3.0, 5]))]
    steps, mean, low, high = band(lines)
    assert steps.tolist() == [5, 10, 15]
    np.testing.assert_allclose(low, [0.5, 1, 1.5])
    np.testing.assert_allclose(high, [3, 4, 5])
    np.testing.assert_allclose(mean, [1.75, 2.5, 3.25])
    assert band([lines[0], (np.array([30]), np.array([1.0]))]) is None
    assert band([lines[0], (np.array([], dtype=int), np.array([]))]) is None


def test_deciles_leave_out_the_outermost_seeds():
    steps = np.arange(3)
    lines = [(steps, np.full(3, value)) for value in (100.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, -50.0)]
    _, mean, low, high = band(lines, deciles=True)
    np.testing.assert_allclose(low, 0.0)  # of eleven values the second and the tenth
    np.testing.assert_allclose(high, 8.0)
    np.testing.assert_allclose(mean, 86 / 11)


def test_one_curve_less_another_at_the_steps_of_both():
    first = np.array([0, 10, 20]), np.array([0.0, 1, 2])
    second = np.array([5, 15, 40]), np.array([3.0, 5, 0])
    steps, values = less(first, second)
    assert steps.tolist() == [5, 10, 15, 20]
    np.testing.assert_allclose(values, [0.5 - 3, 1 - 4, 1.5 - 5, 2 - 4])
    np.testing.assert_allclose(less(second, first)[1], -values)
    assert less(first, (np.array([30]), np.array([1.0]))) is None
    assert less(first, (np.array([], dtype=int), np.array([]))) is None
