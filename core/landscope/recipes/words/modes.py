"""What is said of the recipe `modes`."""

from __future__ import annotations

from landscope.recipes.words.forms import Exhibit, Stop

__all__ = ["EXHIBITS", "LESSON"]

EXHIBITS = {
    "training": Exhibit(
        "The losses of two networks of one kind while they are trained, on the same digits, from other weights and in "
        "other orders.",
        "L(θ) = (1/B) Σᵢ ℓ(f(xᵢ; θ), yᵢ),   over the B examples of a step's batch",
        ("Both end at much the same loss; the noise is that of the batches.",),
        "By their losses nobody could tell the two apart.",
        "Equal losses do not mean equal networks: their weights are far from each other.",
    ),
    "paths": Exhibit(
        "The training loss of every network on three ways through the space of weights, from the first minimum, t = 0, "
        "to the second, t = 1.",
        "line: θ(t) = (1 − t) θ₁ + t θ₂;   curve: θ(t) = (1 − t)² θ₁ + 2t(1 − t) θ_c + t² θ₂",
        (
            "A rise in the middle is a barrier. “The renumbered” is the second network with its hidden units in an "
            "order in which they are like the first one's: the same function, elsewhere.",
            "The bend θ_c of the curve has been trained so that the loss along it is low.",
        ),
        "Minima found from other seeds are not separate valleys: they are joined, and the straight line misses the "
        "way.",
        "That a curve exists does not mean that training would walk along it, nor that the networks on it agree.",
    ),
    "accuracies": Exhibit(
        "The accuracy on held-out digits of the networks on the same three ways.",
        "share of right answers of f(·; θ(t))",
        (
            "Where a line dips, a network between the two is worse than both. Two points are the usual measure of "
            "whether two networks share a basin.",
        ),
        "What holds of the training loss holds on held-out data: the ways over low loss are ways of good networks.",
        "That networks on the curve are better than its ends is no wonder: the curve has been trained longer.",
    ),
    "plane": Exhibit(
        "The training loss on the plane that holds both minima and the bend of the trained curve. No other plane holds "
        "all three.",
        "L(θ₁ + α u + β v),   u, v orthonormal, spanned by θ₂ − θ₁ and θ_c − θ₁",
        (
            "The two minima lie on the horizontal axis; the straight line between them leads over the ridge.",
            "The valley that bends around the ridge is where the curve goes.",
        ),
        "A barrier is a matter of the direction in which one looks.",
        "It is one plane among very many, chosen so that the valley is in it: it tells nothing of how wide the valley "
        "is in the others.",
    ),
    "parting": Exhibit(
        "Two copies of the first network go on by themselves from some step, in other orders of the examples, to the "
        "end of the training. Drawn is the barrier between where both end.",
        "max over t of L(θ(t)) − [(1 − t) L(θ₁) + t L(θ₂)],   on held-out digits",
        (
            "Across is the step at which they parted; 0 is from the first step on.",
            "Below two points of error two networks count as in one basin.",
        ),
        "When the noise of the order no longer decides in which basin a network ends, it is stable to it.",
        "These networks are stable from the start, as small ones on easy data are. Large ones on hard data are not: "
        "there the barrier is high where copies part early.",
    ),
    "soup": Exhibit(
        "Copies are fine-tuned on 200 digits that are shifted by a pixel, at several rates and orders. Drawn is the "
        "accuracy of averages of the first few, on held-out shifted digits.",
        "f(x; (1/k) Σⱼ θⱼ),   beside   (1/k) Σⱼ softmax f(x; θⱼ)",
        (
            "“Average of weights” costs as much as one network; “average of probabilities” as much as all of them.",
            "The lowest line averages networks that come from two pretrained ones, across the barrier.",
        ),
        "Weights can be averaged where networks share a basin, and the average is better than they are in the mean.",
        "It is not better than the best of them: that one, chosen by looking at the held-out digits, is above here.",
    ),
}

LESSON = (
    Stop(
        "Two of a kind",
        "Two networks, the same digits, other seeds. Both come to the same loss. Are they in the same place?",
        0.35,
        "exhibit/training",
    ),
    Stop(
        "A ridge between them",
        "Walk from one to the other in a straight line, and the loss rises more than tenfold: in the middle stands a "
        "network that is neither of the two, and worse than both.",
        0.36,
        "exhibit/paths",
    ),
    Stop(
        "The same network, renumbered",
        "A network's hidden units can be put in any order without changing what it computes. Put the second one's in "
        "the order of the first one's, and most of the ridge is gone: much of it was names.",
        0.36,
        "exhibit/paths",
    ),
    Stop(
        "Around the ridge",
        "A curve whose bend is trained joins both without any rise. In the plane of the two minima and that bend one "
        "sees why: low loss is a bent valley, and the straight line leaves it.",
        0.65,
        "exhibit/plane",
    ),
    Stop(
        "What shares a basin can be averaged",
        "Copies of one network, fine-tuned with other rates and orders, average to a network that is better than they "
        "are in the mean, at the price of one. Copies of the two networks average to a poor one: the ridge again.",
        1.0,
        "exhibit/soup",
    ),
    Stop(
        "What it does not show",
        "That order alone parts networks: it does not here, from the first step on, since the network is small and the "
        "digits are easy. Nor that renumbering always helps that much: with some seeds a barrier of three points "
        "stays.",
        1.0,
        "exhibit/parting",
    ),
)
