"""Networks with a quadratic non-linearity, whose test error, training and tangent kernel have closed forms.

N hidden units, of which the first layer is trained and the readout is not:

    f(x) = (alpha/N) sum_i [phi(w_i x) - phi(w_i(0) x)],   phi(h) = h + (epsilon/2) h^2,   x ~ N(0, I/D)

learn y = (beta x)^2 / 2 with |beta|^2 = D (Kumar et al. 2024). Outputs begin at zero, so that networks of any output
scale begin alike, and as alpha grows training becomes regression with the initial tangent kernel (Chizat et al. 2019).
With the mean m = sum_i w_i / N and the second moment M = sum_i w_i w_i^T / N, f(x) = a x + x^T Q x / 2 where

    a = alpha (m - m(0)),   Q = alpha epsilon (M - M(0))

and a step of gradient descent with learning rate lr N on the mean squared error of P examples over alpha^2 is

    w_i <- T w_i - u,   T = I - epsilon h X^T diag(r) X,   u = h X^T r,   h = 2 lr / (alpha P),   r = f(X) - y

so that m and M follow without the w_i: m <- T m - u, M <- T M T - T m u^T - u m^T T + u u^T (docs/kernel.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from landscope.recipes.descent import device

__all__ = ["Networks", "Problem", "error_parts", "lazy_limit"]


@dataclass(frozen=True)
class Problem:
    """The target's direction (D,), the training data (P, D) and (P,), and held-out data."""

    beta: Tensor
    inputs: Tensor
    targets: Tensor
    held_out: tuple[Tensor, Tensor]

    @classmethod
    def draw(cls, dimensions: int, examples: int, held_out: int, generator: torch.Generator) -> Problem:
        """A direction of length D^(1/2) at random, and inputs from N(0, I/D)."""
        beta = torch.randn(dimensions, generator=generator, dtype=torch.float64)
        beta *= dimensions**0.5 / beta.norm()
        inputs = torch.randn(examples + held_out, dimensions, generator=generator, dtype=torch.float64)
        inputs, beta = (inputs / dimensions**0.5).to(device()), beta.to(device())
        targets = (inputs @ beta) ** 2 / 2
        return cls(beta, inputs[:examples], targets[:examples], (inputs[examples:], targets[examples:]))


@dataclass(frozen=True)
class Networks:
    """K networks of other output scales, by all that their outputs and their training depend on.

    Attributes:
        alpha: (K,) output scales.
        epsilon: Share of the quadratic.
        mean: (K, D) of the weights over hidden units, m.
        second: (K, D, D) mean of w w^T, M.
        start: m and M of the beginning, (1, D) and (1, D, D).
    """

    alpha: Tensor
    epsilon: float
    mean: Tensor
    second: Tensor
    start: tuple[Tensor, Tensor]

    @classmethod
    def draw(cls, alpha: Tensor, epsilon: float, weights: Tensor) -> Networks:
        """All with the same initial weights (N, D)."""
        mean, second = weights.mean(dim=0)[None], (weights.T @ weights / len(weights))[None]
        several = len(alpha)
        return cls(alpha, epsilon, mean.repeat(several, 1), second.repeat(several, 1, 1), (mean, second))

    def form(self) -> tuple[Tensor, Tensor]:
        """(K, D) and (K, D, D): the outputs' linear part a and quadratic part Q."""
        linear = self.alpha[:, None] * (self.mean - self.start[0])
        return linear, self.epsilon * self.alpha[:, None, None] * (self.second - self.start[1])

    def outputs(self, inputs: Tensor) -> Tensor:
        """(K, n) for inputs (n, D)."""
        linear, quadratic = self.form()
        return linear @ inputs.T + ((inputs @ quadratic) * inputs).sum(dim=2) / 2

    def descended(self, problem: Problem, lr: float) -> Networks:
        """After a step of gradient descent on the mean squared error over alpha^2, with learning rate lr N."""
        inputs = problem.inputs
        pace = 2 * lr / (self.alpha * len(inputs))
        residuals = pace[:, None] * (self.outputs(inputs) - problem.targets)
        shift = residuals @ inputs
        turn = -self.epsilon * (inputs.T @ (residuals[:, :, None] * inputs))
        turn.diagonal(dim1=1, dim2=2).add_(1)
        turned = (turn @ self.mean[:, :, None])[:, :, 0]
        crossed = turned[:, :, None] * shift[:, None, :]
        second = turn @ self.second @ turn - crossed - crossed.mT + shift[:, :, None] * shift[:, None, :]
        return replace(self, mean=turned - shift, second=second)

    def kernels(self, inputs: Tensor) -> Tensor:
        """(K, n, n): x x' [1 + epsilon m (x + x') + epsilon^2 x^T M x'], the tangent kernel times N / alpha^2."""
        along = self.epsilon * (self.mean @ inputs.T)
        slopes = 1 + along[:, :, None] + along[:, None, :] + self.epsilon**2 * (inputs @ self.second @ inputs.T)
        return (inputs @ inputs.T) * slopes


def error_parts(linear: Tensor, quadratic: Tensor, beta: Tensor) -> Tensor:
    """The test error of f(x) = a x + x^T Q x / 2 in three parts (..., 3) whose sum it is.

    With S = Q - beta beta^T: A = (tr S / D)^2 / 4, B = |S|^2 / (2 D^2) and C = |a|^2 / D, as E (x^T S x)^2 is
    ((tr S)^2 + 2 |S|^2) / D^2 and odd moments vanish.
    """
    size = len(beta)
    error = quadratic - torch.outer(beta, beta)
    traces = error.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    scale, direction = (traces / size) ** 2 / 4, error.square().sum(dim=(-2, -1)) / (2 * size**2)
    return torch.stack([scale, direction, linear.square().sum(dim=-1) / size], dim=-1)


def lazy_limit(start: Networks, problem: Problem) -> tuple[Tensor, Tensor]:
    """The form (D,), (D, D) of regression with the initial tangent kernel, where lazy training ends.

    It is sum_p c_p Theta(x, x_p) with Theta(X, X) c = y: linear and quadratic in x, as the networks are.
    """
    inputs, mean, second = problem.inputs, start.mean[0], start.second[0]
    gram, targets = start.kernels(inputs)[0].cpu(), problem.targets[:, None].cpu()
    weights = torch.linalg.lstsq(gram, targets, driver="gelsd").solution[:, 0].to(inputs)
    linear = inputs.T @ (weights * (1 + start.epsilon * (inputs @ mean)))
    half = start.epsilon * torch.outer(inputs.T @ weights, mean)
    half += start.epsilon**2 * (inputs.T * weights) @ inputs @ second
    return linear, half + half.T
