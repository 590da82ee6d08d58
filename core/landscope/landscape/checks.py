"""What a slice says of itself when asked whether it is right."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from landscope.batch_norm import batch_norm_layers
from landscope.landscape.normalisation import Normalisation, blocks_of
from landscope.objective import Objective

__all__ = ["Check", "agreement", "batch_norm_check", "direction_checks", "path_check"]

Check = tuple[str, str, str]  # name; "pass", "fail" or "note"; what was found


def agreement(name: str, found: float, expected: float, what: str, precision: torch.dtype) -> Check:
    """Whether two ways to one loss agree to the weights' precision.

    Args:
        name: Of the check.
        found: The slice's value.
        expected: The value it must have.
        what: What the two are, with {found} and {expected} where their values belong.
        precision: Floating-point type of the weights.
    """
    eps = torch.finfo(precision).eps
    tolerance = min(100 * eps, max(4 * eps, 1e-3))  # coarse types leave no room for a hundred roundings
    same = bool(np.isclose(found, expected, rtol=tolerance, atol=tolerance, equal_nan=True))
    text = what.format(found=f"{found:.6g}", expected=f"{expected:.6g}")
    apart = "" if found == expected or not np.isfinite(found - expected) else f" ({abs(found - expected):.1g} apart)"
    return (name, "pass" if same else "fail", text + apart)


def direction_checks(
    objective: Objective,
    centre: Tensor,
    directions: Tensor,
    *,
    normalisation: Normalisation,
    biases: bool,
    orthogonal: bool,
) -> list[Check]:
    """Lengths of the directions and the angles between them, and whether those are as was asked for.

    Args:
        objective: Whose parameters.
        centre: (P,) the weights.
        directions: (K, P).
        normalisation: What was asked for.
        biases: Whether biases were to move.
        orthogonal: Whether orthogonal directions were asked for.
    """
    gram = (directions.double() @ directions.double().T).cpu().numpy()
    norms = np.sqrt(np.diag(gram))
    cosines = (gram / np.outer(norms, norms))[np.triu_indices(len(norms), 1)]
    lengths = ", ".join(f"{norm:.4g}" for norm in norms)
    text = f"length{'s' if len(norms) > 1 else ''} {lengths}; the weights' is {float(centre.double().norm()):.4g}"
    found: list[Check] = [("lengths", "note", text)]
    if len(cosines):
        worst = float(np.abs(cosines).max())
        verdict = ("pass" if worst < 1e-5 else "fail") if orthogonal else "note"
        found.append(("angle", verdict, f"cosine {', '.join(f'{cosine:.2g}' for cosine in cosines)}"))
    if normalisation in ("filter", "layer", "tensor", "model"):
        found.append(_normalised(objective, centre, directions, normalisation, biases))
    return found


def _normalised(
    objective: Objective, centre: Tensor, directions: Tensor, normalisation: Normalisation, biases: bool
) -> Check:
    """Whether every block of the directions has the norm of the weights' block."""
    worst, count = 0.0, 0
    for block in blocks_of(objective, normalisation, biases=biases):
        weights = block.of(centre.double().unsqueeze(0)).norm(dim=-1)
        apart = (block.of(directions.double()).norm(dim=-1) - weights).abs() / weights.clamp_min(1e-30)
        apart = torch.where(weights > 0, apart, 0.0)
        worst, count = max(worst, float(apart.max())), count + weights.numel()
    unit = {"model": "whole"}.get(normalisation, normalisation)
    text = f"{count} {unit}{'s' if count != 1 else ''} as long as the weights' (to {worst:.1g})"
    return (f"{normalisation} normalisation", "pass" if worst < 1e-3 else "fail", text)


def batch_norm_check(objective: Objective, plane: str) -> list[Check]:
    """How batch normalisation was evaluated, with the caution that belongs to it; nothing without such layers."""
    layers = len(batch_norm_layers(objective.model))
    if not layers:
        return []
    how = {
        "eval": "running statistics of the weights' own place, kept as they are over the whole slice",
        "batch": "statistics of each batch",
        "recompute": "statistics computed anew over the data at each point",
    }[objective.batch_norm]
    caution = (
        " A random plane of a network with batch normalisation can look flat or sharp for reasons of scale alone: hold "
        "it against the plane of Hessian eigenvectors (Gabdullin 2024)."
    )
    return [
        (
            "batch norm",
            "note",
            f"{layers} layer{'s' if layers != 1 else ''}, {how}.{caution if plane == 'random' else ''}",
        )
    ]


def path_check(losses: np.ndarray, beneath: np.ndarray, distances: np.ndarray) -> Check:
    """How far the surface is from the losses that the path really had.

    Args:
        losses: (T,) of the weights on the path.
        beneath: (T,) of the surface at their feet; NaN off the grid.
        distances: (T,) of the weights from the plane.
    """
    both = np.asarray(losses), np.asarray(beneath)
    usable = np.isfinite(both[0]) & np.isfinite(both[1]) & (both[0] > 0)
    if not usable.any():
        return (
            "path",
            "note",
            f"the path comes within {min(distances):.3g} of the plane and is {max(distances):.3g} away",
        )
    apart = np.abs(both[1][usable] - both[0][usable]) / both[0][usable]
    return (
        "path",
        "note",
        f"up to {max(distances):.3g} out of the plane, where the surface shows another loss than the path had: "
        f"{100 * float(np.median(apart)):.2g} % off in the median, {100 * float(apart.max()):.2g} % at worst",
    )
