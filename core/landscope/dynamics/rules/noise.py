"""Gradient noise against the batch size, and the ability to go on learning."""

from __future__ import annotations

import numpy as np

from landscope.dynamics.series import History
from landscope.dynamics.states import Finding, Rule

__all__ = ["RULES"]

# Batches smaller than this share of the noise scale make steps that are mostly noise.
_NOISY = 0.1
_READINGS = 3
# A plasticity probe that ends this many times as high as at the start shows that less can be learnt.
_STIFFER = 1.5
# Accuracy on the random labels from which on they are learnt, whatever is left of the loss.
_LEARNT = 0.95


def _noise(series: History) -> Finding | None:
    scale, batch = series.get("gradients/noise_scale"), series.get("batch/size")
    if scale is None or batch is None or len(scale.values) < _READINGS:
        return None
    recent = scale.values[-_READINGS:]
    if not (np.isfinite(recent).all() and batch.last < _NOISY * float(recent.min())):
        return None
    text = (
        f"Gradient noise limits each step: batches hold {batch.last:,.0f} examples and the noise scale is "
        f"{float(np.median(recent)):,.0f}. Larger batches with a larger learning rate would need almost as many "
        "fewer steps."
    )
    since = scale.holds_since(scale.values > batch.at(scale.steps) / _NOISY)
    return Finding("gradient-noise", text, since, ("gradients/noise_scale", "batch/size"))


def _plasticity(series: History) -> Finding | None:
    probe = series.get("plasticity/loss")
    if probe is None or len(probe.values) < _READINGS:
        return None
    accuracy = series.get("plasticity/accuracy")
    stiff = probe.values > _STIFFER * probe.first
    if accuracy is not None:
        stiff &= accuracy.at(probe.steps) < _LEARNT
    if not (probe.first > 0 and stiff[-_READINGS:].all()):
        return None
    text = (
        f"Plasticity is being lost: a copy that learns fresh random labels ends at a loss of {probe.last:.3g}, and "
        f"ended at {probe.first:.3g} at the start, with as many steps."
    )
    return Finding("plasticity-loss", text, probe.holds_since(stiff), ("plasticity/loss", "sharpness/lambda_max"))


RULES = (
    Rule(
        "plasticity-loss",
        "Plasticity is being lost",
        f"For {_READINGS} readings a copy trained on fresh random labels for a fixed number of steps ended "
        f"{_STIFFER} times as high as at the start, and with less than {_LEARNT:.0%} of the labels learnt.",
        "The network learns new things more slowly than it once did.",
        "It often comes without dead units or exploding gradients, and with changes of curvature: look there, too.",
        ("Lyle et al. 2023, Understanding plasticity in neural networks", "Dohare et al. 2024, Loss of plasticity"),
        _plasticity,
    ),
    Rule(
        "gradient-noise",
        "Gradient noise limits the steps",
        f"For {_READINGS} readings the batch is below {_NOISY:.0%} of the simple noise scale tr(Sigma) / |G|^2.",
        "A step of twice the batch size makes almost twice the progress.",
        "The noise scale ignores curvature and grows as training goes on; near a minimum it says little.",
        ("McCandlish et al. 2018, An empirical model of large-batch training",),
        _noise,
    ),
)
