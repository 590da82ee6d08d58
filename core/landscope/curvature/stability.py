"""The curvature above which an optimiser's steps overshoot, from its live state.

With its second moments held fixed, an optimiser with momentum b is on a quadratic, coordinate by coordinate, a linear
recursion in the iterates. It leaves the unit circle through z = -1, at the curvature h = c that solves its
characteristic polynomial there:

    momentum b     z^2 - (a + b - s h) z + a b              c = (1 + a)(1 + b) / s
    Nesterov       z^2 - (1 + b)(1 - s h) z + b (1 - s h)   c = (2 + 2 b) / ((1 + 2 b) s)

where s is the learning rate, times 1 - dampening (for Adam 1 - beta1), over the preconditioner of that coordinate, and
a is 1 - lr * decay where weight decay is decoupled, else 1. L2 decay adds to h. Adagrad has b = 0, Adamax and rectified
Adam are Adam with other preconditioners, and Nadam is Nesterov's with s and b of Adam once its momentum has warmed up;
before, with the coefficients p of the gradient and q of the first moment in its step,

    Nadam          z^2 - (1 + b - (p + q (1 - b)) h) z + b (1 - p h)   c = (1 + a)(1 + b) / (p (1 + b) + q (1 - b))

Coordinates with different c overshoot
together when C^-1/2 (H + decay) C^-1/2, C = diag(c), has an eigenvalue above one: on the unit circle the characteristic
functions' imaginary parts have one sign except at z = 1 and z = -1, while x^T H x is real.

Cohen et al. 2021 (arXiv:2103.00065) for gradient descent and momentum; Cohen et al. 2022 (arXiv:2207.14484) for
preconditioned methods.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adagrad, Adam, Adamax, AdamW, NAdam, Optimizer, RAdam, RMSprop

from landscope.optimizers import Holder, Optimizers, holders
from landscope.parameters import ParameterLayout

__all__ = ["StabilityRule", "stability_rule"]

_KNOWN = (SGD, RMSprop, Adagrad, Adam, AdamW, NAdam, RAdam, Adamax)


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
        decay_share: Share of the threshold that weight decay takes: the largest over the coordinates of decay / c where
            it adds to the curvature, and of lr * decay / 2 where it is decoupled.
    """

    threshold: float | None
    text: str
    scaling: Tensor | None = None
    decay: Tensor | None = None
    sign: int = 1
    pending: bool = False
    decay_share: float = 0.0


def stability_rule(optimizer: Optimizers, layout: ParameterLayout, model: nn.Module) -> StabilityRule:
    """The stability rule of `optimizer` in its present state, for the parameters in `layout`.

    Several optimisers are one whose parameter groups are those of all: each parameter has the recursion of the group
    that holds it, and they overshoot together. That is taken to be so if they step together, each on the gradient of
    this objective.

    Known are SGD (momentum, dampening, Nesterov), RMSprop (momentum, centred), Adagrad, Adam and AdamW (amsgrad),
    NAdam, RAdam and Adamax, each with weight decay, `maximize` and several parameter groups. Their second moments are
    taken to stand still, which those of Adagrad do the more the longer it has run.

    Args:
        optimizer: The optimiser, or several; an adaptive one has second moments only after its first step.
        layout: The parameters that make up theta.
        model: The module that owns them; they are found in the optimiser's groups by identity.

    Raises:
        ValueError: if the optimiser holds none of these parameters.
    """
    named = dict(model.named_parameters())
    found = holders(optimizer, model, layout.names)
    unknown = {type(one).__name__: None for held_by in found.values() for one, _ in held_by if type(one) not in _KNOWN}
    if unknown:
        return StabilityRule(None, f"no rule known for {', '.join(unknown)}")
    if any(len(held_by) > 1 for held_by in found.values()):
        return StabilityRule(None, "no rule known where several optimisers hold the same parameter")
    held = {name: held_by[0] for name, held_by in found.items()}
    steps = {name: _Step.of(*holder) for name, holder in held.items()}
    moving = {name: step for name, step in steps.items() if step.length > 0}
    if not moving:
        return StabilityRule(None, "no threshold: the learning rate is 0")
    preconditioners = {name: _preconditioner(named[name], *held[name]) for name in moving}
    waiting = _waiting(held, preconditioners)
    if waiting:
        return StabilityRule(
            None, f"no threshold yet: {waiting} has no second moments before its first step", pending=True
        )
    signs = {-1 if held[name][1]["maximize"] else 1 for name in moving}
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
    adaptive = any(not isinstance(held[name][0], SGD) for name in moving)
    rule = _assembled(first, adaptive, layout.flatten(scaling), layout.flatten(decay), signs.pop())
    shares = [
        step.shrinkage / 2 + step.l2_decay * float(scaling[name].max()) ** 2 / first.threshold
        for name, step in moving.items()
        if scaling[name].numel()
    ]
    return replace(rule, decay_share=max(shares, default=0.0))


def _waiting(held: Mapping[str, Holder], preconditioners: Mapping[str, Tensor | None]) -> str:
    """The kind of an optimiser that is to move parameters, but has taken no step yet; empty if there is none."""
    ready: dict[int, bool] = {}
    for name, preconditioner in preconditioners.items():
        key = id(held[name][0])
        ready[key] = ready.get(key, False) or preconditioner is not None
    return next((type(held[name][0]).__name__ for name in preconditioners if not ready[id(held[name][0])]), "")


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
        if "betas" in group:
            beta = float(group["betas"][0])
            decoupled = bool(group.get("decoupled_weight_decay", isinstance(optimizer, AdamW))) and decay != 0
            ahead = " (1 + 2 beta1)" if isinstance(optimizer, NAdam) else ""
            text = f"(2 + 2 beta1) / ((1 - beta1){ahead} lr)"
            if decoupled:
                text += f" - (1 + beta1) / ((1 - beta1){ahead}) weight_decay"
            nesterov = isinstance(optimizer, NAdam)
            return cls(lr * (1 - beta), beta, nesterov, 0.0 if decoupled else decay, lr * decay * decoupled, text)
        momentum, dampening = float(group.get("momentum", 0)), float(group.get("dampening", 0))
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


def _preconditioner(parameter: nn.Parameter, optimizer: Optimizer, group: dict[str, Any]) -> Tensor | None:
    """What each element's step is divided by, in the parameter's shape; None before the first step."""
    if isinstance(optimizer, SGD):
        return torch.ones((), device=parameter.device)
    state = optimizer.state.get(parameter, {})
    if "step" not in state or float(state["step"]) == 0:
        return None
    eps, count = float(group["eps"]), float(state["step"])
    if isinstance(optimizer, RMSprop):
        variance: Tensor = state["square_avg"]
        if group["centered"]:
            variance = variance - state["grad_avg"].square()
        return torch.sqrt(variance.clamp_min(0)) + eps
    if isinstance(optimizer, Adagrad):
        slowed: float = 1 + (count - 1) * float(group["lr_decay"])
        total: Tensor = state["sum"]
        return slowed * (torch.sqrt(total) + eps)
    beta1, beta2 = (float(beta) for beta in group["betas"])
    correction: float = 1 - beta1**count
    if isinstance(optimizer, Adamax):
        largest: Tensor = state["exp_inf"]
        return correction * largest
    seen: float = 1 - beta2**count
    if isinstance(optimizer, RAdam):
        trust = _rectification(beta2, count)
        if trust is None:  # too few steps to divide by: plain momentum
            return torch.full((), correction, device=parameter.device)
        spread: Tensor = torch.sqrt(state["exp_avg_sq"]) + eps
        return spread * (correction / (trust * math.sqrt(seen)))
    second: Tensor = state["max_exp_avg_sq" if group.get("amsgrad") else "exp_avg_sq"]
    root: Tensor = torch.sqrt(second / seen) + eps
    if isinstance(optimizer, NAdam):
        return _nadam_correction(group, beta1, count, float(state["mu_product"])) * root
    return correction * root


def _rectification(beta2: float, count: float) -> float | None:
    """The variance rectification r_t of RAdam (Liu et al. 2020, algorithm 2); None where it is not adaptive yet."""
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * count * beta2**count / (1 - beta2**count)
    if length <= 5:
        return None
    grown: float = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return math.sqrt(grown)


def _nadam_correction(group: dict[str, Any], beta1: float, count: float, product: float) -> float:
    """What NAdam's momentum schedule multiplies the preconditioner by; 1 once the momentum has reached beta1."""
    decay = float(group["momentum_decay"])
    now, ahead = (beta1 * (1 - 0.5 * 0.96 ** (step * decay)) for step in (count, count + 1))
    of_gradient, of_moment = (1 - now) / (1 - product), ahead / (1 - product * ahead)  # p and q over lr
    correction: float = (1 - beta1) * (1 + 2 * beta1) / (of_gradient * (1 + beta1) + of_moment * (1 - beta1))
    return correction
