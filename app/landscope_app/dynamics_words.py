"""The words behind the views of training dynamics."""

from __future__ import annotations

from landscope_app.words import Explanation

__all__ = ["DYNAMICS"]

DYNAMICS = {
    "norms/noise": Explanation(
        "Gradient noise",
        "How much the gradients of single examples differ. The noise scale is the batch size at which the noise of a "
        "step's gradient is as long as the gradient itself; below, how much of a single example's gradient is signal.",
        "B = tr Σ / |G|²,   Σ: covariance of single examples' gradients, G: their mean",
        (
            "With batches (dashed) far below the noise scale, twice the batch makes a step almost twice as good; far "
            "above, larger batches are wasted.",
            "The band is two standard errors either way, by leaving out one example after the other.",
            "It is a guide, not the best batch size: curvature is left out. It grows as the gradient shrinks, and near "
            "a minimum it says little. Where noise hides the gradient altogether there is no value.",
        ),
        (
            "McCandlish, Kaplan, Amodei et al.: An Empirical Model of Large-Batch Training. 2018, arXiv:1812.06162",
            "Liu et al.: Dropout Reduces Underfitting. ICML 2023, arXiv:2303.01500",
        ),
    ),
    "norms/updates": Explanation(
        "The updates",
        "Of every step of the optimiser: how far it went, as a share of the weights' length, and the cosine of its "
        "direction with that of the step before.",
        "|uₜ| / |θₜ|,   cos(uₜ, uₜ₋₁),   uₜ = θₜ − θₜ₋₁",
        (
            "A cosine near 1 is steady descent, near −1 jumping across a valley, as at the edge of stability; where "
            "steps are noise alone it is near 0. Momentum raises it.",
            "A ratio near 1/1,000 is usual in practice; well above, steps overwrite what was learnt.",
            "The numbers stay on the training's device until they are read together, so that no step waits for them.",
        ),
        ("Cohen et al.: Gradient Descent Typically Occurs at the Edge of Stability. ICLR 2021, arXiv:2103.00065",),
    ),
    "norms/conflict": Explanation(
        "Conflict between classes",
        "The cosine of the gradients of every two classes' losses, at the same weights.",
        "cos(∇L_a, ∇L_b),   L_a: mean loss of class a alone",
        (
            "Below zero (the second colour), a step that lowers one class's loss raises the other's, to first order.",
            "At a minimum of the whole loss the classes' gradients, weighted by their sizes, sum to zero: conflict is "
            "bound to appear as training ends, and is then no defect.",
            "The scale is the same at every step: −1 to 1.",
        ),
        ("Yu et al.: Gradient Surgery for Multi-Task Learning. NeurIPS 2020, arXiv:2001.06782",),
    ),
    "norms/weights": Explanation(
        "Weights of every layer",
        "For each parameter, how far it has come from where training began, over its length there; in the table its "
        "norm, largest singular value, stable rank, and how much the distribution of its elements has changed.",
        "|W − W₀| / |W₀|,   stable rank |W|² / σ₁²,   Wasserstein (mean (w₍ᵢ₎ − v₍ᵢ₎)²)^½",
        (
            "A stable rank near 1 is a matrix that one direction rules; it does not change with the matrix's scale.",
            "The Wasserstein distance compares sorted elements now and at the start: where it is much smaller than the "
            "distance over √size, elements moved and their distribution did not.",
            "Biases have no singular values.",
        ),
        (
            "Rudelson, Vershynin: Sampling from Large Matrices. Journal of the ACM 2007",
            "Lewandowski et al.: Directions of Curvature as an Explanation for Loss of Plasticity. 2023, "
            "arXiv:2312.00246",
            "Lewandowski et al.: Learning Continually by Spectral Regularization. 2024, arXiv:2406.06811",
        ),
    ),
    "norms/units": Explanation(
        "Activity of the units",
        "Shares of the units, over all layers with an activation function, that answer every input alike.",
        "dead: one value everywhere,   dormant: mean |h| ≤ 0.025 of its layer's mean",
        (
            "A dead unit has the same value at all examples, as that of a ReLU that is never on: no gradient passes.",
            "A saturated unit of a bounded function, as tanh, sits at an end of its range at 95 % of the examples.",
            "Networks may lose plasticity without any of these: that is probed by itself.",
        ),
        (
            "Sokar, Agarwal, Castro, Evci: The Dormant Neuron Phenomenon in Deep Reinforcement Learning. ICML 2023, "
            "arXiv:2302.12902",
            "Lyle et al.: Understanding Plasticity in Neural Networks. ICML 2023, arXiv:2303.01486",
        ),
    ),
    "norms/inactive": Explanation(
        "Units of every layer",
        "For each activation function of the network at the shown step, the shares of its units that answer every "
        "input alike. Of more than twelve, those with the largest shares have bars; the table has all of them.",
        "dead: one value everywhere,   dormant: mean |h| ≤ 0.025 of its layer's mean",
        (
            "A layer whose units are dead passes less on, and no gradient comes back through them; a narrow layer "
            "feels it sooner than a wide one.",
            "Whether units are saturated is asked of functions that are bounded on both sides alone.",
            "Shares are of the examples that were measured: a unit that answers rare inputs may count as dead.",
        ),
        (
            "Sokar, Agarwal, Castro, Evci: The Dormant Neuron Phenomenon in Deep Reinforcement Learning. ICML 2023, "
            "arXiv:2302.12902",
        ),
    ),
    "norms/plasticity": Explanation(
        "Plasticity",
        "A copy of the network learns labels drawn at random, always the same, with a fixed number of steps of Adam. "
        "Above, the loss that it reaches; below, the largest eigenvalue of the Hessian that it starts from.",
        "L_random(θ after 50 steps from θₜ)",
        (
            "A loss that ends higher than it did at the start of training: the network learns new things more slowly.",
            "A confident network begins with a large loss on random labels, and has more to undo.",
            "Loss of plasticity typically comes without dead units and without diverging gradients, and with changes "
            "of curvature, which is why that stands beside it. It is measured ever more rarely.",
        ),
        (
            "Lyle et al.: Understanding Plasticity in Neural Networks. ICML 2023, arXiv:2303.01486",
            "Dohare et al.: Loss of Plasticity in Deep Continual Learning. Nature 2024",
        ),
    ),
    "curves/examples": Explanation(
        "Single examples",
        "The loss of up to 512 training examples, one row each, over the frames so far. Rows are in the order in which "
        "the examples were learned for good; those that are wrong come last. In the table the hardest by their area "
        "under the margin, and how often each was forgotten.",
        "area under the margin = mean over frames of (z_y − max z_c, c ≠ y);   forgotten: right, then wrong",
        (
            "Rows at the bottom that keep a large loss are hard, rare, or wrongly labelled: point at one to see it.",
            "A click selects an example, which is then marked in the embedding and here; another click lets go.",
            "What happens between two frames is not seen: steps and forgetting depend on how often frames are taken.",
        ),
        (
            "Toneva et al.: An Empirical Study of Example Forgetting. ICLR 2019, arXiv:1812.05159",
            "Pleiss et al.: Identifying Mislabeled Data using the Area Under the Margin Ranking. NeurIPS 2020, "
            "arXiv:2001.10528",
        ),
    ),
    "curves/margins": Explanation(
        "Margins and EL2N",
        "How many of up to 512 training examples have which margin at the shown step, right and wrong ones apart; the "
        "dotted line is the same of the first frame. Below, how far the probabilities are from the label.",
        "margin = z_y − max z_c, c ≠ y;   EL2N = ‖p − e_y‖, from 0 to √2",
        (
            "Training moves the margins to the right: first past zero, where an example becomes right, and then on, "
            "where only the confidence grows.",
            "Margins are in outputs, which grow with the weights: a wider distribution is not a better one.",
            "A group left of zero that stays is hard, rare or wrongly labelled. EL2N is largest where the network is "
            "surely wrong; it ranks examples for pruning when it is taken early and over several seeds, not once.",
        ),
        (
            "Bartlett, Foster and Telgarsky: Spectrally-normalized margin bounds for neural networks. NeurIPS 2017, "
            "arXiv:1706.08498",
            "Paul, Ganguli and Dziugaite: Deep Learning on a Data Diet. NeurIPS 2021, arXiv:2107.07075",
        ),
    ),
    "curves/scores": Explanation(
        "Two groups of examples",
        "How the losses of single examples are distributed, and a mixture of two beta distributions fitted to them: "
        "each bar is divided by how likely its examples belong to the group with the larger losses.",
        "p(ℓ) = π₁ Beta(ℓ; a₁, b₁) + π₂ Beta(ℓ; a₂, b₂),   ℓ scaled to lie in 0 … 1",
        (
            "Networks fit right labels before wrong ones; in between, the second group is that of the wrong labels.",
            "Two components fit any distribution better than one: near 0, “gain” and “separation” say that there are "
            "no two groups.",
            "Hard and rare examples have large losses too, and once wrong labels are memorised the groups are gone.",
        ),
        (
            "Arazo et al.: Unsupervised Label Noise Modeling and Loss Correction. ICML 2019, arXiv:1904.11238",
            "Li, Socher, Hoi: DivideMix. ICLR 2020, arXiv:2002.07394",
        ),
    ),
    "curves/calibration": Explanation(
        "Calibration",
        "Examples by the probability that the network gives its prediction, on held-out data if there are any: how "
        "often it is right among them, with its standard error; below, how many they are.",
        "ECE = Σ_b (n_b / n) |accuracy_b − confidence_b|",
        (
            "Below the diagonal the network is over-confident, above it too careful.",
            "The number of bins is chosen in the panel's head, and changes the error: noise alone makes it positive, "
            "the more so the more bins there are. The Brier score needs none.",
        ),
        (
            "Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks. ICML 2017, arXiv:1706.04599",
            "Nixon et al.: Measuring Calibration in Deep Learning. CVPR Workshops 2019, arXiv:1904.01685",
        ),
    ),
    "curves/outputs": Explanation(
        "Change of the outputs",
        "The divergence of the network's probabilities on the same training examples from those of the frame before, "
        "and the mean length of its outputs, their mean taken off.",
        "mean over examples of KL(pₜ₋ ‖ pₜ),   t₋: the frame before",
        (
            "For a small update it is half its length in the Fisher metric: curvature along the path, times the "
            "path's length squared, at the price of a forward pass. SAF lowers it in place of a sharpness.",
            "Frames are not evenly spaced; how many steps lie between two is in the small print.",
            "Outputs that grow longer while accuracy stays make the network more sure, not more right.",
        ),
        ("Du et al.: Sharpness-Aware Training for Free. NeurIPS 2022, arXiv:2205.14083",),
    ),
    "curves/forecast": Explanation(
        "Forecast of the loss",
        "A power law with a constant, fitted to the losses along the path up to the shown step, and what it says of as "
        "many steps again. What came later is drawn beside it.",
        "L(s) = L₀ + A s^−α",
        (
            "The band is two standard errors of the constants and of the scatter together: it says nothing of the law "
            "being wrong.",
            "A change of the learning rate, or a network that groks, follows no such law. Go back to an earlier step "
            "to see how its forecast fared.",
            "For a learning rate that is drawn below, L = L₀ + A S₁^−α − C S₂ is fitted instead, with the sum S₁ of "
            "learning rates and the area S₂ of their decay: a law of language models, a guess elsewhere.",
        ),
        (
            "Kaplan et al.: Scaling Laws for Neural Language Models. 2020, arXiv:2001.08361",
            "Tissue, Wang and Wang: Scaling Law with Learning Rate Annealing. 2024, arXiv:2408.11029",
        ),
    ),
}
