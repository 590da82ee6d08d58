"""How far the second-order Taylor polynomial of the loss holds, direction by direction."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landscope.curvature.ascent import fine_enough
from landscope.curvature.lanczos import leading_eigenpairs
from landscope.curvature.operators import start_vector, vector_block, zero_vector
from landscope.curvature.probes import gaussian_probes, private_generator
from landscope.derivatives import Operator, accumulator
from landscope.measurements import QuadraticModel
from landscope.objective import Objective

__all__ = ["quadratic_model"]

_RUNGS = 13  # of the ladder of distances, each a quarter of the one above
_BETWEEN = 8  # distances measured between the last rung that holds and the first that does not
_ROUNDING = 32  # a loss is right to this many units of rounding of itself
_MAX_PRODUCTS = 100
_TOLERANCE = 1e-3  # of the eigenvalues


def quadratic_model(
    objective: Objective,
    directions: Tensor | np.ndarray | None = None,
    *,
    names: Sequence[str] | None = None,
    theta: Tensor | None = None,
    points: int = 21,
    tolerance: float = 0.1,
    reach: float | None = None,
    start: Tensor | np.ndarray | None = None,
    seed: int = 0,
) -> QuadraticModel:
    """The loss beside L + s g.u + s^2/2 u^T H u along unit directions u, and the radius within which that holds.

    A Hessian is a statement about an infinitely small neighbourhood; this says how far it reaches. The radius of a
    direction is the largest r with max_{|s| <= r} |L(s) - Q(s)| <= tolerance max_{|s| <= r} |L(s) - L(0)|. It is
    looked for on both sides at distances that fall from `reach` by factors of four, then on a finer scale between the
    last that holds and the first that does not, and interpolated there. Each direction is drawn over twice its radius.

    Args:
        objective: What to measure.
        directions: (D, P) or (P,), of any length; by default the eigenvector of the largest curvature, that of the
            least or most negative one, the gradient (where it is not zero), and a Gaussian direction.
        names: A name for each of them.
        theta: Where, (P,); the model's weights at this moment if left out.
        points: Losses to draw along each direction, an odd number.
        tolerance: Accepted error of the quadratic model, as a share of the loss's change.
        reach: Largest distance to try; by default the length of theta, or 1 if that is zero.
        start: Eigenvector (P,) of the largest curvature a few steps ago, e.g. `Sharpness.vector`.
        seed: Seed of the random direction.

    Raises:
        ValueError: if a number makes no sense, a direction is zero or does not fit, or the parameters are coarser than
            float32.
        FloatingPointError: if the loss or its curvature is not finite at theta.
    """
    if points < 3 or points % 2 == 0:
        raise ValueError(f"points must be odd and at least 3, so that the weights are among them, got {points}")
    for name, value in (("tolerance", tolerance), ("reach", 1.0 if reach is None else reach)):
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value}")
    fine_enough(objective)
    with objective.measuring() as meter:
        point = objective.theta() if theta is None else theta.detach()
        loss, gradient = objective.value_and_gradient(point)
        hessian, like = objective.hessian(point), zero_vector(objective)
        if directions is None:
            found = _characteristic(hessian, gradient, start, like, seed)
            labels, block = tuple(found), torch.stack(list(found.values()))
        else:
            block = vector_block(directions, like, "directions")
            labels = tuple(names) if names is not None else tuple(f"direction {i + 1}" for i in range(len(block)))
        if len(labels) != len(block):
            raise ValueError(f"names must be {len(block)}, one for each direction, got {len(labels)}")
        block = _units(block)
        slopes, curvatures = _dots(block, gradient), _dots(block, hessian(block))
        if not np.isfinite([loss, *slopes, *curvatures]).all():
            raise FloatingPointError(
                "the loss, its slope or its curvature is not finite at theta; "
                "go back to an earlier step, or measure in float64"
            )
        furthest = (float(point.double().norm()) or 1.0) if reach is None else reach
        rows = [
            _along(objective, point, unit, loss, gradient, slope, curvature, tolerance, furthest, points)
            for unit, slope, curvature in zip(block, slopes, curvatures, strict=True)
        ]
        distances, losses, predictions, radii = zip(*rows, strict=True)
        return QuadraticModel(
            provenance=meter.provenance(f"Taylor polynomial along {len(block)} directions", seed=seed),
            names=labels,
            distances=np.stack(distances),
            losses=np.stack(losses),
            predictions=np.stack(predictions),
            slopes=slopes,
            curvatures=curvatures,
            radii=np.array(radii),
            tolerance=tolerance,
        )


def _characteristic(
    hessian: Operator, gradient: Tensor, start: Tensor | np.ndarray | None, like: Tensor, seed: int
) -> dict[str, Tensor]:
    """The default directions (P,) by name."""
    generator = private_generator(seed)

    def lead(sign: int, first: Tensor) -> tuple[float, Tensor]:
        pairs = leading_eigenpairs(
            lambda vector: sign * hessian(vector),
            first,
            1,
            tolerance=_TOLERANCE,
            max_products=_MAX_PRODUCTS,
            generator=generator,
        )
        return sign * float(pairs.values[0]), pairs.vectors[0]

    fresh = gaussian_probes(1, like, generator)[0]
    _, sharpest = lead(1, start_vector(start, like, generator))
    least, flattest = lead(-1, start_vector(None, like, generator))
    found = {"sharpest eigenvector": sharpest, "most negative" if least < 0 else "least curved": flattest}
    if bool((gradient != 0).any()):
        found["gradient"] = gradient.to(like)
    return found | {"random": fresh}


def _along(
    objective: Objective,
    theta: Tensor,
    unit: Tensor,
    loss: float,
    gradient: Tensor,
    slope: float,
    curvature: float,
    tolerance: float,
    reach: float,
    points: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]:
    """Distances, losses and predictions (points,) along one direction, and the radius."""
    kind = accumulator(theta)

    def measured(distances: NDArray[np.float64]) -> NDArray[np.float64]:
        steps = torch.as_tensor(distances).to(theta.device, kind)
        values: NDArray[np.float64] = objective.values((theta + steps[:, None] * unit.to(kind)).to(theta.dtype)).numpy()
        return values

    def predicted(distances: NDArray[np.float64]) -> NDArray[np.float64]:
        return loss + distances * (slope + distances * curvature / 2)

    # What rounding makes of a loss: of itself, and of the weights it is taken at.
    unit_of_rounding = float(torch.finfo(theta.dtype).eps)
    noise = unit_of_rounding * (_ROUNDING * abs(loss) + float((gradient * theta).to(kind).norm()))

    def ratios(radii: NDArray[np.float64]) -> NDArray[np.float64]:
        """The model's error over the loss's change within each of some ascending radii."""
        both = np.concatenate([-radii, radii])
        losses = measured(both)
        wrong, change = np.abs(losses - predicted(both)), np.abs(losses - loss)
        wrong, change = (np.maximum.accumulate(each.reshape(2, -1).max(0)) for each in (wrong, change))
        wrong = np.maximum(wrong - noise, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.where(wrong > 0, wrong / change, 0.0)
        return np.where(np.isfinite(losses).reshape(2, -1).all(0), ratio, np.inf)

    radius = _crossing(ratios, tolerance, reach)
    extent = 2 * radius if np.isfinite(radius) and radius > 0 else reach
    distances = np.linspace(-extent, extent, points)
    distances[points // 2] = 0.0
    return distances, measured(distances), predicted(distances), radius


def _crossing(ratios: Callable[[NDArray[np.float64]], NDArray[np.float64]], tolerance: float, reach: float) -> float:
    """The radius up to which the ratio stays within the tolerance; inf where that is all the way to `reach`."""
    ladder = np.geomspace(reach / 4.0 ** (_RUNGS - 1), reach, _RUNGS)
    failing = np.flatnonzero(~(ratios(ladder) <= tolerance))
    if not failing.size:
        return float("inf")
    high = float(ladder[failing[0]])
    radii = np.geomspace(high / 4, high, _BETWEEN + 1)
    found = ratios(radii)
    failing = np.flatnonzero(~(found <= tolerance))
    if not failing.size:
        return high
    first = int(failing[0])
    if first == 0:
        return float(radii[0])
    below, above = found[first - 1 : first + 1]
    if not 0 < below < above < np.inf:
        return float(radii[first - 1])
    # Both the error and the change are powers of the radius nearby.
    share = np.log(tolerance / below) / np.log(above / below)
    return float(radii[first - 1] * (radii[first] / radii[first - 1]) ** share)


def _units(block: Tensor) -> Tensor:
    """Vectors (D, P) of length one.

    Raises:
        ValueError: if one is zero.
    """
    lengths = torch.linalg.vector_norm(block, dim=1, keepdim=True, dtype=accumulator(block))
    if not bool((lengths > 0).all()):
        raise ValueError("a direction is zero: leave it out")
    units: Tensor = (block / lengths).to(block.dtype)
    return units


def _dots(block: Tensor, other: Tensor) -> NDArray[np.float64]:
    """The inner products of the rows of two blocks, or of a block and a vector, in float64."""
    kind = accumulator(block)
    products: NDArray[np.float64] = (block.to(kind) * other.to(kind)).sum(1).cpu().numpy().astype(np.float64)
    return products
