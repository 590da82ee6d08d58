"""Which layers of a model have inputs that depend on no weight: found by following what does through a forward pass."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from landscope.landscape.linear_calls import LINEAR, LinearCall, Sources, arguments_of, columns_of, replaying
from landscope.landscape.pooling import POOLS

__all__ = ["Following", "Survey", "survey"]

logger = logging.getLogger(__name__)


# What may be read of a tensor that depends on weights without learning anything of their values.
_METADATA = frozenset(
    {"size", "dim", "numel", "nelement", "ndimension", "stride", "element_size", "storage_offset", "is_floating_point",
     "is_complex", "is_contiguous", "get_device", "type", "is_same_size", "__len__", "__hash__", "__get__"}
)  # fmt: skip

# Functions by the size of whose result one learns something of the values they were called with.
_COUNTING = ("nonzero", "argwhere", "masked_select", "unique", "bincount", "repeat_interleave", "one_hot")


@dataclass
class Survey:
    """What one forward pass showed.

    Attributes:
        calls: Linear calls on inputs that depend on no weight, by their number among all calls of linear functions.
        elsewhere: Names of parameters that are used in any other way.
        hidden: A function by which the pass learnt a number from tensors that depend on weights, and so could decide
            what to do by it; None if there was none.
        bytes: Size of the largest tensor that depends on weights.
        pools: Whether it pools by maxima.
    """

    calls: dict[int, LinearCall] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)
    hidden: str | None = None
    bytes: int = 0
    pools: bool = False

    def replaced(self, numbers: Collection[int]) -> set[str]:
        """Names of parameters that nothing uses but the calls of these numbers."""
        within, without = set[str](), set(self.elsewhere)
        for number, call in self.calls.items():
            (within if number in numbers else without).update(call.parameters)
        return within - without


@torch.no_grad()
def survey(forward: Callable[[Mapping[str, Tensor]], Any], named: Mapping[str, Tensor]) -> Survey:
    """Follows what depends on the parameters through one forward pass.

    What cannot be followed (scripted functions, transforms of torch.func) shows in two more passes with other weights.

    Args:
        forward: Calls the model with parameters.
        named: The parameters.
    """
    named = {name: tensor.detach().clone() for name, tensor in named.items()}
    found = Survey()
    with Following(named, found) as following:
        output = forward(named)
    if found.hidden is None and found.calls and not _stands(forward, named, following, output):
        found.hidden = "a function that cannot be followed"
    if found.hidden is not None:
        found.calls.clear()
    return found


class Following(TorchFunctionMode):
    """Marks every tensor that depends on the parameters, integers included."""

    def __init__(self, named: Mapping[str, Tensor], found: Survey) -> None:
        super().__init__()
        self.found = found
        self.sources: dict[int, Tensor] = {}
        self.outputs: dict[int, Tensor] = {}
        self._names = {id(tensor): name for name, tensor in named.items()}
        self._count = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        self.found.pools |= func in POOLS
        depending = [tensor for tensor in _tensors((args, kwargs)) if self._depends(tensor)]
        call = self._linear_call(func, args, kwargs) if depending else None
        result = func(*args, **kwargs) if call is None else self.first_layer(self._count, call, args, kwargs)
        if call is not None:
            self.found.calls[self._count] = call
        self._count += func in LINEAR
        if depending:
            metadata = getattr(func, "__name__", "") in _METADATA and not _holds_tensors(result)
            if call is None and not metadata:
                self.found.elsewhere |= {self._names[id(leaf)] for leaf in depending if id(leaf) in self._names}
            if _tells_size(func, args, depending):
                self.found.hidden = func.__name__
            self._mark(func, args, result, metadata)
        return result

    def first_layer(self, number: int, call: LinearCall, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        """The output of a linear call on constants."""
        result: Tensor = call.function(*args, **kwargs)
        self.sources[number] = arguments_of(call.function, args, kwargs)["source"]
        self.outputs[number] = result.clone()
        return result

    def _depends(self, tensor: Tensor) -> bool:
        return any(id(t) in self._names or hasattr(t, "_landscope_depends") for t in (tensor, tensor._base))

    def _mark(self, func: Callable[..., Any], args: Sequence[Any], result: Any, metadata: bool) -> None:
        written = _tensors(args[:1]) if _writes(func) else []
        for leaf in (*tree_leaves(result), *written):
            if isinstance(leaf, Tensor):
                # Who writes into a view writes into what it is a view of.
                for tensor in (leaf, leaf._base if any(leaf is one for one in written) else None):
                    if tensor is not None:
                        tensor._landscope_depends = True  # type: ignore[attr-defined]
                self.found.bytes = max(self.found.bytes, leaf.nbytes)
            elif leaf is not None and not metadata:
                self.found.hidden = getattr(func, "__name__", repr(func))

    def _linear_call(
        self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> LinearCall | None:
        if func not in LINEAR:
            return None
        arguments = arguments_of(func, args, kwargs)
        source, weight, bias = (arguments.get(name) for name in ("source", "weight", "bias"))
        name = self._names.get(id(weight))
        if name is None or not isinstance(source, Tensor) or not isinstance(weight, Tensor) or self._depends(source):
            return None
        if func is functional.embedding:
            renormalised = kwargs.get("max_norm", args[3] if len(args) > 3 else None) is not None
            return None if renormalised else LinearCall(func, name, None, 0)
        if not source.is_floating_point():
            return None
        bias_name = self._names.get(id(bias))
        if bias_name is None and bias is not None and self._depends(bias):
            return None
        return LinearCall(func, name, bias_name, columns_of(func, weight))


def _stands(
    forward: Callable[[Mapping[str, Tensor]], Any], named: Mapping[str, Tensor], following: Following, output: Any
) -> bool:
    """Whether the first layers have the same inputs at other weights, and what they replace is used nowhere else."""
    calls = following.found.calls
    generator = torch.Generator("cpu").manual_seed(0)
    others = {
        name: tensor + (1e-3 + tensor.abs().mean()) * torch.randn(tensor.shape, generator=generator).to(tensor)
        for name, tensor in named.items()
    }
    try:
        with Sources(calls) as seen:
            forward(others)
        with replaying(calls, following.outputs):
            again = forward({**named, **{name: others[name] for name in following.found.replaced(calls)}})
        return _same(seen.sources, following.sources) and _same(again, output)
    except (RuntimeError, ValueError, IndexError, ArithmeticError, AssertionError) as reason:
        logger.info("first layers are not shared between points: the model refuses other weights (%s)", reason)
        return False


def _same(first: Any, second: Any) -> bool:
    """Whether two trees hold the same numbers, but for rounding."""
    ones, others = _tensors(first), _tensors(second)
    return len(ones) == len(others) and all(
        one.shape == other.shape and bool(torch.isclose(one, other, rtol=1e-3, atol=0, equal_nan=True).all())
        for one, other in zip(ones, others, strict=True)
    )


def _tensors(tree: Any) -> list[Tensor]:
    """The tensors among the leaves, and among the bounds of slices."""
    leaves = tree_leaves(tree)
    bounds = [end for leaf in leaves if isinstance(leaf, slice) for end in (leaf.start, leaf.stop, leaf.step)]
    return [leaf for leaf in (*leaves, *bounds) if isinstance(leaf, Tensor)]


def _tells_size(func: Callable[..., Any], args: Sequence[Any], depending: Sequence[Tensor]) -> bool:
    """Whether the size of the result tells something of the values of tensors that depend on weights."""
    name = getattr(func, "__name__", "")
    if name == "__getitem__":
        leaves = tree_leaves(args[1])
        masks = [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.dtype in (torch.bool, torch.uint8)]
        bounds = _tensors([leaf for leaf in leaves if isinstance(leaf, slice)])
        return any(tensor is other for tensor in (*masks, *bounds) for other in depending)
    return any(part in name for part in _COUNTING) or (name == "where" and len(args) == 1)


def _holds_tensors(result: Any) -> bool:
    return any(isinstance(leaf, Tensor) for leaf in tree_leaves(result))


def _writes(func: Callable[..., Any]) -> bool:
    name = getattr(func, "__name__", "")
    operator = name in ("__setitem__", "__set__") or name.startswith("__i")
    return operator or (name.endswith("_") and not name.endswith("__"))
