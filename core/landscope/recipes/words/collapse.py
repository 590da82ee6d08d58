"""What is said of the recipe `collapse`."""

from __future__ import annotations

from landscope.recipes.words.forms import Exhibit, Stop

__all__ = ["EXHIBITS", "LESSON"]

EXHIBITS = {
    "nc1": Exhibit(
        "How much the features of one class differ, in units of how the classes differ, for nine networks: linear, "
        "with ReLU units, or contrastive, on equal and on unequal classes.",
        "NC1 = tr(Σ_W Σ_B⁺) / C,   Σ_W within classes, Σ_B between their means",
        ("Down is collapse; both axes are logarithmic. Lines that turn level near 10⁻¹⁵ are at rounding.",),
        "Trained on long after their data are fitted, all these networks map a class to one point.",
        "Collapse on training data does not say that held-out examples collapse, nor that it helps.",
    ),
    "nc2_angles": Exhibit(
        "How far the angles between class means are from where theory has them: at a simplex for equal classes, at "
        "right angles for unequal ones under squared error or behind a last ReLU.",
        "mean over a ≠ b of |cos(μ_a, μ_b) − target's|;   simplex: −1/(C − 1),   orthogonal frame: 0",
        (
            "A line that turns level above zero belongs to a network that goes elsewhere than its target.",
            "Unequal contrastive features are held against the simplex, so that one sees them miss it.",
        ),
        "Where class means go depends on the loss, on the balance of the classes, and on a last ReLU.",
        "Under cross-entropy with unequal classes the target is that without decay: a distance that stays is no "
        "failure of the theory.",
    ),
    "nc3": Exhibit(
        "How far the rows of the classifier are from lying along the class means.",
        "NC3 = ‖ W/‖W‖ − M/‖M‖ ‖²,   M: class means, seen from their middle",
        ("Zero is a classifier that is the means themselves, up to its size.",),
        "In the end the last layer adds nothing: to classify is to look for the nearest class mean.",
        "Contrastive networks have no classifier and no line here.",
    ),
    "lengths": Exhibit(
        "The lengths of class means under squared error without biases, against how many examples a class has, and the "
        "lengths at the minimum, from a closed form.",
        "length_c = p_c √(λ/q_c),   p_c minimises n_c/(2N) (1 − p)² + (L/2)(b n_c p²)^(1/L),   q_c = (b n_c "
        "p_c²)^(1/L)",
        (
            "Points that lie on the dashed line have arrived at the minimum.",
            "Rare classes are on the left: their means are longer.",
        ),
        "With decay, unequal classes are not treated alike: lengths depend on counts as the formula says.",
        "A longer mean does not mean that a rare class is favoured: its outputs are further from their targets.",
    ),
    "cosines": Exhibit(
        "The cosines between all class means of four networks, and beside them the ones that theory foretells.",
        "cos(μ_a, μ_b),   theory: −1/(C − 1), or 0",
        (
            "A row is a class of a network, the most frequent first. The left half is measured, the right half theory.",
            "Halves that look alike are the agreement.",
        ),
        "The geometry is one pattern for the whole class set and no matter of single pairs.",
        "For unequal contrastive features both halves should differ: theory there is the simplex that they miss.",
    ),
}

LESSON = (
    Stop(
        "Train on, though all is fitted",
        "Nine networks learn a handful of classes, and soon have them right. They are trained on all the same: what "
        "happens to their features then?",
        0.02,
        "exhibit/nc1",
    ),
    Stop(
        "A class becomes a point",
        "The scatter within a class falls by three powers of ten or more, in every one of them. What made two examples "
        "of a class different is gone from the features.",
        1.0,
        "exhibit/nc1",
    ),
    Stop(
        "And points find their places",
        "With equal classes the means end as far from one another as they can: a simplex, all cosines −1/(C − 1). With "
        "unequal ones, squared error and no biases, at right angles.",
        1.0,
        "exhibit/nc2_angles",
    ),
    Stop(
        "Computed beforehand",
        "How long the mean of each class will be follows from its number of examples and the decay. The dashed lines "
        "are that formula; the points were trained.",
        1.0,
        "exhibit/lengths",
    ),
    Stop(
        "A last ReLU decides",
        "Contrastive features of unequal classes miss the simplex, and stay off it. Behind a last ReLU, where no "
        "cosine can be negative, they become an orthogonal frame to the last digit.",
        1.0,
        "exhibit/cosines",
    ),
    Stop(
        "What it does not show",
        "That collapse is good for anything: these are training data, clusters made for the purpose, and no held-out "
        "example is asked. Nor does the theory cover all: under cross-entropy unequal classes stay off their target.",
        1.0,
        "exhibit/nc2_angles",
    ),
)
