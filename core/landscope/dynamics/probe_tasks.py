"""How fast a copy of a network learns what it has never seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from landscope.curvature import eigenvalues
from landscope.curvature.probes import private_generator
from landscope.derivatives import derivative
from landscope.measurements import Plasticity
from landscope.objective import Objective

__all__ = ["plasticity"]

_DECAY, _SQUARE_DECAY, _EPS = 0.9, 0.999, 1e-8  # Adam's


def plasticity(
    objective: Objective,
    *,
    steps: int = 50,
    lr: float = 1e-2,
    n: int = 256,
    theta: Tensor | None = None,
    start: Tensor | None = None,
    seed: int = 0,
) -> Plasticity:
    """The loss of a copy of the network on random labels, over a fixed number of full-batch steps of Adam.

    Plasticity is the ability to go on learning (Lyle et al. 2023, "Understanding Plasticity in Neural Networks", arXiv
    2303.01486, whose probe tasks have random targets). It is lost with changes of curvature, and typically without dead
    units or diverging gradients, so that it is probed itself, with the sharpness beside it. From `start` the same
    labels are learned with the same steps, which is what the loss reached is to be held against: a confident network
    begins with a large loss on random labels.

    Classes are drawn anew with equal chances; other targets are dealt out among the examples at random.

    Args:
        objective: Of which n examples get random labels. The model keeps its weights.
        steps: Steps of Adam, with moments of its own.
        lr: Its learning rate.
        n: Examples.
        theta: Where, (P,); the model's weights at this moment if left out.
        start: The weights (P,) where training began, or of another initialisation.
        seed: Of the examples and their labels.

    Raises:
        ValueError: if a number is not positive, or the objective's batch-norm policy has no derivatives.
        TypeError: if targets are not tensors.
    """
    if steps < 1:
        raise ValueError(f"steps must be positive, got {steps}")
    if not lr > 0:
        raise ValueError(f"lr must be positive, got {lr}")
    probe = objective.sample(n, seed=seed)
    with probe.measuring() as meter:
        targets, classes = _random_targets(probe, private_generator(seed))
        sharpest = eigenvalues(probe, 1, theta=theta, tolerance=0.01)
        found = [
            _learned(probe, where, targets, steps, lr, classes > 0)
            for where in ([probe._point(theta)] if start is None else [probe._point(theta), probe._point(start)])
        ]
        fresh = found[1] if start is not None else (None, None)
        return Plasticity(
            provenance=meter.provenance(f"random labels, {steps} steps of Adam", seed=seed),
            losses=found[0][0],
            accuracies=found[0][1],
            fresh_losses=fresh[0],
            fresh_accuracies=fresh[1],
            classes=classes,
            lr=lr,
            lambda_max=float(sharpest.values[0]),
            lambda_residual=float(sharpest.residuals[0]),
        )


def _random_targets(objective: Objective, generator: torch.Generator) -> tuple[list[Tensor], int]:
    """Targets for each batch, and the number of classes, 0 where targets are not classes."""
    given: list[Any] = [objective.target(batch) for batch, _ in objective.batches_on_device()]
    for target in given:
        if not isinstance(target, Tensor):
            raise TypeError(
                f"random labels need targets that are tensors, got {type(target).__name__}; "
                "pass target= that returns one"
            )
    if objective.classes is None:
        order = torch.randperm(objective.examples, generator=generator).to(given[0].device)
        return list(torch.cat(given)[order].split([len(target) for target in given])), 0
    with torch.no_grad():
        _, output = next(objective.forward(objective.layout.unflatten(objective.theta())))
    count = output.shape[objective.classes.dim]
    drawn = []
    for target in given:
        labels = torch.randint(count, objective.classes.labels(target).shape, generator=generator).to(target.device)
        if objective.classes.one_hot:
            labels = torch.nn.functional.one_hot(labels, count)
        drawn.append(labels.to(target.dtype))
    return drawn, count


def _learned(
    objective: Objective, theta: Tensor, targets: list[Tensor], steps: int, lr: float, classes: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Losses and accuracies (S + 1,) along S steps."""
    point, first, second = theta.clone(), torch.zeros_like(theta), torch.zeros_like(theta)
    losses, accuracies = [], []
    for step in range(1, steps + 2):
        loss, gradient, right = _evaluated(objective, point, targets)
        losses.append(loss)
        accuracies.append(right)
        first = _DECAY * first + (1 - _DECAY) * gradient
        second = _SQUARE_DECAY * second + (1 - _SQUARE_DECAY) * gradient.square()
        scale = (second / (1 - _SQUARE_DECAY**step)).sqrt() + _EPS
        point = point - lr / (1 - _DECAY**step) * first / scale
    return np.array(losses), np.array(accuracies) if classes else None


def _evaluated(objective: Objective, point: Tensor, targets: list[Tensor]) -> tuple[float, Tensor, float]:
    """Loss, gradient (P,) and share of right classes, with other targets than the objective's."""
    objective.work.gradients += 1
    total, gradient, right, counted = 0.0, torch.zeros_like(point), 0, 0
    with objective._differentiating():
        for (batch, size), target in zip(objective.batches_on_device(), targets, strict=True):
            leaf = point.detach().requires_grad_()
            output = objective.function(objective.layout.unflatten(leaf), batch)
            loss = objective.loss(output, target)
            total += size / objective.examples * float(loss.detach())
            gradient += size / objective.examples * derivative(loss, leaf)
            if objective.classes is not None:
                hits, count = objective.classes.right(output.detach(), target)
                right, counted = right + int(hits), counted + int(count)
    return total, gradient, right / counted if counted else float("nan")
