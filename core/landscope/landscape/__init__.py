"""Slices of the loss landscape: directions, planes, and the loss on them."""

from landscope.landscape.directions import random_directions, trajectory_plane
from landscope.landscape.planes import slice2d, trajectory_slice

__all__ = ["random_directions", "slice2d", "trajectory_plane", "trajectory_slice"]
