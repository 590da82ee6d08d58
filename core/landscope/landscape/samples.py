"""How far the loss of a sample of examples is from that of the data it was drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from landscope.derivatives import accumulator

__all__ = ["Moments", "SamplingErrors", "contrast_error", "standard_error"]


@dataclass
class Moments:
    """Mean and scatter over examples at each of K points, gathered block by block as the examples are evaluated.

    With weights w_i (all 1 unless given) and the mean m = sum w_i l_i / sum w_i, the standard error of m is

        sqrt(n / (n - 1) * sum w_i^2 (l_i - m)^2) / sum w_i,

    which is s / sqrt(n) for equal weights, and the linearised error of a ratio for others (Cochran 1977, section 6.4).
    Sums of squares are kept around the running mean and moved with it (Chan, Golub and LeVeque 1983), so that nothing
    cancels; all is held in float64 where the device has it. Points may come in any chunks, and each counts its own
    examples. A point with a loss that is not finite keeps its mean as it comes, and has no error (NaN).

    Attributes:
        count: (K,) examples seen, those of weight zero left out.
        weight: (K,) sum of the weights.
        total: (K,) sum of weight times loss.
        weight_square: (K,) sum of the squared weights.
        slope: (K,) sum w^2 (l - m); zero for equal weights.
        scatter: (K,) sum w^2 (l - m)^2.
    """

    count: Tensor
    weight: Tensor
    total: Tensor
    weight_square: Tensor
    slope: Tensor
    scatter: Tensor

    @classmethod
    def empty(cls, points: int, like: Tensor) -> Self:
        """No examples yet, at `points` points, on the device of `like`."""
        return cls(*(torch.zeros(points, dtype=accumulator(like), device=like.device) for _ in range(6)))

    def add(self, losses: Tensor, weights: Tensor | None = None, points: slice = slice(None)) -> None:
        """Counts a block of examples in.

        Args:
            losses: (k, n) loss of n further examples at k points.
            weights: (n,) how much each example counts; one each by default. What has weight zero is not looked at.
            points: Which of the K points these are; all by default.
        """
        losses = losses.to(self.total.dtype)
        w = losses.new_ones(losses.shape[1]) if weights is None else weights.to(losses)
        losses = losses.masked_fill(w == 0, 0.0)
        weight, square = w.sum(), w.square()
        total = losses @ w
        before = self._centre(points)
        self.count[points] += (w != 0).sum()
        self.weight[points] += weight
        self.total[points] += total
        mean = self._centre(points)
        shift = mean - before
        rest = losses - mean.unsqueeze(1)
        scatter, slope = self.scatter[points], self.slope[points]
        moved = scatter - 2 * shift * slope + shift.square() * self.weight_square[points]
        self.scatter[points] = moved + rest.square() @ square
        self.slope[points] = slope - shift * self.weight_square[points] + rest @ square
        self.weight_square[points] += square.sum()

    def _centre(self, points: slice) -> Tensor:
        """What squares are taken around: the mean, and zero where nothing has weight yet."""
        return self.mean[points].where(self.weight[points] != 0, 0.0)

    @property
    def mean(self) -> Tensor:
        """(K,) mean loss; NaN before the first example."""
        return self.total / self.weight

    def standard_error(self, population: int | None = None) -> Tensor:
        """(K,) standard error of the mean; NaN for fewer than two examples.

        Args:
            population: How many examples the sample was drawn from, without replacement; its share of them is known
                and takes sqrt(1 - n / population) of the error. None for a source without end.

        Raises:
            ValueError: if the population is smaller than the sample.
        """
        left = torch.ones_like(self.count)
        if population is not None:
            if population < int(self.count.max()):
                raise ValueError(
                    f"population must be at least the {int(self.count.max())} examples of the sample, got {population}"
                )
            left = 1 - self.count / population
        enough = self.count.where(self.count > 1, torch.nan)
        return (left * enough / (enough - 1) * self.scatter.clamp_min(0)).sqrt() / self.weight


@dataclass
class SamplingErrors:
    """Errors of the losses at K points, and of their contrasts with one point, the centre.

    All points are evaluated on the same examples. An example that is hard at a point is mostly hard at the centre too,
    so that L(p) - L(0) is known better than L(p) (common random numbers).

    Attributes:
        losses: Moments of l_i(p).
        contrasts: Moments of l_i(p) - l_i(0).
    """

    losses: Moments
    contrasts: Moments

    @classmethod
    def empty(cls, points: int, like: Tensor) -> Self:
        """No examples yet, at `points` points, on the device of `like`."""
        return cls(Moments.empty(points, like), Moments.empty(points, like))

    def add(self, losses: Tensor, centre: Tensor, weights: Tensor | None = None, points: slice = slice(None)) -> None:
        """Counts a block of examples in.

        Args:
            losses: (k, n) loss of n further examples at k points.
            centre: (n,) loss of the same examples at the centre.
            weights: (n,) how much each example counts; one each by default.
            points: Which of the K points these are; all by default.
        """
        exact = losses.to(self.losses.total.dtype)
        self.losses.add(exact, weights, points)
        self.contrasts.add(exact - centre.to(exact), weights, points)


def standard_error(losses: Tensor, weights: Tensor | None = None, population: int | None = None) -> Tensor:
    """(K,) standard error of the mean of losses (K, N) over the examples; see `Moments`."""
    moments = Moments.empty(len(losses), losses)
    moments.add(losses, weights)
    return moments.standard_error(population)


def contrast_error(
    losses: Tensor, centre: Tensor, weights: Tensor | None = None, population: int | None = None
) -> Tensor:
    """(K,) standard error of the mean over examples of losses (K, N) less those of the centre (N,)."""
    errors = SamplingErrors.empty(len(losses), losses)
    errors.add(losses, centre, weights)
    return errors.contrasts.standard_error(population)
