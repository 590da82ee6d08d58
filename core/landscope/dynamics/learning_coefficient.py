"""The local learning coefficient (Lau, Furman, Wang, Murfet and Wei 2023, arXiv:2308.12108) by Langevin dynamics.

    lambda = n beta (E[L(w)] - L(w*)),   w ~ exp(-n beta L(w) - gamma |w - w*|^2 / 2),   beta = 1 / ln n

drawn by  dw = -(epsilon / 2) (n beta grad L(w) + gamma (w - w*)) + N(0, epsilon)  from several chains that begin at w*.
Draws of the burn-in do not count. Step and pull are given relative to the curvature, so that one setting means the same
for every network; the estimate depends on both all the same, which `calibrate_learning_coefficient` shows. A step of
epsilon inflates the variance along curvature k = n beta h + gamma by 1 / (1 - epsilon k / 4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from landscope.curvature import eigenvalues
from landscope.measurements import CoefficientCalibration, LearningCoefficient
from landscope.objective import Objective

__all__ = ["calibrate_learning_coefficient", "local_learning_coefficient"]


@dataclass(frozen=True)
class _Sampler:
    """Settings of the dynamics, in absolute units."""

    step_size: float
    nbeta: float
    pull: float
    chains: int
    burn_in: int
    draws: int
    seed: int


def local_learning_coefficient(
    objective: Objective,
    *,
    theta: Tensor | None = None,
    examples: int | None = None,
    chains: int = 4,
    burn_in: int = 300,
    draws: int = 300,
    step: float = 0.2,
    pull: float = 0.05,
    seed: int = 0,
) -> LearningCoefficient:
    """Estimates the local learning coefficient at weights that should be near a minimum.

    Args:
        objective: The training objective, or a sample of it.
        theta: Where, (P,); the model's weights by default.
        examples: n; by default as many as the objective has.
        chains: Independent chains, two at least.
        burn_in: Steps that each takes before its draws count.
        draws: Steps that count.
        step: The step size epsilon as a share of 1 / (n beta lambda_max + gamma); the dynamics diverge from 4 on.
        pull: gamma as a share of n beta lambda_max. About 2 / (step * pull) steps are needed to forget the start.
        seed: Of the noise.

    Raises:
        ValueError: for settings out of range, or if the largest eigenvalue of the Hessian is not positive.
        FloatingPointError: if the dynamics diverged.
    """
    with objective.measuring() as meter:
        origin = objective.theta() if theta is None else theta
        sampler = _sampler(objective, _largest(objective, origin), examples, chains, burn_in, draws, step, pull, seed)
        start, losses, distances = _sample(objective, origin, sampler)
        if not np.isfinite(losses).all():
            raise FloatingPointError("the Langevin dynamics diverged; lower step, or raise pull")
        method = f"SGLD, {chains} chains of {burn_in} + {draws} steps, step {step:g}, pull {pull:g}"
        value, stderr, mixing = _estimate(start, losses, sampler)
        return LearningCoefficient(
            provenance=meter.provenance(method, seed=seed),
            value=value,
            stderr=stderr,
            mixing=mixing,
            start=start,
            losses=losses,
            distances=distances,
            burn_in=burn_in,
            step_size=sampler.step_size,
            nbeta=sampler.nbeta,
            pull=sampler.pull,
        )


def calibrate_learning_coefficient(
    objective: Objective,
    *,
    theta: Tensor | None = None,
    steps: Sequence[float] = (0.1, 0.3, 1.0),
    pulls: Sequence[float] = (0.02, 0.1, 0.5),
    examples: int | None = None,
    chains: int = 4,
    burn_in: int = 150,
    draws: int = 150,
    seed: int = 0,
) -> CoefficientCalibration:
    """The local learning coefficient for every pair of step and pull, each as in `local_learning_coefficient`.

    Raises:
        ValueError: for settings out of range, or if the largest eigenvalue of the Hessian is not positive.
    """
    shape = (len(steps), len(pulls))
    values, stderrs, mixing = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan)
    with objective.measuring() as meter:
        origin = objective.theta() if theta is None else theta
        largest = _largest(objective, origin)
        for (i, step), (j, pull) in ((a, b) for a in enumerate(steps) for b in enumerate(pulls)):
            sampler = _sampler(objective, largest, examples, chains, burn_in, draws, step, pull, seed)
            start, losses, _ = _sample(objective, origin, sampler)
            if np.isfinite(losses).all():
                values[i, j], stderrs[i, j], mixing[i, j] = _estimate(start, losses, sampler)
        method = f"SGLD over {shape[0]} steps and {shape[1]} pulls, {chains} chains of {burn_in} + {draws} steps"
        return CoefficientCalibration(
            provenance=meter.provenance(method, seed=seed),
            step_shares=np.array(steps, dtype=np.float64),
            pull_shares=np.array(pulls, dtype=np.float64),
            values=values,
            stderrs=stderrs,
            mixing=mixing,
        )


def _largest(objective: Objective, origin: Tensor) -> float:
    largest = float(eigenvalues(objective, 1, theta=origin, tolerance=0.05).values[0])
    if not largest > 0:
        raise ValueError(
            f"the Hessian's largest eigenvalue must be positive to set the sampler's scale, got {largest:.3g}"
        )
    return largest


def _sampler(
    objective: Objective,
    largest: float,
    examples: int | None,
    chains: int,
    burn_in: int,
    draws: int,
    step: float,
    pull: float,
    seed: int,
) -> _Sampler:
    count = objective.examples if examples is None else examples
    for name, value, least in (
        ("chains", chains, 2),
        ("burn_in", burn_in, 0),
        ("draws", draws, 2),
        ("examples", count, 3),
    ):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    if not (step > 0 and pull > 0):
        raise ValueError(f"step and pull must be positive, got {step} and {pull}")
    nbeta = count / math.log(count)
    strength = pull * nbeta * largest
    return _Sampler(step / (nbeta * largest + strength), nbeta, strength, chains, burn_in, draws, seed)


def _sample(objective: Objective, origin: Tensor, sampler: _Sampler) -> tuple[float, np.ndarray, np.ndarray]:
    """L*, and loss and distance from w* after each step, (chains, burn_in + draws); ends early where it diverges."""
    start = objective.value(origin)
    steps = sampler.burn_in + sampler.draws
    losses, distances = np.full((sampler.chains, steps), np.nan), np.full((sampler.chains, steps), np.nan)
    for chain in range(sampler.chains):
        generator = torch.Generator().manual_seed(sampler.seed * 10_007 + chain)
        theta = origin.clone()
        gradient = objective.gradient(theta)
        for step in range(steps):
            noise = torch.randn(theta.shape, generator=generator, dtype=theta.dtype).to(theta.device)
            drift = sampler.nbeta * gradient + sampler.pull * (theta - origin)
            theta = theta - 0.5 * sampler.step_size * drift + math.sqrt(sampler.step_size) * noise
            loss, gradient = objective.value_and_gradient(theta)
            if not math.isfinite(loss):
                break
            losses[chain, step] = loss
            distances[chain, step] = float((theta - origin).double().norm())
    return start, losses, distances


def _estimate(start: float, losses: np.ndarray, sampler: _Sampler) -> tuple[float, float, float]:
    """The coefficient, its standard error between chains, and how far these agree, from what came after burn-in."""
    kept = sampler.nbeta * (losses[:, sampler.burn_in :] - start)
    means = kept.mean(axis=1)
    return float(means.mean()), float(means.std(ddof=1) / math.sqrt(len(means))), _mixing(kept)


def _mixing(draws: np.ndarray) -> float:
    """Potential scale reduction of chains (m, n): sqrt of (within (n - 1) / n + between / n) / within."""
    length = draws.shape[1]
    within = float(draws.var(axis=1, ddof=1).mean())
    between = float(length * draws.mean(axis=1).var(ddof=1))
    return math.sqrt(((length - 1) / length * within + between / length) / within) if within > 0 else float("nan")
