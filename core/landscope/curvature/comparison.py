"""Many definitions of sharpness at the same weights, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from landscope.curvature.ascent import Neighbourhood, fine_enough, highest_rise
from landscope.curvature.lanczos import RitzPairs, leading_eigenpairs
from landscope.curvature.operators import start_vector, zero_vector
from landscope.curvature.preconditioned import sharpness
from landscope.curvature.probes import gaussian_probes, private_generator
from landscope.curvature.stability import stability_rule
from landscope.curvature.traces import trace
from landscope.measurements import SharpnessMeasures
from landscope.objective import Objective
from landscope.optimizers import Optimizers

__all__ = ["sharpness_measures"]

_RADII = np.array([0.25, 0.5, 1.0, 2.0, 4.0])  # of the curve over rho, in units of rho
_MAX_PRODUCTS = 100
_PAIRS = 10  # antithetic pairs of random perturbations
_PROBES = 10  # of the trace
_MOST_BATCHES = 8  # of m examples


@dataclass(frozen=True)
class _Row:
    name: str
    symbol: str
    value: float
    error: float = float("nan")
    setting: str = ""


def sharpness_measures(
    objective: Objective,
    optimizer: Optimizers | None = None,
    *,
    theta: Tensor | None = None,
    rho: float = 0.05,
    adaptive_rho: float = 0.5,
    spread: float = 0.05,
    epsilon: float = 1e-3,
    m: int = 16,
    steps: int = 20,
    start: Tensor | np.ndarray | None = None,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> SharpnessMeasures:
    """Sharpness by all its common definitions, at the same weights w and on the same examples.

    - the largest and the least eigenvalue of the Hessian, the latter being how deep a saddle is, with error bounds;
    - the trace of the Hessian, with its standard error over random signs;
    - with an optimiser, the largest eigenvalue as it sees it, as a share of its stability limit (`sharpness`);
    - SAM, max_{|e| <= rho} L(w + e) - L(w) (Foret et al. 2021, arXiv:2010.01412): after one step of ascent,
      e = rho g/|g|, as SAM itself takes it, and the most that several steps of projected ascent find. Both also as
      functions of rho;
    - adaptive worst case, max_{|e / |w|| <= adaptive_rho} L(w + e) - L(w), the division by elements (Kwon et al. 2021,
      arXiv:2102.11600; Andriushchenko et al. 2023, arXiv:2302.07011), which does not change when the units of a ReLU
      network are rescaled;
    - adaptive average case, the mean of L(w + e) - L(w) over e ~ N(0, spread^2 diag(w^2)) (Andriushchenko et al.),
      over antithetic pairs, so that the slope is no noise, with its standard error;
    - epsilon-sharpness, 100 (max_e L(w + e) - L(w)) / (1 + L(w)) over |e_i| <= epsilon (|w_i| + 1), in per cent (Keskar
      et al. 2017, arXiv:1609.04836); NaN for a loss of -1 and below;
    - m-sharpness, the mean over batches of m examples of the rise of each batch's own loss at its own worst e,
      |e| <= rho (Foret et al., section 4.2), over at most 8 batches, with its standard error over them.

    Worst cases are what ascent finds: lower bounds. Where a loss within a neighbourhood is not finite, the rise is inf.

    Args:
        objective: What to measure.
        optimizer: The live optimiser of this model, for the share of its stability limit.
        theta: Where, (P,); the model's weights at this moment if left out.
        rho: Radius of the ball of SAM and m-sharpness, in units of the weights.
        adaptive_rho: Radius relative to each weight; all perturbations together have this length.
        spread: Standard deviation of random perturbations, relative to each weight.
        epsilon: Half the side of the box of epsilon-sharpness, relative to |w_i| + 1.
        m: Examples in a batch of m-sharpness.
        steps: Gradients for each ascent.
        start: Eigenvector (P,) of the Hessian a few steps ago, e.g. `Sharpness.vector`.
        tolerance: Error bound of the eigenvalues, relative to the largest.
        seed: Seed of probes, perturbations and batches.

    Raises:
        ValueError: if a radius or count is not positive, the parameters are coarser than float32, or `start` or the
            optimiser does not fit.
        FloatingPointError: if the loss or a product is not finite at the weights.
    """
    positive = {"rho": rho, "adaptive_rho": adaptive_rho, "spread": spread, "epsilon": epsilon, "tolerance": tolerance}
    for name, value in (positive | {"m": m, "steps": steps}).items():
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value}")
    fine_enough(objective)
    generator = private_generator(seed)
    with objective.measuring() as meter:
        point = objective.theta() if theta is None else theta.detach()
        loss, gradient = objective.value_and_gradient(point)
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"the loss at the weights is {loss}, so there is nothing to measure around them; "
                "go back to an earlier step"
            )
        top, rows = _eigenvalues(objective, point, start, tolerance, generator)
        rows.append(_trace(objective, point, top, seed))
        if optimizer is not None:
            rows += _share(objective, optimizer, point, top, tolerance, seed)
        ascent = _Ascent(objective, point, loss, gradient, steps, generator)
        one_step, multi_step, worst = ascent.over_radii(rho * _RADII, top.vectors[0].to(point))
        at = int(np.flatnonzero(_RADII == 1)[0])
        ball = f"rho = {rho:g}"
        rows += [
            _Row("SAM", "max L(w + e) - L(w), |e| <= rho", multi_step[at], setting=f"{ball}, {steps} steps"),
            _Row("SAM one step", "L(w + rho g/|g|) - L(w)", one_step[at], setting=ball),
            ascent.adaptive(adaptive_rho),
            ascent.average(spread),
            ascent.epsilon(epsilon, top.vectors[0].to(point)),
            ascent.of_batches(rho, m, worst[at]),
        ]
        return SharpnessMeasures(
            provenance=meter.provenance(f"projected ascent, {steps} steps; Lanczos; random signs", seed=seed),
            names=tuple(row.name for row in rows),
            symbols=tuple(row.symbol for row in rows),
            values=np.array([row.value for row in rows]),
            errors=np.array([row.error for row in rows]),
            settings=tuple(row.setting for row in rows),
            rho=rho * _RADII,
            sam_one_step=one_step,
            sam_multi_step=multi_step,
        )


def _eigenvalues(
    objective: Objective,
    theta: Tensor,
    start: Tensor | np.ndarray | None,
    tolerance: float,
    generator: torch.Generator,
) -> tuple[RitzPairs, list[_Row]]:
    """The leading pair of the Hessian, and the rows of both ends of its spectrum."""
    hessian, like = objective.hessian(theta), zero_vector(objective)

    def lead(sign: int, first: Tensor, tolerance: float) -> RitzPairs:
        return leading_eigenpairs(
            lambda vector: sign * hessian(vector),
            first,
            1,
            tolerance=tolerance,
            max_products=_MAX_PRODUCTS,
            generator=generator,
        )

    top = lead(1, start_vector(start, like, generator), tolerance)
    bottom = lead(-1, start_vector(None, like, generator), tolerance)
    return top, [
        _Row("largest eigenvalue", "lambda_max(H)", float(top.values[0]), float(top.errors[0])),
        _Row("least eigenvalue", "lambda_min(H)", 0.0 - float(bottom.values[0]), float(bottom.errors[0])),
    ]


def _trace(objective: Objective, theta: Tensor, top: RitzPairs, seed: int) -> _Row:
    found = trace(objective, probes=_PROBES, deflate=top.vectors, theta=theta, seed=seed)
    return _Row("trace", "tr H", found.value, found.stderr, f"{_PROBES} probes")


def _share(
    objective: Objective, optimizer: Optimizers, theta: Tensor, top: RitzPairs, tolerance: float, seed: int
) -> Iterator[_Row]:
    """The sharpness that the optimiser sees over its limit, where there is one by now."""
    rule = stability_rule(optimizer, objective.layout, objective.model)
    if rule.threshold is None or not rule.threshold > 0:
        return
    start = top.vectors[0] if rule.scaling is None else None
    seen = sharpness(objective, optimizer, theta=theta, start=start, tolerance=tolerance, seed=seed)
    symbol = "lambda_max(P^-1/2 H P^-1/2) / limit" if seen.preconditioned else "lambda_max(H) / limit"
    yield _Row(
        "share of the stability limit",
        symbol,
        seen.lambda_max / rule.threshold,
        seen.residual / rule.threshold,
        f"limit {rule.text} = {rule.threshold:.4g}",
    )


@dataclass(frozen=True)
class _Ascent:
    """Rises of the loss around weights, of which loss and gradient are known."""

    objective: Objective
    theta: Tensor
    loss: float
    gradient: Tensor
    steps: int
    generator: torch.Generator

    def over_radii(self, radii: np.ndarray, sharpest: Tensor) -> tuple[np.ndarray, np.ndarray, list[Tensor]]:
        """For each radius of a ball: the rise after one step, the highest found, and where that is, e (P,)."""
        scale = self.theta.new_ones(())
        balls = [Neighbourhood(float(radius), scale) for radius in radii]
        steps = torch.stack([ball.directed(self.gradient) for ball in balls])
        one_step = self.objective.values(self.theta + steps).numpy() - self.loss
        one_step[~np.isfinite(one_step)] = np.inf
        multi_step: list[float] = []
        worst: list[Tensor] = []
        for ball, step in zip(balls, steps, strict=True):
            lead = ball.directed(sharpest)
            starts = [step, lead, -lead, *(ball.directed(last) for last in worst[-1:])]
            rise, e = highest_rise(self.objective, self.theta, self.loss, ball, starts, self.steps)
            multi_step.append(rise)
            worst.append(e)
        return one_step, np.array(multi_step), worst

    def adaptive(self, rho: float) -> _Row:
        near = Neighbourhood(rho, self.theta.abs())
        fresh = gaussian_probes(1, self.theta, self.generator)[0]
        starts = [near.directed(near.scale * self.gradient), near.directed(fresh)]
        rise, _ = highest_rise(self.objective, self.theta, self.loss, near, starts, self.steps)
        symbol = "max L(w + e) - L(w), |e / |w|| <= rho"
        return _Row("adaptive worst case", symbol, rise, setting=f"rho = {rho:g}, {self.steps} steps")

    def average(self, spread: float) -> _Row:
        fresh = spread * self.theta.abs() * gaussian_probes(_PAIRS, self.theta, self.generator)
        losses = self.objective.values(torch.cat([self.theta + fresh, self.theta - fresh])).numpy()
        rises = losses.reshape(2, _PAIRS).mean(0) - self.loss
        error = float(rises.std(ddof=1) / np.sqrt(_PAIRS))
        symbol = "mean of L(w + e) - L(w), e ~ N(0, rho^2 w^2)"
        return _Row("adaptive average", symbol, float(rises.mean()), error, f"rho = {spread:g}, {2 * _PAIRS} samples")

    def epsilon(self, epsilon: float, sharpest: Tensor) -> _Row:
        near = Neighbourhood(epsilon, self.theta.abs() + 1, box=True)
        lead = near.directed(near.scale * sharpest)
        starts = [near.directed(self.gradient), lead, -lead]
        rise, _ = highest_rise(self.objective, self.theta, self.loss, near, starts, self.steps)
        value = 100 * rise / (1 + self.loss) if self.loss > -1 else float("nan")
        symbol = "100 (max L(w + e) - L(w)) / (1 + L(w)), |e_i| <= epsilon (|w_i| + 1)"
        setting = f"epsilon = {epsilon:g}, {self.steps} steps, per cent"
        return _Row("epsilon-sharpness", symbol, value, setting=setting)

    def of_batches(self, rho: float, m: int, worst: Tensor) -> _Row:
        """The mean rise of batches, each at least what it is where all of them together rise most."""
        size = min(m, self.objective.examples)
        order = torch.randperm(self.objective.examples, generator=self.generator)
        chosen = [part for part in order.split(size) if len(part) == size][:_MOST_BATCHES]
        ball = Neighbourhood(rho, self.theta.new_ones(()))
        rises = []
        for part in chosen:
            batch = self.objective.subset(part)
            loss, gradient = batch.value_and_gradient(self.theta)
            starts = [ball.directed(gradient), worst]
            rises.append(highest_rise(batch, self.theta, loss, ball, starts, self.steps)[0])
            self.objective.work.gradients += (self.steps + 2) * size / self.objective.examples
        error = float(np.std(rises, ddof=1) / np.sqrt(len(rises))) if len(rises) > 1 else float("nan")
        symbol = "mean over batches of max L_b(w + e) - L_b(w), |e| <= rho"
        setting = f"m = {size}, {len(rises)} batches, rho = {rho:g}"
        return _Row("m-sharpness", symbol, float(np.mean(rises)), error, setting)
