"""The scalars of a run as pictures over the steps."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from landscope.comparison import ascending, thinned
from landscope.figures import series_figure, theme
from landscope.figures.theme import ABOVE
from landscope.formats.web_pages import Frame, document, picture_part, plain
from landscope.runs import Run

__all__ = ["GROUPS", "Group", "curve_frames", "curves_page"]

_WIDE = 30  # a quantity that spans more than this factor is drawn logarithmically


@dataclass(frozen=True)
class Group:
    """Scalars that share an axis.

    Attributes:
        title: What they are.
        axis: The axis' name, with its unit.
        names: The scalars.
        errors: The scalar with the standard error of some of them.
        scale: Of the axis: "linear"; "log", unless a value is negative; or "auto", where the values decide.
        labels: What the legend calls them; their names where not given.
    """

    title: str
    axis: str
    names: tuple[str, ...]
    errors: tuple[tuple[str, str], ...] = ()
    scale: str = "auto"
    labels: tuple[str, ...] = ()


GROUPS = (
    Group("Loss", "loss", ("train/loss", "test/loss")),
    Group("Accuracy", "accuracy (share)", ("train/accuracy", "test/accuracy"), scale="linear"),
    Group(
        "Sharpness and its limit",
        "eigenvalue (loss / parameter²)",
        ("sharpness/lambda_max", "sharpness/threshold"),
        (("sharpness/lambda_max", "sharpness/stderr"),),
    ),
    Group("Gradient", "gradient ‖∇L‖", ("norm/gradient",)),
    Group("Weights", "weights ‖θ‖", ("norm/weights",)),
    Group("How lazy the training is", "movement (share)", ("ntk/drift", "ntk/features", "ntk/weights")),
    Group(
        "Alignment of the tangent kernel", "label alignment", ("ntk/alignment", "ntk/test_alignment"), scale="linear"
    ),
    Group("Neural collapse", "NC1 to NC3 (no unit)", ("geometry/nc1", "geometry/nc2_norms", "geometry/nc3")),
    Group(
        "Dimension of the features",
        "dimension (directions)",
        ("geometry/effective_rank", "geometry/participation_ratio", "geometry/intrinsic"),
    ),
)
"""The curves of a report, in its order."""


def curve_frames(
    run: Run, groups: Sequence[Group] = GROUPS, *, log_steps: bool = False
) -> Iterator[tuple[Group, Frame]]:
    """Those of the curves that a run has, each a picture of no step.

    Args:
        run: The run.
        groups: The curves.
        log_steps: Whether the axis of steps is logarithmic.
    """
    known = set(run.scalar_names())
    for group in groups:
        called = dict(zip(group.names, group.labels or group.names, strict=True))
        lines = {called[name]: thinned(*ascending(*run.scalars(name))) for name in group.names if name in known}
        finite = [values[np.isfinite(values)] for _, values in lines.values()]
        if not any(len(values) for values in finite):
            continue
        low, high = (float(end(np.concatenate(finite))) for end in (np.min, np.max))
        wide = low >= 0 < high if group.scale == "log" else group.scale == "auto" and 0 < _WIDE * low < high
        errors = {called[line]: run.scalars(error) for line, error in group.errors if {line, error} <= known}
        light, dark = (
            series_figure(lines, group.axis, theme(ground), logarithmic=wide, errors=errors) for ground in (False, True)
        )
        for drawing in (light, dark):
            drawing.update_layout(legend=ABOVE, xaxis={"type": "log" if log_steps else "linear"})
        yield group, Frame(None, "", plain(light), plain(dark))


def curves_page(
    run: Run, title: str, groups: Sequence[Group], *, summary: str = "", log_steps: bool = False
) -> Iterator[str]:
    """A page with some curves of a run, one picture below the other, piece by piece.

    Args:
        run: The run.
        title: The page's heading; escaped here.
        groups: The curves.
        summary: A sentence on how to read them; escaped here.
        log_steps: Whether their axes of steps are logarithmic.

    Raises:
        ValueError: if the run has none of them.
    """
    parts = [
        picture_part(group.title, [frame], wide=True, over_steps=True)
        for group, frame in curve_frames(run, groups, log_steps=log_steps)
    ]
    if not parts:
        raise ValueError(f"run {run.id} has no lines of {title!r}")
    head = f'<h1>{html.escape(title)}</h1><p>{html.escape(summary)}</p><p class="muted">{html.escape(run.id)}</p>'
    return document(f"{title}, {run.id}", ["<main>", head, '<div class="pictures">', *parts, "</div></main>\n"])
