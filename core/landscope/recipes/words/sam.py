"""What is said of the recipe `sam`."""

from __future__ import annotations

from landscope.recipes.words.forms import Exhibit, Stop

__all__ = ["EXHIBITS", "LESSON"]

EXHIBITS = {
    "accuracy": Exhibit(
        "Accuracy on held-out digits, whose labels are right, of networks trained with a share of wrong labels.",
        "mean over seeds of the share that is right, ± 2 standard errors",
        (
            "To the right more of the training labels are wrong: chance would be a tenth.",
            "Bands that overlap do not say that there is no difference: see the gains, which are of pairs.",
        ),
        "Wrong labels cost accuracy, whatever the optimiser: networks of this size learn them by heart.",
        "All are trained to the end: stopping early is a remedy of its own, which is not looked at here.",
    ),
    "gain": Exhibit(
        "How much more accurate SAM and SAF are than SGD from the same weights, on the same labels in the same order.",
        "mean over seeds of accuracy − accuracy of SGD, ± 2 standard errors",
        ("A band above zero is a gain that chance does not explain.",),
        "SAM gains most where labels are wrong, by some points; at one level of noise with one seed the band touches "
        "zero.",
        "SAF loses accuracy where all labels are right, and gains it under noise: it is no cheap SAM.",
    ),
    "flatness": Exhibit(
        "How sharp the networks are in the end beside SGD's, by two measures.",
        "log₁₀ of λ max(H) / SGD's,   and of L(θ + ρ g/|g|) − L(θ) / SGD's",
        (
            "Below zero is flatter; −1 is a tenth.",
            "SAM's rise is what SAM itself descends by; λ max is not.",
        ),
        "SAM ends flatter by both measures at every level of noise.",
        "SAF's λ max is about SGD's, and where all labels are right its rise is larger: outputs that hold still along "
        "the path are not a flat loss.",
    ),
    "slices": Exhibit(
        "The training loss around one network of each optimiser, on a plane of two random directions.",
        "L(α, β) = loss(θ + α d₁ + β d₂),   |d_filter| = |θ_filter|",
        (
            "One scale of colours, the same axes; over each plane the loss in its middle.",
            "The same random numbers are used for all three.",
        ),
        "The plane of SAM's network is a wider bowl with a higher bottom: it fits the wrong labels less closely.",
        "It is one network of each, and two of thousands of directions: the numbers beside it are of all networks.",
    ),
    "measures": Exhibit(
        "Every network as a point: how sharp it is by SAM's measure after several steps of ascent, and how much larger "
        "its error is on held-out digits.",
        "max over |e| ≤ ρ of L(θ + e) − L(θ)   across,   held-out less training error up",
        ("To the right is sharper, up is worse. The clouds are levels of noise.",),
        "Over all networks sharp ones have the larger gap.",
        "Much of that is the noise, which makes both: look within one cloud before you believe it.",
    ),
    "correlations": Exhibit(
        "How far each measure of sharpness goes with the generalisation gap: over all networks, over those of one "
        "level of noise, and between seeds alone.",
        "Kendall's τ = (pairs in order − pairs out of order) / pairs, ties corrected",
        (
            "1 is the same order, 0 is none. From left to right less is left that both have in common.",
            "Compare the first column with the last.",
        ),
        "Most measures go with the gap over all networks; between seeds of one level and optimiser hardly any does.",
        "A correlation over all says nothing of causes: whoever adds noise makes networks sharper and worse.",
    ),
}

LESSON = (
    Stop(
        "Wrong labels",
        "Up to three fifths of the training labels are wrong. SGD learns them by heart, and held-out accuracy falls "
        "from left to right.",
        1.0,
        "exhibit/accuracy",
    ),
    Stop(
        "SAM looks around first",
        "SAM takes the gradient not where it stands but at the worst place near by. So it goes where the worst is not "
        "bad: to flat places. It costs two gradients a step.",
        1.0,
        "exhibit/flatness",
    ),
    Stop(
        "And it pays",
        "From the same weights, on the same labels in the same order, SAM's networks are more accurate, most of all "
        "where labels are wrong. SAF tries to have that for one gradient a step; with clean labels it loses.",
        1.0,
        "exhibit/gain",
    ),
    Stop(
        "So flat is good?",
        "Every point is a network. Sharp ones have larger gaps, and the line through them is convincing, until one "
        "sees that the clouds are the levels of noise: noise makes networks sharp, and noise makes them wrong.",
        1.0,
        "exhibit/measures",
    ),
    Stop(
        "Take the common causes out",
        "From left to right the table compares networks that have more and more in common. In the last column, where "
        "only the seed differs, little is left of what sharpness says.",
        1.0,
        "exhibit/correlations",
    ),
    Stop(
        "What it does not show",
        "That flatness is why SAM is better: both are there, and no experiment here parts them. Nor that SAF is SAM "
        "for free: its largest curvature is about that of SGD.",
        1.0,
        "exhibit/flatness",
    ),
)
