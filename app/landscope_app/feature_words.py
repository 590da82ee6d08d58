"""The words behind the views of features."""

from __future__ import annotations

from landscope_app.words import Explanation

__all__ = ["FEATURES"]

FEATURES = {
    "embedding": Explanation(
        "Feature geometry",
        "The features of one layer on fixed examples, projected to the plane and turned so that each frame lies as "
        "close as possible to the one before.",
        "PCA: the two directions of largest variance.   UMAP: neighbours stay neighbours.",
        (
            "Points of one class that draw together are becoming easy to tell apart.",
            "Trust says how many neighbours in the picture are neighbours in the features, continuity the other way "
            "round: 1 is all.",
            "“Moved” is how far the points went since the frame before, the median, in radii of the whole cloud; "
            "where the features moved much less, the picture moved and not they.",
            "The axes are the same for the whole run. Point at an example to see what the run keeps of it.",
            "Draw a lasso, with the button beside the colours, around examples to follow them through the training: "
            "the Python below makes them an objective of their own. A double click, or a lasso around none, lets go.",
        ),
        (
            "Venna, Kaski: Neighborhood Preservation in Nonlinear Projection Methods. ICANN 2001",
            "Papyan, Han, Donoho: Prevalence of Neural Collapse. PNAS 2020, arXiv:2008.08186",
        ),
        choices=(
            ("class", "What the data says of each example."),
            ("prediction", "What the network says of it."),
            ("correct", "Whether they agree: crosses are wrong."),
            (
                "loss",
                "The loss of each example alone, on one logarithmic scale for the whole run, at most six decades long; "
                "the outer hundredths share a colour.",
            ),
            (
                "margin",
                "Output of the right class less the largest other: below zero the network is wrong. One scale for the "
                "whole run.",
            ),
            (
                "learned",
                "The step since which the network has been right about an example, in every frame up to the shown one, "
                "on a logarithmic scale from the first step to the last; crosses are wrong now.",
            ),
        ),
    ),
    "embedding/umap": Explanation(
        "Feature geometry by UMAP",
        "The features of one layer on fixed examples, laid out so that neighbours lie together. Each frame goes on "
        "from the one before, and points are held where they were as far as their neighbours are still the same.",
        "C = Σ w log(w / v) + (1 − w) log((1 − w) / (1 − v)),   w: near in the features, v: near in the picture",
        (
            "Only neighbourhoods mean something: neither the distance between clusters nor their size does.",
            "A cluster of one class that splits may be two kinds of examples; colour by loss, or select one, to see.",
            "Trust and continuity say how many neighbours are kept, in both directions: 1 is all.",
            "“Moved” beside what the features moved tells a change of the network from one of the layout.",
        ),
        (
            "McInnes, Healy, Melville: UMAP. 2018, arXiv:1802.03426",
            "Chari, Pachter: The Specious Art of Single-Cell Genomics. PLOS Computational Biology 2023",
        ),
    ),
    "embedding/collapse": Explanation(
        "Neural collapse",
        "Four numbers that fall to zero when a classifier is trained on long after its data is fitted: the examples of "
        "a class come to share one point, and the classes' points to lie as far apart as they can.",
        "NC1 = tr(Σ_W Σ_B⁺) / C,   Σ_W within classes, Σ_B between their means",
        (
            "NC1: how much examples differ within a class, in units of how the classes differ.",
            "NC2: how far the class means are from equal lengths (‖μ‖), and from equal angles (∠).",
            "NC3: how far the last layer's weights are from lying along the class means.",
            "NC4: the share of examples for which the nearest class mean and the network disagree.",
        ),
        (
            "Papyan, Han, Donoho: Prevalence of Neural Collapse during the Terminal Phase of Deep Learning Training. "
            "PNAS 2020, arXiv:2008.08186",
            "Zhu et al.: A Geometric Analysis of Neural Collapse with Unconstrained Features. NeurIPS 2021, "
            "arXiv:2105.02375",
        ),
    ),
    "embedding/means": Explanation(
        "Angles between the class means",
        "The cosine between the mean features of every two classes, seen from the mean of all class means, with what "
        "neural collapse would make of it.",
        "cos(μ_a − μ, μ_b − μ)  →  −1 / (C − 1)   for a ≠ b",
        (
            "One even shade off the diagonal is the simplex that collapse ends in; point at a pair to hold its cosine "
            "against that.",
            "Pairs that stay near 1 are classes that the network keeps alike.",
            "The scale is the same at every step: −1 to 1.",
        ),
        ("Papyan, Han, Donoho: Prevalence of Neural Collapse. PNAS 2020, arXiv:2008.08186",),
    ),
    "embedding/dimension": Explanation(
        "Dimension of the features",
        "How many of the layer's directions its features use, counted in three ways.",
        "RankMe = exp(−Σ pᵢ log pᵢ),  pᵢ = σᵢ / Σσ;   participation = (Σλ)² / Σλ²",
        (
            "The effective rank counts singular values σ of the features, mean and all; the participation ratio "
            "eigenvalues λ of their covariance, and small ones less.",
            "TwoNN is the dimension of the surface that the features lie on, bent as it may be: it rests on the "
            "ratio of the distances to the two nearest neighbours. Its 95 % interval is in the small print.",
            "All falling to one is collapsed features; a classifier at the end of its training tends to about as many "
            "as there are classes, less one.",
        ),
        (
            "Garrido, Balestriero, Najman, LeCun: RankMe. ICML 2023, arXiv:2210.02885",
            "Facco, d'Errico, Rodriguez, Laio: Estimating the intrinsic dimension of datasets by a minimal "
            "neighborhood information. Scientific Reports 2017",
        ),
    ),
    "embedding/contrast": Explanation(
        "Alignment and uniformity",
        "How features of unit length lie to one another: those of one class should be close, all of them spread over "
        "the sphere. Below, how well the classes can be read from them.",
        "alignment = mean |u − v|² within a class,   uniformity = log mean exp(−2 |u − v|²) over all pairs",
        (
            "Both are better the lower they are: alignment 0 is one point for a class, uniformity −4 the whole sphere.",
            "A class's examples may come closer only because everything does: then uniformity rises.",
            "Neighbours: the vote of the ten most similar other examples. Linear probe: a ridge regression on the "
            "features, each example left out in turn.",
        ),
        (
            "Wang, Isola: Understanding Contrastive Representation Learning through Alignment and Uniformity on the "
            "Hypersphere. ICML 2020, arXiv:2005.10242",
            "Alain, Bengio: Understanding Intermediate Layers Using Linear Classifier Probes. 2016, arXiv:1610.01644",
        ),
    ),
    "embedding/layers": Explanation(
        "How alike the layers are",
        "Linear CKA between the features of every two layers, on the same examples: whether they are at the same "
        "distances from one another in both layers, up to rotation and scale.",
        "CKA = HSIC(X, Y) / √(HSIC(X, X) HSIC(Y, Y)),   unbiased, X and Y: features of the same examples",
        (
            "1 is the same features but for rotation, scale and place; 0 is as alike as chance. Layers are in the "
            "order in which they run, the first above; space and tokens are averaged over.",
            "Blocks along the diagonal are layers that do much the same. A large even block is often a network deeper "
            "than its data need.",
            "A few directions with much variance decide the number: layers can differ in what matters and have 0.9.",
            "Two runs or two models are compared by ls.embedding.similarity_between.",
        ),
        (
            "Kornblith, Norouzi, Lee, Hinton: Similarity of Neural Network Representations Revisited. ICML 2019, "
            "arXiv:1905.00414",
            "Nguyen, Raghu, Kornblith: Do Wide and Deep Networks Learn the Same Things? ICLR 2021, arXiv:2010.15327",
            "Davari et al.: Reliability of CKA as a Similarity Measure in Deep Learning. ICLR 2023, arXiv:2210.16156",
        ),
    ),
    "embedding/steps": Explanation(
        "How alike the steps are",
        "Linear CKA between the features of the watched layer at any two of some thirty steps, spaced evenly on a "
        "logarithmic axis from the first to the shown one, on the same examples.",
        "CKA = HSIC(X, Y) / √(HSIC(X, X) HSIC(Y, Y)),   unbiased, X and Y: features at two steps",
        (
            "A square of 1 along the diagonal is a time in which the features stayed what they were, up to rotation "
            "and scale; an edge between two squares is a time of change.",
            "The first row tells how far features have come from those at the start: near 1 throughout is lazy "
            "training.",
            "The number sees where the examples lie to one another, not whether the classes can be told apart.",
        ),
        (
            "Kornblith, Norouzi, Lee, Hinton: Similarity of Neural Network Representations Revisited. ICML 2019, "
            "arXiv:1905.00414",
            "Morcos, Raghu, Bengio: Insights on Representational Similarity with Canonical Correlation. NeurIPS 2018, "
            "arXiv:1806.05759",
        ),
    ),
    "embedding/tokens": Explanation(
        "Spectrum of the tokens",
        "A network that adds modulo p can do so by turning: it gives token a the angle 2πka/p. The bars say how much "
        "of its embedding is such a wave of frequency k, the circles show the tokens in the plane of the strongest.",
        "norm(k)² = |Σₐ E(a) cos(2πka/p)|² + |Σₐ E(a) sin(2πka/p)|²,  both waves of unit length",
        (
            "Hatched bars are key frequencies: they stand out of the others. Few of them with much of the square, and "
            "a Gini coefficient near 1, mean that the network adds by waves.",
            "A token's colour is where it would be on a pure circle: hues in order, all the way round, are a circle.",
            "Both scales are the same for the whole run.",
        ),
        ("Nanda, Chan, Lieberum, Smith, Steinhardt: Progress Measures for Grokking. ICLR 2023, arXiv:2301.05217",),
    ),
    "embedding/progress": Explanation(
        "Progress measures of grokking",
        "The loss of the network's answer to all sums, once by the key frequencies' waves alone, and once without "
        "them; below, how much of the embedding these waves are.",
        "waves alone: CE(P f + mean f),   without: CE(f − P f),   P: onto the waves of the key frequencies",
        (
            "The loss by waves alone falls while the network learns to add, long before the held-out accuracy shows "
            "it.",
            "Without the waves, the loss on the training pairs rises once the network no longer answers by heart.",
            "Where a frequency becomes key or ceases to be, both jump.",
        ),
        ("Nanda, Chan, Lieberum, Smith, Steinhardt: Progress Measures for Grokking. ICLR 2023, arXiv:2301.05217",),
    ),
}
