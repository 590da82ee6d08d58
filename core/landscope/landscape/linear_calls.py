"""Calls of functions that are linear in their weights: recognised, numbered, and answered with what is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

__all__ = ["LINEAR", "LinearCall", "Sources", "arguments_of", "columns_of", "replaying"]

# Linear in their second argument for a fixed first one; a third, where there is one, is a bias.
_BIASED = frozenset({functional.linear, functional.conv1d, functional.conv2d, functional.conv3d})
_BIASED_TRANSPOSED = frozenset({functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d})
_UNBIASED = frozenset({torch.matmul, torch.mm, Tensor.matmul, Tensor.__matmul__, Tensor.mm})
LINEAR = _BIASED | _BIASED_TRANSPOSED | _UNBIASED | {functional.embedding}


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


def arguments_of(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The input, weight and bias of a linear call, wherever they stand."""
    names = ["input", "weight", "bias"] if func in _BIASED | _BIASED_TRANSPOSED else ["input", "weight"]
    if func in _UNBIASED:
        names = ["input", "mat2" if func in (torch.mm, Tensor.mm) else "other"]
    given = dict(zip(names, args, strict=False)) | {name: kwargs[name] for name in names if name in kwargs}
    return {role: given.get(name) for role, name in zip(("source", "weight", "bias"), names, strict=False)}


def columns_of(func: Callable[..., Any], weight: Tensor) -> int:
    """Multiply-adds of a linear function for each element of its output."""
    if func in _UNBIASED:
        return weight.shape[-2] if weight.ndim > 1 else len(weight)
    return weight.numel() // weight.shape[1 if func in _BIASED_TRANSPOSED else 0]


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
        if func in LINEAR:
            self._count += 1
            call = self.calls.get(self._count)
            if call is not None:
                if call.function is not func:
                    raise RuntimeError(f"the model called {func.__name__} where it had called {call.function.__name__}")
                return self.answer(self._count, call, args, kwargs)
        return func(*args, **kwargs)

    def answer(self, number: int, call: LinearCall, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        """What call number `number`, which is `call`, returns."""
        raise NotImplementedError


class Sources(_Counting):
    """Keeps what first layers are called with."""

    def __init__(self, calls: Mapping[int, LinearCall]) -> None:
        super().__init__(calls)
        self.sources: dict[int, Tensor] = {}

    def answer(self, number: int, call: LinearCall, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        """What it would have returned."""
        self.sources[number] = arguments_of(call.function, args, kwargs)["source"]
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
