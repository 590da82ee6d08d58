"""Sharpness-aware minimisation: descent by the gradient at the top of the steepest ascent within a radius."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

__all__ = ["SAM"]

logger = logging.getLogger(__name__)


class SAM(Optimizer):
    """w <- w - lr g(w + e) with e = rho g(w) / |g(w)|, the norm over all parameters of all groups.

    Foret et al. 2021 (arXiv:2010.01412), algorithm 1, over SGD with its momentum and weight decay. A step takes two
    evaluations of the closure; the loss it returns is that of the first, at w. Layers with state (batch normalisation)
    see both. Without a closure there is no loss to evaluate, and the step is that of plain SGD, which is logged.

    Args:
        params: Parameters or groups of them.
        lr: Learning rate.
        rho: Radius of the ascent, at least 0; a group may have its own.
        options: Further ones of `torch.optim.SGD`.

    Raises:
        ValueError: if rho is negative, or SGD refuses an option.
    """

    def __init__(self, params: Any, lr: float = 1e-3, rho: float = 0.05, **options: Any) -> None:
        if not rho >= 0:
            raise ValueError(f"rho must be at least 0, got {rho}")
        params = list(params)
        self._descent = SGD(params, lr, **options)
        self._complained = False
        super().__init__(params, {**self._descent.defaults, "rho": rho})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Takes a step.

        Args:
            closure: Zeroes the gradients, evaluates the loss, calls backward and returns the loss.
        """
        loss = None
        if closure is not None:
            evaluate = torch.enable_grad()(closure)
            loss = evaluate()
            before = self._ascend()
            evaluate()
            for parameter, value in before:
                parameter.copy_(value)
        elif not self._complained:
            self._complained = True
            logger.warning("SAM was called without a closure, and takes steps of plain SGD: call step(closure)")
        self._descent.param_groups, self._descent.state = self.param_groups, self.state
        self._descent.step()
        return loss

    def _ascend(self) -> list[tuple[Tensor, Tensor]]:
        """Moves to w + e; the parameters that moved, with their values before."""
        moving = [
            (parameter, group["rho"])
            for group in self.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        squares = [parameter.grad.double().square().sum().to("cpu") for parameter, _ in moving]
        length = float(torch.stack(squares).sum().sqrt()) if squares else 0.0
        if not length > 0:
            return []
        before = [(parameter, parameter.clone()) for parameter, _ in moving]
        for parameter, rho in moving:
            parameter.add_(parameter.grad, alpha=rho / length)
        return before
