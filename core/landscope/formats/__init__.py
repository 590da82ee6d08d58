"""Measurements in other programs' formats, and other programs' measurements in ours.

xarray, h5py and trimesh are needed by some of them, and come with `pip install 'landscope[formats]'`.
"""

from landscope.formats.archives import read_npz, to_npz, to_numpy
from landscope.formats.comparison import Comparison, compare
from landscope.formats.datasets import to_netcdf, to_xarray
from landscope.formats.files import FORMATS, export
from landscope.formats.legacy_vtk import to_vtk
from landscope.formats.meshes import to_glb, to_stl
from landscope.formats.original import read_directions, read_h5
from landscope.formats.tables import to_csv

__all__ = [
    "FORMATS",
    "Comparison",
    "compare",
    "export",
    "read_directions",
    "read_h5",
    "read_npz",
    "to_csv",
    "to_glb",
    "to_netcdf",
    "to_npz",
    "to_numpy",
    "to_stl",
    "to_vtk",
    "to_xarray",
]
