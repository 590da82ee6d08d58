"""Hessian-vector products by several ways through automatic differentiation, the fastest chosen by a trial.

For the gradient g of a loss, in units of what g costs, products H v cost between about one and five; which way is the
cheapest depends on the network, the device and how many products are wanted at one point:

    retained               d(g . v)/d theta, reverse over reverse, the graph of g built once (Pearlmutter 1994)
    linearized             g linearised once at the point, by forward mode, and that linear map reused
    forward-over-reverse   directional derivatives of g, several vectors at once
    reverse-over-forward   the gradient of directional derivatives, several vectors at once
    differences            (g(theta + h v) - g(theta - h v)) / 2 h, where layers have no second derivative
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.func import grad, jvp, linearize

from landscope.derivatives import Operator, derivative, rowwise
from landscope.evaluation import quiet, vmapped
from landscope.points import REFUSALS
from landscope.work import Work

__all__ = ["BACKENDS", "Backend", "Chosen", "HessianProducts", "ScalarFunction"]

logger = logging.getLogger(__name__)

ScalarFunction = Callable[[Tensor], Tensor]
Backend = Literal["auto", "retained", "linearized", "forward-over-reverse", "reverse-over-forward", "differences"]

_PATIENCE = 12  # products at one point before others than the retained graph are tried,
_PAUSE = 0.5  # and seconds spent on them
_AT_ONCE = 8  # vectors of a trial
_LARGEST = 2**28  # bytes of a vector beyond which nothing is tried, since two ways at a time may not fit into memory


def retained(loss: ScalarFunction, point: Tensor) -> Operator:
    """Reverse over reverse."""
    leaf = point.detach().requires_grad_()
    gradient = derivative(loss(leaf), leaf, create_graph=True)
    if gradient.requires_grad:
        return rowwise(lambda vector: derivative(gradient, leaf, vector, retain_graph=True))
    moved = (point + _step(point) / len(point) ** 0.5).requires_grad_()
    change = torch.linalg.vector_norm(derivative(loss(moved), moved) - gradient)
    if change <= 100 * torch.finfo(point.dtype).eps * torch.linalg.vector_norm(gradient):
        return torch.zeros_like  # the loss is linear in theta
    raise RuntimeError("the gradient changes with the weights, and a layer's backward pass hides how")


def linearized(loss: ScalarFunction, point: Tensor) -> Operator:
    """Forward over reverse, everything that does not depend on the vectors computed once."""
    with quiet():
        return rowwise(linearize(grad(loss), point)[1])


def forward_over_reverse(loss: ScalarFunction, point: Tensor) -> Operator:
    """Forward over reverse, in one pass for all vectors."""
    return vmapped(lambda vector: jvp(grad(loss), (point,), (vector,))[1])


def reverse_over_forward(loss: ScalarFunction, point: Tensor) -> Operator:
    """Reverse over forward, in one pass for all vectors."""
    return vmapped(lambda vector: grad(lambda theta: jvp(loss, (theta,), (vector,))[1])(point))


def differences(loss: ScalarFunction, point: Tensor) -> Operator:
    """Central differences of gradients: right to about eps^(2/3), in float32 three or four digits."""

    def gradient(theta: Tensor) -> Tensor:
        leaf = theta.detach().requires_grad_()
        return derivative(loss(leaf), leaf)

    def product(vector: Tensor) -> Tensor:
        length = float(torch.linalg.vector_norm(vector))
        if length == 0.0:
            return torch.zeros_like(vector)
        shift = (_step(point) / length) * vector
        return (gradient(point + shift) - gradient(point - shift)) * (length / (2 * _step(point)))

    return rowwise(product)


def _step(point: Tensor) -> float:
    """The length of a shift for which a difference's truncation and rounding errors are alike."""
    return float(torch.finfo(point.dtype).eps ** (1 / 3) * max(1.0, float(torch.linalg.vector_norm(point)) / 10))


BACKENDS: dict[str, Callable[[ScalarFunction, Tensor], Operator]] = {
    "retained": retained,
    "linearized": linearized,
    "forward-over-reverse": forward_over_reverse,
    "reverse-over-forward": reverse_over_forward,
    "differences": differences,
}


@dataclass
class Chosen:
    """What a trial found out, once for an objective.

    Attributes:
        name: The fastest of the back ends; None before the trial.
        worth: Products at one point from which it is faster than the retained graph, its set-up included.
    """

    name: str | None = None
    worth: float = 0.0


class HessianProducts:
    """Products with the Hessian at one point by the back end asked for, or by the fastest.

    "auto" begins with the retained graph. Once that has been used for a dozen products and half a second, the others
    are tried, for about as long again, and the fastest that agrees is remembered; from then on it takes over at the
    number of products where its set-up pays. Few products at each of many points are thus left to the retained graph.

    Args:
        backend: Which.
        chosen: The memory of the trial.
        work: Where the back end of the last product is noted.
        single: Whether there is one batch only, so that what was set up can be kept.

    Raises:
        ValueError: if there is no such back end.
    """

    def __init__(self, backend: Backend, chosen: Chosen, work: Work, *, single: bool) -> None:
        if backend not in get_args(Backend):
            raise ValueError(f"backend must be one of {', '.join(map(repr, get_args(Backend)))}, got {backend!r}")
        self._backend, self._chosen, self._work, self._single = backend, chosen, work, single
        self._kept: dict[str, Operator] = {}
        self._products = self._timed = 0
        self._seconds = 0.0  # of the timed ones: all but the first, which set up

    def at(self, loss: ScalarFunction, point: Tensor) -> Operator:
        """The Hessian of a loss at a point (P,), on blocks (K, P)."""

        def product(block: Tensor) -> Tensor:
            block = block.to(point.dtype)
            if self._backend != "auto":
                result = self._by(self._backend, loss, point, block)
                self._verify(loss, point, block[:2])
                return result
            name = self._chosen.name or "retained"
            if self._products < self._chosen.worth:
                name = "retained"
            began = _clock(point)
            try:
                result = self._by(name, loss, point, block)
            except REFUSALS as reason:
                if name == "differences" or isinstance(reason, torch.OutOfMemoryError):
                    raise
                result = self._by("differences", loss, point, block)  # raises as well where not even gradients work
                self._chosen.name, self._chosen.worth = "differences", 0.0
                logger.warning(
                    "Hessian products are central differences of gradients, right to about %.0e: a second derivative "
                    "is missing (%s)", torch.finfo(point.dtype).eps ** (2 / 3), reason,
                )  # fmt: skip
            if self._products:
                self._timed += len(block)
                self._seconds += _clock(point) - began
            self._products += len(block)
            if self._chosen.name is None and self._timed >= _PATIENCE and self._seconds >= _PAUSE:
                self._try_others(loss, point, block, result)
            return result

        return product

    def _by(self, name: str, loss: ScalarFunction, point: Tensor, block: Tensor) -> Tensor:
        self._work.backend = name
        operator = self._kept.get(name) or BACKENDS[name](loss, point)
        if self._single:
            self._kept = {name: operator}
        return operator(block)

    def _verify(self, loss: ScalarFunction, point: Tensor, block: Tensor) -> None:
        """Refuses a back end that was asked for, after its first products, if others are not the retained graph's."""
        if self._products or self._backend in ("retained", "differences") or _is_coarse(point):
            return
        self._products = len(block)
        operator = self._kept.get(self._backend) or BACKENDS[self._backend](loss, point)
        if not _agrees(operator, block, operator(block), retained(loss, point)(block)):
            raise RuntimeError(
                f"Hessian products by backend={self._backend!r} are not those of the retained graph, or not symmetric: "
                "a layer's derivative is wrong that way; use backend='auto'"
            )

    def _try_others(self, loss: ScalarFunction, point: Tensor, block: Tensor, result: Tensor) -> None:
        """Times the other back ends on some vectors whose products are known, and remembers the fastest that agrees."""
        self._chosen.name = "retained"
        block, result = block[:_AT_ONCE], result[:_AT_ONCE]
        pace = best = self._seconds / self._timed
        began, limit = _clock(point), self._seconds
        if _is_coarse(point) or point.nbytes > _LARGEST:
            return
        for name in ("linearized", "forward-over-reverse", "reverse-over-forward"):
            if _clock(point) - began > limit or (name == "linearized" and not self._single):
                continue
            try:
                start = _clock(point)
                operator = BACKENDS[name](loss, point)
                operator(block)
                ready = _clock(point)
                found = operator(block)  # the second time, since what was linearised may have been written to
                seconds = (_clock(point) - ready) / len(block)
                agrees = _agrees(operator, block, found, result)
            except REFUSALS as reason:
                logger.info("Hessian products are not taken %s: torch refused (%s)", name, reason)
                continue
            logger.info(
                "Hessian products take %.3g s %s and %.3g s retained%s", seconds, name, pace,
                "" if agrees else ", and do not agree: not used",
            )  # fmt: skip
            if agrees and seconds < 0.95 * best:
                best, self._chosen.name = seconds, name
                set_up = max(0.0, ready - start - seconds * len(block)) if name == "linearized" else 0.0
                self._chosen.worth = set_up / (pace - seconds)
                if self._single:
                    self._kept = {name: operator}


def _agrees(operator: Operator, block: Tensor, found: Tensor, expected: Tensor) -> bool:
    """Whether products equal known ones but for rounding, and u . H v = v . H u for a vector and its product."""
    tolerance = 1000 * torch.finfo(block.dtype).eps
    scale = torch.linalg.vector_norm(expected)
    if not bool(torch.linalg.vector_norm(found - expected) <= tolerance * scale):
        return False
    u, image = block[0], found[0]
    back = operator(image[None])[0]
    apart = (torch.dot(u, back) - torch.dot(image, image)).abs()
    return bool(apart <= tolerance * torch.linalg.vector_norm(u) * torch.linalg.vector_norm(back))


def _is_coarse(point: Tensor) -> bool:
    """Whether products differ by more in rounding than a comparison could tell: half precision."""
    return bool(torch.finfo(point.dtype).eps > 1e-6)


def _clock(point: Tensor) -> float:
    """Seconds of this process on a CPU, which other work on the machine hardly changes; elapsed ones on a GPU."""
    if point.device.type == "cuda":
        torch.cuda.synchronize(point.device)
    return time.process_time() if point.device.type == "cpu" else time.perf_counter()
