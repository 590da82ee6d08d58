"""The scalars of a run as pictures over the steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from landscope.comparison import ascending, thinned
from landscope.figures import series_figure, theme
from landscope.figures.theme import ABOVE
from landscope.formats.web_pages import Frame, plain
from landscope.runs import Run

__all__ = ["GROUPS", "Group", "curve_frames"]

_WIDE = 30  # a quantity that spans more than this factor is drawn logarithmically


@dataclass(frozen=True)
class Group:
    """Scalars that share an axis.

    Attributes:
        title: What they are.
        axis: The axis' name, with its unit.
        names: The scalars.
        errors: The scalar with the standard error of some of them.
        share: Whether they are shares, whose axis is never logarithmic.
    """

    title: str
    axis: str
    names: tuple[str, ...]
    errors: tuple[tuple[str, str], ...] = ()
    share: bool = False


GROUPS = (
    Group("Loss", "loss", ("train/loss", "test/loss")),
    Group("Accuracy", "accuracy (share)", ("train/accuracy", "test/accuracy"), share=True),
    Group(
        "Sharpness and its limit",
        "eigenvalue (loss / parameter²)",
        ("sharpness/lambda_max", "sharpness/threshold"),
        (("sharpness/lambda_max", "sharpness/stderr"),),
    ),
    Group("Gradient", "gradient ‖∇L‖", ("norm/gradient",)),
    Group("Weights", "weights ‖θ‖", ("norm/weights",)),
    Group("How lazy the training is", "movement (share)", ("ntk/drift", "ntk/features", "ntk/weights")),
    Group("Alignment of the tangent kernel", "label alignment", ("ntk/alignment", "ntk/test_alignment"), share=True),
    Group("Neural collapse", "NC1 to NC3 (no unit)", ("geometry/nc1", "geometry/nc2_norms", "geometry/nc3")),
    Group(
        "Dimension of the features",
        "dimension (directions)",
        ("geometry/effective_rank", "geometry/participation_ratio", "geometry/intrinsic"),
    ),
)
"""The curves of a report, in its order."""


def curve_frames(run: Run) -> Iterator[tuple[Group, Frame]]:
    """The curves that a run has, each a picture of no step."""
    known = set(run.scalar_names())
    for group in GROUPS:
        lines = {name: thinned(*ascending(*run.scalars(name))) for name in group.names if name in known}
        finite = [values[np.isfinite(values)] for _, values in lines.values()]
        if not any(len(values) for values in finite):
            continue
        low, high = (float(end(np.concatenate(finite))) for end in (np.min, np.max))
        wide = not group.share and low > 0 and high > _WIDE * low
        errors = {line: run.scalars(error) for line, error in group.errors if {line, error} <= known}
        light, dark = (
            series_figure(lines, group.axis, theme(ground), logarithmic=wide, errors=errors) for ground in (False, True)
        )
        for drawing in (light, dark):
            drawing.update_layout(legend=ABOVE)
        yield group, Frame(None, "", plain(light), plain(dark))
