"""Steps of many optimisers at once, each model with settings of its own."""

from __future__ import annotations

from torch import Tensor

from landscope.population.gradients import Tensors

__all__ = ["adam_step", "sgd_step"]

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


def sgd_step(parameters: Tensors, gradients: Tensors, state: dict[str, Tensors], settings: dict[str, Tensors]) -> None:
    """Gradient descent, theta -= lr v with v = momentum v + g + decay theta, in place (as `torch.optim.SGD`).

    Args:
        parameters: Named parameters (K, ...).
        gradients: Their gradients.
        state: "velocity" of every parameter where there is momentum; empty otherwise.
        settings: "learning_rate", "momentum" and "weight_decay" of every parameter, (K, 1, ...).
    """
    for name, theta in parameters.items():
        step = gradients[name].addcmul(settings["weight_decay"][name], theta)
        if state:
            step = state["velocity"][name].mul_(settings["momentum"][name]).add_(step)
        theta.addcmul_(settings["learning_rate"][name], step, value=-1)


def adam_step(
    parameters: Tensors, gradients: Tensors, state: dict[str, Tensors], settings: dict[str, Tensors], taken: Tensor
) -> None:
    """Adam, theta -= lr m / (sqrt(v) + epsilon) with bias-corrected means m of g and v of g^2, in place.

    Args:
        parameters: Named parameters (K, ...).
        gradients: Their gradients.
        state: "mean" and "square" of every parameter.
        settings: "learning_rate" and "weight_decay" of every parameter, (K, 1, ...).
        taken: (K,) steps that each model has taken before.
    """
    first, second = (1 - beta ** (taken + 1).double() for beta in _BETAS)
    for name, theta in parameters.items():
        gradient = gradients[name].addcmul(settings["weight_decay"][name], theta)
        mean = state["mean"][name].lerp_(gradient, 1 - _BETAS[0])
        square = state["square"][name].mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
        ones = (-1, *[1] * (theta.ndim - 1))
        deviation = (square / second.view(ones).to(theta.dtype)).sqrt_().add_(_EPSILON)
        rate = settings["learning_rate"][name] / first.view(ones).to(theta.dtype)
        theta.sub_(rate * mean / deviation)
