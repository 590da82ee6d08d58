"""Slices of the loss landscape: directions, planes, and the loss on them."""

from landscope.landscape.curve_planes import CurvePlane, curve_plane, curve_slice
from landscope.landscape.curves import Curve, barrier, barriers_along, connect
from landscope.landscape.directions import random_directions, trajectory_plane
from landscope.landscape.planes import slice2d, trajectory_slice

__all__ = [
    "Curve",
    "CurvePlane",
    "barrier",
    "barriers_along",
    "connect",
    "curve_plane",
    "curve_slice",
    "random_directions",
    "slice2d",
    "trajectory_plane",
    "trajectory_slice",
]
