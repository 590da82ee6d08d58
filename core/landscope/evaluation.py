"""Calling a model as a function of its parameters, and its loss on each example alone."""

from __future__ import annotations

import functools
import logging
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.optim.swa_utils import AveragedModel
from torch.utils._pytree import tree_leaves, tree_map

from landscope.isolation import isolated
from landscope.parameters import tied_names

__all__ = [
    "Forward",
    "Loss",
    "ModelFunction",
    "default_forward",
    "default_target",
    "per_example",
    "quiet",
    "setting",
    "vmapped",
]

logger = logging.getLogger(__name__)

Forward = Callable[[nn.Module, Any], Any]
Loss = Callable[[Any, Any], Tensor]

_TARGET_KEYS = ("labels", "label", "targets", "target", "y")


class ModelFunction:
    """f(theta, batch): a model called with other parameters than its own, its own left alone.

    Attributes:
        model: The module; referred to, not copied. Wrappers are taken off: those of `torch.compile`, DataParallel and
            DistributedDataParallel, which cannot be differentiated twice, and that of AveragedModel. Names of
            parameters are then the module's own.
        forward: The user's `forward(model, batch)`; None where the model is called as `model(*inputs)`.
        alone: Whether the module is a copy that nobody else uses, so that nothing of it has to be isolated.

    Raises:
        TypeError: if the model is no module, or a TorchScript one.
    """

    def __init__(self, model: nn.Module, forward: Forward | None) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
        self.model = _unwrapped(model)
        if isinstance(self.model, torch.jit.ScriptModule):
            raise TypeError("model is a TorchScript module, whose parameters cannot be exchanged; pass the nn.Module")
        self.forward = forward
        self.alone = False
        self._entered = False
        self._pins: dict[str, Tensor] | None = None
        self._pulse: Callable[[], None] | None = None
        self._call = _Call(self.model, forward or default_forward)
        self._names = tied_names(self.model)

    def __call__(
        self, parameters: Mapping[str, Tensor], batch: Any, buffers: Mapping[str, Tensor] | None = None
    ) -> Any:
        """The output of the model with `parameters` in place of its own; parameters not named keep their values.

        Args:
            parameters: Tensors by qualified name; a tied parameter is named once.
            batch: One batch.
            buffers: Buffers to use and to write to; None gives copies of the model's, so that a forward pass that
                writes to its buffers leaves the model's alone.
        """
        self._beat()
        if buffers is None:
            buffers = {name: buffer.detach().clone() for name, buffer in self._buffers()}
        frozen = {} if self._pins is None else {n: pin for n, pin in self._pins.items() if n not in parameters}
        swapped = {
            f"model.{alias}": tensor
            for name, tensor in (*frozen.items(), *buffers.items(), *parameters.items())
            for alias in self._names.get(name, (name,))
        }
        return functional_call(self._call, swapped, (batch,), tie_weights=False)

    def pinned(self, but: Collection[str], pulse: Callable[[], None] | None = None) -> ModelFunction:
        """The same function, its buffers and parameters held as they are now, however the model changes later.

        Args:
            but: Names of parameters that every call will give.
            pulse: Called before every call of the model and every derivative; what it raises ends the measurement.
        """
        held = copy(self)
        held._entered, held._pulse = False, pulse
        named = (*self.model.named_parameters(), *self.model.named_buffers())
        held._pins = {name: tensor.detach().clone() for name, tensor in named if name not in but}
        return held

    def on(self, twin: nn.Module, pulse: Callable[[], None]) -> ModelFunction:
        """The same function of a copy of the module that nobody else uses, ready to be measured; `pulse` as above."""
        moved = ModelFunction(twin, self.forward)
        moved.alone, moved._pulse = True, pulse
        return moved

    def _beat(self) -> None:
        if self._pulse is not None:
            self._pulse()

    def _buffers(self) -> Iterator[tuple[str, Tensor]]:
        for name, buffer in self.model.named_buffers():
            yield name, buffer if self._pins is None else self._pins[name]

    @contextmanager
    def isolated(self, *, batch_statistics: bool = False) -> Iterator[None]:
        """As `landscope.isolation.isolated` of the model; free where a measurement under way has done it already."""
        self._beat()
        if self._entered or self.alone:
            yield
            return
        with isolated(self.model, batch_statistics=batch_statistics):
            self._entered = True
            try:
                yield
            finally:
                self._entered = False


class _Call(nn.Module):
    """`forward(model, batch)` as a module, which is what functional_call takes."""

    def __init__(self, model: nn.Module, forward: Forward) -> None:
        super().__init__()
        self.model = model
        self._user_forward = forward

    def forward(self, batch: Any) -> Any:
        return self._user_forward(self.model, batch)


def _unwrapped(model: nn.Module) -> nn.Module:
    if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel | AveragedModel):
        return _unwrapped(model.module)
    original = getattr(model, "_orig_mod", None)  # torch.compile's wrapper
    return _unwrapped(original) if isinstance(original, nn.Module) else model


def default_forward(model: nn.Module, batch: Any) -> Any:
    """The model called with all of a batch but its last element.

    Raises:
        TypeError: if the batch is no sequence of at least two.
    """
    if _is_sequence(batch) and len(batch) >= 2:
        return model(*batch[:-1])
    raise TypeError(
        f"a batch must be (input, target) when no forward is given, got {type(batch).__name__}; "
        "pass forward=lambda model, batch: ... to say how the model is called"
        + (" (and a pair of tensors as a tuple (x, y): a list is a list of batches)" if torch.is_tensor(batch) else "")
    )


def default_target(batch: Any) -> Any:
    """The target of a batch: a sequence's last element, a mapping's labels, and otherwise the batch itself."""
    if isinstance(batch, Mapping):
        return next((batch[key] for key in _TARGET_KEYS if key in batch), batch)
    return batch[-1] if _is_sequence(batch) and len(batch) >= 2 else batch


def _is_sequence(batch: Any) -> bool:
    return isinstance(batch, Sequence) and not isinstance(batch, str)


def setting(loss: Loss, name: str, default: Any) -> Any:
    """A setting of a loss where it can be seen: an attribute of a loss module, or a keyword of functools.partial."""
    if isinstance(loss, functools.partial):
        return loss.keywords[name] if name in loss.keywords else setting(loss.func, name, default)
    return getattr(loss, name, default)


@contextmanager
def quiet() -> Iterator[None]:
    """Within, torch.func says nothing of operators that vmap has to loop over, nor of how it works inside."""
    with warnings.catch_warnings():
        for message in ("There is a performance drop", "`torch.jit.script` is dep", "Attempted to insert a get_attr"):
            warnings.filterwarnings("ignore", message=message)
        yield


def vmapped(function: Callable[..., Any], in_dims: Any = 0) -> Callable[..., Any]:
    """torch.func.vmap, quietly."""

    def call(*arguments: Any) -> Any:
        with quiet():
            return vmap(function, in_dims=in_dims)(*arguments)

    return call


def per_example(loss: Loss, output: Any, target: Any, size: int) -> Tensor:
    """The loss of each example alone, (n,): loss(output_i, target_i) with batches of one.

    For a loss that is a plain mean over examples, their mean is the loss of the batch. Vectorised over the batch; a
    loss that vmap refuses (data-dependent control flow) is called once for each example instead, which is logged.

    Raises:
        TypeError: if outputs and targets do not consist of tensors.
        ValueError: if those do not have `size` rows.
    """
    for leaf in tree_leaves((output, target)):
        if not isinstance(leaf, Tensor | None):
            raise TypeError(
                f"losses of single examples need outputs and targets that are tensors, got {type(leaf).__name__}; "
                "pass forward= and target= that return tensors"
            )
        if leaf is not None and leaf.shape[:1] != (size,):
            raise ValueError(
                f"losses of single examples need outputs and targets with {size} rows, one for each example of a "
                f"batch, got shape {tuple(leaf.shape)}; pass forward= and target= that return such tensors"
            )

    def single(one_output: Any, one_target: Any) -> Tensor:
        return loss(*(_of_tensors(lambda leaf: leaf.unsqueeze(0), tree) for tree in (one_output, one_target)))

    try:
        losses: Tensor = vmapped(single, in_dims=_of_tensors(lambda _: 0, (output, target)))(output, target)
        return losses
    except (RuntimeError, ValueError) as reason:
        logger.info("losses of single examples are computed one by one: vmap refused the loss (%s)", reason)
        return torch.stack([single(*_of_tensors(itemgetter(row), (output, target))) for row in range(size)])


def _of_tensors(function: Callable[[Tensor], Any], tree: Any) -> Any:
    return tree_map(lambda leaf: function(leaf) if isinstance(leaf, Tensor) else leaf, tree)
