"""The curvature above which an optimiser's steps overshoot, from its live state.

With its second moments held fixed, an optimiser with momentum b is on a quadratic, coordinate by coordinate, a linear
recursion in the iterates. It leaves the unit circle through z = -1, at the curvature h = c that solves its
characteristic polynomial there:

    momentum b     z^2 - (a + b - s h) z + a b              c = (1 + a)(1 + b) / s
    Nesterov       z^2 - (1 + b)(1 - s h) z + b (1 - s h)   c = (2 + 2 b) / ((1 + 2 b) s)

where s is the learning rate, times 1 - dampening (for Adam 1 - beta1), over the preconditioner of that coordinate, and
a is 1 - lr * decay where weight decay is decoupled, else 1. L2 decay adds to h. Coordinates with different c overshoot
together when C^-1/2 (H + decay) C^-1/2, C = diag(c), has an eigenvalue above one: on the unit circle the characteristic
functions' imaginary parts have one sign except at z = 1 and z = -1, while x^T H x is real.

Cohen et al. 2021 (arXiv:2103.00065) for gradient descent and momentum; Cohen et al. 2022 (arXiv:2207.14484) for
preconditioned methods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from landscope.parameters import ParameterLayout

__all__ = ["StabilityRule", "stability_rule"]


@dataclass(frozen=True)
class StabilityRule:
    """What the stability of an optimiser on a quadratic depends on.

    It is stable while the largest eigenvalue of S (sign H + diag(decay)) S with S = diag(scaling) is below `threshold`.

    Attributes:
        threshold: The largest stable value; None where it is unknown or there is none.
        text: The rule's formula, or why there is no threshold.
        scaling: (P,) diagonal of S, the inverse square root of the preconditioner, in units of the first moving group's
            step; zero for parameters that the optimiser does not move; None for the identity.
        decay: (P,) L2 weight decay; None where there is none or the threshold has been lowered by it.
        sign: -1 if the optimiser maximises the objective, else 1.
        pending: Whether the optimiser has a preconditioner, but not before its first step.
    """

    threshold: float | None
    text: str
    scaling: Tensor | None = None
    decay: Tensor | None = None
    sign: int = 1
    pending: bool = False


def stability_rule(optimizer: Optimizer, layout: ParameterLayout, model: nn.Module) -> StabilityRule:
    """The stability rule of `optimizer` in its present state, for the parameters in `layout`.

    Known are SGD (momentum, dampening, Nesterov), RMSprop (momentum, centred), Adam and AdamW (amsgrad), each with
    weight decay, `maximize` and several parameter groups.

    Args:
        optimizer: The optimiser; an adaptive one has second moments only after its first step.
        layout: The parameters that make up theta.
        model: The module that owns them; they are found in the optimiser's groups by identity.

    Raises:
        ValueError: if the optimiser holds none of these parameters.
    """
    named = dict(model.named_parameters())
    groups = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
    held = {name: groups[id(named[name])] for name in layout.names if id(named[name]) in groups}
    if not held:
        raise ValueError(
            "optimizer holds none of the objective's parameters; pass the one that trains this model, not a copy of it"
        )
    kind = type(optimizer)
    if kind not in (SGD, RMSprop, Adam, AdamW):
        return StabilityRule(None, f"no rule known for {kind.__name__}")
    steps = {name: _Step.of(optimizer, group) for name, group in held.items()}
    moving = {name: step for name, step in steps.items() if step.length > 0}
    if not moving:
        return StabilityRule(None, "no threshold: the learning rate is 0")
    preconditioners = {name: _preconditioner(optimizer, named[name], held[name]) for name in moving}
    if all(preconditioner is None for preconditioner in preconditioners.values()):
        return StabilityRule(
            None, f"no threshold yet: {kind.__name__} has no second moments before its first step", pending=True
        )
    signs = {-1 if held[name]["maximize"] else 1 for name in moving}
    if len(signs) > 1:
        return StabilityRule(None, "no rule known where some parameter groups are maximised and others minimised")

    first = next(iter(moving.values()))
    scaling, decay = {}, {}
    for name in layout.names:
        like, preconditioner = named[name].detach(), preconditioners.get(name)
        moves = preconditioner is not None
        scaling[name] = (
            torch.zeros_like(like)
            if preconditioner is None
            else (first.threshold / steps[name].threshold / preconditioner).sqrt().to(like).expand_as(like)
        )
        decay[name] = torch.full_like(like, steps[name].l2_decay if moves else first.l2_decay)
    return _assembled(first, kind is not SGD, layout.flatten(scaling), layout.flatten(decay), signs.pop())


def _assembled(first: _Step, adaptive: bool, scaling: Tensor, decay: Tensor, sign: int) -> StabilityRule:
    """The rule with what is the same for all coordinates taken out of the vectors."""
    threshold, text = first.threshold, first.text
    plain = bool((scaling == 1).all())
    if adaptive:
        text += " on the preconditioned Hessian"
    elif not plain:
        text += " on the Hessian scaled by each parameter's step"
    even = bool((decay == first.l2_decay).all())
    if even and first.l2_decay == 0:
        shift = None
    elif even and plain:
        threshold, text, shift = threshold - first.l2_decay, text + " - weight_decay", None
    else:
        text, shift = text + ", weight decay included", decay
    if sign < 0:
        text += ", of the negated loss"
    return StabilityRule(threshold, text, None if plain else scaling, shift, sign)


@dataclass(frozen=True)
class _Step:
    """One parameter group's recursion, for a preconditioner of one.

    Attributes:
        length: Learning rate times 1 - dampening.
        momentum: Decay rate b of the first moment.
        nesterov: Whether the gradient is taken ahead.
        l2_decay: Weight decay that is added to the gradient.
        shrinkage: lr * decay of decoupled weight decay, 1 - a.
        text: Formula of the threshold.
    """

    length: float
    momentum: float
    nesterov: bool
    l2_decay: float
    shrinkage: float
    text: str

    @classmethod
    def of(cls, optimizer: Optimizer, group: dict[str, Any]) -> _Step:
        lr, decay = float(group["lr"]), float(group["weight_decay"])
        if isinstance(optimizer, Adam | AdamW):
            beta = float(group["betas"][0])
            decoupled = bool(group.get("decoupled_weight_decay", isinstance(optimizer, AdamW))) and decay != 0
            text = "(2 + 2 beta1) / ((1 - beta1) lr)"
            if decoupled:
                text += " - (1 + beta1) / (1 - beta1) weight_decay"
            return cls(lr * (1 - beta), beta, False, 0.0 if decoupled else decay, lr * decay * decoupled, text)
        momentum, dampening = float(group["momentum"]), float(group.get("dampening", 0))
        nesterov = bool(group.get("nesterov", False))
        gain = 1 - dampening if momentum else 1.0
        if not momentum:
            text = "2 / lr"
        elif nesterov:
            text = "(2 + 2 momentum) / ((1 + 2 momentum) lr)"
        else:
            text = "(2 + 2 momentum) / " + ("((1 - dampening) lr)" if dampening else "lr")
        return cls(lr * gain, momentum, nesterov, decay, 0.0, text)

    @property
    def threshold(self) -> float:
        """The curvature at which z = -1."""
        ahead = 1 + 2 * self.momentum if self.nesterov else 1.0
        return (2 - self.shrinkage) * (1 + self.momentum) / (ahead * self.length)


def _preconditioner(optimizer: Optimizer, parameter: nn.Parameter, group: dict[str, Any]) -> Tensor | None:
    """What each element's step is divided by, in the parameter's shape; None before the first step."""
    if isinstance(optimizer, SGD):
        return torch.ones((), device=parameter.device)
    state = optimizer.state.get(parameter, {})
    if "step" not in state or float(state["step"]) == 0:
        return None
    eps = float(group["eps"])
    if isinstance(optimizer, RMSprop):
        variance: Tensor = state["square_avg"]
        if group["centered"]:
            variance = variance - state["grad_avg"].square()
        return torch.sqrt(variance.clamp_min(0)) + eps
    count = float(state["step"])
    beta1, beta2 = (float(beta) for beta in group["betas"])
    second: Tensor = state["max_exp_avg_sq" if group["amsgrad"] else "exp_avg_sq"]
    root: Tensor = torch.sqrt(second / (1 - beta2**count)) + eps
    correction: float = 1 - beta1**count
    return correction * root
