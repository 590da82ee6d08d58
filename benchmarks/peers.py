"""The peers' grids of losses, called as their own functions or written anew from their published method."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.cases import Case

__all__ = ["PEERS", "Peer", "installed"]

_BATCH = 128  # the batch size that the original code and its descendants use


@dataclass(frozen=True)
class Peer:
    """A way to fill the grid L(theta + alpha d_1 + beta d_2), alpha and beta from -1 to 1.

    Attributes:
        module: What it imports; empty for a method written anew.
        grid: The losses (A, B) of a case, for a number of points a side; ours alone to set up, the peer's to spend.
        ours: Whether it takes our directions, so that its losses can be held against ours.
        cases: Names of the cases it is worth running on.
    """

    module: str
    grid: Callable[[Case, int], np.ndarray]
    ours: bool = True
    cases: tuple[str, ...] = ("mlp", "cnn", "transformer")


def installed(peer: Peer) -> bool:
    """Whether the peer can be imported."""
    return not peer.module or importlib.util.find_spec(peer.module) is not None


def original(case: Case, points: int) -> np.ndarray:
    """The inner loop of Li et al. 2018 as published: set all weights, then one pass of a loader, point by point.

    Loss and hits are summed over batches of 128 with `.item()`. Its HDF5 write after each point is left out.
    """
    model = deepcopy(case.model)
    loader = _loader(case)
    start = [parameter.detach().clone() for parameter in model.parameters()]
    first, second = (_pieces(case, direction) for direction in case.directions)
    losses, accuracies = np.empty((points, points)), np.empty((points, points))
    coordinates = np.linspace(-1.0, 1.0, points)
    for (row, column), _ in np.ndenumerate(losses):
        with torch.no_grad():
            for parameter, origin, d, e in zip(model.parameters(), start, first, second, strict=True):
                parameter.copy_(origin + coordinates[row] * d + coordinates[column] * e)
            total, hits, seen, labels = 0.0, 0, 0, 0
            for inputs, targets in loader:
                outputs = model(inputs.to(case.x.device))
                targets = targets.to(case.x.device)
                total += case.loss(outputs, targets).item() * len(inputs)
                hits += (outputs.argmax(dim=-1) == targets).sum().item()
                seen, labels = seen + len(inputs), labels + targets.numel()
        losses[row, column], accuracies[row, column] = total / seen, hits / labels
    return losses


def loss_landscapes(case: Case, points: int) -> np.ndarray:
    """loss-landscapes' `random_plane`, all data as one batch, in its own directions."""
    from loss_landscapes import random_plane
    from loss_landscapes.metrics import Loss

    losses: np.ndarray = random_plane(
        deepcopy(case.model),
        Loss(case.loss, case.x, case.y),
        distance=1,
        steps=points,
        normalization="filter",
        deepcopy_model=True,
    )
    return losses


def loss_landscape_3d(case: Case, points: int) -> np.ndarray:
    """loss-landscape-3d's `LossLandscapeCalculator.calculate` with a loader of batches of 128."""
    from loss_landscape_3d.calculator import LossLandscapeCalculator

    model = deepcopy(case.model)
    names = [name for name, _ in model.named_parameters()]
    first, second = (dict(zip(names, _pieces(case, direction), strict=True)) for direction in case.directions)
    centre = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    coordinates = np.linspace(-1.0, 1.0, points).tolist()
    losses: np.ndarray = LossLandscapeCalculator(model, _loader(case), case.loss).calculate(
        coordinates, coordinates, first, second, centre
    )
    return losses


def trailer(mode: str, chunk: int | None = None) -> Callable[[Case, int], np.ndarray]:
    """trailer-sdk's `evaluate_grid`: one point after the other over batches of 128, or vmapped over points."""

    def grid(case: Case, points: int) -> np.ndarray:
        from trailer.landscape import evaluate_grid

        first, second = (_pieces(case, direction) for direction in case.directions)
        batches = list(zip(case.x.split(_BATCH), case.y.split(_BATCH), strict=True))
        losses: np.ndarray = evaluate_grid(
            deepcopy(case.model), batches, first, second, n=points, criterion=case.loss, mode=mode, chunk=chunk
        )
        return losses.T  # its rows run along the second direction

    return grid


PEERS: dict[str, Peer] = {
    "original code (as published)": Peer("", original),
    "loss-landscapes 3.0.6": Peer("loss_landscapes", loss_landscapes, ours=False),
    "loss-landscape-3d": Peer("loss_landscape_3d", loss_landscape_3d),
    "trailer-sdk serial": Peer("trailer", trailer("serial")),
    # vmapped convolutions are its slowest way on a CPU, and its own plan for them asks for 11 GB
    "trailer-sdk vmap of 8": Peer("trailer", trailer("vector", 8), cases=("mlp", "transformer")),
}


def _loader(case: Case) -> Iterable[tuple[Tensor, Tensor]]:
    return DataLoader(TensorDataset(case.x, case.y), batch_size=_BATCH)


def _pieces(case: Case, direction: Tensor) -> list[Tensor]:
    named = case.objective.layout.unflatten(direction)
    return [named[name] for name, _ in case.model.named_parameters()]
