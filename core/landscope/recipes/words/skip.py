"""What is said of the recipe `skip`."""

from __future__ import annotations

from landscope.recipes.words.forms import Exhibit, Stop

__all__ = ["EXHIBITS", "LESSON"]

EXHIBITS = {
    "losses": Exhibit(
        "The losses of two deep networks, on training and held-out digits. They have the same weights at the start and "
        "see the same batches; in one of them each block adds its input to its output.",
        "block: relu(s·x + F(x)),   s = 1 with a skip connection, 0 without",
        ("The axis is logarithmic: a distance is a factor.",),
        "Without skip connections deep networks are hard to train, though they could represent the same.",
        "It is a matter of depth: with few layers both train alike, and the more there are the more is to be seen.",
    ),
    "accuracies": Exhibit(
        "Accuracy of both networks on held-out digits.",
        "share of right answers, batch normalisation by its running statistics",
        ("Both come to most of the digits; look at how late, and at what is left.",),
        "What trains better generalises better here, by a point or two.",
        "That the plain network is behind after so many steps does not say where it would be after many more.",
    ),
    "slices": Exhibit(
        "The training loss around the weights of both networks, on a plane of two random directions. Both planes have "
        "the same random numbers, each filter's part as long as the filter itself.",
        "L(α, β) = loss(θ + α d₁ + β d₂),   |d_filter| = |θ_filter|",
        (
            "One scale of colours and the same axes: what looks sharper is sharper.",
            "Over each plane stands the loss in its middle.",
        ),
        "It is the picture that made skip connections look as if they smoothed the landscape.",
        "Two random directions of thousands, and with batch normalisation the scale of weights means little: curvature "
        "and the share below say more than the look of it.",
    ),
    "convexity": Exhibit(
        "On what share of that plane the loss curves down in some direction.",
        "share of cells with λ min(∇²L(α, β)) < 0",
        ("0 is a bowl as far as the plane reaches; in the end three planes are averaged.",),
        "The plain network's surroundings are less convex, as Li et al. found.",
        "A non-convex slice proves a non-convex loss; a convex one proves nothing of the other directions.",
    ),
    "sharpness": Exhibit(
        "The largest curvature of the loss at the weights of both networks.",
        "λ max(H),   H = ∇²L(θ)",
        ("It falls with the loss under cross-entropy: compare the two at the same loss, or at the end with care.",),
        "The plain network is at a sharper place whenever one looks.",
        "It also has a higher loss, and under cross-entropy that alone makes for more curvature.",
    ),
}

LESSON = (
    Stop(
        "Twenty layers, twice",
        "Two networks with the same weights, data and batches. In one, each block adds its input to what it computes. "
        "That is all that differs, and it has no parameters.",
        0.1,
        "exhibit/losses",
    ),
    Stop(
        "One trains, one labours",
        "After a quarter of the steps the network with skips has nearly fitted its data; the plain one's loss is many "
        "times as high. Nothing about its task is harder: the same weights could do as well.",
        0.25,
        "exhibit/losses",
    ),
    Stop(
        "The pictures that everybody knows",
        "Around each network the loss on a plane of random directions, in one scale of colours. That the plain "
        "network's is higher in the middle is easily seen. Whether it is rougher is harder to say than one would like.",
        0.5,
        "exhibit/slices",
    ),
    Stop(
        "Counted instead of looked at",
        "A picture persuades more than it proves. So count: on how much of the plane does the loss curve down? About "
        "half of it for the plain network, and much less with skips, averaged over three planes in the end.",
        1.0,
        "exhibit/convexity",
    ),
    Stop(
        "Sharper, at all times",
        "The largest curvature needs no random plane. The plain network's is many times as large. But its loss is "
        "higher as well, and with cross-entropy that by itself means curvature.",
        1.0,
        "exhibit/sharpness",
    ),
    Stop(
        "What it does not show",
        "That the basin without skips is narrower: within a loss of one above its own middle there is about as much of "
        "the plane in both. And a slice is two directions of thousands: it is a hint, not a map.",
        1.0,
        "exhibit/slices",
    ),
)
