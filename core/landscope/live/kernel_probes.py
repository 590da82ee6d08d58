"""Probes of the tangent kernel: how it moves, and the network beside what a kernel that stayed would make of it."""

from __future__ import annotations

from typing import Literal

import numpy as np
from torch import Tensor
from torch.optim import SGD

from landscope import kernel
from landscope.kernel.laziness import drift
from landscope.live.watched import Watched
from landscope.measurements import NTK, Eigenmodes, Linearisation
from landscope.optimizers import as_optimizers, kinds
from landscope.parameters import ParameterLayout

__all__ = ["Linearised", "Modes", "TangentKernel"]

Kind = Literal["trace", "pseudo"]

# The trace over outputs costs a backward pass for each of them; beyond this many, their sum stands for them.
_MOST_TRACED = 128
_MOST_OUTPUTS = 2048  # in one picture
_MOST_TIMES = 128
# The held-out kernel costs as much as the kernel; it is measured every so many times, and when the kernel has drifted.
_HELD_OUT_EVERY = 5
_HELD_OUT_DRIFT = 0.05


class TangentKernel:
    """The kernel on the same examples every time, held against the first one of the training and the one before.

    The kernel on held-out examples, of which only the alignment is shown, is measured every fifth time, and whenever
    the kernel has drifted by a twentieth since.

    Where the model was moved, or a part of it unfrozen, the first one is taken anew: kernels of other parameters do not
    compare.
    """

    def __init__(self) -> None:
        self._layout: ParameterLayout | None = None
        self._start: kernel.Moment | None = None
        self._last: kernel.Moment | None = None
        self._tested: np.ndarray | None = None  # the kernel when the held-out one was last measured
        self._untested = 0  # times since

    def __call__(self, watched: Watched) -> NTK:
        """The present kernel, with how far it has moved."""
        if self._layout != watched.focus.layout:
            self._layout, self._start, self._last, self._tested = watched.focus.layout, None, None, None
        few = watched.focus.sample(2)
        outputs = few.outputs().numel() // few.examples
        kind: Kind = "trace" if outputs <= _MOST_TRACED else "pseudo"
        now = kernel.moment(watched.focus, kind=kind, step=watched.step)
        test = self._held_out(watched, now, kind)
        self._start = self._start or now
        movement = kernel.laziness(now, self._start, last=self._last, test=test).scalars()
        self._last = now
        known = {name: np.array(value) for name, value in movement.items() if name != "alignment"}
        return now.kernel.replaced(movement=known)

    def _held_out(self, watched: Watched, now: kernel.Moment, kind: Kind) -> NTK | None:
        """The kernel on held-out examples, if it is due."""
        gram = now.kernel.gram
        if watched.held_out is None or gram is None:
            return None
        self._untested += 1
        moved = self._tested is None or drift(gram, self._tested) > _HELD_OUT_DRIFT
        if not moved and self._untested < _HELD_OUT_EVERY:
            return None
        self._tested, self._untested = gram, 0
        return kernel.ntk(watched.held_out, kind=kind)

    def rewound(self, step: int) -> None:
        """Forgets the kernels before, which are of a training that was left."""
        self._last = self._tested = None


class Linearised:
    """The network beside its linearisation at the weights at which this was first asked, on a few training examples."""

    def __init__(self) -> None:
        self._layout: ParameterLayout | None = None
        self._start: Tensor | None = None

    def __call__(self, watched: Watched) -> Linearisation:
        """The present outputs of both.

        Raises:
            ValueError: if a single example has too many outputs to be shown.
        """
        pair = watched.sketch.sample(2)
        width = pair.outputs().numel() // pair.examples
        if width > _MOST_OUTPUTS:
            raise ValueError(
                f"the linearised network is shown for at most {_MOST_OUTPUTS:,} outputs of an example, got {width:,}; "
                "ls.kernel.linearised measures it on a few examples"
            )
        few = watched.sketch.sample(_MOST_OUTPUTS // width)
        if self._start is None or self._layout != few.layout:
            self._layout, self._start = few.layout, few.theta().cpu()
        found = kernel.linearised(few, self._start.to(few.layout.device))
        arrays = {name: getattr(found, name).astype(np.float32) for name in ("initial", "actual", "linearised")}
        return found.replaced(**arrays)


class Modes:
    """The residual along the leading eigenvectors of the first kernel, through a training by plain gradient descent.

    Measured at the present weights and at those that the path keeps, which has the first steps, when most happens. The
    learning rate is taken to be the present one since the last time this was asked; with momentum b a step counts as
    1 / (1 - b) steps.

    Args:
        leading: How many modes to follow.
    """

    def __init__(self, leading: int = 8) -> None:
        self._leading = leading
        self._layout: ParameterLayout | None = None
        self._modes: kernel.ResidualModes | None = None
        self._residuals: dict[int, tuple[float, np.ndarray]] = {}  # by step, with its time

    def __call__(self, watched: Watched) -> Eigenmodes:
        """All residuals so far beside what the first kernel predicts of them.

        Raises:
            ValueError: if the training is none that a kernel predicts: by another optimiser than SGD, with a loss that
                is not squared, or on more examples than are measured.
        """
        objective, pace = watched.focus, _pace(watched)
        if self._layout != objective.layout:
            self._layout, self._modes, self._residuals = objective.layout, None, {}
        with objective.measuring() as meter:
            if self._modes is None:
                if objective.examples < watched.train.examples:
                    raise ValueError(
                        f"a kernel predicts training on the examples it is taken on, and these are "
                        f"{objective.examples} of {watched.train.examples}; watch with examples= as many"
                    )
                self._modes = kernel.ResidualModes(objective, objective.theta(), leading=self._leading)
            before = max(self._residuals, default=0)
            began = self._residuals[before][0] if self._residuals else 0.0
            for step, theta in (*watched.trajectory.snapshots(), (watched.step, objective.theta())):
                if step > before or not self._residuals:
                    self._residuals[step] = began + pace * (step - before), self._modes.residual(theta)
            steps = sorted(self._residuals)
            if len(steps) > _MOST_TIMES:
                kept = np.unique(np.geomspace(1, len(steps), _MOST_TIMES).astype(int)) - 1
                self._residuals = {steps[index]: self._residuals[steps[index]] for index in kept}
            times, residuals = zip(*self._residuals.values(), strict=True)
            provenance = meter.provenance("residuals along the leading eigenvectors of the initial kernel")
            return self._modes.beside_prediction(provenance, times, np.stack(residuals))

    def rewound(self, step: int) -> None:
        """Forgets the residuals after a step, which are of a training that was left."""
        self._residuals = {at: found for at, found in self._residuals.items() if at <= step}


def _pace(watched: Watched) -> float:
    """The time of gradient flow that a step of plain descent takes."""
    optimizers = as_optimizers(watched.optimizer)
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    if len(groups) != 1 or not isinstance(optimizers[0], SGD):
        found = kinds(optimizers) or "no optimiser"
        raise ValueError(f"a kernel predicts training by SGD with one group of parameters, got {found}")
    (group,) = groups
    return float(group["lr"]) / (1 - float(group["momentum"]))
