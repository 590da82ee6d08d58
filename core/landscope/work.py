"""What measuring costs, counted and timed."""

from __future__ import annotations

import time
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from landscope.measurements import Provenance

if TYPE_CHECKING:
    from landscope.objective import Objective

__all__ = ["Meter", "Work"]


@dataclass
class Work:
    """What measuring has cost, in units of one pass over the objective's data.

    Attributes:
        forwards: Values.
        gradients: Gradients.
        products: Products with the Hessian, or another operator.
        backend: By which way of differentiating the last Hessian products were taken.
    """

    forwards: float = 0.0
    gradients: float = 0.0
    products: float = 0.0
    backend: str = ""


@dataclass
class Meter:
    """A running measurement: knows when it began and what was spent since."""

    objective: Objective
    began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self._before = copy(self.objective.work)

    def provenance(self, method: str, *, seed: int | None = None) -> Provenance:
        """The provenance of what was measured since the meter began."""
        objective, work, before = self.objective, self.objective.work, self._before
        backend = work.backend if work.products > before.products else ""
        return Provenance(
            method=f"{method}; Hessian products: {backend}" if backend else method,
            split=objective.split,
            examples=objective.examples,
            parameters=objective.layout.size,
            batch_norm=objective.batch_norm,
            precision=str(objective.layout.dtype).removeprefix("torch."),
            device=str(objective.layout.device),
            seed=seed,
            seconds=time.perf_counter() - self.began,
            forwards=work.forwards - before.forwards,
            gradients=work.gradients - before.gradients,
            products=work.products - before.products,
        )
