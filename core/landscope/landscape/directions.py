"""Directions in weight space: random ones, eigenvectors of the Hessian, and those that training goes by.

All of them are functions of an objective that give a vector (P,) or rows (count, P), in the order of its layout and in
float32 at least.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from landscope.curvature.lanczos import all_leading_eigenpairs
from landscope.curvature.operators import start_vector, zero_vector
from landscope.curvature.probes import private_generator
from landscope.derivatives import Operator, accumulator
from landscope.landscape.normalisation import Normalisation, blocks_of, normalised, orthogonalised
from landscope.objective import Objective
from landscope.optimizers import as_optimizers, holders

__all__ = ["gradient_direction", "hessian_directions", "moment_directions", "random_directions", "sam_direction"]

logger = logging.getLogger(__name__)


def random_directions(
    objective: Objective,
    count: int = 2,
    *,
    normalisation: Normalisation = "filter",
    biases: bool = False,
    orthogonal: bool = False,
    seed: int = 0,
    theta: Tensor | None = None,
) -> Tensor:
    """Gaussian directions (count, P), scaled so that one unit means as much in every part of the network.

    "filter" gives every filter of the direction the norm of the same filter of the weights, d_f <- d_f |w_f| / |d_f|,
    and leaves biases and normalisation parameters alone (zero), as in Li et al. 2018, section 4. "tensor" does so with
    each parameter as a whole, "layer" with all weights of a module. "model" gives the whole direction, biases
    included, the norm of the whole theta. "none" leaves the Gaussian as drawn.

    The numbers come from a generator of their own on the CPU: the same seed gives the same directions on every device.

    Args:
        objective: Whose parameters.
        count: How many.
        normalisation: One of "filter", "layer", "tensor", "model", "none".
        biases: Whether biases and normalisation parameters move too, each as if it were a filter (under "layer", as a
            part of its module); "model" and "none" always move them.
        orthogonal: Whether the directions are made orthogonal to each other, with every norm kept (see
            `landscope.landscape.normalisation.orthogonalised`). As drawn, the cosine of two is of order 1/sqrt(P).
        seed: Seed of the generator.
        theta: (P,) the weights to scale by; the model's by default.

    Raises:
        ValueError: if the normalisation is unknown, the count is not positive, weights are not finite, or so many
            directions cannot be orthogonal.
    """
    if count < 1:
        raise ValueError(f"count of directions must be positive, got {count}")
    blocks_of(objective, normalisation)  # refuses an unknown one before anything is drawn
    like = zero_vector(objective)
    drawn = torch.randn(count, len(like), generator=private_generator(seed)).to(like)
    if orthogonal:
        return orthogonalised(objective, drawn, normalisation, biases=biases, theta=theta)
    return normalised(objective, drawn, normalisation, biases=biases, theta=theta)


def hessian_directions(
    objective: Objective,
    count: int = 2,
    *,
    end: Literal["top", "bottom", "both"] = "top",
    previous: Tensor | None = None,
    tolerance: float = 1e-3,
    max_products: int | None = None,
    seed: int = 0,
    theta: Tensor | None = None,
) -> Tensor:
    """Orthonormal eigenvectors (count, P) of the Hessian at one end of its spectrum, or at both.

    Along an eigenvector of eigenvalue h the loss is L + s^2 h / 2 + O(s^3), less the slope: "top" has the steepest
    curvature first, "bottom" the most negative first, "both" the top ones and then the bottom ones, one more of the
    former where the count is odd. With two, "both" is the plane of the most convex and the most concave direction.

    An eigenvector has no sign: it gets the one that agrees with `previous`, or else that makes its component of
    largest magnitude positive.

    Args:
        objective: Of which loss.
        count: How many.
        end: "top", "bottom" or "both".
        previous: (count, P) what this function gave for nearby weights: for the signs, and to start from.
        tolerance: Error bound of the eigenvalues, relative to each, at which to stop.
        max_products: Largest number of Hessian-vector products at each end; by default 20 a direction, and 80.
        seed: Seed of the random start.
        theta: (P,) where; the model's weights by default.

    Raises:
        ValueError: if the end is unknown, the count is not between 1 and P, or `previous` does not fit.
        FloatingPointError: if a product is not finite.
    """
    if end not in ("top", "bottom", "both"):
        raise ValueError(f"end must be 'top', 'bottom' or 'both', got {end!r}")
    like, generator = zero_vector(objective), private_generator(seed)
    if not 1 <= count <= len(like):
        raise ValueError(f"count of directions must be between 1 and the {len(like)} parameters, got {count}")
    if previous is not None:
        objective.layout.check("previous", previous, 2)
        if len(previous) != count:
            raise ValueError(f"previous must have {count} directions, as many as are asked for, got {len(previous)}")
    hessian = objective.hessian(theta)
    at_top = {"top": count, "bottom": 0, "both": (count + 1) // 2}[end]
    rows = like.new_zeros(0, len(like))
    with objective.measuring():
        for sign, wanted in ((1, at_top), (-1, count - at_top)):
            if not wanted:
                continue
            start = None if previous is None else previous[len(rows) : len(rows) + wanted]
            pairs = all_leading_eigenpairs(
                partial(_signed_product, hessian, sign),
                start_vector(start, like, generator),
                wanted,
                tolerance=tolerance,
                max_products=20 * wanted + 80 if max_products is None else max_products,
                generator=generator,
            )
            if not pairs.converged.all():
                logger.info("eigenvalues %s have errors %s after %d products", sign * pairs.values, pairs.errors,
                            pairs.products)  # fmt: skip
            rows = torch.cat([rows, _complement(pairs.vectors, rows)])
    return _oriented(rows, previous)


def _signed_product(operator: Operator, sign: int, vector: Tensor) -> Tensor:
    return sign * operator(vector)


def gradient_direction(objective: Objective, *, theta: Tensor | None = None) -> Tensor:
    """The unit vector (P,) of steepest descent, -g / |g|: positive coordinates lie where gradient descent goes.

    Raises:
        ValueError: if the gradient is zero or not finite.
    """
    return -_unit(_gradient(objective, theta), "the gradient")


def sam_direction(objective: Objective, rho: float = 0.05, *, theta: Tensor | None = None) -> Tensor:
    """The ascent step of sharpness-aware minimisation, rho g / |g| (Foret et al. 2021, equation 2), (P,).

    At coordinate 1 along it lie the weights at which SAM takes its gradient.

    Args:
        objective: Of which loss.
        rho: Radius of the neighbourhood in weight space.
        theta: (P,) where; the model's weights by default.

    Raises:
        ValueError: if rho is not positive, or the gradient is zero or not finite.
    """
    if not rho > 0:
        raise ValueError(f"rho must be positive, got {rho}")
    return rho * _unit(_gradient(objective, theta), "the gradient")


def moment_directions(objective: Objective, optimizer: Optimizer) -> Tensor:
    """The directions that an optimiser's moments point to, as unit vectors (count, P), downhill.

    Optimisers of Adam's kind (`exp_avg` and `exp_avg_sq` in their state) have two: that of the first moment, -m, and
    that of Adam's last step without its weight decay, -lr m' / (sqrt(v') + eps), m' and v' being corrected for their
    bias. Those with a momentum buffer (SGD, RMSprop) have one, that of the buffer b: -b.

    The objective's parameters are found in the optimiser by identity; those it does not hold, or has not moved yet,
    have zeros.

    Args:
        objective: Whose parameters.
        optimizer: The live optimiser that trains this model.

    Raises:
        ValueError: if the optimiser holds none of the parameters, keeps no moments, or has taken no step, or every
            learning rate is zero.
    """
    layout, named = objective.layout, dict(objective.model.named_parameters())
    (optimizer,) = as_optimizers(optimizer)
    held = {name: group for name, ((_, group),) in holders(optimizer, objective.model, layout.names).items()}
    states = {name: state for name in held if (state := optimizer.state.get(named[name]))}
    kind = type(optimizer).__name__
    if not states and any(group.get("momentum", 1) for group in held.values()):
        raise ValueError(f"{kind} has no moments before its first step; call optimizer.step() once")
    like = zero_vector(objective)

    def assembled(pieces: dict[str, Tensor]) -> Tensor:
        vector = torch.zeros_like(like)
        for name, piece in pieces.items():
            vector[layout.slices[name]] = piece.detach().reshape(-1).to(like)
        return vector

    if states and all("exp_avg" in state and "exp_avg_sq" in state for state in states.values()):
        steps = {name: _adam_step(state, held[name]) for name, state in states.items()}
        first = assembled({name: state["exp_avg"] for name, state in states.items()})
        return torch.stack([-_unit(first, "the first moment"), _unit(assembled(steps), "the last step")])
    buffers = {name: buffer for name, state in states.items() if (buffer := state.get("momentum_buffer")) is not None}
    if not buffers:
        raise ValueError(
            f"{kind} keeps no first moment: give it momentum, or look along gradient_direction(objective) instead"
        )
    return -_unit(assembled(buffers), "the momentum").unsqueeze(0)


def _adam_step(state: dict[str, Any], group: dict[str, Any]) -> Tensor:
    """-lr m' / (sqrt(v') + eps), in the parameter's shape."""
    count = float(state["step"])
    beta1, beta2 = (float(beta) for beta in group["betas"])
    second: Tensor = state["max_exp_avg_sq"] if "max_exp_avg_sq" in state else state["exp_avg_sq"]
    wide = second.to(torch.promote_types(second.dtype, torch.float32))
    root = torch.sqrt(wide / (1 - beta2**count)) + float(group["eps"])
    step: Tensor = -float(group["lr"]) / (1 - beta1**count) * state["exp_avg"] / root
    return step


def _gradient(objective: Objective, theta: Tensor | None) -> Tensor:
    return objective.gradient(theta).to(zero_vector(objective))


def _unit(vector: Tensor, name: str) -> Tensor:
    length = float(torch.linalg.vector_norm(vector, dtype=accumulator(vector)))
    if not 0 < length < torch.inf:
        raise ValueError(f"{name} has norm {length}, so it has no direction; choose another direction here")
    return vector / length


def _complement(vectors: Tensor, others: Tensor) -> Tensor:
    """Unit vectors (k, P) with what they have of orthonormal `others` taken out."""
    rest = vectors - (vectors @ others.T) @ others
    lengths: Tensor = torch.linalg.vector_norm(rest, dim=1, keepdim=True)
    return rest / lengths


def _oriented(rows: Tensor, previous: Tensor | None) -> Tensor:
    """Each row with the sign that agrees with `previous`, or that makes its component of largest magnitude positive."""
    if previous is None:
        agreement = rows.gather(1, rows.abs().argmax(dim=1, keepdim=True))
    else:
        agreement = (rows * previous.to(rows)).sum(dim=1, keepdim=True)
    return torch.where(agreement < 0, -rows, rows)
