"""How the outputs on the same examples change, from step to step and from run to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from torch import Tensor

from landscope.dynamics.classified import classified, lengths, log_softmax
from landscope.measurements import OutputChange, PredictionFlips
from landscope.objective import Objective

__all__ = ["output_change", "prediction_flips"]


def output_change(
    objective: Objective, before: Tensor | np.ndarray, *, theta: Tensor | None = None, temperature: float = 1.0
) -> OutputChange:
    """Divergence, flipped predictions and norms of the outputs now, against those some steps ago or of another run.

    The mean KL divergence along the trajectory is what SAF lowers in place of a sharpness (Du, Zhou, Feng, Tan and Zhou
    2022, "Sharpness-Aware Training for Free", arXiv 2205.14083, with outputs a few epochs apart and a temperature of
    5): it needs one forward pass and the outputs kept from before. For a small update d it is d^T F d / 2 with the
    Fisher matrix F, for a cross-entropy the Gauss-Newton matrix: curvature along the path, times its length squared.

    Args:
        objective: Of a classification with one label for each example.
        before: (N, C) `objective.outputs()` of then, or of another run.
        theta: Now, (P,); the model's weights at this moment if left out.
        temperature: What outputs are divided by before the softmax.

    Raises:
        ValueError: if the task is another, `before` has another shape, or the temperature is not positive.
        TypeError: if outputs or targets are not tensors.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    then = np.asarray(before.detach().cpu().double() if isinstance(before, Tensor) else before, np.float64)
    with objective.measuring() as meter:
        found = classified(objective, theta)
        if then.shape != found.logits.shape:
            raise ValueError(f"before must be outputs of shape {found.logits.shape}, got {then.shape}")
        old, new = log_softmax(then, temperature), log_softmax(found.logits, temperature)
        return OutputChange(
            provenance=meter.provenance(f"outputs against those before, at temperature {temperature:g}"),
            labels=found.labels,
            kl=np.maximum((np.exp(old) * (old - new)).sum(1), 0),
            temperature=temperature,
            before=then.argmax(1),
            now=found.predictions,
            norms_before=lengths(then),
            norms_now=lengths(found.logits),
        )


def prediction_flips(changes: Mapping[str, OutputChange]) -> PredictionFlips:
    """On which share of the examples one run is right and another wrong, for every two runs.

    Runs of equal accuracy need not be right about the same examples (Roth et al. 2024, "Fantastic Gains and Where to
    Find Them", arXiv 2310.17653); where errors are independent, flips are as many as `PredictionFlips.independent`.

    Args:
        changes: By the runs' names, `output_change` of each on the same examples; what they are now is compared.

    Raises:
        ValueError: if there are fewer than two, or they are of different examples.
    """
    if len(changes) < 2:
        raise ValueError(f"flips are between at least two runs, got {len(changes)}")
    first, *others = changes.values()
    if any(not np.array_equal(first.labels, other.labels) for other in others):
        raise ValueError("runs must be compared on the same examples in the same order, and their labels differ")
    predictions = np.stack([change.now for change in changes.values()])
    right = (predictions == first.labels).astype(np.float64)
    return PredictionFlips(
        provenance=replace(first.provenance, method=f"predictions of {len(changes)} runs"),
        runs=tuple(changes),
        accuracies=right.mean(1),
        flips=right @ (1 - right).T / right.shape[1],
        differences=(predictions[:, None] != predictions[None]).mean(2),
    )
