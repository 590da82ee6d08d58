"""PyHessian's class and functions on Landscope's engine: change the import, `from landscope.pyhessian import hessian`.

Arguments and returned shapes are those of pyhessian 0.1 (Yao et al. 2020), whose `density` does not run on a present
torch; nothing of it is imported. Other than there, the model keeps its mode, gradients and hooks, unused parameters
and small losses do no harm, and iterations stop when an error bound is met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import torch
from torch import Tensor, nn

from landscope.curvature import eigenvalues
from landscope.curvature.operators import zero_vector
from landscope.curvature.probes import gaussian_probes, private_generator, rademacher_probes
from landscope.curvature.quadrature import gauss_rules
from landscope.figures.spectra import smoothed_figure
from landscope.figures.theme import theme
from landscope.objective import Objective

__all__ = ["density_generate", "get_esd_plot", "hessian"]

_BLOCK = 8  # probes multiplied at once
_BINS = 256  # grid points at which kernels are summed at once


class hessian:  # noqa: N801
    """The Hessian of a model's loss on one batch, or on the mean over a loader's batches.

    Args:
        model: The network; it is measured in evaluation mode, and left in its own.
        criterion: `criterion(outputs, targets)`, the mean loss of a batch.
        data: One batch (inputs, targets).
        dataloader: Or batches of them, read once, now.
        cuda: Taken, and without effect: data are brought to where the model is.
        seed: Seed of all that is random.

    Raises:
        ValueError: if there is neither or both of `data` and `dataloader`, or the loss cannot be measured.
    """

    def __init__(
        self,
        model: nn.Module,
        criterion: Callable[[Any, Any], Tensor],
        data: tuple[Any, Any] | None = None,
        dataloader: Iterable[Any] | None = None,
        cuda: bool = False,
        *,
        seed: int = 0,
    ) -> None:
        if (data is None) == (dataloader is None):
            raise ValueError("hessian needs either data, one batch (inputs, targets), or a dataloader")
        batches = dataloader if data is None else [tuple(data)]
        self.objective = Objective(model, criterion, batches)
        self.seed = seed

    def eigenvalues(
        self, maxIter: int = 100, tol: float = 1e-3, top_n: int = 1
    ) -> tuple[list[float], list[list[Tensor]]]:
        """The eigenvalues of largest magnitude, in falling magnitude, and their vectors, a tensor for each parameter.

        Args:
            maxIter: Products for each, at most.
            tol: Error bound of each, relative to it.
            top_n: How many.

        Raises:
            ValueError: if a number is not positive.
        """
        found = eigenvalues(
            self.objective,
            top_n,
            which="both",
            tolerance=tol,
            max_products=max(top_n, maxIter * top_n),
            seed=self.seed,
        )
        order = np.argsort(-np.abs(found.values), kind="stable")[:top_n]
        assert found.vectors is not None
        vectors = torch.as_tensor(found.vectors[order], device=self.objective.layout.device)
        return found.values[order].tolist(), [self._pieces(vector) for vector in vectors]

    def trace(self, maxIter: int = 100, tol: float = 1e-3) -> list[float]:
        """v^T H v for random signs v, whose mean is the trace: `np.mean(...)`.

        Args:
            maxIter: Probes at most.
            tol: Standard error of the mean, relative to it, below which no more are taken.

        Raises:
            ValueError: if there is to be no probe.
        """
        if maxIter < 1:
            raise ValueError(f"maxIter must be positive, got {maxIter}")
        like, generator = zero_vector(self.objective), private_generator(self.seed)
        with self.objective.measuring():
            product = self.objective.hessian()
            forms: list[float] = []
            while len(forms) < maxIter:
                signs = rademacher_probes(min(_BLOCK, maxIter - len(forms)), like, generator)
                forms += (signs.double() * product(signs).double()).sum(1).tolist()
                if len(forms) > 1 and np.std(forms, ddof=1) / len(forms) ** 0.5 <= tol * abs(np.mean(forms)):
                    break
        return forms

    def density(self, iter: int = 100, n_v: int = 1) -> tuple[list[list[float]], list[list[float]]]:
        """Nodes and weights of stochastic Lanczos quadrature, fully reorthogonalised, for each random start.

        Args:
            iter: Lanczos steps, at most as many as there are parameters.
            n_v: Random starts.

        Raises:
            ValueError: if a number is not positive.
            FloatingPointError: if a product is not finite.
        """
        if iter < 1 or n_v < 1:
            raise ValueError(f"iter and n_v must be positive, got {iter} and {n_v}")
        like = zero_vector(self.objective)
        with self.objective.measuring():
            starts = gaussian_probes(n_v, like, private_generator(self.seed))
            none = like.new_zeros(0, len(like))
            nodes, weights, _ = gauss_rules(self.objective.hessian(), starts, min(iter, len(like)), none)
        return nodes.tolist(), weights.tolist()

    def _pieces(self, vector: Tensor) -> list[Tensor]:
        return [piece.clone() for piece in self.objective.layout.unflatten(vector).values()]


def density_generate(
    eigenvalues: Sequence[Sequence[float]],
    weights: Sequence[Sequence[float]],
    num_bins: int = 10000,
    sigma_squared: float = 1e-5,
    overhead: float = 0.01,
) -> tuple[np.ndarray, np.ndarray]:
    """The density (num_bins,), a sum of Gaussians on the nodes that integrates to one, and its grid (num_bins,).

    The kernel's variance is sigma_squared times the range of eigenvalues, or times one for ranges below one: a bulk
    narrower than the kernel is not seen. `landscope.curvature.density` has an axis and a kernel that follow the scale.

    Args:
        eigenvalues: Nodes of each start, as `hessian.density` returns them.
        weights: Their weights.
        num_bins: Points of the grid.
        sigma_squared: Variance of the kernel for a range of one.
        overhead: Room of the grid beyond the outermost nodes.
    """
    nodes, shares = np.asarray(eigenvalues, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    low, high = float(nodes.min(1).mean()) - overhead, float(nodes.max(1).mean()) + overhead
    grid = np.linspace(low, high, num_bins)
    variance = sigma_squared * max(1.0, high - low)
    density = np.concatenate(
        [
            (np.exp(-((nodes[..., None] - part) ** 2) / (2 * variance)) * shares[..., None]).sum(1).mean(0)
            for part in np.split(grid, range(_BINS, num_bins, _BINS))
        ]
    )
    return density / (density.sum() * (grid[1] - grid[0])), grid


def get_esd_plot(
    eigenvalues: Sequence[Sequence[float]], weights: Sequence[Sequence[float]], *, dark: bool = False
) -> go.Figure:
    """The density of `density_generate` as a plotly figure, on a logarithmic axis."""
    return smoothed_figure(*density_generate(eigenvalues, weights), theme(dark))
