"""xarray data sets, and netCDF files of them."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from landscope.formats.grids import grid_of
from landscope.formats.optional import imported
from landscope.measurements import Measurement, Slice2D
from landscope.measurements.landscape import Slice

if TYPE_CHECKING:
    import xarray

__all__ = ["to_netcdf", "to_xarray"]


def to_xarray(measurement: Measurement) -> xarray.Dataset:
    """A slice or curvature map as a data set: every number over the grid, with the axes as named coordinates.

    Variables have names that netCDF takes: "test/loss" becomes "test_loss", and `long_name` keeps what it was.
    Attributes are numbers and strings alone (tuples as JSON), so that every engine can write them; the provenance is
    among them, with "provenance_" before each name. A slice's trajectory is in `path`, `path_steps` and so on over the
    dimension "point"; its directions are left out.

    Raises:
        TypeError: if the measurement is no grid.
        ModuleNotFoundError: if xarray is not installed.
    """
    grid = grid_of(measurement)
    library = imported("xarray", "a data set")
    coordinates = {
        name: (name, along, {"long_name": words, "units": "1"})
        for (name, along), words in zip(grid.coordinates.items(), grid.units, strict=True)
    }
    variables: dict[str, Any] = {}
    for name, values in grid.values.items():
        attributes = {"long_name": grid.description(name), "units": "1"}
        variables[_free_name(name, (*variables, *coordinates))] = (tuple(grid.coordinates), values, attributes)
    if isinstance(measurement, Slice) and measurement.gram is not None:
        words = "inner products of the directions"
        variables["gram"] = (("direction", "other_direction"), measurement.gram, {"long_name": words, "units": "1"})
    if isinstance(measurement, Slice2D) and measurement.path is not None:
        variables |= _path(measurement)
    dataset: xarray.Dataset = library.Dataset(variables, coordinates, _attributes(measurement))
    return dataset


def to_netcdf(measurement: Measurement) -> bytes:
    """A netCDF file of `to_xarray`'s data set.

    Raises:
        TypeError: if the measurement is no grid.
        ModuleNotFoundError: if xarray is not installed.
    """
    return bytes(to_xarray(measurement).to_netcdf(engine="scipy"))


def _path(measurement: Slice2D) -> dict[str, Any]:
    columns = {
        "path_steps": (measurement.path_steps, "optimiser step"),
        "path_distances": (measurement.path_distances, "distance from the plane"),
        "path_losses": (measurement.path_losses, "loss of those weights themselves"),
    }
    found: dict[str, Any] = {
        "path": (("point", "direction"), measurement.path, {"long_name": "coordinates of earlier weights"})
    }
    for name, (column, words) in columns.items():
        if column is not None:
            found[name] = ("point", column, {"long_name": words, "units": "1"})
    return found


def _attributes(measurement: Measurement) -> dict[str, str | int | float]:
    """What is no array: the plain fields, and the provenance with each name after "provenance_"."""
    plain = {name: value for name, value in vars(measurement).items() if not isinstance(value, np.ndarray | dict)}
    plain |= {f"provenance_{name}": value for name, value in asdict(measurement.provenance).items()}
    plain = {"kind": measurement.kind} | plain
    del plain["provenance"]
    return {name: _attribute(value) for name, value in plain.items() if value is not None}


def _attribute(value: Any) -> str | int | float:
    """A string or a number that netCDF has a type for, whose integers are of 32 bits."""
    if isinstance(value, str | float) or (isinstance(value, int) and abs(value) < 2**31):
        return value
    return json.dumps(value)


def _free_name(name: str, taken: tuple[str, ...]) -> str:
    """The name with "_" for whatever netCDF has no place for in one, and after it if the name is taken."""
    name = re.sub(r"^[^0-9A-Za-z]|[^0-9A-Za-z_.@+-]", "_", name) or "_"
    while name in taken:
        name += "_"
    return name
