"""What is said of the recipe `harmonic`."""

from __future__ import annotations

from landscope.recipes.words.forms import Exhibit, Stop

__all__ = ["EXHIBITS", "LESSON"]

EXHIBITS = {
    "understanding": Exhibit(
        "Accuracy on training and held-out sums of networks that differ in how they read out: by products with the "
        "tokens' vectors, by Euclidean distances to them, or by cosines.",
        "p(i) ~ exp(wᵢ·x),   or ~ |wᵢ − x|⁻ⁿ,   or ~ (1 − cos(wᵢ, x))⁻ⁿ",
        (
            "Lines are means over copies from other weights and splits; bands reach over all of them.",
            "The way from a training line to its held-out line is the delay; the axis of steps is logarithmic.",
        ),
        "By Euclidean distances a network understands as it memorises: there is no delay left.",
        "By cosines it is no quicker than by products here, rather slower, and some copies are not done in the end.",
    ),
    "delay": Exhibit(
        "When the networks had fitted 99 % of the training sums, and when 95 % of the held-out ones, in the median of "
        "the copies.",
        "first t with accuracy(t) ≥ level",
        ("Equal numbers in a row are no delay. An empty cell has not happened.",),
        "Grokking is no fate of the task: another readout of the same network has none.",
        "Medians of a few copies: single ones differ by hundreds of steps.",
    ),
    "norms": Exhibit(
        "The norm of all weights of a network.",
        "‖θ‖₂",
        ("Hold the top of each line against its beginning.",),
        "Cross-entropy by products is never satisfied: larger weights make a smaller loss. Distances have an end, at "
        "the class's centre.",
        "All have weight decay, which pulls them down again later: it is the growth before that tells.",
    ),
    "waves": Exhibit(
        "How much the embedding of the tokens is made of a few waves over the residues.",
        "Gini coefficient of the norms of the embedding's Fourier components",
        ("0 is all frequencies alike, near 1 is a few alone.",),
        "Networks that add by turning need few frequencies; by Euclidean distances they end with the fewest.",
        "For cosines it depends on the copy: some are no further than with products.",
    ),
    "planes": Exhibit(
        "How flat the embedding is: the share of its variance in two principal components.",
        "(σ₁² + σ₂²) / Σⱼ σⱼ²,   σ: singular values of the centred embedding",
        ("1 would be a plane. One wave fills a plane, and three waves fill six dimensions.",),
        "By distances more of the embedding can be seen in a plane, and so be read by eye.",
        "It is far from all: with half of the variance the picture below leaves out the other half.",
    ),
    "embedding": Exhibit(
        "The tokens of the first copy of each kind, in the plane of their two principal components.",
        "E − Ē = U Σ Vᵀ;   points: the first two columns of U Σ, scaled to mean length 1",
        (
            "A ring is a wave: tokens in a circle, whose angle is their number times a frequency.",
            "A cloud with its middle filled is a mixture of waves that the plane cuts through.",
        ),
        "Where the embedding is rings, what the network does can be read off it.",
        "Rings are of the first copies; others may have other frequencies or a less clean plane.",
    ),
}

LESSON = (
    Stop(
        "The same sums, read out otherwise",
        "The task of grokking once more: sums modulo a prime. Three readouts of one network: by products with the "
        "tokens' vectors, by Euclidean distances to them, by cosines.",
        0.02,
        "exhibit/understanding",
    ),
    Stop(
        "No delay",
        "By Euclidean distances held-out sums are right as soon as the training sums are. By products the networks "
        "memorise about as early, and understand many hundred steps later.",
        0.4,
        "exhibit/delay",
    ),
    Stop(
        "Why weights grow",
        "Products make the loss smaller by growing, without end. A distance has an end: at the class's vector it is "
        "zero. So the weights of the others stay small.",
        1.0,
        "exhibit/norms",
    ),
    Stop(
        "A circle one can see",
        "Numbers on a clock are added by turning. The embeddings by distances are made of fewer waves, and more of "
        "them lies in a plane: look for rings of tokens.",
        1.0,
        "exhibit/embedding",
    ),
    Stop(
        "What it does not show",
        "That every distance helps: cosines come later than products with most starts, and some never do in these "
        "steps. And it is addition modulo a prime, for which circles are made.",
        1.0,
        "exhibit/understanding",
    ),
)
