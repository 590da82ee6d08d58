"""The permutation symmetries of a network: which axes of its parameters number the same hidden units.

Renumbering the units of a hidden layer, in the weights that produce them and in all that read them, leaves the function
unchanged. The groups of axes that go together follow from the graph of the computation: every tensor in it has one axis
of features, whose units are handed on, made anew by a layer, or tied to others by an addition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from landscope.isolation import isolated

__all__ = ["Axes", "permutable_axes"]

Axes = tuple[tuple[str, int], ...]

_FIXED = 0  # the units of inputs and outputs, whose order has a meaning

_ELEMENTWISE_MODULES = (
    nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Tanh,
    nn.Sigmoid, nn.LogSigmoid, nn.Softplus, nn.Softsign, nn.Softshrink, nn.Hardshrink, nn.Tanhshrink, nn.Hardtanh,
    nn.Hardswish, nn.Hardsigmoid, nn.Threshold, nn.Softmax, nn.LogSoftmax,
    nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout,
)  # fmt: skip
_POOLING_MODULES = (
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.LPPool1d, nn.LPPool2d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
    nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d, nn.Upsample,
    nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d, nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d,
    nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d, nn.ReplicationPad1d, nn.ReplicationPad2d,
    nn.ReplicationPad3d, nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d,
)  # fmt: skip
_ELEMENTWISE = {
    "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "tanh", "sigmoid", "logsigmoid",
    "softplus", "softsign", "hardtanh", "hardswish", "hardsigmoid", "threshold", "softmax", "log_softmax", "dropout",
    "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "neg", "abs", "exp", "log", "log1p", "sqrt", "rsqrt",
    "square", "pow", "sin", "cos", "erf", "clamp", "clip", "contiguous", "clone", "detach", "float", "double", "half",
    "bfloat16", "to",
}  # fmt: skip
_POOLING = {
    "max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d",
    "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d",
    "interpolate",
}  # fmt: skip
_BINARY = {
    "add", "iadd", "sub", "isub", "mul", "imul", "truediv", "itruediv", "div", "maximum", "minimum",
}  # fmt: skip
_UNTRACEABLE = (TypeError, ValueError, RuntimeError, AttributeError, LookupError, NotImplementedError, AssertionError)


def permutable_axes(model: nn.Module) -> dict[str, Axes]:
    """Groups of axes (parameter or buffer, axis) that number the same hidden units, by the layer that makes the units.

    Found by tracing the model with torch.fx. Known are linear, convolutional (depthwise and transposed ones too) and
    embedding layers, normalisation, elementwise functions, pooling, flattening, residual sums and products, and
    parameters that are added or multiplied. An axis can be a multiple of the number of units, as after flattening: each
    unit then has so many consecutive entries.

    Raises:
        ValueError: if the model cannot be traced, or hidden units enter something whose symmetry is not known.
    """
    with isolated(model):
        try:
            graph = fx.Tracer().trace(model)
        except _UNTRACEABLE as reason:
            raise ValueError(
                f"permutation symmetries could not be read from {type(model).__name__}: torch.fx cannot trace it "
                f"({reason}); {_REMEDY}"
            ) from reason
        return _Symmetries(model).of(graph)


_REMEDY = "give permutations={name: ((parameter, axis), ...)} by hand"


@dataclass(frozen=True)
class _Features:
    """The axis of features of a tensor in the graph.

    Attributes:
        units: What numbers them.
        length: Entries along the axis, a multiple of the number of units; after flattening, a divisor of it. Zero for
            inputs, whose axes have no permutation.
        spatial: Dimensions after it: 0 for outputs of linear layers, those of the image for channels.
        flat: Whether dimensions after it have been flattened into it.
    """

    units: int
    length: int
    spatial: int = 0
    flat: bool = False


_INPUT = _Features(_FIXED, 0)


@dataclass
class _Symmetries:
    """Hands features on from node to node, and gathers the axes that number the same units.

    Attributes:
        model: The traced module.
        counts: Number of each kind of units.
        makers: The layer that makes them.
        axes: The units along each axis of a parameter or buffer.
    """

    model: nn.Module
    counts: list[int] = field(default_factory=lambda: [0])
    makers: list[str] = field(default_factory=lambda: [""])
    axes: dict[tuple[str, int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._parents = [_FIXED]
        self._values: dict[fx.Node, _Features | None] = {}
        tensors = [*self.model.named_parameters(), *self.model.named_buffers()]
        self._names = {id(tensor): name for name, tensor in tensors}
        self._node: fx.Node | None = None

    def of(self, graph: fx.Graph) -> dict[str, Axes]:
        """The groups of axes of the traced graph."""
        for node in graph.nodes:
            self._node = node
            self._values[node] = self._value(node)
        groups: dict[str, list[tuple[str, int]]] = {}
        for axis, units in self.axes.items():
            root = self._root(units)
            if root != _FIXED:
                groups.setdefault(self.makers[root], []).append(axis)
        return {maker: tuple(axes) for maker, axes in groups.items()}

    # Nodes

    def _value(self, node: fx.Node) -> _Features | None:
        """The features of what a node computes; None for what is no tensor with features, such as sizes and numbers."""
        if node.op == "placeholder":
            return _INPUT
        if node.op == "get_attr":
            return None
        found = [self._values[other] for other in node.all_input_nodes]
        features = [one for one in found if one is not None]
        if node.op == "output":
            for one in features:
                self._tie(one.units, _FIXED)
            return None
        if node.op == "call_module":
            return self._module(str(node.target), features)
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        return self._function(name.rstrip("_"), node, features)

    def _module(self, prefix: str, features: list[_Features]) -> _Features:
        module = self.model.get_submodule(prefix)
        rule = next((rule for kinds, rule in _MODULE_RULES if isinstance(module, kinds)), None)
        if rule is not None and len(features) == 1:
            return rule(self, module, features[0])
        if not self._hidden(*features):
            return _INPUT
        return self._refuse(f"the symmetry of {type(module).__name__} is not known")

    def _function(self, name: str, node: fx.Node, features: list[_Features]) -> _Features | None:
        if not features or name in ("size", "dim", "numel") or (name == "getattr" and node.args[1] != "T"):
            return None
        if not self._hidden(*features):
            return _INPUT
        x, alone = features[0], len(node.all_input_nodes) == 1
        if name in _BINARY:
            return self._binary(node, features)
        if alone and (name in _ELEMENTWISE or (name in _POOLING and x.spatial)):
            return x
        if name == "flatten" and _argument(node, 1, "start_dim", 0) == 1 and _argument(node, 2, "end_dim", -1) == -1:
            return _flattened(x)
        if name in ("view", "reshape") and len(node.args) == 3 and -1 in node.args:
            return _flattened(x)
        if name in ("mean", "sum", "amax") and x.spatial and _all_spatial(_argument(node, 1, "dim", None), x.spatial):
            return x if _argument(node, 2, "keepdim", False) else replace(x, spatial=0)
        return self._refuse(f"the symmetry of this use of {name} is not known")

    def _binary(self, node: fx.Node, features: list[_Features]) -> _Features:
        x = features[0]
        for other in features[1:]:
            if self._hidden(x) and self._hidden(other) and replace(x, units=other.units) != other:
                self._refuse("it joins features of different shapes")
            self._tie(x.units, other.units)
        if not self._hidden(x):
            return _INPUT
        for other_node in node.all_input_nodes:
            if other_node.op == "get_attr":
                self._learned(str(other_node.target), x)
        return x

    def _learned(self, target: str, x: _Features) -> None:
        """A parameter or buffer that is added to features, or multiplies them."""
        owner, _, local = target.rpartition(".")
        tensor = getattr(self.model.get_submodule(owner), local)
        axis = tensor.ndim - 1 - x.spatial
        if axis < 0 or tensor.shape[axis] == 1:
            return
        if x.flat or tensor.shape[axis] != x.length:
            self._refuse(f"{target} does not have one entry for each of {x.length} features")
        self._number(self._names[id(tensor)], axis, x.units)

    # Modules

    def _linear(self, module: nn.Linear, x: _Features) -> _Features:
        if x.spatial and self._hidden(x):
            self._refuse("its input has channels first; flatten them, or take their mean, before a linear layer")
        self._expect(module.in_features, x, "in_features")
        self._members(module, x.units, weight=1)
        made = self._new(module.out_features)
        self._members(module, made.units, weight=0, bias=0)
        return made

    def _embedding(self, module: nn.Embedding | nn.EmbeddingBag, x: _Features) -> _Features:
        if self._hidden(x):
            self._refuse("tokens cannot be hidden units")
        made = self._new(module.embedding_dim)
        self._members(module, made.units, weight=1)
        return made

    def _convolution(self, module: _ConvNd, x: _Features) -> _Features:
        hidden, spatial = self._hidden(x), len(module.kernel_size)
        if hidden and x.spatial != spatial:
            self._refuse(f"its input has {x.spatial} dimensions after the channels, expected {spatial}")
        self._expect(module.in_channels, x, "in_channels")
        transposed = isinstance(module, _ConvTransposeNd)
        if module.groups == 1:
            self._members(module, x.units, weight=0 if transposed else 1)
            made = replace(self._new(module.out_channels), spatial=spatial)
            self._members(module, made.units, weight=1 if transposed else 0, bias=0)
            return made
        if module.groups == module.in_channels:  # depthwise: each channel is handed on
            self._members(module, x.units, weight=0, bias=0)
            return _Features(x.units, module.out_channels, spatial)
        if hidden:
            self._refuse(f"its {module.groups} groups of channels cannot be permuted freely")
        return _INPUT

    def _channel_norm(self, module: _NormBase | nn.GroupNorm, x: _Features) -> _Features:
        self._expect(module.num_features if isinstance(module, _NormBase) else module.num_channels, x, "channels")
        if isinstance(module, nn.GroupNorm) and module.num_groups not in (1, module.num_channels):
            if self._hidden(x):
                self._refuse(f"its {module.num_groups} groups of channels cannot be permuted freely")
            return x
        self._members(module, x.units, weight=0, bias=0, running_mean=0, running_var=0)
        return x

    def _layer_norm(self, module: nn.LayerNorm | nn.RMSNorm, x: _Features) -> _Features:
        axis = len(module.normalized_shape) - 1 - x.spatial
        if axis < 0:  # over the image alone
            return x
        if axis and x.spatial:
            self._refuse("it normalises over more than the channels and the image")
        self._expect(module.normalized_shape[axis], x, "normalised features")
        self._members(module, x.units, weight=axis, bias=axis)
        return x

    def _prelu(self, module: nn.PReLU, x: _Features) -> _Features:
        if module.num_parameters > 1:
            self._expect(module.num_parameters, x, "num_parameters")
            self._members(module, x.units, weight=0)
        return x

    def _elementwise(self, _: nn.Module, x: _Features) -> _Features:
        return x

    def _pooling(self, _: nn.Module, x: _Features) -> _Features:
        if not x.spatial and self._hidden(x):
            self._refuse("it pools over the features")
        return x

    def _flatten(self, module: nn.Flatten, x: _Features) -> _Features:
        if (module.start_dim, module.end_dim) != (1, -1) and self._hidden(x):
            self._refuse("it does not flatten from the first dimension after the examples to the last")
        return _flattened(x)

    # Units

    def _new(self, count: int) -> _Features:
        if count == 1:
            return _Features(_FIXED, 1)
        self.counts.append(count)
        self.makers.append(str(self._node.target if self._node else ""))
        self._parents.append(len(self._parents))
        return _Features(len(self._parents) - 1, count)

    def _hidden(self, *features: _Features) -> bool:
        """Whether any of them has units whose order is free."""
        return any(self._root(one.units) != _FIXED for one in features)

    def _root(self, units: int) -> int:
        while self._parents[units] != units:
            units = self._parents[units]
        return units

    def _tie(self, one: int, other: int) -> None:
        first, second = sorted((self._root(one), self._root(other)))
        if first != _FIXED and self.counts[first] != self.counts[second]:
            self._refuse(f"it ties {self.counts[first]} units to {self.counts[second]}")
        self._parents[second] = first

    def _members(self, module: nn.Module, units: int, **axes: int) -> None:
        """Notes that these axes of a module's parameters and buffers number the units."""
        for local, axis in axes.items():
            tensor = getattr(module, local, None)
            if isinstance(tensor, Tensor):
                if id(tensor) not in self._names:
                    self._refuse(f"its {local} is computed from other parameters")
                self._number(self._names[id(tensor)], axis, units)

    def _number(self, name: str, axis: int, units: int) -> None:
        if (name, axis) in self.axes:  # a weight that is used twice
            self._tie(self.axes[name, axis], units)
        self.axes[name, axis] = units

    def _expect(self, length: int, x: _Features, what: str) -> None:
        if not self._hidden(x):
            return
        fits = length % x.length == 0 if x.flat else length == x.length
        if not fits:
            self._refuse(f"it has {length} {what}, but {x.length} features come in")

    def _refuse(self, why: str) -> NoReturn:
        where = self._node.format_node() if self._node is not None else ""
        place = self._node.target if self._node is not None and self._node.op == "call_module" else where
        raise ValueError(f"permutation symmetries are not known through {place}: {why}; {_REMEDY}")


_MODULE_RULES: tuple[tuple[Any, Callable[[_Symmetries, Any, _Features], _Features]], ...] = (
    (nn.Linear, _Symmetries._linear),
    (_ConvNd, _Symmetries._convolution),
    ((nn.Embedding, nn.EmbeddingBag), _Symmetries._embedding),
    ((_NormBase, nn.GroupNorm), _Symmetries._channel_norm),
    ((nn.LayerNorm, nn.RMSNorm), _Symmetries._layer_norm),
    (nn.PReLU, _Symmetries._prelu),
    (_ELEMENTWISE_MODULES, _Symmetries._elementwise),
    (_POOLING_MODULES, _Symmetries._pooling),
    (nn.Flatten, _Symmetries._flatten),
)


def _flattened(x: _Features) -> _Features:
    return replace(x, spatial=0, flat=x.flat or x.spatial > 0)


def _argument(node: fx.Node, position: int, name: str, default: Any) -> Any:
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)


def _all_spatial(dims: int | Iterable[int] | None, spatial: int) -> bool:
    chosen = {dims} if isinstance(dims, int) else set(dims or ())
    return {dim - spatial - 2 if dim >= 0 else dim for dim in chosen} == set(range(-spatial, 0))
