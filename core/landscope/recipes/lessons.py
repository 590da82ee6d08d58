"""Lessons: a recipe told step by step on its page, moving the time bar and pointing at panels."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LESSONS", "Stop"]


@dataclass(frozen=True)
class Stop:
    """One stop of a lesson.

    Attributes:
        title: What it is about, in a few words.
        text: What a teacher would say.
        at: Where on the time bar: a share of the run from 0 to 1, or the kind of a finding, for where that begins.
        panel: The panel it points at; "exhibit/NAME" for one of a recipe's own; empty for none.
        view: Which of the panel's views, where another than the first.
    """

    title: str
    text: str
    at: float | str
    panel: str = ""
    view: str = ""


LESSONS: dict[str, tuple[Stop, ...]] = {
    "grokking": (
        Stop(
            "A table with holes",
            "The network is shown 40 % of all sums a + b modulo 97, and is asked for the others. It knows nothing of "
            "numbers: each of the 97 is a token with a vector of its own.",
            0.0,
        ),
        Stop(
            "Memorised",
            "The training data are fitted within a few hundred steps, and held-out accuracy is still at chance: the "
            "network has learned a table by heart. Most people would stop here.",
            "memorised",
            "curves",
        ),
        Stop(
            "What the weights do meanwhile",
            "The loss says that nothing happens any more. The norm of the weights says otherwise: weight decay keeps "
            "pulling, and the cheapest network that fits the data is another one than the first that did.",
            0.3,
            "norms",
        ),
        Stop(
            "Waves, before anyone can see it",
            "The embedding becomes a few waves over the 97 tokens, long before held-out accuracy rises. By them the "
            "network adds: cos(w(a + b)) can be had from products of the waves of a and of b.",
            0.4,
            "embedding",
            "tokens",
        ),
        Stop(
            "Understood",
            "Held-out accuracy rises to nearly all. On a linear axis of steps it looks like a leap; press L for the "
            "logarithmic one, on which memorising and understanding each take their time.",
            "grokked",
            "curves",
        ),
        Stop(
            "Not a law of nature",
            "Start it again with weight decay 0: it never happens. With more data the delay vanishes. So ask of any "
            "network that fits its data and does not generalise: is anything still moving?",
            1.0,
            "norms",
        ),
    ),
    "digits": (
        Stop(
            "A rule from textbooks",
            "Gradient descent with step size lr is stable on a bowl whose curvature is below 2/lr, the dashed line. "
            "Above it each step overshoots by more than the last. The network begins far below.",
            0.0,
            "sharpness",
        ),
        Stop(
            "It sharpens by itself",
            "Nobody asked for it: while the loss falls, the largest curvature rises step by step. This is called "
            "progressive sharpening.",
            "sharpening",
            "sharpness",
        ),
        Stop(
            "At the edge",
            "The curvature has reached 2/lr. A bowl would now throw the weights out. Instead they oscillate along the "
            "sharpest direction, and the oscillation itself pushes the curvature back down.",
            "edge-of-stability",
            "sharpness",
        ),
        Stop(
            "The loss is not monotone",
            "Look closely at the loss of each batch: it goes up as often as down, and still falls over a hundred "
            "steps. A proof that needs a stable step size says nothing about this training.",
            0.7,
            "curves",
        ),
        Stop(
            "Seen from the weights",
            "In the plane of the path the valley is narrow across and long ahead. Choose the Hessian's plane to see "
            "the direction in which it oscillates.",
            0.85,
            "landscape",
        ),
        Stop(
            "What it does not say",
            "That the curvature stops at 2/lr is known of full-batch descent. It does not say that flatter is better, "
            "nor that a larger rate generalises better: halve the rate, and the edge is twice as sharp.",
            1.0,
            "sharpness",
        ),
    ),
    "chaos": (
        Stop(
            "Four hundred times the same",
            "The same network, data and settings, trained four hundred times at once. What differs is chance: where "
            "the weights begin, and in which order the examples come.",
            0.0,
        ),
        Stop(
            "Which is the better run?",
            "The bars are the accuracies on the test set. Somebody who trains twice may well report the best of these. "
            "The dashed line needs no training at all: it is the spread if each run erred by itself at each example.",
            1.0,
            "exhibit/accuracies",
        ),
        Stop(
            "Mostly the test set's",
            "The bars follow the line: most of the spread comes from which examples happen to be in the test set, and "
            "hardly any is left on the distribution they come from. A better run here is rarely a better network.",
            1.0,
            "exhibit/accuracies",
        ),
        Stop(
            "One flipped bit",
            "Two runs that differ by the last bit of one weight come to disagree nearly as much as any two. So no "
            "order and no initialisation is to blame: training itself is sensitive, and forgets where it came from.",
            1.0,
            "exhibit/one-bit",
        ),
    ),
    "fractal": (
        Stop(
            "A map of trainings",
            "Every point is a network of its own, trained with two learning rates: one for each layer. Blue ones "
            "converge, orange ones diverge.",
            0.3,
            "exhibit/map",
        ),
        Stop(
            "Drag a box",
            "Where blue meets orange, drag a box and run it: the same map, larger. The line between them does not "
            "become smooth. Try again in there.",
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
            "The best learning rates lie close to that edge, and near it a search by small steps means little. Far "
            "down, the grid of a few points is itself too coarse: the dimension there is partly the grid's.",
            1.0,
            "exhibit/dimension",
        ),
    ),
}
