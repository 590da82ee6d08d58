"""Mode connectivity: straight lines and trained curves between two sets of weights, and the loss along them.

Minima that training finds are joined by curves of low loss even where the straight line between them crosses a high
barrier (Garipov et al. 2018; Draxler et al. 2018, who relax a chain of weights instead of training a curve).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from landscope.evaluation import ModelFunction
from landscope.isolation import autograd_tensors
from landscope.landscape.checks import Check, batch_norm_check
from landscope.measurements.connectivity import Barriers, Connection
from landscope.objective import Objective

__all__ = ["CURVES", "Curve", "CurveKind", "barrier", "barriers_along", "connect", "curve_of"]

CurveKind = Literal["bezier", "polygon"]
CURVES: tuple[CurveKind, ...] = ("bezier", "polygon")

Progress = Callable[[int, int, float], bool | None]

_JITTER = 0.01  # length of the random start of each bend, as a share of the distance between the ends
_CHUNK_BYTES = 2**28  # weights of the points that are held at once


@dataclass(frozen=True)
class Curve:
    """theta(t) = sum_k w_k(t) p_k for t in [0, 1], from the first of its points to the last.

    Attributes:
        kind: "bezier", w_k(t) = C(n, k) t^k (1 - t)^(n - k), which passes through the first and last point alone; or
            "polygon", a chain of straight pieces through all points, which takes as much of t for each of them.
        points: (n + 1, P) the points.
    """

    kind: CurveKind
    points: Tensor

    def weights(self, t: Tensor) -> Tensor:
        """The weights (M, n + 1) of the points at positions t (M,), in float64; each row sums to 1."""
        n = len(self.points) - 1
        t = t.double().unsqueeze(1)
        k = torch.arange(n + 1).double()
        if self.kind == "polygon":
            return (1 - (n * t - k).abs()).clamp_min(0)
        binomials = torch.tensor([math.comb(n, index) for index in range(n + 1)]).double()
        return binomials * t**k * (1 - t) ** (n - k)

    def at(self, t: Tensor) -> Tensor:
        """The points theta(t) (M, P) of the curve, computed in float64 and rounded once; the ends are exact."""
        mixed: Tensor = self.weights(t).to(self.points.device) @ self.points.double()
        return mixed.to(self.points.dtype)

    def arc(self, t: Tensor) -> Tensor:
        """The length (M,) of the curve from its beginning to each of the ascending positions t (M,), in float64.

        Measured along 2,048 chords and through the corners, by the inner products of the points alone.
        """
        n = len(self.points) - 1
        fine = torch.cat([torch.linspace(0, 1, 2049).double(), torch.arange(n + 1).double() / n, t.double()])
        fine = fine.unique()  # sorted
        offsets = self.points.double() - self.points[0].double()
        steps = self.weights(fine).diff(dim=0)
        gram = (offsets @ offsets.T).cpu()
        lengths = ((steps @ gram) * steps).sum(dim=1).clamp_min(0).sqrt()
        return torch.cat([torch.zeros(1).double(), lengths.cumsum(0)])[torch.searchsorted(fine, t.double())]


def curve_of(connection: Connection) -> Curve:
    """The curve itself, of a connection that has just been measured.

    Raises:
        ValueError: if the connection has no points, which are not kept in a run's store.
    """
    if connection.points is None:
        raise ValueError("a connection read from a run has no points: take the curve from the result of connect()")
    return Curve("bezier" if connection.curve == "bezier" else "polygon", torch.from_numpy(connection.points))


def barrier(
    objective: Objective,
    first: Tensor,
    second: Tensor,
    *,
    points: int = 25,
    also: Mapping[str, Objective] | None = None,
) -> Connection:
    """The loss on the straight line (1 - t) first + t second; its `barrier` says how separate the two are.

    Args:
        objective: What to evaluate. With batch normalisation use one with batch_norm="recompute".
        first: (P,) the weights at t = 0.
        second: (P,) the weights at t = 1.
        points: Number of evenly spaced positions.
        also: Other objectives of the same parameters to evaluate on the way, by name: {"test": ...}.

    Raises:
        ValueError: if an end has the wrong shape, or there are fewer than two points.
    """
    curve = Curve("polygon", torch.stack(_ends(objective, first, second)))
    with objective.measuring() as meter:
        t = _positions(points)
        found = _along(objective, also, curve, t)
        return Connection(
            curve="line",
            t=t.numpy(),
            loss=found.pop("loss"),
            accuracy=found.pop("accuracy", None),
            metrics=found,
            arc=curve.arc(t).numpy(),
            distance=_distance(curve),
            checks=_checks(objective),
            points=_stored(curve),
            provenance=meter.provenance(f"{points} points on the straight line"),
        )


def barriers_along(
    objective: Objective,
    first: Tensor,
    second: Tensor,
    *,
    steps: Sequence[int] | None = None,
    points: int = 25,
    also: Mapping[str, Objective] | None = None,
) -> Barriers:
    """The straight-line barrier between two runs at each moment of their training: when do they part?

    Two copies of a network that are trained on from one point, with batches in different order, stay in one linearly
    connected basin if that point is late enough (Frankle et al. 2020; Fort et al. 2020).

    Args:
        objective: What to evaluate. With batch normalisation use one with batch_norm="recompute".
        first: (T, P) weights of the first run.
        second: (T, P) weights of the second run at the same moments.
        steps: The optimiser step of each moment; 0, 1, 2, ... by default.
        points: Number of evenly spaced positions on each line.
        also: Other objectives of the same parameters to evaluate on the way, by name: {"test": ...}.

    Raises:
        ValueError: if the two paths differ in shape, are empty, or do not fit the steps or the objective.
    """
    if first.shape != second.shape or first.ndim != 2 or not len(first):
        raise ValueError(
            f"both paths must have the same shape (T, P), got {tuple(first.shape)} and {tuple(second.shape)}"
        )
    if steps is not None and len(steps) != len(first):
        raise ValueError(f"steps must name each of the {len(first)} moments, got {len(steps)}")
    t = _positions(points)
    with objective.measuring() as meter:
        lines = [Curve("polygon", torch.stack(_ends(objective, *pair))) for pair in zip(first, second, strict=True)]
        rows = [_along(objective, also, line, t) for line in lines]
        found = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        return Barriers(
            steps=np.arange(len(first)) if steps is None else np.asarray(steps),
            t=t.numpy(),
            loss=found.pop("loss"),
            accuracy=found.pop("accuracy", None),
            metrics=found,
            distance=np.array([_distance(line) for line in lines]),
            checks=_checks(objective),
            provenance=meter.provenance(f"{points} points on {len(first)} straight lines"),
        )


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
    _at_least_one(bends=bends, steps=steps, batch=1 if batch is None else batch)
    if not learning_rate > 0:
        raise ValueError(f"learning_rate must be positive, got {learning_rate}")
    line = Curve("polygon", torch.stack(_ends(objective, first, second)))
    if not 0 < _distance(line) < math.inf:
        raise ValueError(f"the two ends must be finite and differ, got a distance of {_distance(line):g} between them")
    t = _positions(points)
    with objective.measuring() as meter:
        curve, losses = _trained(objective, line, kind, bends, steps, learning_rate, batch, seed, progress)
        found = _along(objective, also, curve, t)
        drawn = "all examples" if batch is None else f"batches of {batch}"
        return Connection(
            curve=kind,
            t=t.numpy(),
            loss=found.pop("loss"),
            accuracy=found.pop("accuracy", None),
            metrics=found,
            straight=_along(objective, also, line, t),
            arc=curve.arc(t).numpy(),
            distance=_distance(line),
            training=np.array(losses),
            planned=steps,
            checks=_checks(objective),
            points=_stored(curve),
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


def _along(
    objective: Objective, also: Mapping[str, Objective] | None, curve: Curve, t: Tensor
) -> dict[str, np.ndarray]:
    """Metrics (M,) along a curve: "loss" and "accuracy" of the objective, "name/loss" and so on of the others."""
    chunk = max(8, _CHUNK_BYTES // (8 * curve.points.shape[1]))
    found: dict[str, list[np.ndarray]] = {}
    for piece in t.split(chunk):
        thetas = curve.at(piece)
        for prefix, one in {"": objective, **{f"{name}/": other for name, other in (also or {}).items()}}.items():
            for name, values in one.metrics(thetas).items():
                found.setdefault(prefix + name, []).append(values.numpy())
    return {name: np.concatenate(pieces) for name, pieces in found.items()}


def _ends(objective: Objective, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    layout = objective.layout
    for name, end in (("first", first), ("second", second)):
        layout.check(name, end, 1)
    with autograd_tensors():
        return first.detach().to(layout.device, layout.dtype), second.detach().to(layout.device, layout.dtype)


def _positions(points: int) -> Tensor:
    if points < 2:
        raise ValueError(f"points must be at least 2, one for each end, got {points}")
    return torch.linspace(0, 1, points, dtype=torch.float64)


def _distance(line: Curve) -> float:
    return float((line.points[-1].double() - line.points[0].double()).norm())


def _stored(curve: Curve) -> np.ndarray:
    points: np.ndarray = curve.points.to(torch.promote_types(curve.points.dtype, torch.float32)).cpu().numpy()
    return points


def _at_least_one(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")


def _checks(objective: Objective) -> tuple[Check, ...]:
    found = batch_norm_check(objective, "curve")
    if found and objective.batch_norm == "eval":
        warning = (
            "the model's running statistics fit its own weights and none between or beyond: "
            'measure with batch_norm="recompute"'
        )
        return (("batch norm", "fail", warning),)
    return tuple(found)
