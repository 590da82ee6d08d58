"""What is said of the recipe `schedule`."""

from __future__ import annotations

from landscope.recipes.words.forms import Exhibit, Stop

__all__ = ["EXHIBITS", "LESSON"]

EXHIBITS = {
    "rates": Exhibit(
        "The learning rate of the same small language model in three trainings, which begin alike.",
        "ηₜ = lr × factor(t)",
        ("Constant; a cosine that falls from the start; and one that stays and falls in the last fifth.",),
        "Most of large training today is one of the latter two.",
        "All three have the same highest rate: with rates of their own they might come out otherwise.",
    ),
    "bound": Exhibit(
        "What is known beforehand of descent on any convex function that is stopped after t steps, for each schedule.",
        "f(xₜ) − f* ≤ D²/(2S₁) + V₁/(2S₁) + ½ Σₖ (ηₖ/Sₖ₊₁)(Vₖ/Sₖ),   Sₖ = Σ_{i≥k} ηᵢ,   Vₖ = Σ_{i≥k} ηᵢ²G²",
        (
            "It knows the schedule alone: no data, no network. D and G are one here.",
            "Look at the last stretch: it falls where the rate falls.",
        ),
        "Lowering the rate at the end pays off in theory, too, and steeply.",
        "A network's loss is not convex: nothing here is a bound on it.",
    ),
    "losses": Exhibit(
        "The loss of the three trainings on held-out text, on the same batches.",
        "L = mean of −log p(next character),   in nats a character",
        ("The line that stays high until its cooldown ends as low as the others, or lower.",),
        "A rate that falls to nothing in the end is worth as much as many more steps.",
        "A single training of each: a difference of a hundredth or two between the best is chance.",
    ),
    "agreement": Exhibit(
        "The held-out losses once more, and the convex bound, raised and scaled by three constants that all schedules "
        "have in common.",
        "L(t) ≈ L* + b (D² dₜ + G² vₜ),   L*, bD², bG² ≥ 0 fitted to all three together",
        ("Dashed is the bound. Compare shapes: where lines bend, and who ends below whom.",),
        "A theory of convex functions has the shape of a network's loss, which is the surprise of the paper.",
        "Three constants are fitted to these very losses: that heights agree is no prediction, that all three shapes "
        "do is something.",
    ),
    "forecast": Exhibit(
        "A law of the loss, fitted to the constant and the cosine schedule alone, and what it says of the third.",
        "L = L₀ + A S₁^(−α) − C S₂,   S₁: sum of learning rates, S₂: area of their decay",
        (
            "The band is two standard errors; what came is drawn beside it.",
            "The law has not seen the third schedule.",
        ),
        "Two cheap trainings tell of a third, whose rate falls elsewhere.",
        "It is a law found on language models. That its band holds most of what came does not make the law true.",
    ),
    "cooldown": Exhibit(
        "The last fifth of the third training, where its rate falls, with two forecasts.",
        "annealing law as before;   power law L = L₀ + A s^(−α) of its own losses before the cooldown",
        ("The power law goes on as if nothing happened, and misses the drop.",),
        "Who extrapolates a loss without looking at the learning rate is wrong when the rate is changed.",
        "The power law is not wrong where the rate stays: it is asked here about what it cannot know.",
    ),
}

LESSON = (
    Stop(
        "Three schedules",
        "The same small language model is trained three times on the same batches. Only the learning rate differs: "
        "constant, falling as a cosine, or staying and falling at the end.",
        0.0,
        "exhibit/rates",
    ),
    Stop(
        "What theory says before",
        "For convex functions there is a bound that knows the schedule and nothing else. It promises a steep fall "
        "where the rate falls. But a network is not convex, so why should it care?",
        0.0,
        "exhibit/bound",
    ),
    Stop(
        "Before the cooldown",
        "Until here the third schedule is the constant one, and both are above the cosine. Who stopped now would "
        "choose the cosine.",
        0.79,
        "exhibit/losses",
    ),
    Stop(
        "The cooldown",
        "In the last fifth its rate falls to nothing, and the loss drops below both others. The bound has the same "
        "bend, with three constants for all three.",
        1.0,
        "exhibit/agreement",
    ),
    Stop(
        "Foretold by the other two",
        "A law with the sum of rates and the area of their decay is fitted to the first two trainings. It says what "
        "the third will do, and is off by about half a per cent; a power law that knows no rates misses the drop.",
        1.0,
        "exhibit/cooldown",
    ),
    Stop(
        "What it does not show",
        "That this schedule is the best: all have one highest rate, and each is trained once. And the bound was fitted "
        "to what it is compared with: its shape is tested here, not its height.",
        1.0,
        "exhibit/agreement",
    ),
)
