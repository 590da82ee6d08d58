"""Watching a forward pass, operation by operation, for what it does with the parameters.

Which operations a parameter goes through is not asked of the modules, which may be bypassed, shared or tied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from landscope.kernel.operations import FORMS, Arguments, Call, shift
from landscope.kernel.uses import Piece, Use

__all__ = ["Recorder"]


class Recorder(TorchFunctionMode):
    """Within, every operation that reads a parameter is recorded: as a use where its form is known, else by name.

    Views of a parameter (chunks, transposes) are known by the memory they share with it, so each parameter needs
    memory of its own. A table read at rows that are the same for every example, as of position embeddings, counts as
    read where it is added to something that differs between them.

    Args:
        parameters: The parameters of theta.
        batch: The batch that is evaluated.
        examples: Its number of examples.

    Attributes:
        uses: The uses of known form, in the order of execution.
        elsewhere: Names of the parameters that some operation of another form reads.
        elements: Number of elements of all differentiable results so far.
    """

    def __init__(self, parameters: Mapping[str, Tensor], batch: Any, examples: int) -> None:
        super().__init__()
        self.uses: list[Use] = []
        self.elsewhere: set[str] = set()
        self.elements = 0
        self._owners = {t.untyped_storage().data_ptr(): (name, t) for name, t in parameters.items() if t.numel()}
        self._examples = examples
        self._varying = {id(leaf): leaf for leaf in tree_leaves(batch) if isinstance(leaf, Tensor)}
        self._fixed_rows: dict[int, tuple[Tensor, Piece, Tensor]] = {}  # tensor, table, rows: by id, and kept alive

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _COMPOSITE:
            with self:
                return _COMPOSITE[func](*args, **kwargs)
        result = func(*args, **kwargs)
        given, made = list(_tensors((args, kwargs))), list(_tensors(result))
        self._follow(given, made)
        differentiable = [tensor for tensor in made if tensor.requires_grad]
        if differentiable:
            self.elements += sum(tensor.numel() for tensor in differentiable)
            read = {piece.name for tensor in given if (piece := self.piece(tensor)) is not None}
            read |= {self._fixed_rows[id(tensor)][1].name for tensor in given if id(tensor) in self._fixed_rows}
            if read and not all(self._is_view(tensor, given) for tensor in differentiable):
                self.elsewhere |= read - self._recognised(func, args, kwargs, result)
        return result

    def piece(self, tensor: Any) -> Piece | None:
        """What part of a parameter a tensor is; None if it is none, or has no gradient."""
        if not isinstance(tensor, Tensor) or not tensor.requires_grad or tensor.layout != torch.strided:
            return None
        name, parameter = self._owners.get(tensor.untyped_storage().data_ptr(), ("", tensor))
        if not name:
            return None
        offset = int(tensor.storage_offset()) - int(parameter.storage_offset())
        return Piece(name, offset, tuple(tensor.shape), tensor.stride())

    def _recognised(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> set[str]:
        """The parameters that the call reads in a known form; its uses are recorded."""
        if func not in FORMS or not isinstance(result, Tensor):
            return set()
        signature, uses_of = FORMS[func]
        given = Arguments({**dict(zip(signature, args, strict=False)), **kwargs})
        call = Call(given, result, self._examples, self.piece)
        if uses_of is shift:
            for one, other in (("input", "other"), ("other", "input")):
                fixed = self._fixed_rows.get(id(given[one]))
                if fixed is not None and self.piece(given[other]) is None and id(given[other]) not in self._fixed_rows:
                    return self._record(call.of_fixed_rows(*fixed))
        elif func is functional.embedding and self._is_fixed(given["input"]) and call.is_plain_lookup():
            table = self.piece(given["weight"])
            if table is not None:
                self._fixed_rows[id(result)] = (result, table, given["input"])
                return {table.name}
        return self._record(uses_of(call))

    def _record(self, uses: list[Use]) -> set[str]:
        self.uses += uses
        return {piece.name for use in uses for piece in use.pieces}

    def _follow(self, given: list[Tensor], made: list[Tensor]) -> None:
        """Keeps track of integers that depend on the batch, and of views of rows that do not."""
        varies = any(tensor.is_floating_point() or id(tensor) in self._varying for tensor in given)
        for tensor in made:
            if varies and not tensor.is_floating_point():
                self._varying[id(tensor)] = tensor
        for tensor in given:
            if id(tensor) in self._fixed_rows:
                _, table, rows = self._fixed_rows[id(tensor)]
                for view in made:
                    whole = view.numel() == tensor.numel() and view.shape[-1:] == tensor.shape[-1:]
                    if whole and self._is_view(view, [tensor]):
                        self._fixed_rows[id(view)] = (view, table, rows)

    def _is_fixed(self, index: Any) -> bool:
        return isinstance(index, Tensor) and not index.is_floating_point() and id(index) not in self._varying

    def _is_view(self, made: Tensor, given: list[Tensor]) -> bool:
        """Whether a tensor is a view of a parameter or of fixed rows, which the call was given."""
        if self.piece(made) is not None:
            return True
        memory = made.untyped_storage().data_ptr()
        fixed = (tensor for tensor in given if id(tensor) in self._fixed_rows)
        whole = made.shape[-1:] == given[0].shape[-1:] and made.numel() == given[0].numel()
        return whole and any(tensor.untyped_storage().data_ptr() == memory for tensor in fixed)


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def _unguarded(function: Any) -> FunctionType:
    """A function of torch's without the guard by which it offers itself to modes as a whole: its parts are seen."""
    names = {**function.__globals__, "has_torch_function": lambda _: False}
    copy = FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


_COMPOSITE: dict[Any, Callable[..., Any]] = {
    functional.multi_head_attention_forward: _unguarded(functional.multi_head_attention_forward)
}
