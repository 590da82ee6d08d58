"""Mode connectivity: curves of low loss between two minima.

Minima that training finds are joined by such curves even where the straight line between them crosses a high barrier
(Garipov et al. 2018; Draxler et al. 2018, who relax a chain of weights instead of training a curve).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from landscope.evaluation import ModelFunction
from landscope.isolation import autograd_tensors
from landscope.landscape.barriers import line_between, losses_along, measured
from landscope.landscape.curves import CURVES, Curve, CurveKind
from landscope.measurements import Connection
from landscope.objective import Objective

__all__ = ["connect"]

Progress = Callable[[int, int, float], bool | None]

_JITTER = 0.01  # length of the random start of each bend, as a share of the distance between the ends


def connect(
    objective: Objective,
    first: Tensor,
    second: Tensor,
    *,
    kind: CurveKind = "bezier",
    bends: int = 1,
    steps: int = 500,
    learning_rate: float = 0.03,
    batch: int | None = None,
    points: int = 25,
    seed: int = 0,
    also: Mapping[str, Objective] | None = None,
    progress: Progress | None = None,
) -> Connection:
    """Trains a curve of low loss from `first` to `second`, and measures the loss along it and the straight line.

    Minimises the mean of L(theta(t)) over uniform t in [0, 1] (Garipov et al. 2018, equation 2) over the bends, the
    points p_1 ... p_K of the curve between its ends. Each step draws one t, and moves the bends by Adam with the
    gradients w_k(t) grad L(theta(t)), or leaves them where the gradient is not finite. Steps shrink to nothing along a
    half cosine. Bends start on the straight line, evenly spaced and jittered by 1 % of its length, since by symmetry
    the gradient may never leave the line itself.

    Batch normalisation by running statistics ("eval") fits one set of weights only. With batch_norm="recompute" the
    curve is trained on each batch's own statistics, and evaluated with those recomputed at each point, as Garipov et
    al. do.

    Args:
        objective: What to minimise and to evaluate.
        first: (P,) the weights at t = 0.
        second: (P,) the weights at t = 1.
        kind: "bezier" or "polygon"; see `Curve`.
        bends: Number K of points between the ends.
        steps: Steps of training.
        learning_rate: The longest step of Adam in each parameter, as a share of the root mean square difference
            between the two ends, so that one number serves networks of every scale.
        batch: Random examples that each step's gradient is taken on; all of them by default.
        points: Number of evenly spaced positions at which the loss is measured afterwards.
        seed: Of the jitter, the positions and the batches.
        also: Other objectives of the same parameters to evaluate along the curve, by name: {"test": ...}.
        progress: `progress(step, steps, loss)` is called after every step; if it returns False, training ends there
            and the curve found so far is measured.

    Raises:
        ValueError: if the ends have the wrong shape or are equal, or a number or the kind of curve is out of range.
    """
    if kind not in CURVES:
        raise ValueError(f"kind must be one of {', '.join(CURVES)}, got {kind!r}")
    for name, number, least in (("bends", bends, 1), ("steps", steps, 1), ("batch", batch, 1), ("points", points, 2)):
        if number is not None and number < least:
            raise ValueError(f"{name} must be at least {least}, got {number}")
    if not learning_rate > 0:
        raise ValueError(f"learning_rate must be positive, got {learning_rate}")
    line = line_between(objective, first, second)
    if not 0 < line.distance < math.inf:
        raise ValueError(f"the two ends must be finite and differ, got a distance of {line.distance:g} between them")
    drawn = "all examples" if batch is None else f"batches of {batch}"
    with objective.measuring() as meter:
        curve, losses = _trained(objective, line, kind, bends, steps, learning_rate, batch, seed, progress)
        found = measured(objective, curve, kind, points=points, also=also)
        return found.replaced(
            straight=losses_along(objective, line, torch.from_numpy(found.t), also),
            training=np.array(losses),
            planned=steps,
            provenance=meter.provenance(
                f"{kind} curve with {bends} bend{'s' if bends > 1 else ''}, {len(losses)} Adam steps on {drawn}, "
                f"learning rate {learning_rate:g}; {points} points",
                seed=seed,
            ),
        )


def _trained(
    objective: Objective,
    line: Curve,
    kind: CurveKind,
    bends: int,
    steps: int,
    learning_rate: float,
    batch: int | None,
    seed: int,
    progress: Progress | None,
) -> tuple[Curve, list[float]]:
    """The curve after training, and the loss at each step's position before that step."""
    generator = torch.Generator().manual_seed(seed)
    source = _differentiable(objective)
    with source.measuring(), autograd_tensors():
        ends = line.points.to(torch.promote_types(line.points.dtype, torch.float32))  # Adam needs more than half
        rms = float((ends[1] - ends[0]).double().square().mean().sqrt())
        middle = line.weights(torch.arange(1, bends + 1) / (bends + 1)).to(ends) @ ends
        jitter = torch.randn(middle.shape, generator=generator).to(ends)
        moving = (middle + _JITTER * rms * jitter).requires_grad_()
        optimiser = torch.optim.Adam([moving])
        losses: list[float] = []
        for step in range(steps):
            optimiser.param_groups[0]["lr"] = learning_rate * rms * (1 + math.cos(math.pi * step / steps)) / 2
            t = torch.rand(1, generator=generator).double()
            curve = Curve(kind, torch.cat([ends[:1], moving.detach(), ends[1:]]))
            part = source
            if batch is not None and batch < source.examples:
                part = source.subset(torch.randperm(source.examples, generator=generator)[:batch])
            loss, gradient = part.value_and_gradient(curve.at(t)[0])
            objective.work.gradients += 0.0 if part is objective else part.examples / objective.examples
            if bool(gradient.isfinite().all()):
                moving.grad = torch.outer(curve.weights(t)[0, 1:-1].to(ends), gradient.to(ends))
                optimiser.step()
            losses.append(loss)
            if progress is not None and progress(step + 1, steps, loss) is False:
                break
        # The ends as they were given; bends in the type in which they are evaluated.
        found = torch.cat([line.points[:1], moving.detach().to(line.points.dtype), line.points[1:]])
    return Curve(kind, found), losses


def _differentiable(objective: Objective) -> Objective:
    """The objective itself, or that of each batch's statistics where recomputed ones allow no derivatives."""
    if objective.batch_norm != "recompute":
        return objective
    # A function of its own is isolated on its own, with other flags than the measurement under way around it.
    function = ModelFunction(objective.model, objective.function.forward)
    return objective._derived(batch_norm="batch", function=function)
