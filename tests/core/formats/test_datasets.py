"""Data sets, tables and the choice of a format."""

import csv
import subprocess
import sys

import numpy as np
import pytest

xarray = pytest.importorskip("xarray")

from landscope.formats import FORMATS, export, to_csv, to_xarray  # noqa: E402
from landscope.measurements import Provenance, Trace  # noqa: E402

PICTURES = {".html", ".json", ".png", ".svg"}  # of any measurement that has a figure


def test_a_slice_is_read_by_name(plane):
    dataset = to_xarray(plane)
    assert dict(dataset.sizes) == {"alpha": 7, "beta": 5, "direction": 2, "other_direction": 2, "point": 3}
    here = dataset.sel(alpha=1.0, beta=0.75)
    assert float(here.loss) == 1.0 + 1.0 + 3 * 0.65**2
    assert float(here["gradient.beta"]) == 6 * 0.65
    assert here["gradient.beta"].attrs["long_name"] == "derivative of the loss along beta"
    assert float(here.test_loss) == float(here.loss) + 1.0
    assert dataset.test_loss.attrs["long_name"] == "test/loss"
    assert dataset.alpha.attrs["long_name"] == "first direction, θ"
    assert all("units" in variable.attrs for name, variable in dataset.variables.items() if name != "path")
    assert dataset.error.dims == dataset.contrast_error.dims == dataset.accuracy.dims == ("alpha", "beta")
    assert dataset.path.values.tolist() == plane.path.tolist()
    assert dataset.path_losses.values.tolist() == plane.path_losses.tolist()
    assert dataset.attrs["normalisation"] == "filter"
    assert dataset.attrs["checks"] == '[["centre", "pass", "equal"]]'
    assert dataset.attrs["provenance_step"] == 7
    assert "provenance_seed" not in dataset.attrs


@pytest.mark.parametrize("name", ["line", "plane", "cliff", "volume", "curvature"])
def test_netcdf_gives_the_same_back(request, tmp_path, name):
    dataset = to_xarray(request.getfixturevalue(name))
    path = export(request.getfixturevalue(name), tmp_path / "slice.nc")
    with xarray.open_dataset(path, engine="scipy") as found:
        assert found.attrs == dataset.attrs
        assert all(isinstance(value, str | int | float | np.number) for value in dataset.attrs.values())
        xarray.testing.assert_identical(found.drop_attrs(), dataset.drop_attrs())
        assert found.coords["alpha"].attrs["long_name"] == dataset.coords["alpha"].attrs["long_name"]


def test_names_that_netcdf_refuses(line, tmp_path):
    metrics = {name: line.loss * place for place, name in enumerate(["a/b", "a_b", "", "∇", "loss", "alpha", "-x "])}
    found = xarray.open_dataset(export(line.replaced(metrics=metrics), tmp_path / "slice.nc"), engine="scipy").load()
    assert set(found) == {"loss", "a_b", "a_b_", "_", "__", "metric.loss", "metric.alpha", "_x_"}
    assert {found[name].attrs["long_name"]: float(found[name][0] / line.loss[0]) for name in found} == {
        "mean loss": 1.0, "a/b": 0.0, "a_b": 1.0, "": 2.0, "∇": 3.0, "metric.loss": 4.0, "metric.alpha": 5.0,
        "-x ": 6.0,
    }  # fmt: skip
    found.close()


@pytest.mark.parametrize("name", ["line", "cliff", "volume", "curvature"])
def test_a_table_has_a_line_for_each_point(request, name):
    measurement = request.getfixturevalue(name)
    header, *rows = csv.reader(to_csv(measurement).decode().splitlines())
    main = getattr(measurement, header[header.index("residuals") - 3] if name == "curvature" else "loss")
    axes = [
        measurement.alpha,
        *(getattr(measurement, axis) for axis in ("beta", "gamma") if hasattr(measurement, axis)),
    ]
    assert header[: len(axes)] == ["alpha", "beta", "gamma"][: len(axes)]
    assert len(rows) == main.size
    numbers = np.array(rows, dtype=np.float64)
    for row in numbers:
        place = tuple(int((along == value).argmax()) for along, value in zip(axes, row, strict=False))
        assert row[len(axes)] == main[place] or np.isnan([row[len(axes)], main[place]]).all()
    assert numbers[1, len(axes) - 1] == axes[-1][1]  # the last coordinate runs fastest


def test_the_suffix_chooses_the_format(plane, tmp_path):
    for suffix, write in FORMATS.items():
        if suffix in (".png", ".svg"):  # need a renderer
            continue
        path = export(plane, str(tmp_path / f"slice{suffix.upper()}"))
        assert path == tmp_path / f"slice{suffix.upper()}"
        same = slice(12) if suffix == ".npz" else slice(None)  # then an .npz has the time of writing
        assert path.read_bytes()[same] == write(plane)[same]
    assert export(plane, tmp_path / "big.stl", size=200.0).read_bytes() != (tmp_path / "slice.STL").read_bytes()


def test_what_cannot_be_written_is_refused_before_a_file_is_there(plane, tmp_path):
    with pytest.raises(ValueError, match=r"'slice\.h6' has suffix '\.h6', expected one of \.npz, \.nc, \.csv, \.vtk"):
        export(plane, tmp_path / "slice.h6")
    with pytest.raises(ValueError, match=r"has suffix ''"):
        export(plane, tmp_path / "slice")
    trace = Trace(value=1.5, stderr=0.5, probes=9, operator="hessian", provenance=Provenance(method="probes"))
    for suffix in set(FORMATS) - {".npz"} - PICTURES:
        with pytest.raises(TypeError, match="only slices and curvature maps are grids of numbers, got Trace"):
            export(trace, tmp_path / f"trace{suffix}")
    assert not list(tmp_path.iterdir())


def test_a_missing_library_is_named_with_its_remedy():
    code = """
import sys
for name in ("xarray", "h5py", "trimesh"):
    sys.modules[name] = None
import numpy as np
from landscope import formats
from landscope.measurements import Provenance, Slice2D
plane = Slice2D(
    alpha=np.arange(2.0), beta=np.arange(2.0), loss=np.ones((2, 2)), centre_loss=1.0, plane="given",
    normalisation="none", axes=("a", "b"), provenance=Provenance(method="none"),
)
for write in (formats.to_npz, formats.to_csv, formats.to_vtk):
    write(plane)
for name, write in (("xarray", formats.to_xarray), ("trimesh", formats.to_stl), ("trimesh", formats.to_glb)):
    try:
        write(plane)
    except ModuleNotFoundError as missing:
        assert f"needs {name}" in str(missing) and "pip install 'landscope[formats]'" in str(missing), missing
    else:
        raise AssertionError(name)
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
