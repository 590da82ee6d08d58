"""Solids and sheets, checked by a mesh library's own geometry."""

import io
import json
import logging

import numpy as np
import pytest

trimesh = pytest.importorskip("trimesh")

from landscope.formats import to_glb, to_stl  # noqa: E402


def solid(measurement, **options):
    return trimesh.load_mesh(io.BytesIO(to_stl(measurement, **options)), file_type="stl")


def sheet(measurement, **options):
    return trimesh.load_scene(io.BytesIO(to_glb(measurement, **options)), file_type="glb").to_mesh()


def test_a_print_is_watertight_and_as_large_as_said(plane):
    mesh = solid(plane, size=80.0, relief=30.0, base=2.0)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    np.testing.assert_allclose(mesh.bounds, [[0, 0, 0], [80, 50, 32]], atol=1e-5)  # alpha spans 2, beta 1.25
    assert mesh.body_count == 1


def test_its_volume_is_that_below_the_surface(plane):
    heights = 5.0 + 20.0 * (plane.loss - plane.loss.min()) / np.ptp(plane.loss)
    mesh = solid(plane, size=60.0, relief=20.0, base=5.0, height="linear")
    # each cell is two right-angled prisms, as high as the mean of their three corners
    near, right, far, left = heights[:-1, :-1], heights[1:, :-1], heights[1:, 1:], heights[:-1, 1:]
    cell = (60.0 / 6) * (60.0 * 1.25 / 2 / 4)
    expected = cell / 2 * ((near + right + far) / 3 + (near + far + left) / 3).sum()
    assert mesh.volume == pytest.approx(expected, rel=1e-5)


def test_a_flat_landscape_is_a_plate(plane):
    mesh = solid(plane.replaced(loss=np.ones((7, 5))), size=10.0, base=1.0)
    assert mesh.volume == pytest.approx(10 * 6.25 * 1.0, rel=1e-5)
    assert mesh.is_watertight


def test_a_print_has_no_holes_and_says_so(cliff, caplog):
    with caplog.at_level(logging.WARNING):
        mesh = solid(cliff, relief=40.0, base=3.0)
    assert caplog.messages == ["2 points without a finite loss are printed at the greatest height"]
    assert mesh.is_watertight
    assert mesh.extents[2] == pytest.approx(43.0)
    corner = mesh.vertices[(np.abs(mesh.vertices[:, :2]).max(axis=1) < 1e-6) & (mesh.vertices[:, 2] > 0)]
    assert np.unique(corner[:, 2]) == pytest.approx([43.0])


def test_a_sheet_has_holes(plane, cliff):
    whole, torn = sheet(plane), sheet(cliff)
    assert len(whole.faces) == 2 * 24
    assert len(torn.faces) == 2 * 24 - 2 - 2  # each corner belongs to two triangles, whichever way cells are cut
    assert len(torn.vertices) == 33
    assert np.isfinite(torn.vertices).all()


def test_a_sheet_looks_up_along_y(plane):
    mesh = sheet(plane, height="linear")
    np.testing.assert_allclose(mesh.bounds, [[-0.5, 0, -0.3125], [0.5, 0.5, 0.3125]], atol=1e-6)
    x, y, z = mesh.vertices.T
    share = (1 + (2 * x) ** 2 + 3 * (-2 * z + 0.125 - 0.1) ** 2 - plane.loss.min()) / np.ptp(plane.loss)
    np.testing.assert_allclose(y, 0.5 * share, atol=1e-5)
    assert (mesh.face_normals[:, 1] > 0).all()


def test_a_sheet_is_coloured_by_height(plane):
    header = to_glb(plane)
    document = json.loads(header[20 : 20 + int.from_bytes(header[12:16], "little")])
    (mesh,), (material,) = document["meshes"], document["materials"]
    (primitive,) = mesh["primitives"]
    assert {"POSITION", "COLOR_0", "NORMAL"} <= primitive["attributes"].keys()
    assert material["doubleSided"]
    assert material["pbrMetallicRoughness"]["metallicFactor"] == 0.0
    assert json.loads(mesh["extras"]["provenance"])["method"] == "9 points, random plane"
    accessor = document["accessors"][primitive["attributes"]["COLOR_0"]]
    view = document["bufferViews"][accessor["bufferView"]]
    start = 20 + int.from_bytes(header[12:16], "little") + 8 + view.get("byteOffset", 0)
    colours = np.frombuffer(header[start : start + 4 * accessor["count"]], np.uint8).reshape(-1, 4) / 255.0
    srgb = np.where(colours <= 0.0031308, 12.92 * colours, 1.055 * colours ** (1 / 2.4) - 0.055)
    lowest, highest = plane.loss.argmin(), plane.loss.argmax()
    np.testing.assert_allclose(srgb[lowest, :3], np.array([0x44, 0x01, 0x54]) / 255, atol=0.02)  # viridis' two ends
    np.testing.assert_allclose(srgb[highest, :3], np.array([0xFD, 0xE7, 0x25]) / 255, atol=0.02)


def test_curvature_is_a_surface_too(curvature):
    varied = curvature.replaced(smallest=curvature.smallest * np.arange(1, 36).reshape(7, 5))
    assert solid(varied).is_watertight
    assert len(sheet(varied).faces) == 48


def test_what_is_no_surface_is_refused(plane, line, volume):
    for write in (to_stl, to_glb):
        for measurement in (line, volume):
            with pytest.raises(TypeError, match="needs a slice in two dimensions, got Slice"):
                write(measurement)
        with pytest.raises(ValueError, match="loss is finite nowhere"):
            write(plane.replaced(loss=np.full((7, 5), np.inf)))
        with pytest.raises(ValueError, match="two points along each axis, got 1 x 5"):
            write(plane.replaced(alpha=plane.alpha[:1], loss=plane.loss[:1]))
    for name in ("size", "relief", "base"):
        for length in (0.0, -1.0, float("nan")):
            with pytest.raises(ValueError, match=f"{name} must be a positive number of millimetres"):
                to_stl(plane, **{name: length})
    alone = np.full((7, 5), np.nan)
    alone[3, 2] = 1.0
    with pytest.raises(ValueError, match="finite at no three neighbouring points"):
        to_glb(plane.replaced(loss=alone))
