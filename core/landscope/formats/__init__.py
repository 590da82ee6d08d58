"""Measurements in other programs' formats and as pages that stand alone, and other programs' measurements in ours.

xarray, h5py and trimesh are needed by some of them, and come with `pip install 'landscope[formats]'`.
"""

from landscope.formats.archives import read_npz, to_archive, to_npz, to_numpy
from landscope.formats.comparison import Comparison, compare
from landscope.formats.datasets import to_netcdf, to_xarray
from landscope.formats.files import FORMATS, export
from landscope.formats.legacy_vtk import to_vtk
from landscope.formats.meshes import to_glb, to_stl
from landscope.formats.original import read_directions, read_h5
from landscope.formats.pictures import to_json, to_png, to_svg
from landscope.formats.posters import to_poster
from landscope.formats.tables import TABLES, series_to_csv, to_csv
from landscope.formats.web_pages import to_html

__all__ = [
    "FORMATS",
    "TABLES",
    "Comparison",
    "compare",
    "export",
    "read_directions",
    "read_h5",
    "read_npz",
    "series_to_csv",
    "to_archive",
    "to_csv",
    "to_glb",
    "to_html",
    "to_json",
    "to_netcdf",
    "to_npz",
    "to_numpy",
    "to_png",
    "to_poster",
    "to_stl",
    "to_svg",
    "to_vtk",
    "to_xarray",
]
