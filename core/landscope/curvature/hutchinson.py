"""Trace and Frobenius norm of a symmetric operator from random signs, with part of the space taken out exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from landscope.curvature.krylov_spaces import KrylovSpace
from landscope.curvature.probes import gaussian_probes, rademacher_probes
from landscope.derivatives import Operator, accumulator

__all__ = ["Moments", "columns", "complement", "exact", "hutch_pp", "hutchinson", "images", "krylov", "on_span"]

_BLOCK = 8  # vectors multiplied at once


@dataclass(frozen=True)
class Moments:
    """The first two spectral moments tr A and tr A^2 = ||A||_F^2 of a symmetric operator, of the whole or of a part.

    Attributes:
        trace: tr A.
        square: tr A^2.
        trace_error: Standard error of `trace`; 0 where nothing was left to chance.
        square_error: Standard error of `square`.
        probes: Random vectors.
    """

    trace: float
    square: float
    trace_error: float = 0.0
    square_error: float = 0.0
    probes: int = 0

    @classmethod
    def of_samples(cls, traces: np.ndarray, squares: np.ndarray) -> Moments:
        """The means of n samples (n,), and their standard errors."""
        trace_error, square_error = (float(samples.std(ddof=1) / len(samples) ** 0.5) for samples in (traces, squares))
        return cls(float(traces.mean()), float(squares.mean()), trace_error, square_error, len(traces))

    def __add__(self, rest: Moments) -> Moments:
        """Of the whole, where one part is known exactly."""
        return Moments(
            self.trace + rest.trace,
            self.square + rest.square,
            float(np.hypot(self.trace_error, rest.trace_error)),
            float(np.hypot(self.square_error, rest.square_error)),
            self.probes + rest.probes,
        )


def images(product: Operator, vectors: Tensor) -> Tensor:
    """A v for each of vectors (K, P), a few at a time.

    Raises:
        FloatingPointError: if one is not finite.
    """
    pieces = [product(block) for block in vectors.split(_BLOCK)]
    together = torch.cat(pieces) if pieces else vectors
    if not bool(torch.isfinite(together).all()):
        raise FloatingPointError(
            "a product with the operator is not finite: the loss overflows or has no second derivative here; "
            "lower the learning rate, or measure in float64"
        )
    return together


def columns(product: Operator, like: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The numbers (K,) of a few columns of the whole matrix at a time, and those columns (K, P): P products in all."""
    for places in torch.arange(len(like)).split(_BLOCK):
        yield places, images(product, one_hot(places, len(like)).to(like))


def exact(product: Operator, like: Tensor) -> Moments:
    """From the whole matrix, for vectors like `like` (P,)."""
    trace = square = 0.0
    for places, block in columns(product, like):
        exactly = block.to(accumulator(like))
        trace += float(exactly[torch.arange(len(places)), places].sum())
        square += float((exactly**2).sum())
    return Moments(trace, square)


def on_span(product: Operator, basis: Tensor) -> Moments:
    """What the whole has and its compression to the complement of orthonormal Y (k, P) has not, by k products.

    tr A - tr QAQ = tr Y A Y^T and ||A||^2 - ||QAQ||^2 = 2 ||A Y^T||^2 - ||Y A Y^T||^2, with Q = 1 - Y^T Y.
    """
    kind = accumulator(basis)
    moved = images(product, basis).to(kind)
    within = moved @ basis.to(kind).T
    return Moments(float(within.trace()), float(2 * (moved**2).sum() - (within**2).sum()))


def complement(product: Operator, basis: Tensor) -> Operator:
    """V -> Q A Q v with Q = 1 - Y^T Y, for orthonormal Y (k, P)."""

    def without(vectors: Tensor) -> Tensor:
        return vectors - (vectors @ basis.T) @ basis

    return lambda vectors: without(product(without(vectors)))


def hutchinson(product: Operator, like: Tensor, budget: int, generator: torch.Generator) -> Moments:
    """The means of z^T A z and |A z|^2 over random signs z (Hutchinson 1990): as many probes as products."""
    probes, kind = rademacher_probes(budget, like, generator), accumulator(like)
    traces, squares = [], []
    for block in probes.split(_BLOCK):
        moved = images(product, block).to(kind)
        traces.append((moved * block.to(kind)).sum(1))
        squares.append((moved**2).sum(1))
    return Moments.of_samples(*(torch.cat(samples).cpu().numpy() for samples in (traces, squares)))


def hutch_pp(product: Operator, like: Tensor, budget: int, generator: torch.Generator) -> Moments:
    """Hutchinson's estimator on the complement of the range of A S, for random signs S (Meyer et al. 2021).

    A third of the products each for A S, for the exact part on its range, and for the probes.
    """
    third = budget // 3
    sketch = images(product, rademacher_probes(third, like, generator))
    basis = torch.linalg.qr(sketch.T)[0].T
    rest = hutchinson(complement(product, basis), like, budget - 2 * third, generator)
    return on_span(product, basis) + rest


def krylov(product: Operator, like: Tensor, budget: int, generator: torch.Generator) -> Moments:
    """Hutchinson's estimator on the complement of the Krylov space of one random vector (Chen and Hallman 2023).

    Lanczos gives the space and the exact part on it at one product a dimension, where a sketch costs two, and finds
    the outlying eigenvectors sooner. Two thirds of the products are spent on it, the others on probes.
    """
    space = KrylovSpace(product, gaussian_probes(1, like, generator)[0], generator)
    for _ in range(2 * budget // 3):
        space.expand()
    values, residuals = space.ritz_values()
    found = Moments(float(values.sum()), float((values**2 + 2 * residuals**2).sum()))
    basis = space.ritz_vectors(space.size)
    return found + hutchinson(complement(product, basis), like, budget - space.size, generator)
