"""Trace and density of a small network's Hessian, whose every eigenvalue is known, from equal numbers of products.

Peers' methods but PyHessian's trace are written anew from their papers: its density does not run on a present torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.stats import wasserstein_distance
from torch import nn
from torch.nn.functional import cross_entropy

import landscope as ls
from benchmarks.timing import timed
from landscope.pyhessian import hessian as drop_in

__all__ = ["densities", "traces"]

_SEEDS = range(15)
_PRODUCTS = 60


def traces(device: str, points: int) -> Iterator[dict[str, Any]]:
    """Median relative errors of the trace from 60 products; PyHessian stops when its running mean stands still."""
    model, x, y, objective, exact = _trained(device)

    def measured(seed: int, **options: Any) -> tuple[float, int]:
        found = ls.curvature.trace(objective, seed=seed, budget=_PRODUCTS, **options)
        return found.value, round(found.provenance.products)

    def pyhessian(seed: int, **options: Any) -> tuple[float, int]:
        from pyhessian import hessian

        torch.manual_seed(seed)
        forms = hessian(deepcopy(model), cross_entropy, data=(x, y), cuda=device == "cuda").trace(**options)
        return float(np.mean(forms)), len(forms)

    peers: dict[str, Callable[[int], tuple[float, int]]] = {
        "Hutchinson": partial(measured, method="hutchinson"),
        "Hutch++ (its paper's method)": partial(measured, method="hutch++"),
        "XTrace (its paper's method)": partial(measured, method="xtrace"),
        "PyHessian 0.1, 60 probes": partial(pyhessian, maxIter=_PRODUCTS, tol=-np.inf),
        "PyHessian 0.1, defaults": pyhessian,
    }
    truth = float(exact.sum())
    yield from _rows(measured, peers, lambda value: abs(value / truth - 1), len(exact), len(x))


def densities(device: str, points: int) -> Iterator[dict[str, Any]]:
    """Median Wasserstein distances of the density from the exact spectrum, from at most 100 products."""
    _, x, _, objective, exact = _trained(device)

    def measured(seed: int, **options: Any) -> tuple[ls.measurements.SpectralDensity, int]:
        found = ls.curvature.density(objective, seed=seed, **options)
        return found, round(found.provenance.products)

    engine = drop_in(objective.model, cross_entropy, data=objective.batches.items[0])

    def plain(seed: int) -> tuple[Any, int]:
        engine.seed = seed
        return engine.density(iter=100, n_v=1), 100

    def distance(found: Any) -> float:
        nodes, weights = (found.nodes, found.weights) if hasattr(found, "nodes") else found
        return float(wasserstein_distance(exact, np.ravel(nodes), v_weights=np.ravel(weights)))

    peers: dict[str, Callable[[int], tuple[Any, int]]] = {
        "PyHessian's 1 x 100": plain,
        "5 x 20, nothing taken out": partial(measured, spikes=0),
    }
    yield from _rows(partial(measured, spikes=15, probes=3), peers, distance, len(exact), len(x))


def _rows(
    ours: Callable[[int], tuple[Any, int]],
    peers: dict[str, Callable[[int], tuple[Any, int]]],
    error: Callable[[Any], float],
    parameters: int,
    examples: int,
) -> Iterator[dict[str, Any]]:
    own_error, own_seconds, own_products = _median(ours, error)
    for title, peer in peers.items():
        peer_error, seconds, products = _median(peer, error)
        yield {
            "ours_s": own_seconds,
            "peer_s": seconds,
            "ratio": peer_error / own_error,
            "error": own_error,
            "peer_error": peer_error,
            "peer": title,
            "products": own_products,
            "peer_products": products,
            "parameters": parameters,
            "examples": examples,
            "repeats": len(_SEEDS),
        }


def _median(estimate: Callable[[int], tuple[Any, int]], error: Callable[[Any], float]) -> tuple[float, float, int]:
    """Median error, seconds and products over seeds."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Using backward")
        runs = [timed(partial(estimate, seed)) for seed in _SEEDS]
    errors = [error(found) for (found, _), _ in runs]
    seconds = [spent.on("cuda" if torch.cuda.is_available() else "cpu") for _, spent in runs]
    return float(np.median(errors)), float(np.median(seconds)), int(np.median([count for (_, count), _ in runs]))


def _trained(device: str) -> tuple[nn.Module, torch.Tensor, torch.Tensor, ls.Objective, np.ndarray]:
    """10-16-12-3 with tanh, 419 parameters, 300 examples, 60 steps; its objective, and all eigenvalues in float64."""
    torch.manual_seed(0)
    x = torch.randn(300, 10)
    y = (x @ torch.randn(10, 3) + 0.5 * torch.randn(300, 3)).argmax(1)
    model = nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(60):
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()
    model.zero_grad()
    precise = ls.Objective(deepcopy(model).double(), cross_entropy, (x.double(), y))
    matrix = precise.hessian()(torch.eye(precise.layout.size).double())
    exact = torch.linalg.eigvalsh((matrix + matrix.T) / 2).numpy()
    model, x, y = model.to(device), x.to(device), y.to(device)
    return model, x, y, ls.Objective(model, cross_entropy, (x, y)), exact
