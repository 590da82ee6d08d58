"""What is said of the recipe `stepwise`."""

from __future__ import annotations

from landscope.recipes.words.forms import Exhibit, Stop

__all__ = ["EXHIBITS", "LESSON"]

EXHIBITS = {
    "aligned": Exhibit(
        "A linear embedding learns from pairs of views of the same digit by Barlow Twins' loss. Drawn are the "
        "eigenvalues of the cross-correlation of its outputs, from small weights along the best directions.",
        "L = |W Γ Wᵀ − 1|²,   dλⱼ/dt = 8 γⱼ λⱼ (1 − λⱼ),   Γ = ½ (XᵀX′ + X′ᵀX)/n with eigenvalues γⱼ",
        (
            "Each mode rises from almost nothing to 1 by a logistic curve. The axis of time is logarithmic.",
            "Dashed is the closed form; where no dashed line is seen it lies below the measured one.",
        ),
        "What two views have most in common, the largest γ, is learned first; each mode waits for its own time.",
        "The closed form is of gradient flow from small weights: with large ones the modes rise together.",
    ),
    "random": Exhibit(
        "The same from small random weights, which know nothing of the directions of Γ.",
        "λⱼ(t) logistic from γⱼ Rⱼⱼ²,   R: of the QR decomposition of W(0) (v₁ … v_k)",
        (
            "Of each mode's weight only what is orthogonal to the modes before it counts: that is what R holds.",
            "A mode that comes earlier or later than its dashed line has met another on the way.",
        ),
        "The order and the times of the steps are foretold from the data and the initial weights, before any training.",
        "Close eigenvalues can come in another order or a little late: it holds in the limit of small weights.",
    ),
    "loss": Exhibit(
        "The loss of that embedding from random weights, over the same time.",
        "L = Σⱼ (1 − λⱼ)²",
        ("It begins at the number of dimensions, and every mode that is learned takes one away: count the stairs.",),
        "A plateau of the loss need not be an end: it is the time between two modes.",
        "Stairs are seen because modes are few and far apart; the sum of many of them is a smooth curve.",
    ),
    "contrastive": Exhibit(
        "Eigenvalues of the covariance of the embeddings of a small non-linear encoder, trained by SimCLR, which begin "
        "at nearly one point.",
        "Σ = (1/n) Σᵢ (zᵢ − z̄)(zᵢ − z̄)ᵀ,   |zᵢ| = 1",
        (
            "The axis is logarithmic: a straight rise is exponential growth, and lines turn level one after the other.",
            "Eigenvalues that stay tiny are dimensions that the embedding does not use.",
        ),
        "Steps are no privilege of the linear model: a network with a contrastive loss takes them, too.",
        "Not as cleanly: the largest come close together here, and with some seeds two of them at once.",
    ),
    "rank": Exhibit(
        "How many dimensions the embeddings use, at four temperatures of the same loss.",
        "(Σⱼ λⱼ)² / Σⱼ λⱼ²,   the participation ratio",
        (
            "It first falls to one: the direction that grows first is all that there is. Then others join.",
            "5 means that the spread is as if over five equal dimensions.",
        ),
        "A low temperature punishes near neighbours hardest, and drives the embedding into more dimensions.",
        "More dimensions are no aim in themselves, and a participation ratio counts small ones for little.",
    ),
    "temperature": Exhibit(
        "What the temperature makes of the embedding at the shown step: how evenly it is spread, how close equal "
        "classes are, and how well neighbours tell the class.",
        "uniformity = log mean exp(−2 |zᵢ − zⱼ|²),   tolerance = mean zᵢ·zⱼ within a class",
        (
            "Uniformity is the better the lower, tolerance the better the higher: both rise to the right.",
            "The third line is the accuracy of a vote of the ten nearest.",
        ),
        "The loss knows no classes: what it pushes apart when it is cold are also digits of one class.",
        "That neighbours tell most when it is cold here is a fact about these digits and this encoder.",
    ),
}

LESSON = (
    Stop(
        "Two views of one thing",
        "Nobody tells this embedding what a digit is. It is only told which two pictures show the same one, moved and "
        "covered with noise. What the two have in common is all that it can learn.",
        0.0,
        "exhibit/aligned",
    ),
    Stop(
        "One dimension at a time",
        "For a linear embedding one can compute what happens: each direction of the data grows by a logistic curve, "
        "the most common first. The lines are measured, the dashed ones computed beforehand.",
        0.0,
        "exhibit/aligned",
    ),
    Stop(
        "Stairs of the loss",
        "Each direction that is learned takes one from the loss. Between two stairs it looks as if nothing more would "
        "come; on this logarithmic axis the waits are long.",
        0.0,
        "exhibit/loss",
    ),
    Stop(
        "A network does it, too",
        "Now an encoder with ReLU units and a contrastive loss. Its embeddings begin at nearly one point, and its "
        "eigenvalues rise over many powers of ten, the first long before the fifth.",
        0.5,
        "exhibit/contrastive",
    ),
    Stop(
        "Cold and hot",
        "The temperature decides how hard near neighbours are pushed apart. Cold embeddings are spread evenly, with "
        "more dimensions in use; hot ones keep a class together.",
        1.0,
        "exhibit/temperature",
    ),
    Stop(
        "What it does not show",
        "The theory is of linear embeddings from small weights. For the encoder one sees steps, but with some seeds "
        "two of them come at once; and the embedding ends in five or so of its ten dimensions, for which the theory "
        "has no number.",
        1.0,
        "exhibit/rank",
    ),
)
