"""What is said of the recipe `chaos`."""

from __future__ import annotations

from landscope.recipes.words.forms import Exhibit, Stop

__all__ = ["EXHIBITS", "LESSON"]

EXHIBITS = {
    "accuracies": Exhibit(
        "How many of the runs have which accuracy on the held-out digits, at the shown step, and how many would have "
        "it if every run erred by itself at every example.",
        "Var = (1/n²) Σᵢ pᵢ (1 − pᵢ),   pᵢ: share of the runs that are right on example i",
        (
            "Bars are runs, the dashed line needs only the shares pᵢ. Both widths are above the picture.",
            "“On the distribution” is what would be left on endlessly many digits of the same kind.",
        ),
        "Most of the spread between seeds is of the test set: which of its examples a run happens to get right.",
        "That seeds are harmless on average does not mean that two runs answer alike: they differ on single digits.",
    ),
    "sources": Exhibit(
        "The spread of accuracies for four kinds of runs: all differs, the initial weights alone, the order of the "
        "examples alone, or the last bit of one weight.",
        "√Var of the accuracy;   on the distribution: mean covariance of being right on two different examples",
        (
            "Compare down a column: how much less the spread is if less differs.",
            "Compare the first two in a row: observed against independent errors. The third is often zero within its "
            "error.",
        ),
        "No source is needed for the spread: each alone makes nearly all of it.",
        "A deviation of a few hundred runs is known to some per cent only; single cells differ by chance.",
    ),
    "one-bit": Exhibit(
        "How far the weights of runs with one flipped bit are from those of the run without, in units of how far runs "
        "of different seeds are apart.",
        "|θ_flipped(t) − θ(t)| / median |θₐ(t) − θ_b(t)|",
        (
            "The axis is logarithmic: a straight rise is exponential growth, as of chaotic systems.",
            "The band holds the middle eight tenths of the flipped bits.",
        ),
        "Training at this learning rate is sensitive to its initial weights: rounding is enough to part two runs.",
        "The distance stays below that of different seeds: what they share at the start is not forgotten in the "
        "weights.",
    ),
    "disagreement": Exhibit(
        "On what share of the held-out digits two runs of a kind say different things.",
        "mean over pairs of runs and digits of [f_a(x) ≠ f_b(x)]",
        (
            "Lines that begin apart and end together: what runs had in common has stopped to matter.",
            "Runs of one order or one bit begin with the same weights, and so in full agreement.",
        ),
        "After a time runs that began alike disagree about as much as any two.",
        "The learning rate decides: at a tenth of it a flipped bit heals, and its line stays at zero.",
    ),
    "answers": Exhibit(
        "The hardest of the held-out digits, one a row, and the runs, one a column, in the order of their accuracy: "
        "bright is right.",
        "[f_run(x) = y]",
        (
            "Rows that are dark throughout are digits that nobody gets right.",
            "Look along a row from the best runs on the left to the worst: is it brighter on the left?",
        ),
        "Between always right and always wrong there are digits that are a matter of luck, and these make the spread.",
        "The runs on the left are best on this test set because they are sorted by it.",
    ),
    "bands": Exhibit(
        "The held-out accuracy of every run that the histogram counts, over the training.",
        "accuracy(t) of each run, their mean, and the quantiles 0.1 and 0.9",
        ("Where the band narrows runs have come to agree in how good they are.",),
        "The spread is wide early and narrow late: which run is ahead changes many times.",
        "A narrow band of accuracies says nothing of whether the same digits are meant.",
    ),
}

LESSON = (
    Stop(
        "Four hundred times the same",
        "The same network, data and settings, trained four hundred times at once. What differs is chance: where the "
        "weights begin, and in which order the examples come.",
        0.0,
    ),
    Stop(
        "Which is the better run?",
        "The bars are the accuracies on the test set. Somebody who trains twice may well report the best of these. The "
        "dashed line needs no training at all: it is the spread if each run erred by itself at each example.",
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
        "Two runs that differ by the last bit of one weight come to disagree nearly as much as any two. So no order "
        "and no initialisation is to blame: training itself is sensitive, and forgets where it came from.",
        1.0,
        "exhibit/one-bit",
    ),
)
