"""Fisher matrices: second moments of scores, the gradients of log-likelihoods, of sampled targets or of the data's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from landscope.curvature.probes import private_generator
from landscope.derivatives import Operator, derivative, hessian_operator, pullback_operator
from landscope.evaluation import per_example
from landscope.objective import Objective

__all__ = ["empirical_fisher", "fisher"]

_SMALL = 1e-3  # relative size at which a second derivative counts as zero, or as constant


def fisher(objective: Objective, theta: Tensor | None = None, *, samples: int = 1, seed: int = 0) -> Operator:
    """F = (1/N) sum_i E[s_i s_i^T] with s_i = d log p(y | x_i; theta)/d theta and y drawn from the model itself.

    For classifications p is the softmax of the outputs, and each position is one example (a token of a sequence);
    positions that the loss ignores are left out, class weights are not part of p. For squared errors p is the Gaussian
    around the outputs whose negative logarithm is the loss. The expectation is over `samples` targets for each example,
    the same ones at every product; with many samples F becomes the Gauss-Newton matrix (Martens 2020, section 9.2;
    Kunstner, Balles and Hennig 2019). More samples cost memory of the size of the outputs, and hardly any time.

    Args:
        objective: The model, data and loss.
        theta: Where, (P,); the model's weights at this moment if left out.
        samples: Targets drawn for each example.
        seed: Seed of the targets.

    Raises:
        ValueError: if there is not at least one sample; by the operator, if the loss is neither a cross-entropy of
            classes nor a squared error.
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")

    def curvature(output: Tensor, batch: Any, number: int) -> Operator:
        target = objective.target(batch)
        generator = private_generator(seed + 1_000_003 * number)  # batches have draws of their own, the same each time
        curved = hessian_operator(lambda output: objective.loss(output, target), output)
        along, across = curved(torch.ones_like(output)), curved(_normal(output, 1, generator)[0])
        if along.norm() <= _SMALL * across.norm() and objective.classes is not None:  # a softmax ignores a common shift
            dim, labels = objective.classes.dim, objective.classes.labels(target)
            counted = ((labels >= 0) & (labels != objective.classes.ignored)).unsqueeze(dim)
            scores = _softmax_scores(output, dim, samples, generator) * counted
            return _outer_products(scores, (dim,), counted.sum())
        precision = len(output) * along
        if not bool((precision.min() > 0) & (precision.max() - precision.min() <= _SMALL * precision.max())):
            raise ValueError(
                "the Fisher matrix needs targets drawn from the model, which are known for cross-entropies of classes "
                "and for squared errors, and this loss is neither; use operator='ggn', which is its expectation where "
                "the loss is a negative log-likelihood, or 'empirical-fisher'"
            )
        scores = precision.sqrt() * _normal(output, samples, generator)
        return _outer_products(scores, tuple(range(1, output.ndim)), len(output))

    return _pullback(objective, curvature, theta)


def empirical_fisher(objective: Objective, theta: Tensor | None = None) -> Operator:
    """(1/N) sum_i g_i g_i^T, g_i the gradient (P,) of the loss of example i, as `Objective.losses` defines that.

    No Fisher matrix in the statistical sense (Kunstner, Balles and Hennig 2019): the targets are the data's own. The
    gradients are not formed: g_i . v is s_i . J_i v, with s_i the derivative of the loss by the outputs of an example.

    Args:
        objective: The model, data and loss; its outputs have one row for each example.
        theta: Where, (P,); the model's weights at this moment if left out.

    Raises:
        TypeError: by the operator, if outputs or targets are not tensors.
        ValueError: by the operator, if they do not have one row for each example.
    """

    def curvature(output: Tensor, batch: Any, number: int) -> Operator:
        cut, size = output.detach().requires_grad_(), objective.batches.sizes[number]
        losses = per_example(objective.loss, cut, objective.target(batch), size)
        return _outer_products(derivative(losses.sum(), cut).unsqueeze(0), tuple(range(1, output.ndim)), size)

    return _pullback(objective, curvature, theta)


def _pullback(
    objective: Objective, curvature: Callable[[Tensor, Any, int], Operator], theta: Tensor | None
) -> Operator:
    """J^T C J, with C for the outputs of a batch, that batch and its number."""

    def of_batch(point: Tensor, batch: Any, number: int) -> Operator:
        def outputs(theta: Tensor) -> Tensor:
            result: Tensor = objective.function(objective.layout.unflatten(theta), batch)
            return result

        return pullback_operator(outputs, lambda output: curvature(output, batch, number), point)

    return objective.operator(of_batch, theta)


def _outer_products(scores: Tensor, over: tuple[int, ...], count: Tensor | int) -> Operator:
    """The product (1/count) sum_i s_i (s_i . u), averaged over S draws, for u of the outputs' shape.

    Args:
        scores: (S, ...), of each draw; zero where an example does not count.
        over: Dimensions of the outputs that belong to one example.
        count: Number of examples.
    """

    def product(vector: Tensor) -> Tensor:
        inner = scores * vector
        if over:
            inner = inner.sum([dim + 1 for dim in over], keepdim=True)
        return (scores * inner).mean(0) / count

    return product


def _softmax_scores(logits: Tensor, dim: int, samples: int, generator: torch.Generator) -> Tensor:
    """Scores softmax - one-hot of a class drawn from the softmax, for each of S draws: (S, ...)."""
    chances = logits.movedim(dim, -1).softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))
    rows = chances.reshape(-1, chances.shape[-1]).cpu()
    drawn = torch.multinomial(rows, samples, replacement=True, generator=generator).T.to(logits.device)
    labels = drawn.reshape(samples, *chances.shape[:-1], 1)
    scores = chances.repeat(samples, *(1 for _ in chances.shape))
    scores.scatter_add_(-1, labels, -torch.ones_like(labels, dtype=scores.dtype))
    return scores.movedim(-1, dim + 1).to(logits.dtype)


def _normal(like: Tensor, samples: int, generator: torch.Generator) -> Tensor:
    """Independent standard normal numbers (S, ...), drawn on the CPU."""
    return torch.randn(samples, *like.shape, generator=generator).to(like)
