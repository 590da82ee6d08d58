"""Measurements: what is written is read back bit for bit, and what is no measurement is refused."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from safetensors.numpy import save

from landscope import measurements
from landscope.measurements import (
    NTK,
    Chart,
    Matrix,
    Measurement,
    Provenance,
    Sharpness,
    Slice2D,
    SliceSet,
    Snapshot,
    SpectralDensity,
    Trace,
)
from landscope.measurements.base import not_stored

KINDS = sorted(
    (cls for cls in vars(measurements).values() if isinstance(cls, type) and issubclass(cls, Measurement) and cls.kind),
    key=lambda cls: cls.kind,
)
SHAPED = {
    "names",
    "alpha",
    "beta",
    "loss",
    "centre_losses",
    "rows",
    "columns",
    "values",
    "labels",
    "x",
    "y",
    "low",
    "high",
}
NUMBERS = st.floats(width=64)
ARRAYS = st.one_of(
    npst.arrays(st.sampled_from([np.float64, np.float32]), npst.array_shapes(min_dims=0, max_dims=3, min_side=0)),
    npst.arrays(np.int64, st.integers(0, 5)),
    npst.arrays(np.bool_, st.integers(0, 5)),
)
TEXT = st.one_of(st.text(max_size=20), st.sampled_from(["NaN", "Infinity", "-Infinity", "null", ""]))
BY_TYPE = {
    "np.ndarray": ARRAYS,
    "np.ndarray | None": st.none() | ARRAYS,
    "float": NUMBERS,
    "float | None": st.none() | NUMBERS,
    "int": st.integers(-(2**60), 2**60),
    "int | None": st.none() | st.integers(0, 2**40),
    "str": TEXT,
    "bool": st.booleans(),
    "tuple[str, str]": st.tuples(TEXT, TEXT),
    "tuple[str, ...]": st.lists(TEXT, max_size=4).map(tuple),
    "tuple[tuple[str, ...], ...]": st.lists(st.lists(TEXT, max_size=3).map(tuple), max_size=3).map(tuple),
    "Literal['lines', 'points', 'both']": st.sampled_from(["lines", "points", "both"]),
    "dict[str, np.ndarray]": st.dictionaries(TEXT, ARRAYS, max_size=3),
    "tuple[float, ...]": st.lists(NUMBERS, max_size=4).map(tuple),
    "tuple[int, ...]": st.lists(st.integers(0, 10**12), max_size=4).map(tuple),
}


def fitting(draw, *shapes):
    """Arrays of numbers of these shapes."""
    return [draw(npst.arrays(np.float64, shape)) for shape in shapes]


@st.composite
def shaped(draw, cls):
    """The fields of kinds that check their shapes, such that these fit one another."""
    names = draw(st.lists(TEXT, max_size=3, unique=True).map(tuple))
    k, a, b = len(names), draw(st.integers(0, 3)), draw(st.integers(0, 3))
    if cls is SliceSet:
        fields = ("alpha", "beta", "loss", "centre_losses")
        return {"names": names, **dict(zip(fields, fitting(draw, a, b, (k, a, b), k), strict=True))}
    if cls is Matrix:
        columns = draw(st.lists(TEXT, max_size=3).map(tuple))
        return {"rows": names, "columns": columns, "values": fitting(draw, (k, len(columns)))[0]}
    lines = {part: dict(zip(names, fitting(draw, *[a] * k), strict=True)) for part in ("x", "y", "low", "high")}
    return {"labels": names, **lines}


def of(cls):
    if cls in (Chart, Matrix, SliceSet):
        plain = [field for field in dataclasses.fields(cls) if field.name not in SHAPED]
        others = {f.name: BY_TYPE[f.type] for f in plain if f.name != "provenance"}
        return st.builds(lambda fitted, **rest: cls(**fitted, **rest), shaped(cls), provenance=of(Provenance), **others)
    if cls is Provenance:
        return st.builds(cls, **{field.name: BY_TYPE[field.type] for field in dataclasses.fields(cls)})
    return st.builds(
        cls,
        provenance=of(Provenance),
        **{field.name: BY_TYPE[field.type] for field in dataclasses.fields(cls) if field.name != "provenance"},
    )


def same(found, expected):
    if isinstance(expected, np.ndarray):
        return found.dtype == expected.dtype and np.array_equal(found, expected, equal_nan=expected.dtype.kind == "f")
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[key], value) for key, value in expected.items())
    if isinstance(expected, tuple):
        return type(found) is tuple and len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, float) and math.isnan(expected):
        return isinstance(found, float) and math.isnan(found)
    return type(found) is type(expected) and found == expected


def test_every_kind_is_exported():
    assert {cls.kind for cls in KINDS} == set(Measurement._kinds) - {""}
    assert {cls.__name__ for cls in KINDS} <= set(measurements.__all__)


@pytest.mark.parametrize("cls", KINDS, ids=lambda cls: cls.kind)
def test_round_trip(cls):
    @settings(max_examples=10, deadline=None)
    @given(measurement=of(cls))
    def check(measurement):
        found = Measurement.from_bytes(measurement.to_bytes())
        assert type(found) is cls
        for field in dataclasses.fields(cls):
            stored = field.metadata.get("stored") is not False
            value, expected = getattr(found, field.name), getattr(measurement, field.name) if stored else None
            if field.name == "provenance":
                for part in dataclasses.fields(Provenance):
                    assert same(getattr(value, part.name), getattr(expected, part.name)), part.name
            else:
                assert same(value, expected), field.name

    check()


def trace(**changes):
    values = {"value": 2.5, "stderr": 0.25, "probes": 10, "operator": "hessian"}
    return Trace(provenance=Provenance(method="test", step=7), **{**values, **changes})


def test_numbers_of_numpy_become_plain_ones():
    found = Measurement.from_bytes(trace(value=np.float32(0.5), probes=np.int64(3)).to_bytes())
    assert (type(found.value), found.value) == (float, 0.5)
    assert (type(found.probes), found.probes) == (int, 3)


def test_strided_arrays_are_stored_as_they_look():
    whole = np.arange(24.0).reshape(4, 6)
    sharp = Sharpness(
        provenance=Provenance(method="test"), lambda_max=1.0, residual=0.0, threshold=None, optimizer="", rule="",
        preconditioned=False, hvps=1, vector=np.ones(3),
    )  # fmt: skip
    assert Measurement.from_bytes(sharp.to_bytes()).vector is None
    for view in (whole.T, whole[::2, ::-1], whole[:, 2]):
        snapshot = Snapshot(provenance=Provenance(method="test"), theta=view, names=("a",), sizes=(24,))
        assert np.array_equal(Measurement.from_bytes(snapshot.to_bytes()).theta, view)


def test_the_metadata_are_valid_json_without_literals_of_our_own():
    data = trace(value=math.nan, stderr=math.inf).to_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")], parse_constant=pytest.fail)
    fields = json.loads(header["__metadata__"]["fields"], parse_constant=pytest.fail)
    assert fields["value"] == "NaN"
    assert fields["stderr"] == "Infinity"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_cut_bytes_are_refused(data):
    whole = Snapshot(provenance=Provenance(method="test"), theta=np.arange(5.0), names=("a",), sizes=(5,)).to_bytes()
    length = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ValueError, match=r"measurement"):
        Measurement.from_bytes(whole[:length])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_foreign_bytes_are_refused(data):
    with pytest.raises(ValueError, match=r"measurement"):
        Measurement.from_bytes(data)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_bytes_are_refused_or_still_a_measurement(data):
    whole = bytearray(trace().to_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = Measurement.from_bytes(bytes(whole))
    except ValueError:
        return
    assert isinstance(found, Trace)


def written(**metadata):
    return save({"x": np.zeros(2)}, metadata=metadata)


PLAIN = json.dumps({"value": 1.0, "stderr": 0.1, "probes": 3, "operator": "hessian"})
SOURCE = json.dumps({"method": "test"})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            written(kind="hologram", fields="{}", provenance="{}"),
            "kind 'hologram', expected one of: .*upgrade landscope",
        ),
        (save({"x": np.zeros(2)}), "not written by landscope"),
        (written(fields="{}", provenance="{}"), "not written by landscope"),
        (written(kind="trace", provenance=SOURCE), "not written by landscope"),
        (written(kind="trace", fields=PLAIN), "not written by landscope"),
        (written(kind="trace", fields="{", provenance=SOURCE), "measurement of kind 'trace' is damaged"),
        (written(kind="trace", fields="[1]", provenance=SOURCE), "measurement of kind 'trace' is damaged"),
        (written(kind="trace", fields="{}", provenance=SOURCE), "measurement of kind 'trace'.*value"),
        (written(kind="trace", fields=PLAIN, provenance="{}"), "measurement of kind 'trace'.*method"),
        (b"\x02\0\0\0\0\0\0\0[]", "not written by landscope"),
        (b"\x02\0\0\0\0\0\0\0\xff\xff", "whose header is JSON"),
        (b"", "got 0 bytes"),
    ],
)
def test_what_landscope_did_not_write_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        Measurement.from_bytes(data)


def test_fields_that_a_newer_version_added_are_passed_over():
    data = written(kind="trace", fields=PLAIN[:-1] + ', "more": 1}', provenance=SOURCE[:-1] + ', "more": 2}')
    found = Measurement.from_bytes(data)
    assert (found.value, found.provenance.method) == (1.0, "test")


def test_a_field_that_an_older_version_did_not_write_has_its_default():
    found = Measurement.from_bytes(written(kind="trace", fields=PLAIN, provenance=SOURCE))
    assert found.provenance.batch_norm == "eval"
    assert found.provenance.step is None


def test_measurements_compare_and_hash_by_identity():
    first, second = (
        Snapshot(provenance=Provenance(method="test"), theta=np.zeros(3), names=("a",), sizes=(3,)) for _ in range(2)
    )
    assert first == first
    assert first != second
    assert len({first, second}) == 2


def test_measurements_are_immutable_and_kinds_unique():
    with pytest.raises(dataclasses.FrozenInstanceError):
        trace().value = 1.0
    with pytest.raises(TypeError, match="kind 'trace' is taken by Trace"):
        type("Other", (Measurement,), {"kind": "trace"})


def test_fields_not_stored_are_left_out_of_the_bytes_and_the_repr():
    ntk = NTK(
        provenance=Provenance(method="test"), eigenvalues=np.ones(3), gram_kind="trace", outputs=1,
        effective_rank=3.0, gram=np.full((500, 500), 1.0), labels=np.arange(3),
    )  # fmt: skip
    assert len(ntk.to_bytes()) < 2000
    assert "gram=" not in repr(ntk)
    assert not_stored().default is None


def test_scalars_and_spans():
    provenance = Provenance(method="test")
    ntk = NTK(
        provenance=provenance, eigenvalues=np.arange(9.0, 0, -1), gram_kind="trace", outputs=1, effective_rank=4.0
    )
    assert ntk.scalars() == {
        "eigenvalue.1": 9.0, "eigenvalue.2": 8.0, "eigenvalue.4": 6.0, "eigenvalue.8": 2.0, "effective_rank": 4.0,
        "lambda_min": 1.0, "condition": 9.0,
    }  # fmt: skip
    assert trace().scalars() == {"trace": 2.5}
    assert trace().span() is None
    loss = np.array([[1.0, np.nan], [np.inf, -2.0]])
    plane = Slice2D(
        provenance=provenance, alpha=np.arange(2.0), beta=np.arange(2.0), loss=loss, centre_loss=1.0, plane="random",
        normalisation="filter", axes=("a", "b"),
    )  # fmt: skip
    assert plane.span() == (-2.0, 1.0)
    density = SpectralDensity(
        provenance=provenance, nodes=np.zeros((1, 2)), weights=np.full((1, 2), 0.5), spikes=np.array([3.0]),
        spike_residuals=np.array([0.1]), grid=np.array([-1.0, 0.0, 4.0]), density=np.ones(3), low=np.ones(3),
        high=np.ones(3), scale=0.1, trace=5.0, trace_stderr=0.2, operator="hessian", hvps=4,
    )  # fmt: skip
    assert density.span() == (-1.0, 4.0)
    assert density.scalars() == {"trace": 5.0, "eigenvalue.1": 3.0}
