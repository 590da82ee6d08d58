"""NumPy archives: everything a measurement holds, readable without Landscope."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from safetensors.numpy import load, save

from landscope.measurements import Measurement

__all__ = ["read_npz", "to_archive", "to_npz", "to_numpy"]

_TEXTS = ("kind", "fields", "provenance")


def to_numpy(measurement: Measurement) -> dict[str, np.ndarray]:
    """Everything that a measurement holds, as arrays by name.

    Arrays are under their field's name, those of a dictionary under "field.key" ("metrics.test/loss"). Three strings
    say the rest: "kind", and as JSON "fields" (plain numbers and texts) and "provenance". What a run's store leaves
    out because it is large, such as the directions of a slice, is among them.
    """
    stored = measurement.to_bytes()
    header = json.loads(stored[8 : 8 + int.from_bytes(stored[:8], "little")])
    texts = {name: np.array(header["__metadata__"][name]) for name in _TEXTS}
    large = {spec.name: getattr(measurement, spec.name) for spec in fields(measurement) if "stored" in spec.metadata}
    return load(stored) | {name: array for name, array in large.items() if array is not None} | texts


def to_npz(measurement: Measurement) -> bytes:
    """A compressed .npz file of `to_numpy`'s arrays, which `read_npz` reads back."""
    file = io.BytesIO()
    np.savez_compressed(file, **to_numpy(measurement))  # type: ignore[arg-type]
    return file.getvalue()


def to_archive(measurements: Mapping[str, Measurement]) -> bytes:
    """A compressed .npz file of several measurements: the arrays of `to_numpy`, each under "measurement:array".

    So "slice/random:loss" is the loss of the measurement "slice/random", and "slice/random:provenance" is JSON.

    Args:
        measurements: The measurements by name.
    """
    arrays = {f"{name}:{key}": array for name, one in measurements.items() for key, array in to_numpy(one).items()}
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def read_npz(path: str | os.PathLike[str]) -> Measurement:
    """The measurement that `to_npz` wrote; nothing in the file is executed.

    Raises:
        ValueError: if `to_npz` did not write that file.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = dict(archive)
        texts = {name: str(arrays.pop(name)) for name in _TEXTS}
        packed = save({name: np.asarray(array, order="C") for name, array in arrays.items()}, metadata=texts)
    except (BadZipFile, EOFError, KeyError, TypeError, AttributeError, ValueError) as failure:
        raise ValueError(f"{path} is not a measurement's archive: {failure}") from failure
    return Measurement.from_bytes(packed)
