"""The features of a layer: taken during a forward pass, one vector for each example."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from landscope.evaluation import per_example
from landscope.objective import Objective

__all__ = ["Features", "Readout", "features", "forward_pass", "layerwise"]

logger = logging.getLogger(__name__)


class Features(NamedTuple):
    """The features of one layer.

    Attributes:
        values: (n, d), in the model's precision, on the CPU.
        labels: (n,) the classes; None where targets are not one class per example.
        layer: The layer's name; where none was asked for, the linear layer whose inputs these are.
    """

    values: Tensor
    labels: Tensor | None
    layer: str


def features(
    objective: Objective,
    layer: str | None = None,
    *,
    theta: Tensor | None = None,
    examples: int | None = None,
    seed: int = 0,
) -> Features:
    """The features of each example at one layer.

    Space and tokens are averaged over: the result has one vector for each example. Channels are taken to be dimension 1
    for images, and wherever a convolution, pooling or batch, group or instance normalisation made them; else the last.

    Args:
        objective: Whose network, and whose examples.
        layer: Name of a module, as in `model.named_modules()`, whose output is taken, the last one where it runs
            several times in a pass; by default the input of the linear layer that runs last.
        theta: Where; the model's weights by default.
        examples: At most this many, a subset that is the same at every call; None takes all.
        seed: Chooses the subset.

    Raises:
        ValueError: if there is no such layer, it did not run, its output has no row for each example, the objective
            recomputes batch-norm statistics, or `examples` is not positive.
        TypeError: if the layer's output holds no floating-point tensor.
    """
    if examples is not None:
        objective = objective.sample(examples, seed=seed)
    with objective.measuring():
        readout = forward_pass(objective, layer, theta)
        return Features(readout.features, objective.labels(), readout.layer)


@dataclass(frozen=True)
class Readout:
    """What one pass over the data saw.

    Attributes:
        features: (N, d) of the layer, on the CPU.
        layer: Its name.
        outputs: The network's outputs (N, ...), on the CPU.
        weight: (C, d) the weight of the linear layer that ran last, if the features are what it read; else None.
        losses: (N,) of each example alone, where they were asked for and the loss has them; else None.
    """

    features: Tensor
    layer: str
    outputs: Tensor
    weight: Tensor | None
    losses: Tensor | None = None


def forward_pass(objective: Objective, layer: str | None, theta: Tensor | None, *, losses: bool = False) -> Readout:
    """Runs the network over the objective's data and keeps a layer's features; arguments as in `features`.

    `losses` asks for the loss of each example too, where the loss has one.
    """
    modules = _modules(objective, [] if layer is None else [layer])
    named = objective.layout.unflatten(objective.theta() if theta is None else theta.detach())
    objective.work.forwards += 1
    pieces, outputs, reads = [], [], True
    single: list[Tensor] | None = [] if losses else None
    with torch.no_grad(), _hooks(modules, layer) as seen:
        for batch, size in objective.batches_on_device():
            seen.clear()
            output = objective.function(named, batch)
            outputs.append(_first_tensor(output, "the model's output").cpu())
            single = _with_losses(single, objective, output, batch, size)
            if layer is None and seen.linear is None:
                raise ValueError(f"no linear layer ran: name a layer to take the output of; {_suggestion('', modules)}")
            if layer is not None and seen.output is None:
                raise ValueError(f"layer {layer!r} did not run in the model's forward pass")
            name = layer or str(seen.linear)
            values = _rows_of(seen.inputs if layer is None else seen.output, name, size)
            reads = reads and seen.inputs is not None and torch.equal(values, seen.inputs)
            pieces.append(_pooled(values, modules[name]).cpu())
        weight = seen.weight.cpu() if reads and seen.weight is not None else None
    return Readout(torch.cat(pieces), name, torch.cat(outputs), weight, None if single is None else torch.cat(single))


def layerwise(
    objective: Objective,
    layers: Sequence[str] | None = None,
    *,
    theta: Tensor | None = None,
    examples: int | None = 512,
    seed: int = 0,
) -> dict[str, Tensor]:
    """The features (n, d) of several layers, of one pass over the same examples, by the layers' names.

    Args:
        objective: Whose network, and whose examples.
        layers: Names of modules whose outputs are taken, pooled as `features` does; by default every module without
            children whose output is a tensor with a row for each example, in the order in which they run.
        theta: Where; the model's weights by default.
        examples: At most this many, a subset that is the same at every call; None takes all.
        seed: Chooses the subset.

    Raises:
        ValueError: if a layer is named that is not there, did not run or has no row for each example, no layer has, or
            the objective recomputes batch-norm statistics.
        TypeError: if the output of a layer that is named holds no floating-point tensor.
    """
    if examples is not None:
        objective = objective.sample(examples, seed=seed)
    modules = _modules(objective, layers or [])
    named = objective.layout.unflatten(objective.theta() if theta is None else theta.detach())
    chosen = layers or [name for name, module in modules.items() if name and not list(module.children())]
    pieces: dict[str, list[Tensor]] = {}
    with objective.measuring(), torch.no_grad(), _outputs(modules, chosen) as outputs:
        objective.work.forwards += 1
        for batch, size in objective.batches_on_device():
            outputs.clear()
            objective.function(named, batch)
            for name in list(outputs) if layers is None else layers:
                if name not in outputs:
                    raise ValueError(f"layer {name!r} did not run in the model's forward pass")
                if layers is None and not _has_rows(outputs[name], size):
                    continue
                values = _rows_of(outputs[name], name, size)
                pieces.setdefault(name, []).append(_pooled(values, modules[name]).cpu())
    found = {name: torch.cat(parts) for name, parts in pieces.items()}
    found = {name: values for name, values in found.items() if len(values) == objective.examples}
    if not found:
        raise ValueError("no layer of the model has an output with a row for each example: name the layers to take")
    return found


def _modules(objective: Objective, layers: Sequence[str]) -> dict[str, nn.Module]:
    """The model's modules by name, all names of shared ones."""
    if objective.batch_norm == "recompute":
        raise ValueError("features are not taken with batch_norm='recompute'; use an objective with 'eval' or 'batch'")
    modules = dict(objective.model.named_modules(remove_duplicate=False))
    for layer in layers:
        if layer not in modules:
            raise ValueError(f"the model has no layer {layer!r}; {_suggestion(layer, modules)}")
    return modules


def _with_losses(
    so_far: list[Tensor] | None, objective: Objective, output: Any, batch: Any, size: int
) -> list[Tensor] | None:
    """The losses of the batch's examples added to those so far; None once there are none."""
    if so_far is None:
        return None
    try:
        return [*so_far, per_example(objective.loss, output, objective.target(batch), size).double().cpu()]
    except (TypeError, ValueError) as reason:
        logger.info("examples are shown without their losses: %s", reason)
        return None


@contextmanager
def _outputs(modules: dict[str, nn.Module], names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Watches the outputs of some modules, tensors with rows pooled: by name, in the order in which they last ran."""
    seen: dict[str, Any] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            seen.pop(name, None)
            # At once, as not all activations may fit, and what follows may change them in place.
            rows = isinstance(output, Tensor) and output.is_floating_point() and output.ndim > 1
            seen[name] = _pooled(output, module).clone() if rows else output

        return hook

    with ExitStack() as stack:
        for name in names:
            stack.callback(modules[name].register_forward_hook(keep(name)).remove)
        yield seen


@dataclass
class _Seen:
    """What the hooks saw in one batch: a layer's output; the linear layer that ran last, its input and its weight."""

    output: Any = None
    linear: str | None = None
    inputs: Tensor | None = None
    weight: Tensor | None = None

    def clear(self) -> None:
        self.output = self.linear = self.inputs = self.weight = None


@contextmanager
def _hooks(modules: dict[str, nn.Module], layer: str | None) -> Iterator[_Seen]:
    """Watches a layer's output and every linear layer's input; the hooks are gone afterwards, the user's stay."""
    seen = _Seen()

    def keep_output(module: nn.Module, args: Any, output: Any) -> None:
        seen.output = tree_map_only(Tensor, Tensor.clone, output)  # what follows may change it in place

    def keep_input(name: str) -> Callable[[nn.Linear, tuple[Any, ...], dict[str, Any]], None]:
        def hook(module: nn.Linear, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            inputs = args[0] if args else kwargs["input"]
            seen.linear, seen.inputs, seen.weight = name, inputs.detach(), module.weight.detach()

        return hook

    with ExitStack() as stack:
        if layer is not None:
            stack.callback(modules[layer].register_forward_hook(keep_output).remove)
        for module, name in {module: name for name, module in reversed(modules.items())}.items():
            if isinstance(module, nn.Linear):
                stack.callback(module.register_forward_pre_hook(keep_input(name), with_kwargs=True).remove)
        yield seen


def _suggestion(layer: str, modules: dict[str, nn.Module]) -> str:
    names = [name for name in modules if name]
    close = get_close_matches(layer, names, n=5, cutoff=0.4) or names[:10]
    return f"did you mean {' or '.join(map(repr, close))}?" if close else "it has no named layers"


def _rows_of(output: Any, name: str, size: int) -> Tensor:
    values = _first_tensor(output, f"the output of layer {name!r}")
    if values.ndim < 2 or len(values) != size:
        raise ValueError(
            f"layer {name!r} has features of shape {tuple(values.shape)}, expected one row for each of the "
            f"batch's {size} examples"
        )
    return values


def _has_rows(output: Any, size: int) -> bool:
    return isinstance(output, Tensor) and output.is_floating_point() and output.ndim > 1 and len(output) == size


def _first_tensor(tree: Any, name: str) -> Tensor:
    for leaf in tree_leaves(tree):
        if isinstance(leaf, Tensor) and leaf.is_floating_point():
            return leaf.detach()
    raise TypeError(f"{name} must hold a floating-point tensor, got {type(tree).__name__}")


_CHANNELS_FIRST = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
    nn.GroupNorm,
)
_CHANNELS_LAST = (nn.Linear, nn.LayerNorm, nn.Embedding)


def _pooled(values: Tensor, module: nn.Module) -> Tensor:
    """(b, d): the mean over space or tokens."""
    if values.ndim == 2:
        return values
    first = isinstance(module, _CHANNELS_FIRST) or (values.ndim > 3 and not isinstance(module, _CHANNELS_LAST))
    return values.flatten(2).mean(2) if first else values.flatten(1, -2).mean(1)
