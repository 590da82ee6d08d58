"""Differences between slices of known functions."""

import numpy as np
import pytest

from landscope.formats import compare
from landscope.measurements import Provenance, Slice1D, Slice2D


def bowl(alpha, beta, scale=1.0):
    loss = scale * np.exp(0.5 * alpha[:, None] ** 2 + alpha[:, None] * beta - beta)
    return Slice2D(
        alpha=alpha, beta=beta, loss=loss, centre_loss=scale, plane="given", normalisation="none", axes=("a", "b"),
        provenance=Provenance(method="closed form"),
    )  # fmt: skip


def test_one_percent_is_one_percent_everywhere():
    alpha, beta = np.linspace(-1, 1, 9), np.linspace(0, 1, 6)
    found = compare(bowl(alpha, beta), bowl(alpha, beta, 1.01))
    assert (found.largest, found.median) == (pytest.approx(0.01 / 1.01), pytest.approx(0.01 / 1.01))
    assert (found.points, found.lone, found.method) == (54, 0, "same grid")
    assert compare(bowl(alpha, beta, 1.01), bowl(alpha, beta)).largest == found.largest


def test_a_grid_within_another_is_the_same_grid():
    fine, coarse = bowl(np.linspace(-1, 1, 9), np.linspace(0, 1, 9)), bowl(np.linspace(-1, 1, 5), np.linspace(0, 1, 5))
    assert compare(coarse, fine).method == "same grid"
    assert compare(coarse, fine).points == 25
    assert compare(coarse, fine).largest < 1e-15


def test_other_grids_are_interpolated_where_they_overlap():
    first = bowl(np.linspace(-1, 1, 21), np.linspace(-1, 1, 21))
    second = bowl(np.linspace(-0.55, 1.5, 18), np.linspace(-2, 0.31, 23))
    found = compare(first, second)
    assert found.method == "cubic"
    assert found.points == int((first.alpha >= -0.55).sum()) * int((first.beta <= 0.31).sum())
    assert found.largest < 1e-12  # its logarithm is a polynomial of degree two, which a cubic spline reproduces
    assert compare(first, second.replaced(loss=2 * second.loss)).median == pytest.approx(0.5)


def test_losses_that_are_not_finite_are_counted_not_compared():
    alpha = np.linspace(-1, 1, 5)
    first, second = bowl(alpha, alpha), bowl(alpha, alpha, 2.0)
    first.loss[0, 0] = second.loss[0, 0] = second.loss[4, 4] = np.nan
    second.loss[2, 2] = np.inf
    found = compare(first, second)
    assert (found.points, found.lone, found.largest) == (22, 2, pytest.approx(0.5))
    found = compare(bowl(np.linspace(-1, 1, 4), alpha), second)
    assert found.method == "linear"
    assert 0 < found.lone < 20
    assert found.points + found.lone == 20


def test_losses_below_zero_have_no_logarithm():
    alpha, other = np.linspace(-1, 1, 7), np.linspace(-1, 1, 10)
    first, second = bowl(alpha, alpha), bowl(other, other)
    first, second = (flat.replaced(loss=np.add.outer(flat.alpha**3, flat.beta)) for flat in (first, second))
    found = compare(first, second)
    assert found.method == "cubic"
    assert found.median < 1e-12
    zero = first.replaced(loss=np.zeros((7, 7)))
    assert compare(zero, zero).largest == 0.0


def test_lines_are_compared_too():
    alpha = np.linspace(-1, 1, 9)
    shared = {"centre_loss": 1.0, "plane": "given", "normalisation": "none", "axes": ("a",)}
    line = Slice1D(alpha=alpha, loss=1 + alpha**2, provenance=Provenance(method="closed form"), **shared)
    found = compare(line, line.replaced(loss=np.where(alpha == 0.5, 2.5, line.loss)))
    assert (found.largest, found.where) == (0.5, (0.5,))
    with pytest.raises(TypeError, match="as many dimensions, got 1 and 2"):
        compare(line, bowl(alpha, alpha))
    with pytest.raises(ValueError, match=r"no finite point in common: the first covers \[-1, 1\], the second \[5, 7\]"):
        compare(line, line.replaced(alpha=alpha + 6.0))
    with pytest.raises(ValueError, match="no finite point in common"):
        compare(line, line.replaced(loss=line.loss * np.nan))
