"""What is said of the recipe `plasticity`."""

from __future__ import annotations

from landscope.recipes.words.forms import Exhibit, Stop

__all__ = ["EXHIBITS", "LESSON"]

_BEGINS = "at the weights that the last task left"

EXHIBITS = {
    "loss": Exhibit(
        "The loss at the end of each task. Every task is to learn random labels of the same digits by heart, in "
        "equally many steps, beginning where the last one ended.",
        "L_k = loss on task k after its last step",
        (
            "All tasks are equally hard: a line that rises is a network that learns worse.",
            "The dashed line is what a fresh network reaches. Bands are all networks of a kind.",
        ),
        "A network that goes on being trained can lose the ability to learn, though nothing about the tasks changes.",
        "Random labels share nothing: real streams of tasks do, and may be kinder.",
    ),
    "dead": Exhibit(
        f"The share of hidden units that give one output for all digits, {_BEGINS}.",
        "units with max over x of h(x) = min over x of h(x)",
        ("A dead ReLU unit has no gradient: it does not come back by itself.",),
        "In the plain network more than half of the units die.",
        "It is not for dead units alone: with layer normalisation hardly any die in the first tasks, and the loss "
        "rises all the same.",
    ),
    "curvature": Exhibit(
        f"The sharpness of the new task's loss, {_BEGINS}.",
        "λ max(H_k),   H_k = ∇² of the loss of task k",
        ("The first point is of fresh weights; compare from the second task on. The axis is logarithmic.",),
        "The plain network's falls by two powers of ten: there is hardly a direction left in which it bends.",
        "Small curvature is not flat in the good sense: here it is a network that has stopped to react.",
    ),
    "gradient": Exhibit(
        f"The length of the gradient of the new task's loss, {_BEGINS}.",
        "‖∇L_k(θ)‖₂",
        ("Falling is less to go by; exploding gradients would rise.",),
        "Gradients get smaller, and do not explode: that is not what is wrong.",
        "With Adam the length of the gradient matters less than where it points.",
    ),
    "distance": Exhibit(
        "How far the distribution of a matrix's elements is from what it was at the start, whatever their places.",
        "W₂² = (1/n) Σᵢ (w₍ᵢ₎ − v₍ᵢ₎)²,   both sorted;   the mean of all matrices",
        ("The Wasserstein penalty is a pull on this very number.",),
        "Plain weights leave the distribution that made them fit to learn.",
        "Distance alone is no loss of plasticity: with the spectral penalty weights go further than with the "
        "Wasserstein one, and learn better.",
    ),
    "rank": Exhibit(
        f"In how many directions the weight matrices are about equally strong, {_BEGINS}.",
        "‖W‖² / σ₁²,   the stable rank;   the mean of all matrices",
        ("Falling means that one direction takes over.",),
        "Spectral regularisation holds the largest singular value, and the rank rises instead.",
        "It is held by what is regularised here: that it stays is no discovery, that plasticity stays with it is.",
    ),
}

LESSON = (
    Stop(
        "One task after the other",
        "The labels of some digits are drawn at random, learned by heart, and drawn anew. Every task is as hard as the "
        "first. So every task should go as well as the first.",
        0.12,
        "exhibit/loss",
    ),
    Stop(
        "It gets worse",
        "It does not. Task by task the plain network ends at a higher loss, until it learns nearly nothing: a loss of "
        "2.3 is guessing among ten. The dashed line is what a fresh network would reach.",
        1.0,
        "exhibit/loss",
    ),
    Stop(
        "The usual suspect",
        "In the plain network more than half of the units die. Is that the reason? With layer normalisation hardly any "
        "are dead for many tasks, and it gets worse as well.",
        1.0,
        "exhibit/dead",
    ),
    Stop(
        "It bends less and less",
        "Where a task begins, the plain network's curvature falls by two powers of ten. With spectral regularisation "
        "it changes far less.",
        1.0,
        "exhibit/curvature",
    ),
    Stop(
        "What keeps it",
        "Holding the largest singular value of every matrix keeps the loss lowest. It is not quite the first task's: "
        "it ends about half above that.",
        1.0,
        "exhibit/rank",
    ),
    Stop(
        "What it does not show",
        "That the others are as good: the Wasserstein penalty helps by a third or so, layer normalisation by about a "
        "quarter, weight decay hardly. And tasks that share something may be kinder than random labels.",
        1.0,
        "exhibit/loss",
    ),
)
