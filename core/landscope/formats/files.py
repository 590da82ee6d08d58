"""Measurements as files, in the format that a file's name asks for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from landscope.formats.archives import to_npz
from landscope.formats.datasets import to_netcdf
from landscope.formats.legacy_vtk import to_vtk
from landscope.formats.meshes import to_glb, to_stl
from landscope.formats.pictures import to_json, to_png, to_svg
from landscope.formats.tables import to_csv
from landscope.formats.web_pages import to_html
from landscope.measurements import Measurement

__all__ = ["FORMATS", "export"]

FORMATS: dict[str, Callable[..., bytes]] = {
    ".npz": to_npz,
    ".nc": to_netcdf,
    ".csv": to_csv,
    ".vtk": to_vtk,
    ".stl": to_stl,
    ".glb": to_glb,
    ".html": to_html,
    ".json": to_json,
    ".png": to_png,
    ".svg": to_svg,
}


def export(measurement: Measurement, path: str | os.PathLike[str], **options: Any) -> Path:
    """Writes a measurement to a file, in the format of the file's suffix.

    Numbers go into .npz, .nc, .csv, .vtk, .stl or .glb, the figure into .html, .json, .png or .svg.

    Args:
        measurement: What to write. Any measurement goes into an .npz, and any that has a figure into pictures; .csv
            takes slices, curvature maps, charts and matrices, the others slices and curvature maps.
        path: The file; one that is there is replaced.
        **options: What the format's function takes, e.g. `size=80` for `to_stl`.

    Returns:
        The path.

    Raises:
        ValueError: if the suffix is none of these.
        TypeError: if the format cannot hold that measurement.
        ModuleNotFoundError: if a library that the format needs is not installed.
    """
    path = Path(path)
    try:
        write = FORMATS[path.suffix.lower()]
    except KeyError:
        known = ", ".join(FORMATS)
        raise ValueError(f"{path.name!r} has suffix {path.suffix!r}, expected one of {known}") from None
    path.write_bytes(write(measurement, **options))
    return path
