"""First layers on an affine family of weights: linear in the weights, they need evaluating once for each direction.

On theta(c) = theta_0 + sum_k c_k d_k, a layer whose input depends on no weight has the output
f(x; theta(c)) = f(x; theta_0) + sum_k c_k f(x; d_k), so that K + 1 evaluations serve every point of the family. Which
calls of a model those are is found by following what depends on weights through one forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from landscope.landscape.pooling import POOLS

__all__ = ["FirstLayers", "LinearCall", "Survey", "replaying", "survey"]

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


@torch.no_grad()
def survey(forward: Callable[[Mapping[str, Tensor]], Any], named: Mapping[str, Tensor]) -> Survey:
    """Follows what depends on the parameters through one forward pass.

    Args:
        forward: Calls the model with parameters.
        named: The parameters.
    """
    found = Survey()
    with _Follow({name: tensor.detach().clone() for name, tensor in named.items()}, found) as following:
        forward(following.named)
    if found.hidden is not None:
        found.calls.clear()
    return found


class _Follow(TorchFunctionMode):
    """Marks every tensor that depends on the parameters, integers included."""

    def __init__(self, named: dict[str, Tensor], found: Survey) -> None:
        super().__init__()
        self.named = named
        self._names = {id(tensor): name for name, tensor in named.items()}
        self._found = found
        self._count = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        self._found.pools |= func in POOLS
        leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        depends = any(self._depends(leaf) for leaf in leaves)
        call = self._linear_call(func, args, kwargs) if depends else None
        result = func(*args, **kwargs)
        if func in _LINEAR:
            if call is not None:
                self._found.calls[self._count] = call
            self._count += 1
        if not depends:
            return result
        metadata = getattr(func, "__name__", "") in _METADATA and not _holds_tensors(result)
        if call is None and not metadata:
            self._found.elsewhere |= {self._names[id(leaf)] for leaf in leaves if id(leaf) in self._names}
        self._mark(func, result, metadata, [leaf for leaf in leaves if _writes(func)])
        return result

    def _depends(self, tensor: Tensor) -> bool:
        return id(tensor) in self._names or getattr(tensor, "_landscope_depends", False)

    def _mark(self, func: Callable[..., Any], result: Any, metadata: bool, written: list[Tensor]) -> None:
        for leaf in (*tree_leaves(result), *written):
            if isinstance(leaf, Tensor):
                leaf._landscope_depends = True  # type: ignore[attr-defined]
                self._found.bytes = max(self._found.bytes, leaf.nbytes)
            elif leaf is not None and not metadata:
                self._found.hidden = getattr(func, "__name__", repr(func))

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
        if not source.is_floating_point() and func is not functional.embedding:
            return None
        bias_name = self._names.get(id(bias))
        if bias_name is None and bias is not None and self._depends(bias):
            return None
        columns = (
            0
            if func is functional.embedding
            else weight.numel() // weight.shape[1 if func in _BIASED_TRANSPOSED else 0]
        )
        return LinearCall(func, name, bias_name, columns)


def _holds_tensors(result: Any) -> bool:
    return any(isinstance(leaf, Tensor) for leaf in tree_leaves(result))


def _writes(func: Callable[..., Any]) -> bool:
    name = getattr(func, "__name__", "")
    return name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))


def _arguments(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The input, weight and bias of a linear call, wherever they stand."""
    names = ["input", "weight", "bias"] if func in _BIASED | _BIASED_TRANSPOSED else ["input", "weight"]
    if func in _UNBIASED:
        names = ["input", "mat2" if func in (torch.mm, Tensor.mm) else "other"]
    given = dict(zip(names, args, strict=False)) | {name: kwargs[name] for name in names if name in kwargs}
    return {role: given.get(name) for role, name in zip(("source", "weight", "bias"), names, strict=False)}


class _Done(Exception):  # noqa: N818 the last first layer is reached: not an error
    pass


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
        calls: Mapping[int, LinearCall],
        *,
        channels_last: bool = False,
    ) -> FirstLayers:
        """Evaluates the first layers at theta_0 and for every direction.

        Args:
            forward: Calls the model on the batch with parameters.
            corners: The parameters at theta_0, and as they are in each direction.
            calls: Which calls they are.
            channels_last: Whether images are to be laid out with their channels last.

        Raises:
            RuntimeError: if the model makes other calls than it did when it was surveyed.
        """
        with _Collect(corners, calls) as collecting, suppress(_Done):
            forward(corners[0])
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


class _Collect(_Counting):
    def __init__(self, corners: Sequence[Mapping[str, Tensor]], calls: Mapping[int, LinearCall]) -> None:
        super().__init__(calls)
        self._corners = corners
        self.outputs: dict[int, Tensor] = {}

    def answer(self, number: int, call: LinearCall, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
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
        if number == max(self.calls):
            raise _Done
        first: Tensor = values[0]
        return first


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
