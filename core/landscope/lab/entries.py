"""What can be asked for: each measurement's name, its parameters with their ranges, and about what it costs.

Plain data, which needs no torch: the page and the command line offer and check requests by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from landscope.lab.parameters import described, parameter, read

__all__ = ["ENTRIES", "Entry", "chosen", "description"]

_OPERATORS = ("hessian", "ggn", "fisher", "empirical-fisher")
_NORMALISATIONS = ("filter", "layer", "tensor", "model", "none")
_PRODUCT = 2.5  # gradients that a product with the Hessian takes as long as
_VALUE = 0.35  # and a value


@dataclass(frozen=True)
class Slice1D:
    """Parameters of a slice along one direction."""

    direction: str = parameter("random", "direction", choices=("random", "hessian", "gradient"))
    points: int = parameter(65, "points", 5, 1025)
    radius: float = parameter(1.0, "half the length; 0: as far as the loss changes tenfold", 0, 1e6)
    normalisation: str = parameter("filter", "normalisation of random directions", choices=_NORMALISATIONS)
    seed: int = parameter(0, "seed of random directions", 0, 2**31 - 1)


@dataclass(frozen=True)
class Slice2D:
    """Parameters of a slice on a plane."""

    plane: str = parameter("random", "plane", choices=("random", "hessian", "trajectory"))
    points: int = parameter(33, "points a side", 5, 257)
    radius: float = parameter(
        1.0,
        "half the side; for the trajectory, times what holds the path; 0: as far as the loss changes tenfold",
        0,
        1e6,
    )
    normalisation: str = parameter("filter", "normalisation of random directions", choices=_NORMALISATIONS)
    orthogonal: bool = parameter(False, "random directions made orthogonal")
    seed: int = parameter(0, "seed of random directions", 0, 2**31 - 1)


@dataclass(frozen=True)
class Slice3D:
    """Parameters of a slice in a box."""

    box: str = parameter("random", "directions", choices=("random", "hessian"))
    points: int = parameter(17, "points a side", 5, 65)
    radius: float = parameter(1.0, "half the side; 0: as far as the loss changes tenfold", 0, 1e6)
    normalisation: str = parameter("filter", "normalisation of random directions", choices=_NORMALISATIONS)
    seed: int = parameter(0, "seed of random directions", 0, 2**31 - 1)


@dataclass(frozen=True)
class Eigenvalues:
    """Parameters of the outermost eigenvalues."""

    k: int = parameter(5, "eigenvalues at each end", 1, 200)
    which: str = parameter("largest", "end of the spectrum", choices=("largest", "smallest", "both"))
    operator: str = parameter("hessian", "matrix", choices=_OPERATORS)
    tolerance: float = parameter(1e-3, "relative error to reach", 1e-10, 0.5, scale="log")
    seed: int = parameter(0, "seed", 0, 2**31 - 1)


@dataclass(frozen=True)
class Density:
    """Parameters of the spectral density."""

    probes: int = parameter(5, "random directions", 2, 100)
    steps: int = parameter(20, "Lanczos steps of each", 2, 500)
    spikes: int = parameter(10, "leading eigenvalues taken out", 0, 100)
    operator: str = parameter("hessian", "matrix", choices=_OPERATORS)
    seed: int = parameter(0, "seed", 0, 2**31 - 1)


@dataclass(frozen=True)
class Trace:
    """Parameters of the trace."""

    budget: int = parameter(60, "products to spend", 4, 10_000)
    operator: str = parameter("hessian", "matrix", choices=_OPERATORS)
    seed: int = parameter(0, "seed", 0, 2**31 - 1)


@dataclass(frozen=True)
class Sharpness:
    """Parameters of the sharpness."""

    tolerance: float = parameter(1e-3, "relative error to reach", 1e-10, 0.5, scale="log")
    seed: int = parameter(0, "seed", 0, 2**31 - 1)


@dataclass(frozen=True)
class Quadratic:
    """Parameters of the quadratic model."""

    seed: int = parameter(0, "seed", 0, 2**31 - 1)


@dataclass(frozen=True)
class Kernel:
    """Parameters of the tangent kernel."""

    n: int = parameter(128, "examples", 2, 4096)
    kind: str = parameter("auto", "how outputs are contracted", choices=("auto", "full", "trace", "pseudo"))
    seed: int = parameter(0, "seed of the choice of examples", 0, 2**31 - 1)


@dataclass(frozen=True)
class Projection:
    """Parameters of a projection of the features."""

    layer: str = parameter("", "layer; empty: what the last linear layer reads")
    method: str = parameter("pca", "method", choices=("pca", "means", "sphere", "umap"))
    dimensions: int = parameter(2, "dimensions", 2, 3)
    examples: int = parameter(512, "examples", 3, 10_000)
    seed: int = parameter(0, "seed of the choice of examples", 0, 2**31 - 1)


@dataclass(frozen=True)
class Features:
    """Parameters of what is measured of features."""

    layer: str = parameter("", "layer; empty: what the last linear layer reads")


@dataclass(frozen=True)
class Classes:
    """Parameters of the spectra of single classes."""

    tolerance: float = parameter(1e-2, "relative error to reach", 1e-10, 0.5, scale="log")
    operator: str = parameter("hessian", "matrix", choices=_OPERATORS)
    seed: int = parameter(0, "seed", 0, 2**31 - 1)


@dataclass(frozen=True)
class Gradients:
    """Parameters of the statistics of single examples' gradients."""

    n: int = parameter(256, "examples", 4, 4096)
    seed: int = parameter(0, "seed of the choice of examples", 0, 2**31 - 1)


@dataclass(frozen=True)
class Nothing:
    """No parameters."""


@dataclass(frozen=True)
class Scores:
    """Parameters of the scores of examples."""

    gradients: bool = parameter(False, "GraNd too, from each example's gradient")


@dataclass(frozen=True)
class Reliability:
    """Parameters of the calibration."""

    bins: int = parameter(15, "bins", 2, 100)


@dataclass(frozen=True)
class Plasticity:
    """Parameters of the plasticity probe."""

    steps: int = parameter(50, "steps of Adam on random labels", 1, 10_000)
    lr: float = parameter(1e-2, "its learning rate", 1e-6, 10, scale="log")
    n: int = parameter(256, "examples", 2, 4096)
    seed: int = parameter(0, "seed of the labels", 0, 2**31 - 1)


@dataclass(frozen=True)
class Coefficient:
    """Parameters of the local learning coefficient."""

    chains: int = parameter(4, "chains", 2, 64)
    burn_in: int = parameter(300, "steps that do not count", 0, 100_000)
    draws: int = parameter(300, "steps that count", 2, 100_000)
    step: float = parameter(0.2, "step, as a share of the inverse curvature", 1e-4, 4, scale="log")
    pull: float = parameter(0.05, "pull to the weights, as a share of the largest curvature", 1e-6, 10, scale="log")
    seed: int = parameter(0, "seed", 0, 2**31 - 1)


@dataclass(frozen=True)
class CoefficientGrid:
    """Parameters of the learning coefficient over its sampler's settings."""

    chains: int = parameter(4, "chains", 2, 64)
    burn_in: int = parameter(150, "steps that do not count", 0, 100_000)
    draws: int = parameter(150, "steps that count", 2, 100_000)
    seed: int = parameter(0, "seed", 0, 2**31 - 1)


@dataclass(frozen=True)
class Entry:
    """One thing that can be asked for.

    Attributes:
        name: What it is asked for by, and the last part of its frame's name.
        title: What one gets, in a sentence.
        parameters: The dataclass of its parameters.
        gradients: About how many gradients of the whole objective it takes as long as, given its parameters.
        divided: Whether it comes in steps, coarse to fine; what is in one piece can be ended all the same, but shows
            nothing before its end.
    """

    name: str
    title: str
    parameters: type[Any]
    gradients: Callable[[Any], float]
    divided: bool = False


ENTRIES: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            "slice2d",
            "The loss on a plane through the weights.",
            Slice2D,
            lambda asked: _VALUE * asked.points**2 + 120 * (asked.plane == "hessian"),
            divided=True,
        ),
        Entry(
            "slice1d",
            "The loss along a line through the weights.",
            Slice1D,
            lambda asked: _VALUE * asked.points + 60 * (asked.direction == "hessian"),
            divided=True,
        ),
        Entry(
            "slice3d",
            "The loss in a box around the weights.",
            Slice3D,
            lambda asked: _VALUE * asked.points**3 + 160 * (asked.box == "hessian"),
            divided=True,
        ),
        Entry(
            "eigenvalues",
            "The outermost eigenvalues of the Hessian, or of another curvature matrix, each with its error.",
            Eigenvalues,
            lambda asked: _PRODUCT * (30 + 8 * asked.k * (1 + (asked.which == "both"))),
            divided=True,
        ),
        Entry(
            "density",
            "The density of all eigenvalues, with a band.",
            Density,
            lambda asked: _PRODUCT * (min(64, 3 * asked.spikes) + asked.probes * asked.steps),
        ),
        Entry(
            "trace",
            "The trace of the Hessian and its Frobenius norm, with standard errors.",
            Trace,
            lambda asked: _PRODUCT * asked.budget,
        ),
        Entry(
            "sharpness",
            "The largest curvature, against the optimiser's limit where the optimiser's state is known.",
            Sharpness,
            lambda asked: _PRODUCT * 30,
        ),
        Entry(
            "quadratic",
            "How far from the weights the Hessian describes the loss.",
            Quadratic,
            lambda asked: 150,
        ),
        Entry(
            "ntk",
            "The tangent kernel on a few examples, and its spectrum.",
            Kernel,
            lambda asked: 40,
        ),
        Entry(
            "project",
            "The features of a layer, projected to two or three dimensions.",
            Projection,
            lambda asked: 200 if asked.method == "umap" else 4,
        ),
        Entry(
            "collapse",
            "The four quantities of neural collapse.",
            Features,
            lambda asked: 2,
        ),
        Entry(
            "geometry",
            "How many directions the features use, how they contrast, and neural collapse.",
            Features,
            lambda asked: 10,
        ),
        Entry(
            "class_spectra",
            "Both ends of the spectrum of each class's own loss: whether the weights are a minimum for every class.",
            Classes,
            lambda asked: _PRODUCT * 90,
        ),
        Entry(
            "gradient_statistics",
            "How noisy the gradients of single examples are, by layer and class, and the critical batch size.",
            Gradients,
            lambda asked: 6,
        ),
        Entry(
            "gradient_conflict",
            "Which classes' gradients point against one another.",
            Nothing,
            lambda asked: 4,
        ),
        Entry(
            "unit_activity",
            "Dead, dormant and saturated units of each layer.",
            Nothing,
            lambda asked: 1,
        ),
        Entry(
            "example_scores",
            "Loss, margin, confidence and importance of every example.",
            Scores,
            lambda asked: 8 if asked.gradients else 1,
        ),
        Entry(
            "calibration",
            "How far the network's confidence agrees with its accuracy.",
            Reliability,
            lambda asked: 1,
        ),
        Entry(
            "plasticity",
            "How fast a copy of the network learns fresh random labels.",
            Plasticity,
            lambda asked: 1.2 * asked.steps + 60,
        ),
        Entry(
            "learning_coefficient",
            "The local learning coefficient by Langevin dynamics, with its chains.",
            Coefficient,
            lambda asked: asked.chains * (asked.burn_in + asked.draws) + 75,
        ),
        Entry(
            "coefficient_calibration",
            "The learning coefficient over the settings of its sampler: to be believed where it depends on none.",
            CoefficientGrid,
            lambda asked: 9 * asked.chains * (asked.burn_in + asked.draws) + 75,
        ),
    )
}
"""What can be asked for, by name."""


def chosen(what: str, parameters: Mapping[str, Any] | None = None) -> tuple[Entry, Any]:
    """An entry and its parameters, checked.

    Args:
        what: One of `ENTRIES`.
        parameters: As JSON or a command line gives them; what is left out has its default.

    Raises:
        ValueError: if there is no such entry or parameter, or a value is no such thing or out of range.
    """
    if what not in ENTRIES:
        raise ValueError(f"there is no measurement {what!r}; there are {', '.join(ENTRIES)}")
    entry = ENTRIES[what]
    try:
        return entry, read(entry.parameters, parameters or {})
    except ValueError as wrong:
        raise ValueError(f"{what}: {wrong}") from None


def description() -> list[dict[str, Any]]:
    """All entries as JSON: name, title, and parameters as `described`."""
    return [
        {"name": entry.name, "title": entry.title, "parameters": described(entry.parameters)}
        for entry in ENTRIES.values()
    ]
