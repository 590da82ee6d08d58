"""Surface and direction files of the original code (tomgoldstein/loss-landscape; Li et al. 2018), in HDF5.

A surface file has `xcoordinates` and, for a plane, `ycoordinates`, and for each split `train_loss`, `train_acc` (in
per cent), `test_loss`, ...; points that were not computed hold -1. A file of directions has the groups `xdirection` and
`ydirection`, each with the tensors "0", "1", ... of the parameters in their order; one of a trajectory has
`proj_xcoord` and `proj_ycoord`.

A plane is stored as an array of shape (len(x), len(y)) whose k-th number, counted along its rows, belongs to the k-th
point of `meshgrid(x, y)`, where x runs fastest. The numbers are thus those of an array (len(y), len(x)), and the stored
shape is wrong: on a square grid the array is the transpose of what its shape says, on another one its rows are broken
at the wrong places. No number is lost, and `read_h5` restores the order.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landscope.formats.hdf5 import opened
from landscope.measurements import Provenance, Slice1D, Slice2D

__all__ = ["read_directions", "read_h5"]

_Path = str | os.PathLike[str]
_Array = NDArray[np.float64]
_COORDINATES = ("xcoordinates", "ycoordinates")
_NORMALISATIONS = {"": "none", "filter": "filter", "layer": "tensor"}  # what it calls a layer is one tensor


def read_h5(path: _Path, *, directions: _Path | None = None, trajectory: _Path | None = None) -> Slice1D | Slice2D:
    """The slice in a surface file of the original code, its numbers in the order that this module describes.

    The train loss is the slice's loss, or the test loss where there is no other; the other split's numbers and whatever
    else has a number for each point (`max_eig`) are metrics. Accuracies become shares. Points that were not computed
    are NaN, and counted in the slice's checks. What is read are these files alone: links out of them are refused.

    Args:
        path: The surface file.
        directions: The file of its directions, which gives the slice these and their inner products.
        trajectory: The file of a trajectory projected on its plane.

    Raises:
        ValueError: if a file is not of that form, or reaches outside itself, or they do not belong together.
        ModuleNotFoundError: if h5py is not installed.
    """
    with opened(path) as file:
        axes = [file.vector(name) for name in _COORDINATES if name == "xcoordinates" or name in file]
        arrays = file.arrays(int(np.prod([len(along) for along in axes])))
        made_with = file.text("dir_file")
    values = {name: _ordered(array, axes) for name, array in arrays.items() if name not in _COORDINATES}
    split = next((split for split in ("train", "test") if f"{split}_loss" in values), None)
    if split is None:
        found = ", ".join(values) or "nothing"
        raise ValueError(f"{path} must have train_loss or test_loss over its grid; it has {found} there")
    axes = [np.sort(along) for along in axes]
    for name, along in zip(_COORDINATES, axes, strict=False):
        if not (np.diff(along) > 0).all():
            raise ValueError(f"{path}: {name} must be different from one another")
    missing = _missing(values, split)
    values = _restored(values)
    rows = None if directions is None else read_directions(directions)
    if rows is not None and len(rows) != len(axes):
        raise ValueError(f"{directions} has {len(rows)} directions, expected one for each of {len(axes)} coordinates")
    stated = re.search(r"xnorm=([a-z]+)", made_with)
    normalisation = stated[1] if stated else ""
    loss = values.pop(f"{split}_loss")
    shared: dict[str, Any] = {
        "loss": loss,
        "accuracy": values.pop(f"{split}_acc", None),
        "metrics": {_metric(name): array for name, array in values.items()},
        "centre_loss": _at_origin(loss, axes),
        "plane": "given",
        "normalisation": _NORMALISATIONS.get(normalisation, normalisation),
        "axes": ("x direction of the file", "y direction of the file")[: len(axes)],
        "gram": None if rows is None else rows @ rows.T,
        "directions": rows,
        "checks": (("points computed", "fail" if missing else "pass", f"{missing} of {loss.size} were not"),),
        "provenance": Provenance(
            method=f"surface file of the original code: {Path(path).name}",
            split=split,
            parameters=0 if rows is None else rows.shape[1],
        ),
    }
    if len(axes) == 1:
        return Slice1D(alpha=axes[0], **shared)
    return Slice2D(alpha=axes[0], beta=axes[1], path=None if trajectory is None else _path(trajectory), **shared)


def read_directions(path: _Path) -> _Array:
    """The directions in a file of the original code, (1 or 2, P), each flat as `Objective.layout` has parameters.

    The two agree where every parameter is trainable and the file was made with `--dir_type weights`; with "states"
    directions have a part for every buffer, too.

    Raises:
        ValueError: if the file is not of that form, or reaches outside itself.
        ModuleNotFoundError: if h5py is not installed.
    """
    with opened(path) as file:
        names = [name for name in ("xdirection", "ydirection") if name == "xdirection" or name in file]
        rows = [np.concatenate([tensor.ravel() for tensor in file.tensors(name)]) for name in names]
    if len({len(row) for row in rows}) > 1:
        lengths = " and ".join(str(len(row)) for row in rows)
        raise ValueError(f"{path} has directions of {lengths} numbers, expected two of one length")
    return np.stack(rows)


def _path(path: _Path) -> _Array:
    with opened(path) as file:
        columns = [file.vector(name) for name in ("proj_xcoord", "proj_ycoord")]
    if len(columns[0]) != len(columns[1]):
        raise ValueError(f"{path} has {len(columns[0])} x and {len(columns[1])} y coordinates, expected as many")
    return np.stack(columns, axis=1)


def _ordered(stored: _Array, axes: list[_Array]) -> _Array:
    """Stored numbers as an array over the coordinates in increasing order, x along its first dimension."""
    ranks = [np.argsort(along) for along in axes]
    return stored.reshape([len(along) for along in reversed(axes)]).T[np.ix_(*ranks)]


def _missing(values: dict[str, _Array], split: str) -> int:
    """How many points of a split were not computed."""
    return int(_not_computed(values, f"{split}_loss").sum())


def _not_computed(values: dict[str, _Array], name: str) -> NDArray[np.bool_]:
    """Where a loss was not computed: it is -1, and so is the accuracy, which cannot be that otherwise."""
    accuracy = values.get(name.replace("_loss", "_acc"))
    blank: NDArray[np.bool_] = values[name] == -1.0
    return blank if accuracy is None else blank & (accuracy == -1.0)


def _restored(values: dict[str, _Array]) -> dict[str, _Array]:
    """The values with NaN where nothing was computed, and accuracies as shares."""
    restored = dict(values)
    for name in values:
        if name.endswith("_loss"):
            blank, accuracy = _not_computed(values, name), name.replace("_loss", "_acc")
            restored[name] = np.where(blank, np.nan, values[name])
            if accuracy in values:
                restored[accuracy] = np.where(blank, np.nan, values[accuracy] / 100.0)
    if {"max_eig", "min_eig"} <= values.keys():
        blank = (values["max_eig"] == -1.0) & (values["min_eig"] == 1.0)
        restored |= {name: np.where(blank, np.nan, values[name]) for name in ("max_eig", "min_eig")}
    return restored


def _metric(name: str) -> str:
    """`test_acc` as `test/accuracy`; what belongs to no split keeps its name."""
    split, _, quantity = name.partition("_")
    if split not in ("train", "test"):
        return name
    return f"{split}/{'accuracy' if quantity == 'acc' else quantity}"


def _at_origin(loss: _Array, axes: list[_Array]) -> float:
    """The loss where all coordinates are 0, up to their rounding; NaN where the grid has no such point."""
    place = tuple(int(np.abs(along).argmin()) for along in axes)
    at_zero = all(abs(along[index]) <= 1e-9 * np.ptp(along) for along, index in zip(axes, place, strict=True))
    return float(loss[place]) if at_zero else float("nan")
