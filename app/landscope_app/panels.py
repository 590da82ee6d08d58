"""The panels of a run's page: what each draws, from which series and frames, on which axes."""

from __future__ import annotations

from landscope.figures.scatter import embedding_layout
from landscope.figures.spectra import density_layout, waterfall_layout
from landscope.figures.surfaces import plane_layout
from landscope_app.dynamics_views import EXAMPLE_VIEWS, GRADIENT_VIEWS
from landscope_app.views import Panel, Series, View, lines, plain_layout

__all__ = ["PANELS"]

GRADIENT = """import torch

gradient = ls.landscape.gradient_direction(objective)
update = ls.landscape.moment_directions(objective, optimizer)[-1]
ls.landscape.slice2d(objective, torch.stack([gradient, update])).figure()"""

LAZINESS = """start = ls.kernel.moment(objective, theta=path[0])  # path (T, P): earlier weights
ls.kernel.laziness(ls.kernel.moment(objective), start).figure()"""

MODES = """from torch.nn.functional import mse_loss, one_hot

squared = objective.with_loss(lambda f, y: mse_loss(f, one_hot(y, f.shape[1]).to(f)))
times = [0.1 * step for step in range(len(path))]  # learning rate times steps; path (T, P): earlier weights
ls.kernel.eigenmodes(squared, path, times, leading=8).figure()"""

STEPS = """def at(theta):
    return ls.embedding.features(objective, theta=theta).values

ls.embedding.similarity({str(time): at(theta) for time, theta in enumerate(path)}).figure()  # path (T, P): weights"""

PANELS = (
    Panel(
        "landscape",
        "Loss landscape",
        (
            View(
                "plane",
                "the loss landscape",
                "The loss on a plane through the present weights, and along its two axes.",
                lambda colours: plane_layout(("", ""), colours),
                drawer="landscape",
                frames=("slice/trajectory", "slice/random", "slice/hessian", "slice/gradient"),
                live=(
                    "ls.landscape.trajectory_slice(objective, path).figure()  # path (T, P): earlier weights",
                    "ls.landscape.slice2d(objective).figure()",
                    'ls.landscape.slice2d(objective, "hessian", radius="auto").figure()',
                    GRADIENT,
                ),
            ),
        ),
        wide=True,
        controls=("checks", "asked", "show", "plane", "style"),
    ),
    Panel(
        "curves",
        "Loss and accuracy",
        (
            lines(
                "history",
                "loss and accuracy",
                "On the training data, and on held-out data.",
                (("loss", "log"), ("accuracy (share)", "linear")),
                series=(
                    Series("train/loss", "train", "first"),
                    Series("test/loss", "test", "second", dash="dash"),
                    Series("step/loss", "batch", "muted", faint=True),
                    Series("train/accuracy", "train", "first", row=2),
                    Series("test/accuracy", "test", "second", dash="dash", row=2),
                ),
                probes=("evaluate",),
                live=("objective.metrics(objective.theta().unsqueeze(0))",),
            ),
            *EXAMPLE_VIEWS,
        ),
        controls=("bins",),
    ),
    Panel(
        "sharpness",
        "Sharpness",
        (
            lines(
                "history",
                "sharpness",
                "Steps overshoot where it exceeds the dashed limit.",
                (("eigenvalue (loss / parameter²)", "auto"),),
                series=(
                    Series("sharpness/lambda_max", "λ max", "first", error="sharpness/stderr"),
                    Series("sharpness/threshold", "limit", "second", dash="dash", hold=True),
                    Series("density/eigenvalue.*", "λ₂, λ₃ …", "muted", faint=True, markers=True),
                ),
                frames=("sharpness",),
                live=("ls.curvature.sharpness(objective, optimizer).figure()",),
                checked=True,
            ),
            View(
                "measures",
                "measures of sharpness",
                "Its definitions side by side; below, SAM over its radius.",
                lambda colours: plain_layout("radius ρ (of the weights)", "rise of loss", colours),
                drawer="measures",
                frames=("sharpness/measures",),
                live=("ls.curvature.sharpness_measures(objective, optimizer).figure()",),
            ),
            View(
                "taylor",
                "the quadratic model",
                "Where the loss leaves the parabola of its curvature.",
                lambda colours: plain_layout("distance (of the weights)", "loss", colours),
                label="Taylor",
                drawer="taylor",
                frames=("quadratic",),
                live=("ls.curvature.quadratic_model(objective).figure()",),
            ),
        ),
    ),
    Panel(
        "norms",
        "Gradient and weights",
        (
            lines(
                "history",
                "gradient and weights",
                "How steep the loss is, and how large the weights are.",
                (("gradient ‖∇L‖", "log"), ("weights ‖θ‖", "linear")),
                series=(
                    Series("norm/gradient", "gradient", "first"),
                    Series("norm/weights", "weights", "third", row=2),
                ),
                probes=("norms",),
                live=("ls.dynamics.norms(objective)",),
            ),
            *GRADIENT_VIEWS,
        ),
    ),
    Panel(
        "spectrum",
        "Hessian spectrum",
        (
            View(
                "now",
                "the Hessian's spectrum",
                "Curvature in all directions: bulk and outliers.",
                density_layout,
                drawer="density",
                frames=("density",),
                live=("ls.curvature.density(objective).figure()",),
                checked=True,
            ),
            View(
                "waterfall",
                "the Hessian's spectrum",
                "All eigenvalues at every step; dashed is the limit.",
                waterfall_layout,
                label="through training",
                drawer="waterfall",
                through="waterfall_figure",
                frames=("density",),
                live=("ls.curvature.density(objective).figure()",),
            ),
        ),
    ),
    Panel(
        "kernel",
        "Tangent kernel",
        (
            lines(
                "history",
                "the tangent kernel",
                "Level lines mean lazy training, moving ones features.",
                (("kernel eigenvalue", "log"), ("label alignment", "linear")),
                series=(
                    Series("ntk/eigenvalue.*", "rank", "sequential"),
                    Series("ntk/alignment", "alignment", "first", row=2),
                    Series("ntk/effective_rank", "eff. rank", "text", row=0),
                ),
                frames=("ntk",),
                live=("ls.kernel.ntk(objective).figure()",),
            ),
            lines(
                "laziness",
                "how lazy the training is",
                "Near zero above is lazy; below, what the kernel knows.",
                (("movement (share)", "auto"), ("label alignment", "linear")),
                label="lazy or rich",
                series=(
                    Series("ntk/drift", "kernel", "first"),
                    Series("ntk/features", "features", "second", dash="dash"),
                    Series("ntk/weights", "weights", "third", dash="dot"),
                    Series("ntk/alignment", "train", "first", row=2),
                    Series("ntk/test_alignment", "test", "second", dash="dash", row=2),
                    Series("ntk/label_energy", "label energy", "third", dash="dot", row=2),
                ),
                frames=("ntk",),
                live=(LAZINESS,),
            ),
            View(
                "scree",
                "the kernel's spectrum",
                "Eigenvalues by rank; thick is the shown step.",
                lambda colours: plain_layout("rank", "kernel eigenvalue", colours),
                drawer="scree",
                through="kernel_history_figure",
                ranked=True,
                frames=("ntk",),
                live=("ls.kernel.ntk(objective).figure()",),
            ),
            View(
                "cosines",
                "the kernel",
                "How alike the gradients of two examples are.",
                lambda colours: plain_layout("example (by class)", "example (by class)", colours),
                label="matrix",
                drawer="cosines",
                frames=("ntk",),
                live=('ls.kernel.ntk(objective).figure(style="cosines")',),
            ),
            View(
                "modes",
                "the residual along the kernel's modes",
                "What is left to learn, beside a fixed kernel's prediction.",
                lambda colours: plain_layout("time (learning rate × steps)", "residual |uₖ · (f − y)|", colours),
                drawer="modes",
                frames=("modes",),
                live=(MODES,),
            ),
            View(
                "linearised",
                "the linearised network",
                "On the diagonal the network is lazy.",
                lambda colours: plain_layout("output of the network", "output, linearised at the start", colours),
                drawer="linearised",
                frames=("linearised",),
                live=("ls.kernel.linearised(objective, path[0]).figure()  # path (T, P): earlier weights",),
            ),
        ),
    ),
    Panel(
        "embedding",
        "Feature geometry",
        (
            View(
                "points",
                "the features",
                "Every example as the network sees it.",
                lambda colours: embedding_layout("", colours),
                drawer="embedding",
                frames=("embedding",),
                live=("ls.embedding.project(objective).figure()",),
            ),
            View(
                "umap",
                "the features by UMAP",
                "Neighbours stay neighbours; distances mean nothing.",
                lambda colours: embedding_layout("umap", colours),
                label="UMAP",
                drawer="embedding",
                frames=("embedding/umap",),
                live=('ls.embedding.project(objective, method="umap", start="pca").figure()',),
            ),
            lines(
                "collapse",
                "neural collapse",
                "Each falls to zero as the classes come to be points.",
                (("NC1 to NC3 (no unit)", "log"), ("NC4 (share)", "linear")),
                series=(
                    Series("geometry/nc1", "NC1", "first"),
                    Series("geometry/nc2_norms", "NC2 ‖μ‖", "second", dash="dash"),
                    Series("geometry/nc2_angles", "NC2 ∠", "third", dash="dot"),
                    Series("geometry/nc3", "NC3", "text", dash="dashdot"),
                    Series("geometry/nc4", "NC4", "first", row=2),
                ),
                frames=("geometry",),
                live=('ls.embedding.geometry(objective).figure(style="means")',),
            ),
            View(
                "means",
                "the class means",
                "How the classes' mean features lie to one another.",
                lambda colours: plain_layout("class", "class", colours),
                label="class means",
                drawer="means",
                frames=("geometry",),
                live=('ls.embedding.geometry(objective).figure(style="means")',),
            ),
            lines(
                "dimension",
                "the dimension of the features",
                "How many directions the features use.",
                (("dimension (directions)", "auto"),),
                series=(
                    Series("geometry/effective_rank", "eff. rank", "first"),
                    Series("geometry/participation_ratio", "participation", "second", dash="dash"),
                    Series("geometry/intrinsic", "TwoNN", "third", dash="dot"),
                ),
                frames=("geometry",),
                live=("ls.embedding.geometry(objective).figure()",),
            ),
            lines(
                "contrast",
                "alignment and uniformity",
                "How close a class is, and how spread out all are.",
                (("pairs (no unit)", "linear"), ("accuracy (share)", "linear")),
                series=(
                    Series("geometry/alignment", "alignment", "first"),
                    Series("geometry/uniformity", "uniformity", "second", dash="dash"),
                    Series("geometry/knn_accuracy", "neighbours", "first", row=2),
                    Series("geometry/probe_accuracy", "linear probe", "second", dash="dash", row=2),
                ),
                frames=("geometry",),
                live=('ls.embedding.geometry(objective).figure(style="cosines")',),
            ),
            View(
                "layers",
                "how alike the layers are",
                "How alike the layers see the examples.",
                lambda colours: plain_layout("layer", "layer", colours),
                label="layers alike",
                drawer="similarity",
                frames=("similarity/layers",),
                live=("ls.embedding.similarity(ls.embedding.layerwise(objective)).figure()",),
            ),
            View(
                "steps",
                "how alike the steps are",
                "How alike the features are at any two steps.",
                lambda colours: plain_layout("step", "step", colours),
                label="steps alike",
                drawer="similarity",
                frames=("similarity/steps",),
                live=(STEPS,),
            ),
            View(
                "tokens",
                "the spectrum of the tokens",
                "Waves in the embedding, and tokens on their circles.",
                lambda colours: plain_layout("frequency k (turns)", "norm (weights)", colours),
                drawer="tokens",
                frames=("tokens",),
                live=("ls.embedding.progress_measures(objective).figure()",),
            ),
            lines(
                "progress",
                "how far the network adds by waves",
                "The loss by waves alone, and without them.",
                (("loss (nats)", "log"), ("Gini, share", "linear")),
                series=(
                    Series("tokens/restricted", "waves alone", "first"),
                    Series("tokens/excluded", "without", "second", dash="dash"),
                    Series("tokens/excluded.train", "on train", "third", dash="dot"),
                    Series("tokens/gini", "Gini", "first", row=2),
                    Series("tokens/share", "in keys", "second", dash="dash", row=2),
                ),
                frames=("tokens",),
                live=("ls.embedding.progress_measures(objective).figure()",),
            ),
        ),
        controls=("points",),
    ),
)
