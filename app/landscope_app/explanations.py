"""What each view of a panel shows, the formula behind it, how to read it, and where it comes from."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from landscope_app.dynamics_words import DYNAMICS
from landscope_app.feature_words import FEATURES
from landscope_app.steering import STEERING
from landscope_app.words import Explanation

__all__ = ["EXPLANATIONS", "KEYS", "explanation"]


# By panel, which is its first view, and by panel/view for the others.
EXPLANATIONS = {
    "landscape": Explanation(
        "Loss landscape",
        "The loss of the network on a plane through its present weights θ. The weights have very many dimensions, "
        "and this is a cut along two of them. A coarse grid comes first and sharpens; between computed points cubic "
        "splines are drawn.",
        "L(α, β) = loss(θ + α d₁ + β d₂)",
        (
            "The dot is where the weights are now, the ring where the path begins. Points of the path are paler the "
            "further they are from the plane: point at one to hold its own loss against the plane's below it.",
            "Colours are logarithmic where every loss is positive, and keep their meaning over the whole run.",
            "The two curves on the right are the same numbers along each axis through the dot: a narrow valley is "
            "sharp. Their bands are two standard errors either way, as these examples stand for all others.",
            "Inside the dotted line the loss is not told apart from that of the weights: it differs by less than two "
            "standard errors of the difference. Differences are known better than losses, since all are of the same "
            "examples.",
            "“Between them” is how far the drawn picture may be off where nothing was computed; about 95 of 100 "
            "places keep it.",
            "Crosses mark weights whose loss is not a finite number; nothing is drawn beside them.",
            "“Checks” says what was verified of this very picture: above all that its centre is the model's own loss.",
        ),
        (
            "Li, Xu, Taylor, Studer, Goldstein: Visualizing the Loss Landscape of Neural Nets. NeurIPS 2018, "
            "arXiv:1712.09913",
            "Goodfellow, Vinyals, Saxe: Qualitatively Characterizing Neural Network Optimization Problems. ICLR "
            "2015, arXiv:1412.6544",
            "Gabdullin: Investigating generalization capabilities of neural networks by means of loss landscapes and "
            "Hessian analysis. 2024, arXiv:2412.10146",
        ),
        choices=(
            (
                "trajectory",
                "Through the path of the training: its two main directions. A path looks smooth there, whatever it "
                "does outside: see how much of it the plane holds.",
            ),
            (
                "random",
                "Two random directions, each filter's part as long as the filter itself (Li et al. 2018). It shows "
                "typical directions, nearly flat in large networks. With batch normalisation the weights' scale "
                "means nothing, and such a plane can look sharp or flat for that alone (Gabdullin 2024): trust "
                "the Hessian's plane more.",
            ),
            (
                "hessian",
                "The eigenvectors of the two largest eigenvalues of the Hessian: the sharpest plane there is, the same "
                "whatever the seed.",
            ),
            (
                "gradient",
                "The gradient, and the direction in which the optimiser will step: momentum and preconditioning "
                "turn it away from steepest descent.",
            ),
            (
                "all",
                "The planes of the trajectory, of random directions and of the Hessian beside each other, on one scale "
                "of colours. All go through the weights, each at its own newest step; a unit is another length on "
                "each, so that colours can be compared, and widths cannot.",
            ),
            (
                "asked",
                "One of these planes, measured on demand with another radius or resolution: the flask beside the "
                "choices asks for it. It stays with the run, on the run's scale of colours, which it may widen.",
            ),
        ),
    ),
    "curves": Explanation(
        "Loss and accuracy",
        "The mean loss and the share of right answers, measured on fixed examples of the training and of the test "
        "data, and the loss of each mini-batch behind them.",
        "L(θ) = (1/N) Σᵢ ℓ(f(xᵢ; θ), yᵢ)",
        (
            "Solid is training data, dashed is test data. The distance between them is the generalisation gap.",
            "A test loss that rises while its accuracy stays is growing over-confidence; a test accuracy that "
            "jumps long after the training data is fitted is grokking. Grokking shows best on a logarithmic step "
            "axis.",
        ),
        ("Power, Burda, Edwards, Babuschkin, Misra: Grokking. 2022, arXiv:2201.02177",),
    ),
    "sharpness": Explanation(
        "Sharpness",
        "The largest eigenvalue of the loss's Hessian, as the optimiser sees it: divided by its preconditioner if "
        "it has one. The dashed line is the value above which its steps overshoot on a quadratic; for gradient "
        "descent with learning rate η it is 2/η.",
        "λ max = maxᵥ (vᵀ H v) / (vᵀ v),   H = ∇²L(θ)",
        (
            "The band is two standard errors either way: the examples it is measured on stand for all others. What the "
            "iteration left of the eigenvalue's error is below the residual in the small print.",
            "Full-batch training often sharpens until it meets the limit and then hovers there: the edge of stability.",
            "Well below the limit steps are smooth; a jump above it with a spike of the loss is a catapult.",
            "With small mini-batches sharpness settles below the limit.",
        ),
        (
            "Cohen, Kaur, Li, Kolter, Talwalkar: Gradient Descent on Neural Networks Typically Occurs at the Edge "
            "of Stability. ICLR 2021, arXiv:2103.00065",
            "Cohen et al.: Adaptive Gradient Methods at the Edge of Stability. 2022, arXiv:2207.14484",
        ),
    ),
    "sharpness/measures": Explanation(
        "Measures of sharpness",
        "What papers call sharpness, by each of its definitions, at the same weights and on the same examples: they "
        "need not agree, and which one foretells generalisation depends on the network and its training.",
        "SAM(ρ) = max over |e| ≤ ρ of L(θ + e) − L(θ)",
        (
            "The error behind a value is a standard error where the measure is random, and a bound where it is "
            "iterated; worst cases are what ascent finds, and so lower bounds.",
            "Eigenvalues and trace change when the weights are rescaled without changing the function; adaptive "
            "measures do not (Kwon et al.).",
            "The curves below are the rise of the loss within balls of growing radius ρ: after one step of ascent, as "
            "SAM takes it, and after several. Where they part, one step no longer finds the worst.",
        ),
        (
            "Foret, Kleiner, Mobahi, Neyshabur: Sharpness-Aware Minimization. ICLR 2021, arXiv:2010.01412",
            "Kwon, Kim, Park, Choi: ASAM, Adaptive Sharpness-Aware Minimization. ICML 2021, arXiv:2102.11600",
            "Andriushchenko, Croce, Müller, Hein, Flammarion: A Modern Look at the Relationship between Sharpness and "
            "Generalization. ICML 2023, arXiv:2302.07011",
            "Keskar et al.: On Large-Batch Training for Deep Learning. ICLR 2017, arXiv:1609.04836",
        ),
    ),
    "sharpness/taylor": Explanation(
        "The quadratic model of the loss",
        "The loss along some directions through the present weights, and what its slope and curvature there promise "
        "of it. Edge of stability, step sizes and second-order optimisers are all reasoned about with the latter.",
        "Q(s) = L + s g·u + ½ s² uᵀHu",
        (
            "Solid is the loss, dashed its quadratic model. They touch at the weights, distance zero.",
            "Within the shaded stretch the model is right to the stated share of how much the loss changes; where "
            "nothing is shaded and the lines agree it holds over all that was measured.",
            "A model that fails within a step of the optimiser says nothing of where that step ends.",
            "A loss that stays below its model away from the weights bends back: steps that overshoot come to rest "
            "instead of diverging, as they do at the edge of stability.",
        ),
        (
            "Damian, Nichani, Lee: Self-Stabilization, the Implicit Bias of Gradient Descent at the Edge of "
            "Stability. ICLR 2023, arXiv:2209.15594",
            "Martens: New Insights and Perspectives on the Natural Gradient Method. JMLR 2020, arXiv:1412.1193",
        ),
    ),
    "norms": Explanation(
        "Gradient and weights",
        "The Euclidean length of the gradient of the loss and of all weights together.",
        "‖∇L(θ)‖₂  and  ‖θ‖₂",
        (
            "A gradient that falls with the loss is settling; one that grows while the loss falls is entering a "
            "steep valley.",
            "Falling weights under weight decay, long after the data is fitted, often come before grokking.",
        ),
        (),
    ),
    "spectrum": Explanation(
        "Hessian spectrum",
        "How many directions in weight space have which curvature: the density of all eigenvalues of the Hessian, "
        "by stochastic Lanczos quadrature. The axis is linear near zero and logarithmic further out, so that the "
        "bulk and the outliers are both seen.",
        "p(u) = (1/P) Σᵢ δ(u − uᵢ),   uᵢ = asinh(λᵢ / scale)",
        (
            "The band is the 90 % range over random probes.",
            "Stems are the leading eigenvalues, known exactly; their height means nothing.",
            "Classifiers often have about as many outliers as classes. Mass left of zero is negative curvature: "
            "the weights are not at a minimum.",
            "The dashed line is the optimiser's stability limit.",
        ),
        (
            "Ghorbani, Krishnan, Xiao: An Investigation into Neural Net Optimization via Hessian Eigenvalue "
            "Density. ICML 2019, arXiv:1901.10159",
            "Papyan: The Full Spectrum of Deepnet Hessians at Scale. 2018, arXiv:1811.07062",
        ),
    ),
    "spectrum/waterfall": Explanation(
        "Hessian spectrum through training",
        "The density of all eigenvalues of the Hessian at every step at which it was measured: a column each, darker "
        "where there are more directions of that curvature. It has the eigenvalue axis of the density at one step, "
        "which is the same for the whole run; of many measurements some hundred are drawn.",
        "p(u; t) = (1/P) Σᵢ δ(u − uᵢ(t)),   uᵢ = asinh(λᵢ / scale)",
        (
            "The solid line is the largest eigenvalue, the dashed one the optimiser's stability limit: where the "
            "first meets the second, training is at the edge of stability.",
            "Outliers that leave the bulk early and stay apart are often as many as there are classes.",
            "A bulk that narrows means that most directions grow flat; mass below zero that stays means that the "
            "weights are not near a minimum.",
            "Shades are logarithmic. One direction alone among P adds about 1/P: what is much paler than that is the "
            "width with which the quadrature is drawn.",
            "Click at a column to see that step in every panel.",
        ),
        (
            "Ghorbani, Krishnan, Xiao: An Investigation into Neural Net Optimization via Hessian Eigenvalue "
            "Density. ICML 2019, arXiv:1901.10159",
            "Sagun, Evci, Güney, Dauphin, Bottou: Empirical Analysis of the Hessian of Over-Parametrized Neural "
            "Networks. 2017, arXiv:1706.04454",
        ),
    ),
    "kernel": Explanation(
        "Tangent kernel",
        "Eigenvalues of the empirical neural tangent kernel on fixed examples, at ranks 1, 2, 4, 8 and so on. A "
        "training step on one example changes the output on another in proportion to the kernel between them.",
        "K(x, x′) = (1/C) Σₐ ⟨∇f_a(x), ∇f_a(x′)⟩",
        (
            "Lines that stay level mean lazy training: the network acts like a fixed kernel. Lines that move mean "
            "that features are learned.",
            "Label alignment says how much the kernel already knows of the classes: 0 nothing, 1 everything.",
            "The effective rank (Σλ)² / Σλ² counts the directions that learn at a comparable speed.",
        ),
        (
            "Jacot, Gabriel, Hongler: Neural Tangent Kernel. NeurIPS 2018, arXiv:1806.07572",
            "Fort et al.: Deep Learning versus Kernel Learning. NeurIPS 2020, arXiv:2010.15110",
        ),
    ),
    "kernel/laziness": Explanation(
        "Lazy or rich",
        "How far the kernel, the features and the weights have left their beginning, and how much the kernel knows of "
        "the labels. A network whose kernel stays is trained as a linear model is; one whose kernel turns learns "
        "features.",
        "kernel: 1 − ⟨K, K₀⟩ / (|K| |K₀|)   features: |H − H₀| / |H₀|   weights: |θ − θ₀| / |θ₀|",
        (
            "Weights may move far in a lazy training, and hardly at all in a rich one: what tells is the kernel.",
            "Alignment is centred on both sides: 0 for a kernel that knows nothing of the classes, 1 for one that is "
            "theirs. Solid is that of the training examples, dashed that of held-out ones: a gap is memorised.",
            "Label energy is the share of the labels that lies within the first C − 1 eigenvectors of the kernel, "
            "which are learnt first.",
            "Training that is lazy at first and rich later is one account of grokking.",
        ),
        (
            "Chizat, Oyallon, Bach: On Lazy Training in Differentiable Programming. NeurIPS 2019, arXiv:1812.07956",
            "Kumar, Bordelon, Gershman, Pehlevan: Grokking as the Transition from Lazy to Rich Training Dynamics. "
            "ICLR 2024, arXiv:2310.06110",
            "Cortes, Mohri, Rostamizadeh: Algorithms for Learning Kernels Based on Centered Alignment. JMLR 2012",
        ),
    ),
    "kernel/scree": Explanation(
        "Spectrum of the tangent kernel",
        "All eigenvalues of the kernel on fixed examples over their rank: thin lines for the steps at which it was "
        "measured, from the first to the last in the order of the colours, and a thick one for the shown step.",
        "K uₖ = λₖ uₖ,   λ₁ ≥ λ₂ ≥ …",
        (
            "What lies along the first eigenvectors is learnt first, at the rate learning rate × λₖ.",
            "A straight line is a power law; the steeper, the fewer directions matter.",
            "Lines that lie on one another: lazy training. Leading eigenvalues that rise out of the others: features, "
            "often one for each class.",
        ),
        (
            "Jacot, Gabriel, Hongler: Neural Tangent Kernel. NeurIPS 2018, arXiv:1806.07572",
            "Baratin et al.: Implicit Regularization via Neural Feature Alignment. AISTATS 2021, arXiv:2008.00938",
        ),
    ),
    "kernel/cosines": Explanation(
        "The tangent kernel as a matrix",
        "The cosine between the gradients on two examples, averaged over blocks of examples that are ordered by class; "
        "lines part the classes.",
        "cos(x, x′) = K(x, x′) / √(K(x, x) K(x′, x′))",
        (
            "Where it is 1 a step on the one example is a step on the other, where it is 0 they do not touch each "
            "other, below it they are at odds.",
            "At initialisation most networks tell examples apart little, and the matrix is even. Squares along the "
            "diagonal that appear while training are classes that the network treats as one.",
        ),
        (
            "Fort, Nowak, Jastrzębski, Narayanan: Stiffness. 2019, arXiv:1901.09491",
            "Jacot, Gabriel, Hongler: Neural Tangent Kernel. NeurIPS 2018, arXiv:1806.07572",
        ),
    ),
    "kernel/modes": Explanation(
        "Residual along the kernel's modes",
        "What the network has still to learn, f − y, along the leading eigenvectors of its first kernel: as measured, "
        "and as it would be if the kernel stayed what it was. For squared errors and plain gradient descent.",
        "rₖ(t) = rₖ(0) exp(−c λₖ t),   L = (c/2) |f − y|²,   t = learning rate × steps",
        (
            "Marks on their dashed line: the training is lazy along that mode.",
            "Marks that fall faster: the kernel has grown along it. Marks that level off above it: what a fixed kernel "
            "would have learnt long ago is kept alive, by oscillations at the edge of stability for one.",
            "Only the leading modes are followed; where nothing is drawn, less than a hundred-thousandth is left.",
        ),
        (
            "Jacot, Gabriel, Hongler: Neural Tangent Kernel. NeurIPS 2018, arXiv:1806.07572",
            "Arora, Du, Hu, Li, Wang: Fine-Grained Analysis of Optimization and Generalization. ICML 2019, "
            "arXiv:1901.08584",
        ),
    ),
    "kernel/linearised": Explanation(
        "The linearised network",
        "Each output of the network on some examples, and above it what the network that is linear in its weights "
        "would say at the same weights: its value and slope are those of the beginning.",
        "f_lin(x) = f(x; θ₀) + ∇f(x; θ₀) · (θ − θ₀)",
        (
            "On the dashed diagonal both agree, as they do as long as training is lazy.",
            "“Off by” is the distance between both, in units of the way that the network's outputs have gone.",
            "Both losses are at the present weights. The linear network is not trained on its own: its loss says what "
            "these weights are worth to it.",
        ),
        (
            "Lee et al.: Wide Neural Networks of Any Depth Evolve as Linear Models. NeurIPS 2019, arXiv:1902.06720",
            "Fort et al.: Deep Learning versus Kernel Learning. NeurIPS 2020, arXiv:2010.15110",
        ),
    ),
    **FEATURES,
    **DYNAMICS,
}

KEYS = (
    ("Space", "play or pause the history"),
    ("[ ]", "play slower or faster"),
    ("← →", "back or on by one measurement"),
    ("Shift ← →", "back or on by ten"),
    ("Home, End", "first or newest step"),
    ("F", "follow the newest step"),
    ("D", "light or dark"),
    ("L", "linear or logarithmic step axis"),
    ("S", "contour or surface"),
    ("P", "next plane of the landscape"),
    ("V", "next quantity on it: train or test, loss or accuracy"),
    (".", "let a live training take a single step, then wait"),
    ("A", "pin the shown step as A, go back there, or take the pin out"),
    ("B", "the same for a second pin, so that two steps are held against each other"),
    ("N", "on to the next stop of a lesson"),
    ("C", "open or close the controls"),
    ("M", "open or close the laboratory, to measure something now"),
    ("/", "in the list of runs: search"),
    ("?", "this help"),
)


def explanation(subject: str, view: str | None = None) -> tuple[str, list[Component]]:
    """Title and body of the drawer about a panel in one of its views, the first if none is named, the page or its dock.

    Raises:
        KeyError: if there is no such panel.
    """
    if subject == "page":
        return "How this page works", _page_help()
    if subject == "steering":
        return "Control and laboratory", _dock_help()
    words = EXPLANATIONS.get(f"{subject}/{view}") or EXPLANATIONS[subject]
    return words.title, words.body()


def _dock_help() -> list[Component]:
    meanings = [part for name, meaning in STEERING.values() for part in (html.Dt(name), html.Dd(meaning))]
    return [
        html.P(
            "A live training is steered from here. What is asked is carried out between two steps; a number stands "
            "pale until the training has said that it is so, and what it refuses is said with the reason."
        ),
        html.P(
            "Whatever was changed is marked on the time bar by a triangle below the rail; findings are rings above it. "
            "All of it is listed in order: a click goes to its step."
        ),
        html.P(
            "In the laboratory anything is measured on demand, of a live training between two of its steps, or of a "
            "finished one by a program of its own. What it will take is said before it is begun; it can be cancelled "
            "at any time, and its picture stays with the run."
        ),
        html.H3("What each control does"),
        html.Dl(meanings),
    ]


def _page_help() -> list[Component]:
    rows = [html.Tr([html.Td(html.Kbd(key)), html.Td(words)]) for key, words in KEYS]
    return [
        html.P(
            "Every panel shows the training at one step: the newest while you follow, or the one chosen on the bar "
            "below. Panels that are measured now and then show their newest measurement at or before that step; "
            "its step is in the small print."
        ),
        html.P(
            "Drag in a graph to zoom, double-click to see everything again. The address of the page keeps what you "
            "chose."
        ),
        html.H3("Keys"),
        html.Table(html.Tbody(rows), className="keys"),
    ]
