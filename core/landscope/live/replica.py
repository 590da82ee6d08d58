"""A copy of what is watched for one other thread, which may measure it while the user's own is trained.

Measuring inline isolates the model by switches that hold for the whole process: the states of the random number
generators, the kernels of attention, the tracing by which products are linearised. A thread beside a training must not
touch them. On a copy of the module nothing has to be restored; what the switches are for is done within the thread, and
a model for which that is not possible is refused.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy, deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.overrides import TorchFunctionMode

from landscope.batch_norm import normalise_by_batch
from landscope.isolation import unwrap_forward
from landscope.live.watched import OBJECTIVES, Watched
from landscope.optimizers import as_optimizers

__all__ = ["Replicator", "UnsharedError"]

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_SHIFT = 1e-2  # of the weights, relative, to see whether a copy's loss follows its own
_ROUNDING = 1e-4


class UnsharedError(Exception):
    """Why a model cannot be measured by another thread while it is trained."""


class Replicator:
    """Makes copies of what is watched.

    Args:
        watched: What is in training.

    Raises:
        UnsharedError: if a copy cannot be measured beside the training, or would be another model.
    """

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        model = watched.train.model
        _refuse_switches(model, watched.train.layout.device)
        sketch = watched.sketch
        with sketch.measuring(), _Attention() as attention:
            before = _generators()
            sketch.value_and_gradient()
            if before != _generators():
                raise UnsharedError("its forward pass draws random numbers, of which training would get others")
        self._attention = attention.called
        self._compare()

    def replica(self, pulse: Callable[[], None]) -> Watched:
        """What is watched, as it is now, on a copy of the model and of the optimiser's state.

        Args:
            pulse: Called before every call of the model; what it raises ends the measurement.

        Raises:
            UnsharedError: if the module cannot be copied, or has hooks.
        """
        watched, model = self._watched, self._watched.train.model
        _refuse_hooks(model)
        try:
            twin = deepcopy(model)
        except Exception as reason:  # whatever a user's module does when it is copied
            raise UnsharedError(f"it cannot be copied ({type(reason).__name__}: {reason})") from reason
        function = watched.train.function.on(twin, pulse)
        _prepare(twin, batch_statistics=watched.train.batch_norm == "batch")
        objectives = {
            name: objective.of(function) for name in OBJECTIVES if (objective := getattr(watched, name)) is not None
        }
        twins: dict[Tensor, nn.Parameter] = dict(zip(model.parameters(), twin.parameters(), strict=True))
        optimizers: Any = tuple(_optimizer(one, twins) for one in as_optimizers(watched.optimizer))
        return replace(
            watched,
            optimizer=optimizers if len(optimizers) > 1 else next(iter(optimizers), None),
            trajectory=watched.trajectory.copy(),
            latest=dict(watched.latest),
            **objectives,
        )

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Within, in the thread that measures, attention is computed by its definition, as measuring does inline."""
        if not self._attention:
            yield
            return
        with _Attention(by_definition=True):
            yield

    def _compare(self) -> None:
        """A copy has the user's loss, and goes on having it away from the user's weights."""
        twin = self.replica(lambda: None).sketch
        theta = self._watched.sketch.theta()
        for point in (theta, (1 + _SHIFT) * theta):
            with self.measuring():
                found = twin.value(point)
            expected = self._watched.sketch.value(point)
            if not abs(found - expected) <= _ROUNDING * abs(expected):
                raise UnsharedError(
                    f"a copy of it has the loss {found:.6g} where it has {expected:.6g}: forward= or the loss looks at "
                    "something else than the model it is given"
                )


class _Attention(TorchFunctionMode):
    """Notes whether attention is called and, if asked, computes it by its definition. Holds for this thread alone."""

    def __init__(self, *, by_definition: bool = False) -> None:
        super().__init__()
        self.called = False
        self._by_definition = by_definition

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is not functional.scaled_dot_product_attention:
            return function(*args, **(kwargs or {}))
        self.called = True
        return (_definition if self._by_definition else function)(*args, **(kwargs or {}))


def _definition(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """What torch computes where `sdpa_kernel(SDPBackend.MATH)` holds."""
    found: tuple[Tensor, Tensor] = torch.ops.aten._scaled_dot_product_attention_math(
        query, key, value, attn_mask, dropout_p, is_causal, None, scale=scale, enable_gqa=enable_gqa
    )
    return found[0]


def _refuse_switches(model: nn.Module, device: torch.device) -> None:
    for module in model.modules():
        kind = type(module).__name__
        if hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None:
            raise UnsharedError("a part of it is compiled, which is switched off for the whole process to measure")
        if isinstance(module, nn.MultiheadAttention | nn.TransformerEncoderLayer | nn.TransformerEncoder):
            raise UnsharedError(f"it has a {kind}, whose fast path is switched off for the whole process to measure")
        if isinstance(module, nn.RNNBase) and device.type == "cuda":
            raise UnsharedError(f"it has a {kind}, for which cuDNN is switched off for the whole process to measure")
    _refuse_hooks(model)


def _refuse_hooks(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if any(getattr(module, hooks, None) for hooks in _HOOKS):
            raise UnsharedError(f"module {name or type(module).__name__!r} has hooks, which would run in two threads")


def _prepare(model: nn.Module, *, batch_statistics: bool) -> None:
    """What `landscope.isolation.isolated` does to a module, for good."""
    for module in model.modules():
        module.training = False
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            module.sparse = False
        unwrap_forward(module)
    if batch_statistics:
        normalise_by_batch(model)


def _optimizer(optimizer: Optimizer, twins: dict[Tensor, nn.Parameter]) -> Optimizer:
    """The optimiser with the state it has now, of the copied parameters: to be looked at, never to take a step."""

    def copied(value: Any) -> Any:
        return value.detach().clone() if isinstance(value, Tensor) else deepcopy(value)

    twin = copy(optimizer)
    twin.param_groups = [
        {
            key: [twins.get(parameter, parameter) for parameter in value] if key == "params" else copied(value)
            for key, value in group.items()
        }
        for group in optimizer.param_groups
    ]
    twin.state = defaultdict(dict)
    for parameter, state in optimizer.state.items():
        twin.state[twins.get(parameter, parameter)] = {key: copied(value) for key, value in state.items()}
    return twin


def _generators() -> tuple[Any, ...]:
    """The states of the random number generators, to be compared."""
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 the user's global generator
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    states = [torch.get_rng_state(), *cuda]
    return (random.getstate(), kind, bytes(np.asarray(keys)), *rest, *(bytes(state.numpy()) for state in states))
