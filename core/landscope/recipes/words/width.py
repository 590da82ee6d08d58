"""What is said of the recipe `width`."""

from __future__ import annotations

from landscope.recipes.words.forms import Exhibit, Stop

__all__ = ["EXHIBITS", "LESSON"]

EXHIBITS = {
    "sharpness-*": Exhibit(
        "The sharpness of networks of four widths while they descend at one learning rate, in units of the rate.",
        "λ max(H) × learning rate,   averaged geometrically over the networks of a width",
        (
            "At the dashed line, 2, gradient descent is at the edge of stability.",
            "Do the lines of all widths lie on each other, or fan out? Compare the later half.",
        ),
        "Where the sharpness does not depend on the width, a learning rate that suits a narrow network suits a wide "
        "one.",
        "Lines at the edge oscillate about it: that they cross there is not a dependence on the width.",
    ),
    "features": Exhibit(
        "How far the features of one hidden layer move in ten steps, against the width, in four parametrisations.",
        "‖H − H₀‖ / ‖H₀‖",
        (
            "A level line learns features at any width; one that falls as the dashed one does is on its way to a "
            "kernel.",
            "With one hidden layer mean-field and muP are the same, and so are their lines.",
        ),
        "Whether a wide network learns features is a choice of how weights and rates are scaled with the width.",
        "It is a movement in ten steps at a small rate: not how good the features are.",
    ),
    "limits": Exhibit(
        "How far networks are from their infinitely wide limit: the tangent kernel at the start from the kernel in the "
        "limit, and the trained outputs from those of the network that is linear in its weights.",
        "|K − K_∞| / |K_∞|,   |f − f_lin| / |f − f₀|",
        ("Falling is nearing the limit; the dashed line falls as width^(−1/2).",),
        "In the NTK parametrisation wide networks become their kernel, in muP they do not.",
        "What holds at a width of five hundred is told by the slope, not by the limit: there is always a rest.",
    ),
    "rates-*": Exhibit(
        "The loss reached after equally many steps against the learning rate, for four widths.",
        "L(θ_T; rate),   averaged geometrically over the networks of a width",
        (
            "The lowest point of each line is its best rate; are they below one another?",
            "A line ends where training diverged.",
        ),
        "If the best rate stays, it can be looked for on a narrow network and used on a wide one.",
        "The grid has a factor √2: differences below that are not seen.",
    ),
    "optima": Exhibit(
        "The best learning rate against the width, in three parametrisations.",
        "argmin over rates of the loss reached",
        ("Level is transfer. A step of the grid is a factor √2.",),
        "In muP it stays the same over all widths.",
        "In the standard parametrisation it should fall with the width; at these widths it falls by one or two steps "
        "of the grid with most seeds, which is little.",
    ),
}

LESSON = (
    Stop(
        "Twice as wide, four times",
        "The same network, twice as wide from line to line. How large its weights are at the start and how fast they "
        "are moved has to be scaled with the width somehow: there are several ways, and they differ in the end.",
        0.3,
        "exhibit/features",
    ),
    Stop(
        "Some stop to learn features",
        "In the NTK and in the standard parametrisation features move less and less the wider the network. In "
        "mean-field and muP the width makes no difference.",
        1.0,
        "exhibit/features",
    ),
    Stop(
        "Towards a kernel",
        "A wide network in the NTK parametrisation is nearly linear in its weights: its outputs come to those of the "
        "linear network, and its kernel to the infinitely wide one's, about as the root of the width.",
        1.0,
        "exhibit/limits",
    ),
    Stop(
        "One curve for all widths",
        "In muP the sharpness of all widths comes to the same place, the edge of stability, and stays there. In the "
        "NTK parametrisation, beside it, narrow networks end flatter than wide ones.",
        1.0,
        "exhibit/sharpness-mup",
    ),
    Stop(
        "So the best rate transfers",
        "In muP the lowest points lie below one another: one can look for the learning rate on a narrow network and "
        "use it on a wide one, at a fraction of the price.",
        1.0,
        "exhibit/rates-mup",
    ),
    Stop(
        "What it does not show",
        "That the standard parametrisation fails: its best rate falls by a step or two of the grid with most seeds, "
        "which at these widths is hardly more than chance. And a hundred digits and sixty steps are not a language "
        "model.",
        1.0,
        "exhibit/optima",
    ),
)
