"""Box counting finds the dimensions of sets that have a known one."""

from __future__ import annotations

import numpy as np
import pytest

from landscope.measurements.fractals import boundary_of, box_counts


def carpet(level: int) -> np.ndarray:
    """Sierpinski's carpet, 3^level a side: eight of nine squares stay."""
    stencil = np.ones((3, 3), dtype=bool)
    stencil[1, 1] = False
    cells = np.ones((1, 1), dtype=bool)
    for _ in range(level):
        cells = np.kron(cells, stencil)
    return cells.astype(bool)


def triangle(level: int) -> np.ndarray:
    """Sierpinski's triangle as Pascal's modulo 2: the binomial of i and j is odd where i & j == j."""
    i, j = np.indices((2**level, 2**level))
    return (i & j) == j


def koch(level: int) -> np.ndarray:
    """The corners (n, 2) of Koch's curve from 0 to 1."""
    points = np.array([0, 1], dtype=complex)
    peak = np.exp(1j * np.pi / 3)
    for _ in range(level):
        step = np.diff(points) / 3
        parts = [points[:-1], points[:-1] + step, points[:-1] + step * (1 + peak), points[:-1] + 2 * step]
        points = np.append(np.stack(parts, axis=1).ravel(), points[-1])
    return np.stack([points.real, points.imag], axis=1)


def raster(points: np.ndarray, side: int) -> np.ndarray:
    """The cells of a grid on [0, 1)^2 with a point in them."""
    cells = np.zeros((side, side), dtype=bool)
    i, j = np.clip((points * side).astype(int), 0, side - 1).T
    cells[i, j] = True
    return cells


def test_a_diagonal_has_dimension_one_exactly():
    found = box_counts(np.eye(64, dtype=bool))
    assert found.sizes.tolist() == [1, 2, 4, 8, 16]
    assert found.counts.tolist() == [64, 32, 16, 8, 4]
    assert found.dimension == pytest.approx(1, abs=1e-12)
    assert found.error == pytest.approx(0, abs=1e-12)


def test_a_point_has_dimension_zero_and_a_square_two():
    point = np.zeros((32, 32), dtype=bool)
    point[13, 20] = True
    assert box_counts(point).dimension == pytest.approx(0, abs=1e-12)
    assert box_counts(np.ones((32, 32), dtype=bool)).dimension == pytest.approx(2, abs=1e-12)


def test_sierpinskis_sets_have_theirs():
    found = box_counts(carpet(4), 3 ** np.arange(4))
    assert found.dimension == pytest.approx(np.log(8) / np.log(3), abs=1e-12)
    assert box_counts(triangle(7)).dimension == pytest.approx(np.log(3) / np.log(2), abs=1e-12)


def test_kochs_curve_has_its_own_within_three_hundredths():
    """Rasterised with segments a fifth as long as a cell; its boxes do not lie as its triangles do."""
    found = box_counts(raster(koch(8) * 0.999 + [0, 0.3], 1024))
    assert found.dimension == pytest.approx(np.log(4) / np.log(3), abs=0.03)
    assert 0 < found.error < 0.03


def test_a_smooth_boundary_has_dimension_one_within_four_hundredths():
    x, y = np.meshgrid(np.linspace(-1, 1, 513), np.linspace(-1, 1, 513), indexing="ij")
    boundary = boundary_of(x**2 + y**2 < 0.6)
    assert boundary.shape == (512, 512)
    assert box_counts(boundary).dimension == pytest.approx(1, abs=0.04)


def test_julias_dust_and_basilica_lie_between_a_line_and_a_plane():
    """The boundary of the filled Julia set of z^2 - 1 has dimension 1.2683 (Jenkinson and Pollicott 2002)."""
    axis = np.linspace(-1.7, 1.7, 513)
    z = axis[:, None] + 1j * axis[None, :]
    for _ in range(60):
        z = np.where(np.abs(z) < 4, z * z - 1, z)
    assert box_counts(boundary_of(np.abs(z) < 4)).dimension == pytest.approx(1.2683, abs=0.06)


def test_where_the_boundary_is():
    region = np.zeros((4, 5), dtype=bool)
    region[1, 2] = True
    assert np.argwhere(boundary_of(region)).tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]
    assert not boundary_of(np.ones((3, 3), dtype=bool)).any()


def test_boxes_may_stick_out_and_nothing_has_no_dimension():
    found = box_counts(np.ones((5, 7), dtype=bool), np.array([1, 2, 3]))
    assert found.counts.tolist() == [35, 3 * 4, 2 * 3]
    empty = box_counts(np.zeros((16, 16), dtype=bool))
    assert empty.counts.tolist() == [0, 0, 0]
    assert np.isnan(empty.dimension)
    assert np.isnan(box_counts(np.ones((8, 8), dtype=bool)).error)
    with pytest.raises(ValueError, match="sizes of boxes must be positive, got "):
        box_counts(np.ones((4, 4), dtype=bool), np.array([0, 1]))
    with pytest.raises(ValueError, match=r"at least 2 x 2 points, got shape \(1, 4\)"):
        boundary_of(np.ones((1, 4), dtype=bool))
