"""The path of the weights so far, thinned so that it never outgrows its memory."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy

import torch
from torch import Tensor

__all__ = ["Trajectory"]

_BYTES = 2**28
_MOST = 64
_FEWEST = 8


class Trajectory:
    """Snapshots of theta, evenly spaced over the steps taken, the first one always among them.

    When full, every other snapshot is dropped and the spacing doubles, so that n steps leave between half the capacity
    and the capacity, and about capacity/2 * log2(n / capacity) have been kept at one time or another.

    Attributes:
        steps: The step of each snapshot.
        losses: The loss of each.

    Args:
        parameters: Length P of theta.
        itemsize: Bytes per element.
    """

    def __init__(self, parameters: int, itemsize: int) -> None:
        fitting = _BYTES // (parameters * itemsize)
        self.capacity = min(_MOST, fitting) if fitting >= _FEWEST else 0
        self.steps: list[int] = []
        self.losses: list[float] = []
        self._thetas: list[Tensor] = []
        self._spacing = 1

    def wants(self, step: int) -> bool:
        """Whether a snapshot of this step belongs in the path."""
        return self.capacity > 0 and self._fits(step)

    def add(self, step: int, theta: Tensor, loss: float) -> None:
        """Keeps a copy of theta (P,), on the CPU, and its loss."""
        self.steps.append(step)
        self.losses.append(loss)
        self._thetas.append(theta.detach().cpu().clone())
        if len(self.steps) >= self.capacity:
            self._spacing *= 2
            kept = [index for index, at in enumerate(self.steps) if self._fits(at)]
            self.steps = [self.steps[index] for index in kept]
            self.losses = [self.losses[index] for index in kept]
            self._thetas = [self._thetas[index] for index in kept]

    def copy(self) -> Trajectory:
        """The path so far, to which nothing is added when this one goes on; it shares the snapshots."""
        twin = copy(self)
        twin.steps, twin.losses, twin._thetas = self.steps[:], self.losses[:], self._thetas[:]
        return twin

    def rewind(self, step: int) -> None:
        """Forgets the snapshots of a step and of all after it."""
        kept = sum(at < step for at in self.steps)
        self.steps, self.losses, self._thetas = self.steps[:kept], self.losses[:kept], self._thetas[:kept]

    def _fits(self, step: int) -> bool:
        return not self.steps or (step - self.steps[0]) % self._spacing == 0

    def snapshots(self) -> Iterator[tuple[int, Tensor]]:
        """Each step with its snapshot (P,), on the CPU."""
        yield from zip(self.steps, self._thetas, strict=True)

    def path(self, device: torch.device) -> Tensor:
        """The snapshots as a matrix (T, P)."""
        return torch.stack(self._thetas).to(device)
