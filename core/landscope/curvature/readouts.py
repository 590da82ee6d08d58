"""What the leading eigenvectors are made of, and how training moves along them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import subspace_angles
from torch import Tensor

from landscope.curvature.lanczos import all_leading_eigenpairs
from landscope.curvature.operators import start_vector, vector_block, zero_vector
from landscope.curvature.probes import private_generator
from landscope.derivatives import accumulator
from landscope.measurements import EigenvectorReadout
from landscope.objective import Objective
from landscope.parameters import ParameterLayout

__all__ = ["eigenvector_readout"]


def eigenvector_readout(
    objective: Objective,
    k: int = 5,
    *,
    update: Tensor | np.ndarray | None = None,
    previous: EigenvectorReadout | Tensor | np.ndarray | None = None,
    theta: Tensor | None = None,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> EigenvectorReadout:
    """How gradient and update overlap with the k leading eigenvectors of the Hessian, and which layers those live in.

    The share of a vector u along v_i is (u . v_i)^2 / |u|^2; over the leading subspace it is close to one for the
    gradients of many networks a while into training (Gur-Ari, Roberts and Dyer 2018, arXiv:1812.04754). The subspace's
    drift is the principal angles to the previous one (Bjorck and Golub 1973).

    Args:
        objective: What to measure.
        k: Eigenvectors; where there are fewer parameters than that, as many as there are.
        update: The last change of theta (P,), e.g. theta - theta_before, or the optimiser's step of
            `landscape.moment_directions`.
        previous: The previous measurement, or its `vectors` (k', P), from which this one also starts.
        theta: Where, (P,); the model's weights at this moment if left out.
        tolerance: Error bound of the eigenvalues, relative to each.
        seed: Seed of the random start.

    Raises:
        ValueError: if k or the tolerance is not positive, `update` or `previous` does not fit, or `previous` was read
            from a run, where vectors are not kept.
        FloatingPointError: if a product is not finite.
    """
    if k < 1:
        raise ValueError(f"k must be positive, got {k}")
    if not tolerance > 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}")
    before = previous.vectors if isinstance(previous, EigenvectorReadout) else previous
    if previous is not None and before is None:
        raise ValueError("previous has no vectors, which a run does not keep: pass the measurement itself, not a frame")
    generator = private_generator(seed)
    with objective.measuring() as meter:
        like = zero_vector(objective)
        pairs = all_leading_eigenpairs(
            objective.hessian(theta),
            start_vector(before, like, generator),
            k,
            tolerance=tolerance,
            max_products=20 * k + 80,
            generator=generator,
        )
        vectors = pairs.vectors
        old = None if before is None else vector_block(before, like, "previous").double().cpu().numpy()
        return EigenvectorReadout(
            provenance=meter.provenance(f"{len(vectors)} leading eigenvectors, Lanczos", seed=seed),
            values=pairs.values,
            errors=pairs.errors,
            layers=tuple(_layers(objective.layout)),
            mass=_mass(vectors, objective.layout),
            gradient_overlap=_overlap(vectors, objective.gradient(theta)),
            update_overlap=None if update is None else _overlap(vectors, vector_block(update, like, "update")[0]),
            chance=len(vectors) / len(like),
            angles=None if old is None else subspace_angles(old.T, vectors.double().cpu().numpy().T),
            vectors=vectors.cpu().numpy(),
        )


def _layers(layout: ParameterLayout) -> dict[str, list[slice]]:
    """The places in theta of each module's own parameters; a parameter of the model itself is a layer of its own."""
    layers: dict[str, list[slice]] = {}
    for name, place in layout.slices.items():
        layers.setdefault(name.rpartition(".")[0] or name, []).append(place)
    return layers


def _mass(vectors: Tensor, layout: ParameterLayout) -> NDArray[np.float64]:
    """Shares (k, layers) of the squared lengths."""
    squares = vectors.to(accumulator(vectors)).square()
    columns = [
        sum((squares[:, place].sum(1) for place in places), squares.new_zeros(len(squares)))
        for places in _layers(layout).values()
    ]
    mass: NDArray[np.float64] = torch.stack(columns, dim=1).cpu().double().numpy()
    return mass


def _overlap(vectors: Tensor, other: Tensor) -> NDArray[np.float64]:
    """Squared cosines (k,) with another vector (P,); NaN if that is zero."""
    kind = accumulator(vectors)
    inner, length = vectors.to(kind) @ other.to(kind), other.to(kind).norm()
    squares: NDArray[np.float64] = (inner / length).square().cpu().double().numpy()
    return squares
