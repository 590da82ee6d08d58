"""Norms, singular values and distances of the weights themselves."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from landscope.derivatives import accumulator
from landscope.measurements import WeightStatistics
from landscope.objective import Objective
from landscope.parameters import filter_rules

__all__ = ["weight_statistics"]


def weight_statistics(
    objective: Objective,
    *,
    theta: Tensor | None = None,
    start: Tensor | None = None,
    before: Tensor | None = None,
) -> WeightStatistics:
    """Norms, singular values and stable ranks of every parameter, and how far it has come.

    A parameter of several filters is a matrix with a row for each (`landscope.parameters.filter_rules`): kernels of a
    convolution are flattened. Its stable rank is |W|_F^2 / sigma_1^2. The distance of the distribution of its elements
    from that at the start is (mean (w_(i) - v_(i))^2)^1/2 with both sorted, which Wasserstein regularisation lowers
    (Lewandowski, Tanaka, Schuurmans and Machado 2023, "Directions of Curvature as an Explanation for Loss of
    Plasticity", arXiv 2312.00246; for the singular values Lewandowski et al. 2024, "Learning Continually by Spectral
    Regularization", arXiv 2406.06811).

    Args:
        objective: Whose parameters; nothing is evaluated.
        theta: The weights (P,); the model's at this moment if left out.
        start: The weights (P,) where training began.
        before: The weights (P,) before the last update.

    Raises:
        ValueError: if a vector has another length.
    """
    layout, rules = objective.layout, filter_rules(objective.model, objective.layout)
    for name, vector in (("start", start), ("before", before)):
        if vector is not None:
            layout.check(name, vector, 1)
    with objective.measuring() as meter, torch.no_grad():
        point = objective._point(theta)
        spectra: dict[str, np.ndarray] = {}
        for name, where in layout.slices.items():
            rule, elements = rules[name], point[where].to(accumulator(point))
            if rule is not None and elements.numel():
                spectra[name] = torch.linalg.svdvals(rule.split(elements[None])[0]).cpu().double().numpy()
        norms = _norms(objective, point)
        largest, smallest = (
            np.array([spectra[name][end] if name in spectra else np.nan for name in layout.names]) for end in (0, -1)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            ranks = norms**2 / largest**2
            ratios = None if before is None else _norms(objective, point - before.to(point)) / norms
        return WeightStatistics(
            provenance=meter.provenance("singular values"),
            names=layout.names,
            sizes=layout.sizes,
            norms=norms,
            largest=largest,
            smallest=smallest,
            stable_ranks=ranks,
            singular_values=spectra,
            distances=None if start is None else _norms(objective, point - start.to(point)),
            wassersteins=None if start is None else _wassersteins(objective, point, start.to(point)),
            start_norms=None if start is None else _norms(objective, start.to(point)),
            update_ratios=ratios,
        )


def _norms(objective: Objective, vector: Tensor) -> np.ndarray:
    """The norm of each parameter's part, (G,)."""
    kind = accumulator(vector)
    return np.array([float(torch.linalg.vector_norm(vector[w], dtype=kind)) for w in objective.layout.slices.values()])


def _wassersteins(objective: Objective, point: Tensor, start: Tensor) -> np.ndarray:
    """The 2-Wasserstein distances of the elements of each parameter, (G,): of sorted elements, in one dimension."""
    found = []
    for where in objective.layout.slices.values():
        now, then = (vector[where].sort().values.to(accumulator(vector)) for vector in (point, start))
        found.append(float((now - then).square().mean().sqrt()) if now.numel() else 0.0)
    return np.array(found)
