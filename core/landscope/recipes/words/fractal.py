"""What is said of the recipe `fractal`."""

from __future__ import annotations

from landscope.recipes.words.forms import Exhibit, Stop

__all__ = ["EXHIBITS", "LESSON"]

_ZOOMED = (
    "Every point is a network of its own, trained with two hyperparameters of its own. Its colour says whether its "
    "loss came down, and how fast."
)
_SCORE = "rₜ = L(t)/L(0);   converged: mean of the last 20 rₜ below 1;   colour: rank of Σ rₜ, or of Σ 1/rₜ"

EXHIBITS = {
    "map": Exhibit(
        _ZOOMED,
        _SCORE,
        (
            "Blue converges, orange diverges; pale is slow, and lies at the boundary.",
            "Drag a box where the two meet, and “Run this box” maps it at the same number of points.",
        ),
        "Where training just fails is no smooth threshold: whether it fails can hinge on tiny differences.",
        "It is the map of one small network, its data and its weights at the start, at so many steps.",
    ),
    "zoom-*": Exhibit(
        f"{_ZOOMED} This map is a part of the one before, eight times as large, where its boundary is densest.",
        _SCORE,
        (
            "Structure that was finer than the grid before is seen here, and there is finer structure again.",
            "Where neighbouring points are no longer told apart by double precision the picture says so.",
        ),
        "Magnified, the boundary becomes no smoother, as a coastline does not.",
        "Where single points flicker between blue and orange the grid is too coarse for the boundary: a region there "
        "may be made of the grid.",
    ),
    "boxes": Exhibit(
        "How many boxes of a size the boundary goes through, at every magnification, and the line fitted to that.",
        "N(s) ~ s^(−D),   D: box-counting dimension, minus the slope",
        (
            "Both axes are logarithmic. Twice the size: half as many boxes for a line, a quarter for a region.",
            "Points that leave their line at the largest boxes are few boxes that fill the map.",
        ),
        "A slope between −1 and −2 is what makes one call the boundary fractal.",
        "Five sizes of boxes are few: a slope over one power of ten is a hint of a dimension and no proof.",
    ),
    "dimension": Exhibit(
        "The dimension of the boundary against how much the map is magnified.",
        "D = −d log N(s) / d log s,   with two standard errors of the fit",
        ("The dashed lines are a smooth line, 1, and a region, 2.",),
        "That it does not fall to 1 from near is what tells a fractal from a curve that is merely wiggly.",
        "Near 2 the grid of this size no longer resolves the boundary: the dimension is then partly the grid's.",
    ),
}

LESSON = (
    Stop(
        "A map of trainings",
        "Every point is a network of its own, trained with two learning rates: one for each layer. Blue ones converge, "
        "orange ones diverge.",
        0.3,
        "exhibit/map",
    ),
    Stop(
        "Drag a box",
        "Where blue meets orange, drag a box and run it: the same map, larger. The line between them does not become "
        "smooth. Try again in there.",
        1.0,
        "exhibit/map",
    ),
    Stop(
        "Counted in boxes",
        "A smooth line takes half as many boxes of twice the size, a region a fourth. The slope says where between "
        "them this boundary is: its dimension.",
        1.0,
        "exhibit/boxes",
    ),
    Stop(
        "What remains in practice",
        "The best learning rates lie close to that edge, and near it a search by small steps means little. Far down, "
        "the grid of a few points is itself too coarse: the dimension there is partly the grid's.",
        1.0,
        "exhibit/dimension",
    ),
)
