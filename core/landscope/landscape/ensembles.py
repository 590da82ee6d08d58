"""Many random lines through the same weights: how much one of them could have misled, and what they say together."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from landscope.curvature.probes import gaussian_probes, private_generator
from landscope.landscape.checks import Check
from landscope.landscape.evaluator import PlaneEvaluator
from landscope.landscape.slices import cut
from landscope.measurements import Ensemble, MeanCurvature, Trace
from landscope.objective import Objective

__all__ = ["ensemble", "mean_curvature", "trace_check"]


def ensemble(objective: Objective, count: int = 8, *, points: int = 33, seed: int = 0, **options: Any) -> Ensemble:
    """The loss along `count` random lines through the weights, L(theta + r d_j), with d_j of seeds seed, seed + 1, ...

    Args:
        objective: What to evaluate.
        count: Number of lines.
        points: Grid points along each.
        seed: Of the first line's direction.
        **options: Those of `landscope.landscape.cut` for a random direction: `theta`, `radius` (with "auto", the first
            line's serves all), `extent`, `scale`, `normalisation`, `biases`, `memory`.

    Raises:
        ValueError: if there are fewer than two lines, or options do not fit.
    """
    if count < 2:
        raise ValueError(f"count of lines must be at least 2, so that they show their scatter, got {count}")
    with objective.measuring() as meter:
        first = cut(objective, dimensions=1, points=points, seed=seed, **options)
        (radius,) = first.grid.axes
        options = {**options, "extent": [(radius[0], radius[-1])]}
        options.pop("radius", None)
        lines = (cut(objective, dimensions=1, points=points, seed=seed + j, **options) for j in range(count))
        losses = [
            PlaneEvaluator(objective, line.centre, line.directions, errors=False, memory=line.memory)(
                torch.from_numpy(radius).unsqueeze(1)
            )["loss"]
            for line in lines
        ]
        return Ensemble(
            provenance=meter.provenance(f"{count} random lines of {points} points", seed=seed),
            radius=radius,
            loss=torch.stack(losses).numpy(),
            centre_loss=objective.value(first.centre),
            normalisation=first.normalisation,
            axis=first.axes[0].removesuffix(f" (seed {seed})").removeprefix("first "),
        )


def mean_curvature(
    objective: Objective,
    count: int = 32,
    *,
    step: float | None = None,
    theta: Tensor | None = None,
    seed: int = 0,
) -> MeanCurvature:
    """The mean of d^T H d over random unit directions, from second differences of the loss: an estimate of tr H / P.

    With d uniform on the unit sphere E d^T H d = tr H / P. Each direction takes four losses beside the centre's,

        d^T H d = (4 D(h) - D(2h)) / 3 + O(h^4),    D(h) = (L(theta + h d) - 2 L(theta) + L(theta - h d)) / h^2.

    A large step h truncates, a small one divides the rounding of losses and weights, relative errors of about the
    precision eps, by h^2. Losses change over distances of the weights' norm |theta|, in units of which truncation is of
    order h^4 and rounding of order eps / h^2: equal at h = eps^(1/6) |theta|, the default, 0.07 |theta| in float32 and
    0.0025 |theta| in float64.

    Kinks (ReLU, max pooling) within the step are curvature to these differences, and none to a Hessian: for such a
    network the two differ however many directions there are (arXiv 2411.16914 has the theory).

    Args:
        objective: What to evaluate.
        count: Number of directions.
        step: h, in Euclidean distance.
        theta: (P,) where; the model's weights by default.
        seed: Of the directions.

    Raises:
        ValueError: if there are fewer than two directions, or the step is not positive.
        FloatingPointError: if a loss is not finite.
    """
    if count < 2:
        raise ValueError(f"count of directions must be at least 2, so that they show their scatter, got {count}")
    if step is not None and not step > 0:
        raise ValueError(f"step must be positive, got {step}")
    generator = private_generator(seed)
    with objective.measuring() as meter:
        centre = objective.theta() if theta is None else theta
        norm = float(centre.double().norm())
        h = step or torch.finfo(centre.dtype).eps ** (1 / 6) * (norm or 1.0)
        stencil = h * torch.tensor([[-2.0], [-1.0], [1.0], [2.0]], dtype=torch.float64)
        losses = []
        for _ in range(count):
            direction = functional.normalize(gaussian_probes(1, centre.double().cpu(), generator))
            losses.append(
                objective.values((centre.double() + (stencil @ direction).to(centre.device)).to(centre.dtype))
            )
        middle, values = objective.value(centre), torch.stack(losses).numpy()
    if not np.isfinite(values).all():
        raise FloatingPointError(
            f"a loss at distance {2 * h:.3g} from the weights is not finite; choose a smaller step"
        )
    near = (values[:, 1] - 2 * middle + values[:, 2]) / h**2
    far = (values[:, 0] - 2 * middle + values[:, 3]) / (2 * h) ** 2
    curvatures = (4 * near - far) / 3
    return MeanCurvature(
        provenance=meter.provenance(f"second differences along {count} random directions", seed=seed),
        curvatures=curvatures,
        value=float(curvatures.mean()),
        stderr=float(curvatures.std(ddof=1) / np.sqrt(count)),
        truncation=float(abs(near.mean() - far.mean()) / 3),
        step=h,
        size=objective.layout.size,
    )


def trace_check(mean: MeanCurvature, trace: Trace, *, kinks: bool = False) -> Check:
    """Whether the mean curvature of random slices is that of the Hessian, within three standard errors of the two.

    What truncation was corrected by is allowed for as well.

    Args:
        mean: The mean curvature, from losses.
        trace: Of the Hessian at the same weights.
        kinks: Whether the network has kinks (ReLU, max pooling). A Hessian does not know their curvature, so that a
            difference is then a note and no failure.
    """
    expected, error = trace.value / mean.size, trace.stderr / mean.size
    allowed = 3 * float(np.hypot(mean.stderr, error)) + mean.truncation
    agree = abs(mean.value - expected) <= allowed
    text = (
        f"mean curvature of {len(mean.curvatures)} random unit slices {mean.value:.4g} ± {mean.stderr:.2g}, the "
        f"Hessian's trace over its {mean.size} parameters {expected:.4g} ± {error:.2g}"
    )
    if agree or not kinks:
        return ("curvature", "pass" if agree else "fail", text)
    return ("curvature", "note", text + "; the kinks of activations and pooling are curved in the former alone")
