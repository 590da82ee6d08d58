"""VTK files, read by another program."""

import numpy as np
import pytest

meshio = pytest.importorskip("meshio")

from landscope.formats import export  # noqa: E402


def read(measurement, folder, **options):
    mesh = meshio.read(export(measurement, folder / "slice.vtk", **options))
    mesh.point_data = {name: values.ravel() for name, values in mesh.point_data.items()}
    return mesh


def test_a_surface_stands_at_its_log_loss(plane, tmp_path):
    mesh = read(plane, tmp_path)
    x, y, z = mesh.points.T
    assert mesh.points.shape == (35, 3)
    np.testing.assert_array_equal(np.unique(x), plane.alpha)
    np.testing.assert_array_equal(np.unique(y), plane.beta)
    np.testing.assert_allclose(10**z, 1 + x**2 + 3 * (y - 0.1) ** 2, rtol=1e-12)
    np.testing.assert_allclose(mesh.point_data["loss"], 10**z, rtol=1e-12)
    np.testing.assert_allclose(mesh.point_data["test/loss"], 1 + 10**z, rtol=1e-12)
    np.testing.assert_allclose(mesh.point_data["gradient.alpha"], 2 * x, rtol=1e-12)
    assert set(mesh.point_data) == {
        "loss", "accuracy", "error", "contrast_error", "test/loss", "class%203", "gradient.alpha", "gradient.beta",
    }  # fmt: skip
    (cells,) = mesh.cells
    assert cells.data.shape == (24, 4)
    corners = mesh.points[cells.data] * [1, 1, 0]
    area = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])[:, 2] / 2
    assert area == pytest.approx([2.0 * 1.25 / 24] * 24)  # they cover the plane once, all turning the same way


def test_heights_may_be_the_losses_themselves(plane, tmp_path):
    mesh = read(plane, tmp_path, height="linear")
    np.testing.assert_array_equal(mesh.points[:, 2], mesh.point_data["loss"])
    with pytest.raises(ValueError, match="height must be one of auto, log, linear, got 'cubic'"):
        export(plane, tmp_path / "slice.vtk", height="cubic")
    below = plane.replaced(loss=plane.loss - 1.5)
    np.testing.assert_array_equal(np.sort(read(below, tmp_path).points[:, 2]), np.sort(below.loss.ravel()))
    with pytest.raises(ValueError, match=r"loss has no logarithm where it is -0\.\d+; use height='linear'"):
        export(below, tmp_path / "slice.vtk", height="log")


def test_no_coordinate_is_nan_and_no_value_is_invented(cliff, tmp_path):
    mesh = read(cliff, tmp_path)
    assert np.isfinite(mesh.points).all()
    loss = mesh.point_data["loss"].reshape(5, 7).T
    np.testing.assert_array_equal(loss, cliff.loss)
    assert mesh.points[~np.isfinite(mesh.point_data["loss"]), 2] == pytest.approx([np.log10(3.2675)] * 2)
    hidden = mesh.cell_data["vtkGhostType"][0].reshape(4, 6).T
    assert hidden.tolist() == np.where(np.add.outer(range(6), range(4)) % 8 == 0, 32, 0).tolist()  # (0, 0) and (5, 3)
    everywhere = cliff.replaced(loss=np.full((7, 5), np.nan))
    with pytest.raises(ValueError, match="loss is finite nowhere on the grid"):
        export(everywhere, tmp_path / "slice.vtk")


def test_a_volume_is_filled(volume, tmp_path):
    mesh = read(volume, tmp_path)
    x, y, z = mesh.points.T
    assert len(mesh.points) == 105
    np.testing.assert_allclose(mesh.point_data["loss"], 1 + x**2 + 3 * (y - 0.1) ** 2 + z**3, rtol=1e-12)
    (cells,) = mesh.cells
    assert (cells.type, len(cells.data)) == ("hexahedron", 48)


def test_a_line_is_a_curve(line, tmp_path):
    mesh = read(line, tmp_path, height="linear")
    np.testing.assert_allclose(mesh.points, np.stack([line.alpha, 0 * line.alpha, 1 + line.alpha**2], axis=1))


def test_a_curvature_map_stands_at_its_ratio(curvature, tmp_path):
    mesh = read(curvature, tmp_path, height="linear")
    np.testing.assert_allclose(mesh.points[:, 2], 0.25)
    assert set(mesh.point_data) == {"ratio", "largest", "smallest", "residuals"}


def test_the_title_is_one_short_line(plane, tmp_path):
    source = plane.replaced(provenance=plane.provenance.__class__(method="θ\n" + 400 * "long "))
    export(source, tmp_path / "slice.vtk")
    magic, title, form, _ = (tmp_path / "slice.vtk").read_bytes().split(b"\n", 3)
    assert (magic, form) == (b"# vtk DataFile Version 3.0", b"BINARY")
    assert title.startswith(b"landscope slice2d, z = log10 loss: ? long")
    assert len(title) < 256
