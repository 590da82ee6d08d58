"""Distances between landscapes, where the best matching is plain."""

import sys

import numpy as np
import pytest

from landscope.measurements.diagrams import compare_topology
from landscope.measurements.sublevels import merge_tree
from tests.core.measurements.grids import slice_of

# Pools 0 (never merges), 1 (at 3) and 0.5 (at 2).
LINE = np.array([4, 1, 3, 0, 2, 0.5, 5])


def compared(first, second, **options):
    return compare_topology(merge_tree(slice_of(first)), merge_tree(slice_of(second)), **options)


def test_a_landscape_is_at_no_distance_from_itself():
    found = compared(LINE, LINE)
    assert found.bottleneck == pytest.approx(0, abs=1e-12)
    assert found.wasserstein == pytest.approx(0, abs=1e-12)
    assert found.minima == (3, 3)
    assert found.deepest_barriers == (2, 2)


def test_raising_all_losses_moves_every_point():
    found = compared(LINE, LINE + 0.1)
    assert found.bottleneck == pytest.approx(0.1)
    assert found.wasserstein == pytest.approx(0.3, rel=1e-3)  # three points


def test_a_minimum_that_is_not_there_is_matched_with_the_diagonal():
    filled = np.where(LINE == 0.5, 2, LINE)  # persistence 1.5, at distance 0.75 from the diagonal
    found = compared(LINE, filled, threshold=1.8)
    assert found.bottleneck == pytest.approx(0.75)
    assert found.wasserstein == pytest.approx(0.75, rel=1e-3)
    assert found.minima == (2, 2)
    assert compared(LINE, filled).minima == (3, 2)


def test_the_bottleneck_distance_is_bounded_by_the_greatest_change():
    rng = np.random.default_rng(0)
    loss = rng.normal(size=(12, 12))
    for size in (0.01, 0.1, 1.0):
        noise = rng.uniform(-size, size, loss.shape)
        assert compared(loss, loss + noise).bottleneck <= np.abs(noise).max() + 1e-9


def test_landscapes_that_are_cut_differently_are_infinitely_far():
    cut = np.where(LINE == 3, np.inf, LINE)
    assert compared(LINE, cut).bottleneck == np.inf
    assert compared(LINE, cut).wasserstein == np.inf


def test_without_gudhi_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "gudhi", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'landscope\[topology\]'"):
        compared(LINE, LINE)
