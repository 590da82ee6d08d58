"""Merge trees: by hand, against gudhi, and against flooding the grid level by level."""

import sys

import gudhi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import ndimage

from landscope.measurements import MergeTree
from landscope.measurements.sublevels import loops, merge_tree
from tests.core.measurements.grids import slice_of

GRIDS = npst.arrays(
    np.float64,
    npst.array_shapes(min_dims=1, max_dims=3, max_side=6),
    elements=st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.5, np.nan, np.inf, -np.inf]) | st.floats(-5, 5),
)


def test_a_line_with_three_minima():
    """Pools at 1, 0 and 0.5; the one at 1 meets the deepest at 3, that at 0.5 at 2."""
    alpha = np.array([-3.0, -2, -1, 0, 1, 4, 9])
    tree = merge_tree(slice_of([4, 1, 3, 0, 2, 0.5, 5], [alpha]))
    assert tree.cells.tolist() == [[3], [5], [1]]
    assert tree.minima.tolist() == [[0.0], [4.0], [-2.0]]
    assert tree.losses.tolist() == [0, 0.5, 1]
    assert tree.saddle_losses.tolist() == [np.inf, 2, 3]
    assert tree.saddle_cells.tolist() == [[-1], [4], [2]]
    assert tree.saddles[1:].tolist() == [[1.0], [-1.0]]
    assert np.isnan(tree.saddles[0]).all()
    assert tree.parents.tolist() == [-1, 0, 0]
    assert tree.persistence.tolist() == [np.inf, 1.5, 2]
    assert tree.deepest_barrier == 2
    assert tree.border.tolist() == [False, False, False]
    assert tree.span() == (0, 3)
    assert tree.scalars() == {"minima": 3, "deepest_barrier": 2}


def test_the_younger_of_two_pools_ends_and_its_parent_is_the_elder_of_the_pool_it_meets():
    """3 meets 1 at 5 while 1 already holds 2 (met at 4): 3's parent is 1; all meet 0 at 6, where 1 ends."""
    tree = merge_tree(slice_of([3, 5, 2, 4, 1, 6, 0]))
    assert tree.losses.tolist() == [0, 1, 2, 3]
    assert tree.saddle_losses.tolist() == [np.inf, 6, 4, 5]
    assert tree.parents.tolist() == [-1, 0, 1, 1]
    assert tree.border.tolist() == [True, False, False, True]


def test_pools_meet_across_corners():
    diagonal = np.full((4, 4), 9.0)
    diagonal[range(4), range(4)] = [0, 2, 3, 1]
    tree = merge_tree(slice_of(diagonal))
    assert tree.diagram.tolist() == [[0, np.inf], [1, 3]]
    assert tree.saddle_cells[1].tolist() == [2, 2]


def test_a_flat_floor_is_one_minimum():
    tree = merge_tree(slice_of(np.ones((5, 5))))
    assert tree.losses.tolist() == [1]
    assert tree.deepest_barrier == 0


def test_cells_without_a_finite_loss_cut_pools_off():
    loss = np.array([[0.0, 1], [np.nan, np.inf], [3, 2]])
    tree = merge_tree(slice_of(loss))
    assert tree.losses.tolist() == [0, 2]
    assert np.isinf(tree.persistence).all()
    assert tree.parents.tolist() == [-1, -1]
    assert tree.outside == 2
    assert tree.span() == (0, 2)
    with pytest.raises(ValueError, match="needs a finite loss, got none in a grid of 3 x 2"):
        merge_tree(slice_of(np.full((3, 2), np.nan)))


def test_two_wells_of_known_depth():
    """L = (x^2 - 1)^2 + y^2 + x / 10 on a grid that holds its critical points' neighbourhoods."""
    x, y = np.linspace(-1.5, 1.5, 301), np.linspace(-1, 1, 41)
    loss = (x[:, None] ** 2 - 1) ** 2 + y**2 + x[:, None] / 10
    tree = merge_tree(slice_of(loss, [x, y]))
    left, hill, right = np.sort(np.roots([4, 0, -4, 0.1]).real)
    level = {name: (z**2 - 1) ** 2 + z / 10 for name, z in (("left", left), ("hill", hill), ("right", right))}
    assert tree.losses == pytest.approx([level["left"], level["right"]], abs=2e-4)
    assert tree.minima == pytest.approx(np.array([[left, 0], [right, 0]]), abs=0.006)
    assert tree.saddles[1] == pytest.approx([hill, 0], abs=0.006)
    assert tree.deepest_barrier == pytest.approx(level["hill"] - level["right"], abs=2e-4)


@settings(max_examples=150, deadline=None)
@given(GRIDS)
def test_the_diagram_is_gudhis(loss):
    finite = np.isfinite(loss)
    if not finite.any():
        return
    tree = merge_tree(slice_of(loss))
    cubes = gudhi.CubicalComplex(top_dimensional_cells=np.where(finite, loss, np.inf))
    cubes.compute_persistence()
    expected = cubes.persistence_intervals_in_dimension(0)
    assert sorted(map(tuple, tree.diagram)) == sorted(map(tuple, expected))


@settings(max_examples=60, deadline=None)
@given(GRIDS, st.floats(-5, 5))
def test_as_many_pools_as_the_flooded_grid_has(loss, level):
    finite = np.isfinite(loss)
    if not finite.any():
        return
    tree = merge_tree(slice_of(loss))
    _, pools = ndimage.label(finite & (loss <= level), structure=np.ones((3,) * loss.ndim))
    assert ((tree.losses <= level) & (tree.saddle_losses > level)).sum() == pools


@settings(max_examples=60, deadline=None)
@given(GRIDS, st.floats(0, 3))
def test_a_simplified_tree_keeps_what_is_persistent_and_hangs_together(loss, threshold):
    if not np.isfinite(loss).any():
        return
    tree = merge_tree(slice_of(loss))
    simple = tree.simplified(threshold)
    assert simple.losses.tolist() == tree.losses[tree.persistence >= threshold].tolist()
    child = simple.parents >= 0
    assert (simple.losses[simple.parents[child]] <= simple.losses[child]).all()
    kept = np.flatnonzero(tree.persistence >= threshold)
    assert kept[simple.parents[child]].tolist() == tree.parents[kept][child].tolist()


def test_of_chosen_minima_each_merges_with_the_nearest_that_is_kept():
    tree = merge_tree(slice_of([3, 5, 2, 4, 1, 6, 0]))  # 3 and 2 merge with 1, which merges with 0
    assert tree.chosen(np.array([True, False, True, True])).parents.tolist() == [-1, 0, 0]
    assert tree.chosen(np.array([False, True, True, False])).parents.tolist() == [-1, 0]
    assert tree.chosen(np.array([False, False, True, True])).parents.tolist() == [-1, -1]


def test_a_barrier_below_two_standard_errors_is_not_significant():
    """Barriers 1.5 and 2. By the loss, each end has error 0.5: bound 1. By contrasts, the second has 0.1 + 0.1."""
    loss = [4, 1, 3, 0, 2, 0.5, 5]
    errors = np.full(7, 0.5)
    contrasts = np.array([0.1, 0.1, 0.1, 0, 0.6, 0.6, 0.6])
    tree = merge_tree(slice_of(loss, error=errors, contrast_error=contrasts))
    assert tree.errors[1:] == pytest.approx([1.0, 0.2])
    assert np.isnan(tree.errors[0])
    assert tree.significant.tolist() == [True, False, True]
    assert tree.chosen(tree.significant).losses.tolist() == [0, 1]
    assert tree.scalars()["significant_minima"] == 2
    assert merge_tree(slice_of(loss, error=errors)).errors[1:] == pytest.approx([1.0, 1.0])
    assert merge_tree(slice_of(loss)).significant is None
    assert tree.simplified(1.8).errors[1:] == pytest.approx([0.2])


def test_loops_around_hills():
    """A rim of height 1 with a gap at 2 around a hill of 5: the loop closes at 2 and fills at 5."""
    loss = np.ones((5, 5))
    loss[1:-1, 1:-1] = 4.0
    loss[2, 2] = 5.0
    loss[0, 2] = 2.0
    assert loops(slice_of(loss)).tolist() == [[2, 5]]
    loss[2, 2] = np.nan
    assert loops(slice_of(loss)).tolist() == [[2, np.inf]]
    with pytest.raises(ValueError, match="two or three dimensions"):
        loops(slice_of([1, 2, 3]))


def test_without_gudhi_loops_say_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "gudhi", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'landscope\[topology\]'"):
        loops(slice_of(np.zeros((3, 3))))


def test_a_tree_survives_the_store():
    tree = merge_tree(slice_of([3, 5, 2, 4, 1, 6, 0]))
    again = MergeTree.from_bytes(tree.to_bytes())
    assert np.array_equal(again.diagram, tree.diagram)
    assert np.array_equal(again.parents, tree.parents)
    assert (again.shape, again.axes) == ((7,), ("first",))
