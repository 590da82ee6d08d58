"""The planes of which a training holds centre and directions in memory: the newest of each kind, to be measured on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from landscope.lab.places import Place
from landscope.landscape import point_on_plane
from landscope.measurements import Measurement, Slice2D
from landscope.parameters import ParameterLayout
from landscope.runs import FrameRef

__all__ = ["held_plane", "weights_on"]


def held_plane(place: Place, frames: Iterable[FrameRef], newest: Mapping[str, Measurement]) -> Slice2D:
    """The plane that a place is on.

    Args:
        place: The place.
        frames: Of the run.
        newest: The last measurement of each name, with what is not kept in the run.

    Raises:
        ValueError: if the frame is no plane of the run, a newer one has taken its place in memory, or the weights
            around which it lies are not held.
    """
    frame = next((frame for frame in frames if frame.seq == place.frame), None)
    if frame is None or frame.kind != Slice2D.kind:
        raise ValueError(f"frame {place.frame} is no slice on a plane that the run still has; choose another place")
    held = newest.get(frame.name)
    if not isinstance(held, Slice2D) or held.directions is None:
        raise ValueError(
            "a training holds the directions of its newest planes alone, and none of this kind at present; "
            "choose a place on another one, or ask when the run has ended"
        )
    if held.provenance.step != frame.step:
        raise ValueError(
            f"a training holds the directions of its newest planes alone: that of step {frame.step:,} has given way to "
            f"that of step {held.provenance.step:,}; choose a place there, or ask when the run has ended"
        )
    if held.centre is None:
        raise ValueError("the network is too large for its training to hold the weights around which its planes lie")
    return held


def weights_on(plane: Slice2D, place: Place, layout: ParameterLayout) -> dict[str, Tensor]:
    """The parameters by name at a place on a plane that is held."""
    assert plane.centre is not None
    assert plane.directions is not None
    centre = torch.from_numpy(plane.centre).to(layout.device, layout.dtype)
    directions = torch.from_numpy(plane.directions).to(layout.device)
    return dict(layout.unflatten(point_on_plane(centre, directions, (place.alpha, place.beta))))
