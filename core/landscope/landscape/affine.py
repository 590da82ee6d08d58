"""First layers on an affine family of weights: linear in the weights, they need evaluating once for each direction.

On theta(c) = theta_0 + sum_k c_k d_k, a layer whose input depends on no weight has the output
f(x; theta(c)) = f(x; theta_0) + sum_k c_k f(x; d_k), so that K + 1 evaluations serve every point of the family. Which
calls of a model those are is found by following what depends on weights through one forward pass.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from landscope.landscape.pooling import POOLS

__all__ = ["FirstLayers", "LinearCall", "Survey", "replaying", "survey"]

logger = logging.getLogger(__name__)

# Linear in their second argument for a fixed first one; a third, where there is one, is a bias.
_BIASED = frozenset({functional.linear, functional.conv1d, functional.conv2d, functional.conv3d})
_BIASED_TRANSPOSED = frozenset({functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d})
_UNBIASED = frozenset({torch.matmul, torch.mm, Tensor.matmul, Tensor.__matmul__, Tensor.mm})
_LINEAR = _BIASED | _BIASED_TRANSPOSED | _UNBIASED | {functional.embedding}

# What may be read of a tensor that depends on weights without learning anything of their values.
_METADATA = frozenset(
    {"size", "dim", "numel", "nelement", "ndimension", "stride", "element_size", "storage_offset", "is_floating_point",
     "is_complex", "is_contiguous", "get_device", "type", "is_same_size", "__len__", "__hash__", "__get__"}
)  # fmt: skip

# Functions by the size of whose result one learns something of the values they were called with.
_COUNTING = ("nonzero", "argwhere", "masked_select", "unique", "bincount", "repeat_interleave", "one_hot")


@dataclass(frozen=True)
class LinearCall:
    """A call of a linear function on constants and parameters.

    Attributes:
        function: What is called.
        weight: The name of the parameter that is its weight.
        bias: The name of the parameter that is its bias; None where it has none, or a constant one.
        columns: Multiply-adds for each element of its output.
    """

    function: Callable[..., Any]
    weight: str
    bias: str | None
    columns: int

    @property
    def parameters(self) -> set[str]:
        """Names of its parameters."""
        return {self.weight} if self.bias is None else {self.weight, self.bias}


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
    with _Follow(named, found) as following:
        output = forward(named)
    if found.hidden is None and found.calls and not _stands(forward, named, following, output):
        found.hidden = "a function that cannot be followed"
    if found.hidden is not None:
        found.calls.clear()
    return found


class _Follow(TorchFunctionMode):
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
        self._count += func in _LINEAR
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
        self.sources[number] = _arguments(call.function, args, kwargs)["source"]
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
        if func not in _LINEAR:
            return None
        arguments = _arguments(func, args, kwargs)
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
        return LinearCall(func, name, bias_name, _columns(func, weight))


def _stands(
    forward: Callable[[Mapping[str, Tensor]], Any], named: Mapping[str, Tensor], following: _Follow, output: Any
) -> bool:
    """Whether the first layers have the same inputs at other weights, and what they replace is used nowhere else."""
    calls = following.found.calls
    generator = torch.Generator("cpu").manual_seed(0)
    others = {
        name: tensor + (1e-3 + tensor.abs().mean()) * torch.randn(tensor.shape, generator=generator).to(tensor)
        for name, tensor in named.items()
    }
    try:
        with _Sources(calls) as seen:
            forward(others)
        with _Replay(calls, following.outputs):
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


def _columns(func: Callable[..., Any], weight: Tensor) -> int:
    if func in _UNBIASED:
        return weight.shape[-2] if weight.ndim > 1 else len(weight)
    return weight.numel() // weight.shape[1 if func in _BIASED_TRANSPOSED else 0]


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


def _arguments(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The input, weight and bias of a linear call, wherever they stand."""
    names = ["input", "weight", "bias"] if func in _BIASED | _BIASED_TRANSPOSED else ["input", "weight"]
    if func in _UNBIASED:
        names = ["input", "mat2" if func in (torch.mm, Tensor.mm) else "other"]
    given = dict(zip(names, args, strict=False)) | {name: kwargs[name] for name in names if name in kwargs}
    return {role: given.get(name) for role, name in zip(("source", "weight", "bias"), names, strict=False)}


@dataclass
class FirstLayers:
    """The first layers' outputs on one batch, for theta_0 and each direction.

    Attributes:
        outputs: By the number of the call: (K + 1, *shape), images as (K + 1, n, height, width, channels) if they have
            their channels last.
        channels_last: The numbers of those calls whose outputs are so.
    """

    outputs: dict[int, Tensor]
    channels_last: frozenset[int]
    _row: tuple[tuple[float, ...], dict[int, Tensor]] = ((), {})

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        forward: Callable[[Mapping[str, Tensor]], Any],
        corners: Sequence[Mapping[str, Tensor]],
        surveyed: Survey,
        numbers: Collection[int],
        *,
        channels_last: bool = False,
    ) -> FirstLayers:
        """Evaluates the first layers at theta_0 and for every direction.

        Args:
            forward: Calls the model on the batch with parameters.
            corners: The parameters at theta_0, and as they are in each direction.
            surveyed: What the model does with another batch.
            numbers: Which of its calls they are.
            channels_last: Whether images are to be laid out with their channels last.

        Raises:
            RuntimeError: if the model does something else with this batch than it did when it was surveyed.
        """
        found = Survey()
        with _Collect(corners, found, numbers) as collecting:
            forward(corners[0])
        if (found.calls, found.elsewhere, found.hidden) != (surveyed.calls, surveyed.elsewhere, surveyed.hidden):
            raise RuntimeError("the model uses its first layers in another way on this batch than on the first one")
        images = {n for n, outputs in collecting.outputs.items() if channels_last and outputs.ndim == 5}
        outputs = {n: o.movedim(2, -1).contiguous() if n in images else o for n, o in collecting.outputs.items()}
        return cls(outputs, frozenset(images))

    @property
    def nbytes(self) -> int:
        """Memory they take."""
        return sum(outputs.nbytes for outputs in self.outputs.values())

    def at(self, coordinates: Tensor) -> dict[int, Tensor]:
        """The outputs (G, *shape) at G points of the family, coordinates (G, K)."""
        found = {}
        for number, outputs in self.outputs.items():
            weights = torch.cat([torch.ones_like(coordinates[:, :1]), coordinates], dim=1).to(outputs.dtype)
            values = (weights @ outputs.flatten(1)).reshape(len(weights), *outputs.shape[1:])
            found[number] = self._channels_second(number, values)
        return found

    def at_point(self, coordinates: Sequence[float]) -> dict[int, Tensor]:
        """The outputs (*shape) at one point; along a grid's last coordinate, one addition each."""
        *rows, last = coordinates
        if self._row[0] != tuple(rows) or not self._row[1]:
            sums = {}
            for number, outputs in self.outputs.items():
                sums[number] = outputs[0]
                for coordinate, direction in zip(rows, outputs[1:], strict=False):
                    sums[number] = torch.add(sums[number], direction, alpha=coordinate)
            self._row = (tuple(rows), sums)
        return {
            number: self._channels_second(number, torch.add(row, self.outputs[number][-1], alpha=last))
            for number, row in self._row[1].items()
        }

    def _channels_second(self, number: int, values: Tensor) -> Tensor:
        return values.movedim(-1, -3) if number in self.channels_last else values


class _Counting(TorchFunctionMode):
    """Numbers the calls of linear functions, and hands those in `calls` to `answer`."""

    def __init__(self, calls: Mapping[int, LinearCall]) -> None:
        super().__init__()
        self.calls = calls
        self._count = -1

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in _LINEAR:
            self._count += 1
            call = self.calls.get(self._count)
            if call is not None:
                if call.function is not func:
                    raise RuntimeError(f"the model called {func.__name__} where it had called {call.function.__name__}")
                return self.answer(self._count, call, args, kwargs)
        return func(*args, **kwargs)

    def answer(self, number: int, call: LinearCall, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        raise NotImplementedError


class _Collect(_Follow):
    """Evaluates first layers at all corners in one pass, which goes on as at the first corner."""

    def __init__(self, corners: Sequence[Mapping[str, Tensor]], found: Survey, numbers: Collection[int]) -> None:
        super().__init__(corners[0], found)
        self._corners, self._numbers = corners, numbers

    def first_layer(self, number: int, call: LinearCall, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        if number not in self._numbers:
            result: Tensor = call.function(*args, **kwargs)
            return result
        given = _arguments(call.function, args, kwargs)
        values = []
        for corner, named in enumerate(self._corners):
            # A constant bias belongs to theta_0 alone.
            bias = named[call.bias] if call.bias else given.get("bias") if corner == 0 else None
            replaced = {id(given["weight"]): named[call.weight], id(given.get("bias")): bias}
            new = [replaced.get(id(arg), arg) if position else arg for position, arg in enumerate(args)]
            named_new = {key: replaced.get(id(value), value) for key, value in kwargs.items()}
            values.append(call.function(*new, **named_new))
        self.outputs[number] = torch.stack(values)
        first: Tensor = values[0]
        return first


class _Sources(_Counting):
    """Keeps what first layers are called with."""

    def __init__(self, calls: Mapping[int, LinearCall]) -> None:
        super().__init__(calls)
        self.sources: dict[int, Tensor] = {}

    def answer(self, number: int, call: LinearCall, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        self.sources[number] = _arguments(call.function, args, kwargs)["source"]
        result: Tensor = call.function(*args, **kwargs)
        return result


class _Replay(_Counting):
    def __init__(self, calls: Mapping[int, LinearCall], outputs: Mapping[int, Tensor]) -> None:
        super().__init__(calls)
        self._outputs = outputs

    def answer(self, number: int, call: LinearCall, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        return self._outputs[number]


def replaying(calls: Mapping[int, LinearCall], outputs: Mapping[int, Tensor]) -> AbstractContextManager[Any]:
    """Within, the first layers return what has been computed for them.

    Args:
        calls: Which calls they are.
        outputs: What each returns.
    """
    mode: AbstractContextManager[Any] = _Replay(calls, outputs) if calls else nullcontext()
    return mode
