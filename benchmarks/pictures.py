"""How soon there is a picture, and how near a coarse one drawn fine comes to a fine one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import landscope as ls
from benchmarks.cases import CASES
from benchmarks.slices import relative_error
from benchmarks.timing import timed
from landscope.measurements.interpolation import held_out_error

__all__ = ["drawn", "first_picture"]

_GOAL = 1.0  # seconds until there is something to see


def first_picture(device: str, points: int) -> Iterator[dict[str, Any]]:
    """Seconds from asking for a slice, of a network that was never measured before, to its first 5 x 5 picture.

    Elapsed seconds, unlike elsewhere; held against the goal of one.
    """
    for name, make in CASES.items():
        case = make(device)
        stages = ls.landscape.refine(case.objective, case.directions, radius=1.0, points=33)
        picture, seconds = timed(lambda stages=stages: next(stages))
        stages.close()
        whole = picture.provenance.examples == len(case.x)
        yield {
            "network": name,
            "ours_s": seconds.wall,
            "ours_cpu_s": seconds.cpu,
            "peer_s": _GOAL,
            "ratio": _GOAL / seconds.wall,
            "error": relative_error(case, picture.loss) if whole else None,
            "peer": f"goal of 1 s ({name})",
            "points": picture.loss.size,
            "examples": picture.provenance.examples,
            "parameters": case.objective.layout.size,
        }


def drawn(device: str, points: int) -> Iterator[dict[str, Any]]:
    """The 17 x 17 and 9 x 9 points of a 33 x 33 grid, drawn as 33 x 33, against all of it.

    The error is the 95th percentile of |drawn - true| / true over all cells; `covered` is the share of the drawn cells
    whose error is below the stated one.
    """
    for name, make in CASES.items():
        case = make(device)
        full, seconds = timed(
            lambda case=case: ls.landscape.slice2d(case.objective, case.directions, radius=1.0, points=33)
        )
        for every in (2, 4):
            held = held_out_error(full, every)
            yield {
                "network": name,
                "ours_s": seconds.on(device) * held.share,
                "peer_s": seconds.on(device),
                "ratio": 1 / held.share,
                "error": held.percentile95,
                "greatest_error": held.greatest,
                "stated_error": held.stated95,
                "covered": held.covered,
                "share": held.share,
                "peer": f"all 33 x 33 ({name}, 1 in {every * every})",
                "points": full.loss.size,
                "examples": len(case.x),
                "parameters": case.objective.layout.size,
            }
