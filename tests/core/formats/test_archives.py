"""NumPy archives hold everything, and are read back bit for bit."""

import dataclasses
import json
import zipfile

import numpy as np
import pytest

from landscope.formats import export, read_npz, to_numpy
from landscope.measurements import Provenance, Trace


def same(found, expected):
    if isinstance(expected, np.ndarray):
        return found.dtype == expected.dtype and np.array_equal(found, expected, equal_nan=True)
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[name], expected[name]) for name in expected)
    return found == expected


@pytest.mark.parametrize("name", ["line", "plane", "cliff", "volume", "curvature"])
def test_round_trip(request, tmp_path, name):
    measurement = request.getfixturevalue(name)
    found = read_npz(export(measurement, tmp_path / "slice.npz"))
    assert type(found) is type(measurement)
    for field in dataclasses.fields(measurement):
        assert same(getattr(found, field.name), getattr(measurement, field.name)), field.name


def test_any_measurement_goes_into_an_archive(tmp_path):
    trace = Trace(value=1.5, stderr=0.5, probes=9, operator="hessian", provenance=Provenance(method="probes"))
    assert read_npz(export(trace, tmp_path / "trace.npz")).value == 1.5


def test_an_archive_is_read_without_us(plane, tmp_path):
    with np.load(export(plane, tmp_path / "slice.npz")) as archive:
        assert np.array_equal(archive["metrics.test/loss"], plane.loss + 1.0)
        assert np.array_equal(archive["directions"], plane.directions)
        assert json.loads(str(archive["provenance"]))["parameters"] == 2**40
        assert json.loads(str(archive["fields"]))["normalisation"] == "filter"
        assert str(archive["kind"]) == "slice2d"


def test_the_arrays_of_one_measurement(line):
    arrays = to_numpy(line)
    assert set(arrays) == {"alpha", "loss", "kind", "fields", "provenance"}
    assert np.array_equal(arrays["loss"], line.loss)


def test_what_is_no_archive_is_refused(plane, tmp_path):
    path = tmp_path / "slice.npz"
    path.write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"slice\.npz is not a measurement's archive"):
        read_npz(path)
    np.savez(path, loss=plane.loss)
    with pytest.raises(ValueError, match=r"slice\.npz is not a measurement's archive.*kind"):
        read_npz(path)
    np.save(tmp_path / "loss.npy", plane.loss)
    with pytest.raises(ValueError, match=r"loss\.npy is not a measurement's archive"):
        read_npz(tmp_path / "loss.npy")
    whole = export(plane, path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="is not a measurement's archive"):
        read_npz(path)
    with pytest.raises(FileNotFoundError):
        read_npz(tmp_path / "none.npz")


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_pickles_are_not_loaded(plane, tmp_path):
    path = export(plane, tmp_path / "slice.npz")
    trapped = tmp_path / "object.npz"
    np.savez(trapped, loss=np.array([Trap()], dtype=object))
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(trapped) as spring:
        parts = {name: whole.read(name) for name in whole.namelist()} | {"error.npy": spring.read("loss.npy")}
    with zipfile.ZipFile(path, "w") as trap:
        for name, part in parts.items():
            trap.writestr(name, part)
    with pytest.raises(ValueError, match=r"is not a measurement's archive.*allow_pickle"):
        read_npz(path)
