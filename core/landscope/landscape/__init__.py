"""Slices of the loss landscape: directions, planes, and the loss on them."""

from landscope.landscape.alignment import Matching, aligned, weight_matching
from landscope.landscape.barriers import barrier, barriers_along
from landscope.landscape.convergence import sample_convergence
from landscope.landscape.curvature_maps import curvature_map
from landscope.landscape.curve_planes import CurvePlane, curve_plane, curve_slice
from landscope.landscape.curves import Curve
from landscope.landscape.directions import (
    gradient_direction,
    hessian_directions,
    moment_directions,
    random_directions,
    sam_direction,
)
from landscope.landscape.ensembles import ensemble, mean_curvature, trace_check
from landscope.landscape.inputs import adversarial_direction, adversarial_plane, of_inputs, of_layer, of_tensor
from landscope.landscape.mode_connectivity import connect
from landscope.landscape.normalisation import normalised
from landscope.landscape.rebuilding import point_on_plane, rebuilt_directions
from landscope.landscape.slices import cut, refine, slice1d, slice2d, slice3d, trajectory_cut, trajectory_slice
from landscope.landscape.snapshots import Plane, plane_between, plane_through
from landscope.landscape.symmetries import permutable_axes
from landscope.landscape.trainability import (
    Axis,
    around_boundary,
    trainability_map,
    trainability_maps,
    trainability_zoom,
)
from landscope.landscape.trajectories import PathProjection, project_path, trajectory_plane
from landscope.measurements.diagrams import TopologyComparison, compare_topology
from landscope.measurements.differences import roughness
from landscope.measurements.fractals import BoxCounts, boundary_of, box_counts
from landscope.measurements.slice_sets import side_by_side
from landscope.measurements.sublevels import loops, merge_tree

__all__ = [
    "Axis",
    "BoxCounts",
    "Curve",
    "CurvePlane",
    "Matching",
    "PathProjection",
    "Plane",
    "TopologyComparison",
    "adversarial_direction",
    "adversarial_plane",
    "aligned",
    "around_boundary",
    "barrier",
    "barriers_along",
    "boundary_of",
    "box_counts",
    "compare_topology",
    "connect",
    "curvature_map",
    "curve_plane",
    "curve_slice",
    "cut",
    "ensemble",
    "gradient_direction",
    "hessian_directions",
    "loops",
    "mean_curvature",
    "merge_tree",
    "moment_directions",
    "normalised",
    "of_inputs",
    "of_layer",
    "of_tensor",
    "permutable_axes",
    "plane_between",
    "plane_through",
    "point_on_plane",
    "project_path",
    "random_directions",
    "rebuilt_directions",
    "refine",
    "roughness",
    "sam_direction",
    "sample_convergence",
    "side_by_side",
    "slice1d",
    "slice2d",
    "slice3d",
    "trace_check",
    "trainability_map",
    "trainability_maps",
    "trainability_zoom",
    "trajectory_cut",
    "trajectory_plane",
    "trajectory_slice",
    "weight_matching",
]
