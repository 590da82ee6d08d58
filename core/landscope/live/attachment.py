"""Line one: what is measured of a training is chosen, timed and attached to a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from landscope.evaluation import Forward, Loss, default_target
from landscope.isolation import BatchNormPolicy
from landscope.live.budget import Budget
from landscope.live.notebook import cell
from landscope.live.preparation import FEWEST, affordable, collected, described, gradient_seconds, tight_examples
from landscope.live.probes import Probe, Watched, default_probes
from landscope.live.progress import ProgressLine
from landscope.live.scope import Scope
from landscope.live.trajectory import Trajectory
from landscope.objective import Objective
from landscope.optimizers import Optimizers
from landscope.runs import Parent, RunWriter

__all__ = ["watch"]


def watch(
    model: nn.Module,
    loss_fn: Loss,
    train: Any,
    test: Any = None,
    optimizer: Optimizers | None = None,
    *,
    forward: Forward | None = None,
    target: Callable[[Any], Any] = default_target,
    batch_norm: BatchNormPolicy = "eval",
    overhead: float = 0.1,
    examples: int | None = None,
    probes: Sequence[Probe] | None = None,
    background: bool = True,
    total_steps: int | None = None,
    resume: Mapping[str, Any] | None = None,
    name: str | None = None,
    recipe: str | None = None,
    config: Mapping[str, Any] | None = None,
    runs: str | Path | None = None,
    progress: bool | None = None,
) -> Scope:
    """Watches a training: measures the model as it learns, and records what it finds as a run.

    Everything is measured once before training begins, and then as often as `overhead` allows. Measuring changes
    nothing: the same seed gives the same weights, bit for bit on the CPU, watched or not. A measurement that fails is
    switched off, with its reason on the page; training goes on.

    Args:
        model: The network in training.
        loss_fn: `loss_fn(output, target)`, a scalar, the mean over the batch.
        train: Training data in any form `Objective` takes. A part is kept in memory: 4,096 examples or 256 MiB.
        test: Held-out data, likewise.
        optimizer: The optimiser, or several that step together, to know the largest sharpness at which they are stable.
        forward: `forward(model, batch)`, for models that are not called as `model(x)`.
        target: `target(batch)`, what the loss compares with.
        batch_norm: Policy for batch normalisation while measuring: "eval", "batch" or "recompute".
        overhead: Seconds that may be spent measuring for each second of training, after the first picture; `math.inf`
            measures whatever is due at once.
        examples: How many training examples curvature, kernel and embedding use, by default between 32 and 1,024, as
            many as are quick, and for curvature down to 8 where the budget is tight; losses use four times as many,
            slices a quarter.
        probes: What to measure instead of the default.
        background: Whether dear probes may run in a thread beside the training, on a copy of the model, where that
            costs training less than running them between its steps; what they measure is the same.
        total_steps: Steps planned, for progress.
        resume: What `Scope.state_dict` returned when the checkpoint was made that training goes on from. Steps are
            counted on from there, in a new run that knows which one it goes on from.
        name: The run's name; by default the recipe's, or the program's; in a notebook the model's class. There, what an
            earlier cell watched under the same name, or with the same model, ends.
        recipe: The built-in experiment this is, if any.
        config: Settings worth keeping with the run.
        runs: The folder of runs; by default $LANDSCOPE_RUNS, or "runs".
        progress: Whether to keep a line in the terminal; by default whether $LANDSCOPE_PROGRESS is set.

    Returns:
        The scope whose `step` belongs after `optimizer.step()`.

    Raises:
        ValueError: for objectives that cannot be measured (see `Objective`), or an overhead that is not positive.
    """
    options = {"forward": forward, "target": target, "batch_norm": batch_norm, "batch_size": FEWEST}
    everything = collected(model, loss_fn, train, examples, options)
    count = affordable(everything) if examples is None else examples
    held_out = None
    if test is not None:
        held_out = Objective(model, loss_fn, test, examples=4 * count, split="test", **options)  # type: ignore[arg-type]
        held_out = held_out.sample(4 * count)
    whole, focus = everything.sample(4 * count), everything.sample(count)
    trajectory = Trajectory(whole.layout.size, whole.layout.dtype.itemsize)
    few = max(FEWEST, count // 4)
    test_sketch = None if held_out is None else held_out.sample(few)
    begun = 0 if resume is None else int(resume["step"])
    watched = Watched(whole, held_out, focus, focus.sample(few), test_sketch, optimizer, trajectory, begun)
    probes = default_probes() if probes is None else probes
    budget = Budget(
        overhead,
        {probe.name: probe.weight for probe in probes if probe.every != "asked"},
        [probe.name for probe in probes if probe.every is not None],
    )
    seconds = gradient_seconds(focus)
    if examples is None and any(probe.name == "sharpness" for probe in probes):
        fewer = tight_examples(count, seconds, overhead * budget.share("sharpness"))
        watched.tight = focus.sample(fewer) if fewer < focus.examples else None
    for probe in probes:
        share = watched.curvature.examples / focus.examples if probe.curved else 1.0
        budget.expect(probe.name, probe.gradients * share * seconds)
    program = Path(sys.argv[0]).stem or "run" if cell() is None else type(whole.model).__name__
    name = name or recipe or program
    Scope.end_replaced(name, whole.model)
    writer = RunWriter.create(
        runs or os.environ.get("LANDSCOPE_RUNS", "runs"),
        name=name,
        recipe=recipe,
        config={**described(whole, held_out, optimizer), **(config or {})},
        panels={"probes": [probe.name for probe in probes]},
        parent=Parent(str(resume["run"]), begun) if resume is not None and "run" in resume else None,
    )
    shown = bool(os.environ.get("LANDSCOPE_PROGRESS")) if progress is None else progress
    line = ProgressLine() if shown else None
    size = getattr(train, "batch_size", None)  # a DataLoader's
    return Scope(
        watched,
        writer,
        probes,
        budget,
        total_steps,
        line,
        background,
        gradient_seconds=seconds,
        batch_size=size if isinstance(size, int) else None,
    )
