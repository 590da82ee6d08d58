"""The built-in experiments by name: what each shows, without importing what runs it."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

__all__ = ["CATALOGUE", "FLAGSHIP", "Entry", "module_of"]


@dataclass(frozen=True)
class Entry:
    """One built-in experiment.

    Attributes:
        name: What follows `landscope demo`; its code is the module of that name, with underscores for hyphens.
        summary: What one sees, in a sentence.
        claim: What the paper claims.
        paper: The paper.
        duration: About how long it takes on two CPU cores.
    """

    name: str
    summary: str
    claim: str
    paper: str
    duration: str


CATALOGUE: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            name="grokking",
            summary="A small network memorises a table of sums modulo 97, and understands it much later.",
            claim="Held-out accuracy rises from chance to perfect long after the training data are fitted.",
            paper='Power et al. 2022, "Grokking: Generalization Beyond Overfitting on Small Algorithmic Datasets"',
            duration="2 minutes",
        ),
        Entry(
            name="digits",
            summary="Full-batch gradient descent on handwritten digits sharpens up to 2/lr, and hovers there.",
            claim="The largest Hessian eigenvalue rises to 2/lr and stays there while the loss still falls.",
            paper='Cohen et al. 2021, "Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability"',
            duration="2 minutes",
        ),
        Entry(
            name="lazy-rich",
            summary="One network at four output scales: fitted lazily and understood late, or both at once.",
            claim="Grokking is the time from fitting with the initial kernel to learning features; a scale sets it.",
            paper='Kumar et al. 2024, "Grokking as the Transition from Lazy to Rich Training Dynamics"',
            duration="20 seconds",
        ),
        Entry(
            name="collapse",
            summary="Class means become a simplex or an orthogonal frame: it depends on loss, balance and ReLU.",
            claim="Means of equal classes become a simplex; of unequal ones, without biases, orthogonal vectors whose "
            "lengths depend on the counts; contrastive ones behind a ReLU an orthogonal frame, balanced or not.",
            paper='Dang et al. 2023, "Neural Collapse in Deep Linear Networks: From Balanced to Imbalanced Data"; '
            'Kini et al. 2024, "Symmetric Neural-Collapse Representations with Supervised Contrastive Loss"',
            duration="1 minute",
        ),
        Entry(
            name="skip",
            summary="A deep network with and without skip connections: how both train, and the loss around them.",
            claim="Without skips deep networks train worse, to sharper minima with less convex surroundings.",
            paper='Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets"',
            duration="1 minute",
        ),
        Entry(
            name="imbalance",
            summary="Rare classes: what gradient descent and Adam make of them, and the saddles they are left at.",
            claim="Under gradient descent rare classes fall more slowly than under Adam; they are left at saddles.",
            paper='Kunstner et al. 2024, "Heavy-Tailed Class Imbalance and Why Adam Outperforms Gradient Descent on '
            'Language Models"; Rangwani et al. 2022, "Escaping Saddle Points for Effective Generalization on '
            'Class-Imbalanced Data"',
            duration="1 minute",
        ),
        Entry(
            name="sam",
            summary="SGD, SAM and SAF under label noise: how flat they end, how accurate, and how the two go together.",
            claim="SAM and SAF end in flatter minima that generalise better, most of all under label noise.",
            paper='Foret et al. 2021, "Sharpness-Aware Minimization for Efficiently Improving Generalization"; '
            'Du et al. 2022, "Sharpness-Aware Training for Free"; '
            'Jiang et al. 2020, "Fantastic Generalization Measures and Where to Find Them"',
            duration="1 minute",
        ),
        Entry(
            name="chaos",
            summary="Four hundred networks at once: what seeds change, and what one flipped bit does.",
            claim="Seeds change accuracy on a test set as independent errors would, and hardly on its distribution.",
            paper='Jordan 2023, "Calibrated Chaos: Variance Between Runs of Neural Network Training is Harmless and '
            'Inevitable"',
            duration="1 minute",
        ),
        Entry(
            name="stepwise",
            summary="Embeddings learnt from pairs of views gain one dimension after the other, as foretold.",
            claim="Small embeddings learn the eigenmodes of the views' cross-moment one at a time, by logistic curves.",
            paper='Simon et al. 2023, "On the Stepwise Nature of Self-Supervised Learning"',
            duration="40 seconds",
        ),
        Entry(
            name="modes",
            summary="Two minima, the barrier between them, and three ways around it.",
            claim="Minima are joined by curves of low loss, by lines once hidden units are renumbered; what shares a "
            "basin can be averaged.",
            paper='Garipov et al. 2018, "Loss Surfaces, Mode Connectivity, and Fast Ensembling of DNNs"; Ainsworth et '
            'al. 2023, "Git Re-Basin"; Frankle et al. 2020, "Linear Mode Connectivity and the Lottery Ticket '
            'Hypothesis"; Wortsman et al. 2022, "Model soups"',
            duration="30 seconds",
        ),
        Entry(
            name="plasticity",
            summary="Networks learn one set of random labels after the other, each less well than the last.",
            claim="Networks lose the ability to learn, with changes of curvature, not for dead units alone; layer "
            "normalisation, Wasserstein and spectral regularisation keep it.",
            paper='Dohare et al. 2024, "Loss of Plasticity in Deep Continual Learning"; Lyle et al. 2023, '
            '"Understanding Plasticity in Neural Networks"; Lewandowski et al. 2024, "Learning Continually by Spectral '
            'Regularization"',
            duration="2 minutes",
        ),
        Entry(
            name="harmonic",
            summary="Modular addition read out by distances instead of products: no delay, small weights, circles.",
            claim="Harmonic loss's weights are class centres and stay finite; it groks less and embeds in circles.",
            paper='Baek et al. 2025, "Harmonic Loss Trains Interpretable AI Models"; with the cosine, "Rethinking the '
            'Harmonic Loss via Non-Euclidean Distance Layers"',
            duration="2 minutes",
        ),
        Entry(
            name="schedule",
            summary="A small language model under three learning-rate schedules, and two theories of them.",
            claim="A convex bound has the shape of the losses; a law of annealing foretells a schedule from others.",
            paper='Schaipp et al. 2025, "The Surprising Agreement Between Convex Optimization Theory and Learning-Rate '
            'Scheduling for Large Model Training"; Tissue et al. 2024, "Scaling Law with Learning Rate Annealing"',
            duration="1 minute",
        ),
        Entry(
            name="width",
            summary="Networks of growing width: who learns features, and whose learning rate stays the best.",
            claim="In the maximal-update parametrisation features, sharpness and the best learning rate do not depend "
            "on the width; in the NTK one wide networks become their kernel.",
            paper='Yang and Hu 2021, "Feature Learning in Infinite-Width Neural Networks"; Noci et al. 2024, "Why do '
            'Learning Rates Transfer?"; Jacot et al. 2018, "Neural Tangent Kernel"',
            duration="1 minute",
        ),
        Entry(
            name="fractal",
            summary="A network at each point of a plane of learning rates: where training fails, magnified.",
            claim="The boundary of trainability is fractal: rough however magnified, its dimension between 1 and 2.",
            paper='Sohl-Dickstein 2024, "The boundary of neural network trainability is fractal"',
            duration="1 minute",
        ),
    )
}

FLAGSHIP = "grokking"


def module_of(name: str) -> Any:
    """The module of a recipe: `Config`, `FULL`, `train` and `judge`, and `build` where it trains one model."""
    return importlib.import_module(f"landscope.recipes.{CATALOGUE[name].name.replace('-', '_')}")
