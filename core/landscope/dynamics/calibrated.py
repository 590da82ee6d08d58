"""Whether a classifier is right as often as its probabilities say."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from landscope.dynamics.classified import classified, log_softmax
from landscope.measurements import Calibration
from landscope.objective import Objective

__all__ = ["calibration"]

_GROUPS = 20  # of the jackknife


def calibration(
    objective: Objective, *, theta: Tensor | None = None, bins: int = 15, temperature: float = 1.0
) -> Calibration:
    """The reliability of the largest probability of each example, calibration errors, likelihood and Brier score.

    The expected calibration error compares confidence and accuracy bin by bin (Guo, Pleiss, Sun and Weinberger 2017,
    "On Calibration of Modern Neural Networks", arXiv 1706.04599), with bins of equal width or, adaptive, of as many
    examples each (Nixon et al. 2019, "Measuring Calibration in Deep Learning", arXiv 1904.01685). Any number of bins is
    a choice, and noise alone makes the error positive: `chance_ece` says how much. Likelihood and Brier score need
    none.

    Args:
        objective: Of a classification with one label for each example: held-out data, or of a class or group.
        theta: Where, (P,); the model's weights at this moment if left out.
        bins: Of the figure and of the numbers that are recorded; `Calibration.ece` takes any.
        temperature: What outputs are divided by first.

    Raises:
        ValueError: if the task is another, or bins or temperature are not positive.
        TypeError: if outputs or targets are not tensors.
    """
    if bins < 1:
        raise ValueError(f"bins must be positive, got {bins}")
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    with objective.measuring() as meter:
        found = classified(objective, theta)
        logs, rows = log_softmax(found.logits, temperature), np.arange(len(found.labels))
        surprise, errors = -logs[rows, found.labels], np.exp(logs)
        errors[rows, found.labels] -= 1
        squares = (errors**2).sum(1)
        measured = Calibration(
            provenance=meter.provenance(f"probabilities at temperature {temperature:g}"),
            probabilities=np.exp(logs.max(1)),
            right=found.predictions == found.labels,
            nll=float(surprise.mean()),
            nll_error=_error(surprise),
            brier=float(squares.mean()),
            brier_error=_error(squares),
            bins=bins,
            ece_error=float("nan"),
        )
        return measured.replaced(ece_error=_jackknife(measured))


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("nan")


def _jackknife(measured: Calibration) -> float:
    """The standard error of the calibration error, from what it is without each of some random groups of examples."""
    count = len(measured.right)
    if count < 2 * _GROUPS:
        return float("nan")
    group = np.random.default_rng(0).permutation(np.arange(count) % _GROUPS)
    left = np.array(
        [
            measured.replaced(probabilities=measured.probabilities[group != k], right=measured.right[group != k]).ece()
            for k in range(_GROUPS)
        ]
    )
    return float(np.sqrt((_GROUPS - 1) * left.var()))
