"""What is said of the recipe `imbalance`."""

from __future__ import annotations

from landscope.recipes.words.forms import Exhibit, Stop

__all__ = ["EXHIBITS", "LESSON"]

EXHIBITS = {
    "bins": Exhibit(
        "A softmax regression on random inputs, whose classes have one over their rank as frequencies. The classes are "
        "in bins with as many examples each, from few frequent ones to many rare ones; drawn are the losses of three "
        "bins.",
        "loss of bin g = (1/n_g) Σ over its examples of −log p(y | x)",
        (
            "Every optimiser has the best of its learning rates.",
            "Compare how far the lines of one optimiser are apart: by gradient descent the rarest falls last.",
        ),
        "With a heavy tail of classes gradient descent spends its steps on the frequent ones.",
        "In the end gradient descent's bins come together again: rare classes are late, not lost.",
    ),
    "halved": Exhibit(
        "How many steps it takes until the loss of a bin stays below half of what it was, against how many examples a "
        "class in it has.",
        "first t with L_g(s) ≤ L_g(0)/2 for all s ≥ t",
        (
            "Rare classes are on the left. A level line treats all alike.",
            "Where a bin has not come to half yet a point is missing.",
        ),
        "The time of gradient descent grows as classes become rarer; that of Adam does not.",
        "Descent by the signs of the gradient is slow on rare classes here, too: to be like Adam it takes more than "
        "signs.",
    ),
    "totals": Exhibit(
        "The loss over all examples by each optimiser, at the learning rate whose mean loss over the training is "
        "least.",
        "L(θ) = (1/N) Σᵢ −log p(yᵢ | xᵢ)",
        ("Every bin has as many examples: rare classes together weigh as much as frequent ones.",),
        "A gap between Adam and gradient descent, known of language models, is here without attention or depth.",
        "The best rate is of a grid of four: another grid shifts the lines.",
    ),
    "correlated": Exhibit(
        "For each class the curvature of the loss in that class's weights, and the length of their gradient.",
        "tr H_c = (1/N) Σᵢ p_c(1 − p_c) |xᵢ|²,   |g_c| = |(1/N) Σᵢ (p_c − [yᵢ = c]) xᵢ|",
        (
            "Points along a rising line: small gradients go with small curvatures.",
            "Frequent classes are at the right, where both are large.",
        ),
        "Where the curvature is small, too, dividing by the gradient's size is much like dividing by the curvature: "
        "that is one account of why Adam helps.",
        "It is so along this training and of softmax regression; nobody promises it of every network.",
    ),
    "saddles": Exhibit(
        "Networks on digits, of which higher ones are rarer. Drawn is, for each class, the most negative curvature of "
        "its own training loss where training left it.",
        "−λ min(H_c),   H_c = ∇² of the mean loss over the examples of class c",
        (
            "Up is steeper downhill: a class whose own loss could still fall that way.",
            "Both axes are logarithmic; rare classes are on the left.",
        ),
        "Plain training leaves the rarest classes with far more negative curvature than the frequent ones.",
        "Re-weighted, that growth is not there: and a curvature alone depends on the scale of everything.",
    ),
    "spectra": Exhibit(
        "Both ends of the Hessian's spectrum of each class's own loss, for one network of the first kind.",
        "H_c v = λ v,   the largest and the smallest λ",
        ("Hold the length downwards against the length upwards: that is the ratio in the table.",),
        "The loss of all can be at a minimum while that of a class is at a saddle.",
        "Both ends grow towards rare classes: their loss is larger, and everything about it.",
    ),
    "accuracy": Exhibit(
        "Accuracy on held-out digits, with as many of each class, for six kinds of training.",
        "mean over classes and networks of the share that is right",
        ("Down the last column: what helps rare classes.",),
        "Re-weighting helps the rare classes by ten points or so; the optimiser much less.",
        "With a handful of training digits a class, and three networks, differences of a few points are chance.",
    ),
    "ratios": Exhibit(
        "How negative the most negative curvature is, beside the most positive one.",
        "−λ min(H_c) / λ max(H_c)",
        ("Larger is more of a saddle. In this unit the scale of the loss no longer matters.",),
        "For plain SGD rare classes stay more saddle-like than frequent ones in this unit, too, about twice.",
        "SAM's are the largest of all here, which is against what one expects of it: it flattens walls more than "
        "saddles.",
    ),
}

LESSON = (
    Stop(
        "Words are like this",
        "In a text few words are frequent and very many are rare, and so are the classes here. As many examples are of "
        "the few frequent ones as of the many that occur once.",
        0.05,
        "exhibit/bins",
    ),
    Stop(
        "Gradient descent goes by the crowd",
        "Its loss on the frequent classes falls first, that on the rarest last, though both make up as much of the "
        "loss. By Adam the rarest are not late at all.",
        0.143,
        "exhibit/halved",
    ),
    Stop(
        "Why that might be",
        "For classes with a small gradient the curvature is small, too. A step that is divided by the size of the "
        "gradient is then about one that is divided by the curvature, and so of the right length.",
        0.143,
        "exhibit/correlated",
    ),
    Stop(
        "Left at a saddle",
        "Now networks on digits. Look at each class's own loss where training has ended: that of the rarest could "
        "still go down, along a direction of negative curvature. The loss of all does not show it.",
        1.0,
        "exhibit/saddles",
    ),
    Stop(
        "Deep for its walls?",
        "A rare class has a larger loss, and with it larger curvatures of both signs. Divide by the most positive one: "
        "by plain SGD the rare classes are still about twice as saddle-like.",
        1.0,
        "exhibit/ratios",
    ),
    Stop(
        "What it does not show",
        "That SAM leaves shallower saddles and is better on rare classes: here it is neither. And re-weighted classes "
        "show no deeper saddles the rarer they are. With some hundred digits much is chance.",
        1.0,
        "exhibit/accuracy",
    ),
)
