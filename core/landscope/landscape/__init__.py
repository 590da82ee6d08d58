"""Slices of the loss landscape: directions, planes, and the loss on them."""

from landscope.landscape.curve_planes import CurvePlane, curve_plane, curve_slice
from landscope.landscape.curves import Curve, barrier, barriers_along, connect
from landscope.landscape.directions import (
    gradient_direction,
    hessian_directions,
    moment_directions,
    random_directions,
    sam_direction,
)
from landscope.landscape.normalisation import normalised
from landscope.landscape.planes import slice2d, trajectory_slice
from landscope.landscape.snapshots import Plane, plane_between, plane_through
from landscope.landscape.trajectories import PathProjection, project_path, trajectory_plane
from landscope.measurements.diagrams import TopologyComparison, compare_topology
from landscope.measurements.differences import roughness
from landscope.measurements.sublevels import loops, merge_tree

__all__ = [
    "Curve",
    "CurvePlane",
    "PathProjection",
    "Plane",
    "TopologyComparison",
    "barrier",
    "barriers_along",
    "compare_topology",
    "connect",
    "curve_plane",
    "curve_slice",
    "gradient_direction",
    "hessian_directions",
    "loops",
    "merge_tree",
    "moment_directions",
    "normalised",
    "plane_between",
    "plane_through",
    "project_path",
    "random_directions",
    "roughness",
    "sam_direction",
    "slice2d",
    "trajectory_plane",
    "trajectory_slice",
]
