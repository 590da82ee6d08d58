"""Measuring without a trace: the model, the random number generators and autocast as if nothing had happened."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Literal

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

__all__ = ["BATCH_NORM_POLICIES", "BatchNormPolicy", "batch_norm_layers", "isolated"]

BatchNormPolicy = Literal["eval", "batch", "recompute"]
BATCH_NORM_POLICIES: tuple[BatchNormPolicy, ...] = ("eval", "batch", "recompute")

_BatchNorm = nn.modules.batchnorm._BatchNorm


def batch_norm_layers(model: nn.Module) -> list[_BatchNorm]:
    """The layers of `model` that normalise over the batch."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


@contextmanager
def isolated(model: nn.Module, *, batch_statistics: bool = False) -> Iterator[None]:
    """Within, `model` is in evaluation mode; afterwards it and the world are as they were.

    Restored are every module's training flag, the states of the random number generators of Python, numpy and torch
    (CPU and CUDA), and the autocast state. Attention is computed by its mathematical definition within, because the
    fused kernels have no second derivative. Weights, buffers and gradients are not touched: evaluations go through
    `torch.func.functional_call`.

    Args:
        model: The module to be measured.
        batch_statistics: Whether batch normalisation normalises by the batch at hand instead of running statistics.
    """
    training = {module: module.training for module in model.modules()}
    tracking = {layer: layer.track_running_stats for layer in batch_norm_layers(model)}
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 the user's global generator
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=_initialised_cuda_devices()))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        for device_type in ("cpu", "cuda"):
            stack.enter_context(torch.autocast(device_type, enabled=False))
        try:
            for module in training:
                module.training = False
            if batch_statistics:
                for layer in tracking:
                    # Not tracking keeps the running statistics out of it altogether: neither read nor written.
                    layer.training, layer.track_running_stats = True, False
            yield
        finally:
            for module, flag in training.items():
                module.training = flag
            for layer, flag in tracking.items():
                layer.track_running_stats = flag
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002


def _initialised_cuda_devices() -> list[int]:
    return list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
