"""Measuring without a trace: the model, the random number generators and torch's modes as if nothing had happened."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from landscope.batch_norm import BATCH_NORM_POLICIES, BatchNormPolicy, batch_norm_layers, normalise_by_batch

__all__ = [
    "BATCH_NORM_POLICIES",
    "BatchNormPolicy",
    "activations_kept",
    "autograd_tensors",
    "batch_norm_layers",
    "isolated",
    "unwrap_forward",
]


@contextmanager
def isolated(model: nn.Module, *, batch_statistics: bool = False) -> Iterator[None]:
    """Within, `model` is in evaluation mode; afterwards it and the world are as they were.

    Restored are the attributes of every module (training flags, and whatever a forward pass stores on its modules), the
    states of the random number generators of Python, numpy and torch (CPU and CUDA), and torch's modes. Weights,
    buffers and gradients are not touched: evaluations go through `torch.func.functional_call`.

    Within, autocast and inference mode are off, compiled parts run as written, and attention and recurrent layers are
    computed by their definitions, because the fused and compiled kernels have no second derivative.

    Args:
        model: The module to be measured.
        batch_statistics: Whether batch normalisation normalises by the batch at hand instead of running statistics.
    """
    modules = list(model.modules())
    attributes = [dict(vars(module)) for module in modules]
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 the user's global generator
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=_initialised_cuda_devices()))
        stack.callback(np.random.set_state, numpy_state)
        stack.callback(random.setstate, python_state)
        stack.callback(_restore, modules, attributes)
        _definitions_only(stack, modules)
        for module in modules:
            module.training = False
            if isinstance(module, nn.Embedding | nn.EmbeddingBag):
                module.sparse = False  # sparse gradients have no views, and no derivatives
            unwrap_forward(module)
        if batch_statistics:
            normalise_by_batch(model)
        yield


@contextmanager
def autograd_tensors() -> Iterator[None]:
    """Within, new tensors may take part in derivatives even where the user is in inference mode."""
    if not torch.is_inference_mode_enabled():
        yield
        return
    with torch.inference_mode(False):
        yield


@contextmanager
def activations_kept() -> Iterator[None]:
    """Within, forward passes keep what derivatives need; a model that means to recompute it is refused, by torch.

    Recomputed in backward, activations would be those of the model's own weights, which are back in place by then.
    """
    remedy = (
        "derivatives need a forward pass that keeps its activations; switch off torch.utils.checkpoint and other "
        "saved-tensor hooks in the model, e.g. checkpoint only `if self.training`"
    )
    with torch.autograd.graph.disable_saved_tensors_hooks(remedy):
        yield


def unwrap_forward(module: nn.Module) -> None:
    """Takes off what Accelerate wraps around a forward pass for mixed precision: autocast, and outputs in float32."""
    if "_original_forward" in vars(module):
        module.forward = vars(module)["_original_forward"]


def _restore(modules: list[nn.Module], attributes: list[dict[str, Any]]) -> None:
    for module, before in zip(modules, attributes, strict=True):
        now = vars(module)
        for name in now.keys() - before.keys():
            del now[name]
        now.update(before)


def _definitions_only(stack: ExitStack, modules: list[nn.Module]) -> None:
    """Switches off, until the stack unwinds, every mode in which torch computes something else than what is written."""
    stack.enter_context(autograd_tensors())
    for device_type in ("cpu", "cuda"):
        stack.enter_context(torch.autocast(device_type, enabled=False))
    stack.enter_context(sdpa_kernel(SDPBackend.MATH))
    stack.callback(torch.backends.mha.set_fastpath_enabled, torch.backends.mha.get_fastpath_enabled())
    torch.backends.mha.set_fastpath_enabled(False)
    if any(isinstance(module, nn.RNNBase) for module in modules):
        stack.callback(setattr, torch.backends.cudnn, "enabled", torch.backends.cudnn.enabled)
        torch.backends.cudnn.enabled = False
    if "torch._dynamo" in sys.modules:  # otherwise nothing is compiled, and importing it takes seconds
        stack.enter_context(torch.compiler.set_stance("force_eager"))


def _initialised_cuda_devices() -> list[int]:
    return list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
