"""What is said of the recipe `lazy-rich`."""

from __future__ import annotations

from landscope.recipes.words.forms import Exhibit, Stop

__all__ = ["EXHIBITS", "LESSON"]

EXHIBITS = {
    "losses": Exhibit(
        "Training and test loss of the richest and of the laziest network. Both have the same weights at the start, "
        "the same data and outputs that begin at zero; only the output scale α differs.",
        "f(x) = (α/N) Σᵢ [φ(wᵢ·x) − φ(wᵢ(0)·x)],   φ(h) = h + (ε/2) h²,   y = ½ (β·x)²",
        (
            "Between a solid fall of the training loss and that of the test loss lies the delay: both axes are "
            "logarithmic, so that equal distances are equal factors.",
            "The dashed line is where regression with the initial kernel ends: what is below it was had by learning "
            "features.",
        ),
        "A network can fit its data with the features that it was born with, and find those of the task only later.",
        "That weight decay plays no part here does not mean that it plays none in other grokking: this network has no "
        "decay, and its delay is of another kind than a race between norms.",
    ),
    "formula": Exhibit(
        "The test loss of all four networks, measured on held-out inputs, and beside it the formula, which needs no "
        "data: only the mean and the second moment of the hidden weights.",
        "test loss = A + B + C,   A = ¼ (tr S/D)²,  B = |S|²/(2D²),  C = |a|²/D,   S = Q − ββᵀ",
        (
            "The bands are three standard errors of the measured loss; dashed lines within them are an agreement that "
            "can be had no better.",
        ),
        "For Gaussian inputs the error of this network is known exactly, at every step and not in a limit alone.",
        "It is exact for this network, not for networks: with other units, or inputs that are not Gaussian, a formula "
        "of a few moments is an approximation.",
    ),
    "parts": Exhibit(
        "The three parts of the laziest network's test loss: the outputs have the wrong size (A), they depend on the "
        "wrong directions (B), and they have a linear part that the target lacks (C).",
        "A = ¼ (tr S/D)²,   B = |S|²/(2D²),   C = |a|²/D",
        (
            "C rises while the data are being fitted: the initial kernel fits them by the linear features that it has.",
            "B falls last, and slowest: it is the direction β that has to be found.",
        ),
        "What is fitted first need not be what is right: here it is the linear part, which the target does not have.",
        "A test loss that rises at first is not over-fitting that will stay: it falls again without any stopping.",
    ),
    "alignment": Exhibit(
        "How much the tangent kernel on the training data is that of the targets: 1 if it is y yᵀ, 0 if it knows "
        "nothing of them, both centred.",
        "⟨H K H, y yᵀ⟩ / (|H K H| |H y yᵀ H|),   H = 1 − 1/P",
        ("Each network's line begins at the same height, as all begin with the same kernel.",),
        "The smaller the output scale, the further the weights have to go, and the more the kernel turns to the task.",
        "A line that stays low does not mean that nothing is learned: the lazy network ends below the floor, too, by a "
        "turn that is small beside its kernel.",
    ),
    "movement": Exhibit(
        "Test loss against how far the kernel has come from the initial one: the same training as in the other "
        "pictures, with the steps taken out.",
        "|Θ − Θ₀| / |Θ₀|   across,   test loss up",
        ("Training goes to the right. A line that falls at a distance of a hundredth has needed a hundredth.",),
        "With a large output scale a tiny change of the kernel is a large change of the outputs.",
        "“Lazy” is no yes or no: at no finite scale does the kernel stay, and the small rest is what generalises here.",
    ),
    "delay": Exhibit(
        "The steps after which training and test loss have fallen to half of what they were, against the output scale.",
        "first t with L(t) ≤ L(first)/2",
        (
            "The distance between both lines is the delay, as a factor: it grows to the right.",
            "Where a loss has not come to half yet a point is missing.",
        ),
        "One number, the output scale, makes the delay long or short without changing data, size or learning rate.",
        "That α sets the delay does not say that every delay is set by something like α.",
    ),
}

LESSON = (
    Stop(
        "One network, four scales",
        "Four networks begin with the same weights and see the same data. Their outputs are multiplied by another "
        "number α each, and they begin at zero. The larger α, the less the weights have to move.",
        0.03,
        "exhibit/losses",
    ),
    Stop(
        "The lazy one fits",
        "Within some hundred steps the laziest network has fitted half of what there is to fit, and its test loss is "
        "about where it began. It fits with the features that it was born with, and these are the wrong ones.",
        0.1,
        "exhibit/losses",
    ),
    Stop(
        "What is wrong with it",
        "The test loss is a sum of three parts. The linear one, C, rises first: the target has no linear part, but the "
        "initial kernel is nearly linear, and that is what fits. The direction, B, falls last.",
        0.1,
        "exhibit/parts",
    ),
    Stop(
        "Later it understands",
        "It falls below the dashed line, the best that its first kernel can do on these data. So its kernel has "
        "changed: by about a hundredth for the laziest, by more than half for the richest.",
        1.0,
        "exhibit/movement",
    ),
    Stop(
        "Nothing here is estimated",
        "The dashed lines know no test data: they are computed from two averages over the hidden weights. That is what "
        "a solvable model is for: if measurement and formula part, one of them is wrong.",
        1.0,
        "exhibit/formula",
    ),
    Stop(
        "What it does not show",
        "The kernel of the lazy networks aligns with the targets by a few per cent, not manifold as the rich ones' "
        "does. And nothing decays here: grokking by weight decay, as of the modular sums, is another road to the same "
        "delay.",
        1.0,
        "exhibit/alignment",
    ),
)
