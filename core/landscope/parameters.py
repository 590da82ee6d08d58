"""Parameter vectors: how a model's trainable parameters are laid out in one vector, and what its filters are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import accumulate
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrizations import _WeightNorm
from torch.nn.utils.parametrize import ParametrizationList

from landscope.derivatives import accumulator

__all__ = ["FilterRule", "ParameterLayout", "filter_rules", "tied_names"]


def tied_names(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """Every parameter and buffer by its first name, with the names of all the places it is kept in.

    A tied tensor has more than one. A module that is used under several names is one place, named by the first of them.
    """
    places: dict[int, list[str]] = {}
    for prefix, module in model.named_modules():
        members = (module.named_parameters, module.named_buffers)
        for member in members:
            for name, tensor in member(prefix, recurse=False, remove_duplicate=False):
                places.setdefault(id(tensor), []).append(name)
    return {first: (first, *others) for first, *others in places.values()}


@dataclass(frozen=True)
class ParameterLayout:
    """The order, shapes and types of the parameters that make up the vector theta of length P.

    Tied parameters stand in it once, frozen ones (`requires_grad=False`) not at all.

    Attributes:
        names: Qualified parameter names, in `model.named_parameters()` order.
        shapes: Shape of each parameter.
        dtypes: Floating-point type of each.
        devices: Device of each.
    """

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    dtypes: tuple[torch.dtype, ...]
    devices: tuple[torch.device, ...]

    @classmethod
    def of(cls, model: nn.Module, patterns: Sequence[str] | None = None) -> ParameterLayout:
        """The layout of `model`'s trainable parameters, or of those whose names match one of `patterns`.

        Args:
            model: Any module.
            patterns: Names or shell-style patterns such as "layer1.*"; None takes every trainable parameter. A tied
                parameter is found by any of its names.

        Raises:
            ValueError: if a pattern matches no trainable parameter, or there is none at all, or one has no values yet
                or complex ones.
        """
        trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        wanted = set(trainable)
        if patterns is not None:
            aliases: dict[int, list[str]] = {}
            for name, parameter in model.named_parameters(remove_duplicate=False):
                aliases.setdefault(id(parameter), []).append(name)
            matches = {
                pattern: {name for name, p in trainable.items() if any(fnmatchcase(a, pattern) for a in aliases[id(p)])}
                for pattern in ([patterns] if isinstance(patterns, str) else patterns)
            }
            if unmatched := [pattern for pattern, found in matches.items() if not found]:
                raise ValueError(
                    f"no trainable parameter matches {', '.join(map(repr, unmatched))}; "
                    f"trainable parameters: {', '.join(trainable) or 'none'}"
                )
            wanted = set().union(*matches.values())
        chosen = [(name, parameter) for name, parameter in trainable.items() if name in wanted]
        if not chosen:
            raise ValueError("model has no trainable parameter; set requires_grad=True on those to be measured")
        return cls._laid_out(chosen)

    @classmethod
    def _laid_out(cls, chosen: Sequence[tuple[str, nn.Parameter]]) -> ParameterLayout:
        for name, parameter in chosen:
            if is_lazy(parameter):
                raise ValueError(f"parameter {name} has no shape yet; call the model on a batch once, then measure it")
            if parameter.is_meta:
                raise ValueError(
                    f"parameter {name} is on the meta device, which holds no values; load its weights first"
                )
            if not parameter.is_floating_point():
                raise ValueError(
                    f"parameter {name} must be real, got {parameter.dtype}; view it as real and imaginary part"
                )
        names, parameters = zip(*chosen, strict=True)
        return cls(
            names,
            tuple(p.shape for p in parameters),
            tuple(p.dtype for p in parameters),
            tuple(p.device for p in parameters),
        )

    def renewed(self, model: nn.Module) -> ParameterLayout:
        """The layout of the same parameters of `model`, frozen since or not, and of all that are trainable by now.

        Raises:
            ValueError: as `of`.
        """
        return self._laid_out(
            [(n, parameter) for n, parameter in model.named_parameters() if n in self.slices or parameter.requires_grad]
        )

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Number of elements of each parameter."""
        return tuple(prod(shape) for shape in self.shapes)

    @property
    def size(self) -> int:
        """Length P of the vector."""
        return sum(self.sizes)

    @cached_property
    def dtype(self) -> torch.dtype:
        """Type of the vector: the one to which all parameters promote."""
        dtype = self.dtypes[0]
        for other in self.dtypes[1:]:
            dtype = torch.promote_types(dtype, other)
        return dtype

    @property
    def device(self) -> torch.device:
        """Device of the vector: the first parameter's."""
        return self.devices[0]

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where each parameter lies in the vector."""
        ends = list(accumulate(self.sizes))
        return {name: slice(end - size, end) for name, size, end in zip(self.names, self.sizes, ends, strict=True)}

    def check(self, name: str, theta: Tensor, dimensions: int) -> None:
        """Refuses what is not a vector (P,), or with two dimensions a block (K, P), of this layout.

        Raises:
            TypeError: if it is not a tensor.
            ValueError: if it has another shape.
        """
        if not isinstance(theta, Tensor):
            raise TypeError(
                f"{name} must be a tensor, got {type(theta).__name__}; convert it with torch.tensor({name})"
            )
        if theta.ndim != dimensions or theta.shape[-1] != self.size:
            expected = f"({self.size},)" if dimensions == 1 else f"(K, {self.size})"
            raise ValueError(f"{name} must have shape {expected}, got {tuple(theta.shape)}")

    def vector_of(self, model: nn.Module) -> Tensor:
        """A copy of the model's parameters as a vector (P,).

        Raises:
            ValueError: if the model's parameters are not those that the layout describes any more.
        """
        named = dict(model.named_parameters())
        described = zip(self.names, self.shapes, self.dtypes, self.devices, strict=True)
        for name, *expected in described:
            found = [named[name].shape, named[name].dtype, named[name].device] if name in named else []
            if found != expected:
                raise ValueError(
                    f"parameter {name} was {expected} and is {found or 'gone'}: the model was changed after the "
                    "objective was built; build a new one"
                )
        return self.flatten(named)

    def flatten(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """The vector (P,) of named tensors of the layout's shapes."""
        return torch.cat([tensors[name].to(self.device, self.dtype).reshape(-1) for name in self.names])

    def unflatten(self, vector: Tensor) -> dict[str, Tensor]:
        """The named tensors of a vector (P,), or of a block (K, P) with K as their leading dimension.

        They are views of the vector wherever type and device agree.

        Raises:
            ValueError: if the vector's last dimension is not P.
        """
        if vector.ndim == 0 or vector.shape[-1] != self.size:
            raise ValueError(
                f"parameter vector must have length {self.size} in its last dimension, got shape {tuple(vector.shape)}"
            )
        lead = vector.shape[:-1]
        pieces = vector.split(self.sizes, dim=-1)
        return {
            name: piece.reshape(lead + shape).to(device, dtype)
            for name, piece, shape, dtype, device in zip(
                self.names, pieces, self.shapes, self.dtypes, self.devices, strict=True
            )
        }


@dataclass(frozen=True)
class FilterRule:
    """How a parameter divides into filters of equal size: view it as `shape`, and a filter spans the dimensions `over`.

    Attributes:
        shape: A shape with the parameter's number of elements.
        over: The dimensions of that shape that one filter spans.
    """

    shape: tuple[int, ...]
    over: tuple[int, ...]

    @classmethod
    def whole(cls, size: int) -> FilterRule:
        """All of `size` elements as one filter."""
        return cls((size,), (0,))

    @cached_property
    def size(self) -> int:
        """Elements of one filter."""
        return prod(self.shape[dimension] for dimension in self.over)

    @cached_property
    def _order(self) -> tuple[int, ...]:
        kept = (dimension for dimension in range(len(self.shape)) if dimension not in self.over)
        return (*kept, *self.over)

    def split(self, vectors: Tensor) -> Tensor:
        """The parameter's elements, (K, numel), as filters, (K, filters, size)."""
        count = len(vectors)
        order = (0, *(dimension + 1 for dimension in self._order))
        return vectors.reshape(count, *self.shape).permute(order).reshape(count, -1, self.size)

    def merge(self, filters: Tensor) -> Tensor:
        """The inverse of `split`: filters (K, filters, size) as elements (K, numel)."""
        count = len(filters)
        permuted = filters.reshape(count, *(self.shape[dimension] for dimension in self._order))
        back = (0, *(self._order.index(dimension) + 1 for dimension in range(len(self.shape))))
        return permuted.permute(back).reshape(count, -1)

    def norms(self, tensor: Tensor) -> Tensor:
        """Euclidean norm of each filter of the parameter, (filters,), summed in double precision."""
        filters = self.split(tensor.reshape(1, -1))[0]
        norms: Tensor = torch.linalg.vector_norm(filters, dim=-1, dtype=accumulator(tensor))
        return norms


def filter_rules(model: nn.Module, layout: ParameterLayout) -> dict[str, FilterRule | None]:
    """The filters of every parameter in the layout; None for parameters that have none.

    A filter is all weights that produce one output channel or neuron (Li et al. 2018, section 4):

    - a row of a linear or bilinear layer, of a recurrent layer's matrices, of attention's projections (packed or not);
    - the kernel of one output channel of a convolution, grouped and depthwise ones too; the output channels of a
      transposed one are its second dimension, group by group;
    - the vector of one token in an embedding;
    - of a parameter that a module of another kind holds: a row along its first dimension. A leading dimension of one is
      dropped from three, so that position embeddings (1, T, D) have a filter for each position.

    Without filters are biases (attention's `bias_k` and `bias_v` too), normalisation parameters, scalars, vectors, and
    what is a vector but for dimensions of one, (1, 1, D) or (C, 1, 1): class tokens and scales of channels.

    A parametrised weight that is computed from one tensor gives that tensor its filters, `weight_norm` gives them to
    its direction v and none to its length g, and of other parametrisations each tensor has rows. A tied parameter has
    the filters of the first place it is kept in.

    Args:
        model: The module that owns the parameters.
        layout: The parameters asked about.
    """
    rules: dict[str, FilterRule | None] = dict.fromkeys(layout.names)
    shapes = dict(zip(layout.names, layout.shapes, strict=True))
    modules = dict(model.named_modules())
    for prefix, module in modules.items():
        for name, _ in module.named_parameters(prefix, recurse=False):
            role = name.rpartition(".")[2]
            if name not in shapes or _is_length(module, role):
                continue
            owner, role = _original_of(modules, prefix, role)
            rules[name] = _filter_rule(owner, role, tuple(shapes[name]))
    return rules


def _is_length(module: nn.Module, role: str) -> bool:
    """Whether a parameter is the length g of weight normalisation, w = g v / |v|, new style or old."""
    if isinstance(module, ParametrizationList):
        return role == "original0" and isinstance(module[0], _WeightNorm)
    return role.endswith("_g") and hasattr(module, f"{role.removesuffix('_g')}_v")


def _original_of(modules: Mapping[str, nn.Module], prefix: str, role: str) -> tuple[nn.Module, str]:
    """The module and the name under which a parameter divides into filters: the layer's own if it is parametrised."""
    module = modules[prefix]
    if not isinstance(module, ParametrizationList):
        return module, role
    if role == "original" or isinstance(module[0], _WeightNorm):
        layer, _, parameter = prefix.rpartition("parametrizations.")
        return modules[layer.removesuffix(".")], parameter
    return module, role


def _filter_rule(module: nn.Module, role: str, shape: tuple[int, ...]) -> FilterRule | None:
    if len(shape) < 2 or role.startswith("bias") or isinstance(module, nn.LayerNorm | nn.RMSNorm):
        return None
    if isinstance(module, _ConvTransposeNd):
        inputs, outputs, *kernel = shape
        grouped = (module.groups, inputs // module.groups, outputs, *kernel)
        return FilterRule(grouped, (1, *range(3, len(grouped))))
    if len(shape) > 2 and not isinstance(module, _ConvNd | nn.Bilinear):
        if sum(length > 1 for length in shape) < 2:
            return None
        if len(shape) == 3 and shape[0] == 1:
            shape = shape[1:]
    return FilterRule(shape, tuple(range(1, len(shape))))
