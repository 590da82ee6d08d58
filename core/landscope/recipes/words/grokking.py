"""What is said of the recipe `grokking`."""

from __future__ import annotations

from landscope.recipes.words.forms import Stop

__all__ = ["LESSON"]

LESSON = (
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
)
