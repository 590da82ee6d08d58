"""The loss as a function of something else than weights: of inputs, of a layer's output, of a latent, of any tensor.

Each function here makes an `Objective` whose theta is that tensor, flat, and whose constants are the weights, so that
slices, gradients and Hessians are taken as they are of weights. The tensor's rows, one for each example, are its
filters: with normalisation "filter" each row of a random direction has the norm of that row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from landscope.evaluation import Forward, default_forward
from landscope.isolation import autograd_tensors
from landscope.objective import Objective

__all__ = ["NORMS", "Norm", "adversarial_direction", "adversarial_plane", "of_inputs", "of_layer", "of_tensor"]

Norm = Literal["l2", "linf"]
NORMS: tuple[Norm, ...] = ("l2", "linf")

_NAMED = 10  # layers that an error names


def of_tensor(function: Callable[[Tensor], Tensor], tensor: Tensor, *, split: str = "") -> Objective:
    """L(z) = function(z), for any floating-point tensor; the z that it is measured around is a copy of `tensor`.

    A decoder's latent, for instance: `of_tensor(lambda z: loss(decoder(z), image), z)`. What a function calls cannot be
    seen: put its modules in evaluation mode before. A function that is itself a module is in evaluation mode while it
    is measured. Outputs are the losses themselves, so that the Gauss-Newton matrix is zero.

    Args:
        function: From a tensor of the shape of `tensor` to a tensor of one element.
        tensor: Where to measure. Of two dimensions or more, each row is a filter; else it is one as a whole.
        split: What it is, for provenance.

    Raises:
        TypeError: if `tensor` is no floating-point tensor, or the function's value no tensor.
        ValueError: if that value has several elements, is not finite, does not depend on z, or differs from call to
            call.
    """
    if not (isinstance(tensor, Tensor) and tensor.is_floating_point()):
        found = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
        raise TypeError(f"tensor must be a floating-point tensor, got {found}; only such have directions to move in")
    model = _OfTensor(tensor, function)
    data = [torch.zeros(1, device=tensor.device)]  # one example, of which the function knows nothing
    return Objective(model, _mean, data, forward=lambda model, _: model(), parameters=["values"], split=split)


def of_inputs(objective: Objective, examples: Sequence[int] | Tensor | None = None) -> Objective:
    """The loss as a function of the inputs of some examples: theta is these, one after the other, flat.

    L(x_1, ..., x_n) = (1/n) sum_i loss(model(x_i), y_i), with weights and targets held. It is measured around the
    inputs as they are in the data.

    Args:
        objective: The model, its loss and its data.
        examples: Positions (n,) of examples, or a mask; None takes all. They are taken in increasing order.

    Raises:
        ValueError: if a batch has no floating-point input or several, inputs differ in shape, or a position is out of
            range.
    """
    chosen = objective if examples is None else objective.subset(examples)
    inputs, places = [], set()
    for batch, _ in chosen.batches_on_device():
        place = _input_place(batch, chosen.target(batch))
        inputs.append(tree_leaves(batch)[place])
        places.add(place)
    if len(places) > 1 or len({piece.shape[1:] for piece in inputs}) > 1:
        raise ValueError(
            "inputs must have one shape in all batches to be moved together; choose examples that share it"
        )
    model = _OfInputs(torch.cat(inputs), chosen.model, chosen.function.forward or default_forward, places.pop())
    return _moving(model, chosen, "inputs")


def of_layer(objective: Objective, layer: str) -> Objective:
    """The loss as a function of a layer's output on all examples: theta is that output, flat, put in its place.

    What comes before the layer then matters no more, and what comes after sees the new output (activation patching).
    Of a model of tokens it is the embedding layer whose output can be moved, since tokens cannot. It is measured around
    the layer's output at the model's weights.

    Args:
        objective: The model, its loss and its data.
        layer: Name of a module as in `model.named_modules()`.

    Raises:
        ValueError: if there is no such layer, it runs several times or not at all in one pass, its output is no
            floating-point tensor with one row for each example, or has several shapes; or if batch-norm statistics
            are recomputed.
    """
    if objective.batch_norm == "recompute":
        raise ValueError(
            "a layer's output is not held while statistics are recomputed; use batch_norm='eval' or 'batch'"
        )
    outputs = _outputs_of(objective, layer)
    if len({piece.shape[1:] for piece in outputs}) > 1:
        raise ValueError(
            f"the output of layer {layer!r} must have one shape in all batches; choose examples that share it"
        )
    model = _OfLayer(torch.cat(outputs), objective.model, objective.function.forward or default_forward, layer)
    return _moving(model, objective, f"output of {layer}")


def adversarial_direction(objective: Objective, *, norm: Norm = "l2", theta: Tensor | None = None) -> Tensor:
    """The direction (P,) of length 1 along which the loss grows fastest: g / |g|, or sign(g) in the maximum norm.

    With `of_inputs` that is the direction of the fast gradient method (Goodfellow et al. 2015), and a coordinate along
    it the size of the perturbation in that norm.

    Args:
        objective: A function of inputs, or of anything else.
        norm: "l2" or "linf".
        theta: (P,) where; the objective's own theta by default.

    Raises:
        ValueError: if the norm is unknown, or the gradient is zero or not finite.
    """
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {', '.join(NORMS)}, got {norm!r}")
    gradient = objective.gradient(theta)
    length = float(gradient.double().norm())
    if not 0.0 < length < float("inf"):
        raise ValueError(f"the gradient has norm {length} here, so no direction is steepest; measure somewhere else")
    return gradient.sign() if norm == "linf" else (gradient.double() / length).to(gradient.dtype)


def adversarial_plane(objective: Objective, *, norm: Norm = "l2", seed: int = 0, theta: Tensor | None = None) -> Tensor:
    """The adversarial direction and a random one of the same length, (2, P), for `slice2d`.

    In the Euclidean norm the random one is Gaussian and orthogonal to the first, in the maximum norm it has random
    signs. Around one example: `one = of_inputs(objective, [3]); slice2d(one, adversarial_plane(one))`.

    Args:
        objective: A function of inputs, or of anything else, of at least two numbers.
        norm: "l2" or "linf".
        seed: Of the random direction.
        theta: (P,) where; the objective's own theta by default.

    Raises:
        ValueError: as `adversarial_direction`, and if theta is a single number.
    """
    first = adversarial_direction(objective, norm=norm, theta=theta)
    if len(first) < 2:
        raise ValueError("a plane needs a theta of at least two numbers, got one")
    drawn = torch.randn(len(first), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if norm == "linf":
        return torch.stack([first, drawn.sign().to(first)])
    unit = first.double()
    unit, drawn = unit / unit.norm(), drawn.to(first.device)
    beside = drawn - (drawn @ unit) * unit
    return torch.stack([first, (beside / beside.norm()).to(first)])


class _Moving(nn.Module):
    """A tensor as the one parameter, kept as rows: what divides weights into filters takes each row for one."""

    def __init__(self, tensor: Tensor, rows: int) -> None:
        super().__init__()
        with autograd_tensors():
            self.values = nn.Parameter(tensor.detach().clone().reshape(rows, -1))
        self._shape = tensor.shape

    def tensor(self) -> Tensor:
        """The tensor in its own shape."""
        return self.values.reshape(self._shape)


class _OfTensor(_Moving):
    def __init__(self, tensor: Tensor, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__(tensor, len(tensor) if tensor.ndim > 1 else 1)
        self.function = function

    def forward(self) -> Tensor:
        value = self.function(self.tensor())
        if not isinstance(value, Tensor):
            raise TypeError(f"function must return a tensor, got {type(value).__name__}")
        if value.numel() != 1:
            raise ValueError(f"function must return one number, got shape {tuple(value.shape)}; take its mean")
        return value.reshape(1)


class _OfInputs(_Moving):
    def __init__(self, inputs: Tensor, model: nn.Module, call: Forward, place: int) -> None:
        super().__init__(inputs, len(inputs))
        self.model, self._call, self._place = model, call, place

    def forward(self, batch: Any, rows: Tensor) -> Any:
        leaves, form = tree_flatten(batch)
        leaves[self._place] = self.tensor()[rows]
        return self._call(self.model, tree_unflatten(leaves, form))


class _OfLayer(_Moving):
    def __init__(self, outputs: Tensor, model: nn.Module, call: Forward, layer: str) -> None:
        super().__init__(outputs, len(outputs))
        self.model, self._call, self._layer = model, call, layer

    def forward(self, batch: Any, rows: Tensor) -> Any:
        output = self.tensor()[rows]
        hook = self.model.get_submodule(self._layer).register_forward_hook(lambda *_: output)
        try:
            return self._call(self.model, batch)
        finally:
            hook.remove()


def _moving(model: _Moving, objective: Objective, what: str) -> Objective:
    """The objective's loss over its batches, each with the rows of `model`'s tensor that belong to it."""
    rows = torch.arange(objective.examples, device=objective.layout.device).split(list(objective.batches.sizes))
    return Objective(
        model,
        objective.loss,
        list(zip(objective.batches.items, rows, strict=True)),
        forward=lambda model, pair: model(*pair),
        target=lambda pair: objective.target(pair[0]),
        batch_norm=objective.batch_norm,
        parameters=["values"],
        split=f"{objective.split} ({what} moved)".strip(),
    )


def _input_place(batch: Any, target: Any) -> int:
    """Which leaf of a batch is the input: its floating-point tensor that is no target, or else that is."""
    targets = {id(leaf) for leaf in tree_leaves(target)}
    leaves = [leaf if isinstance(leaf, Tensor) else None for leaf in tree_leaves(batch)]
    floating = [place for place, leaf in enumerate(leaves) if leaf is not None and leaf.is_floating_point()]
    free = [place for place in floating if id(leaves[place]) not in targets] or floating
    if not free:
        types = ", ".join(str(leaf.dtype) for leaf in leaves if leaf is not None) or "no tensor"
        raise ValueError(
            f"inputs must be floating-point tensors to be moved, got {types}; move the output of the layer that takes "
            "them, of_layer(objective, 'embedding'), or give the data as floating-point numbers"
        )
    if len(free) > 1:
        raise ValueError(
            f"a batch must have one floating-point input, got {len(free)}; use of_tensor(function, tensor) with a "
            "function of the one that is to move"
        )
    return free[0]


def _outputs_of(objective: Objective, layer: str) -> list[Tensor]:
    """The output of a layer on each batch."""
    modules = {name: module for name, module in objective.model.named_modules() if name}
    if layer not in modules:
        some = ", ".join(list(modules)[:_NAMED]) or "none with a name"
        raise ValueError(f"the model has no layer {layer!r}; its layers are {some}")
    outputs: list[Tensor] = []
    seen: list[Any] = []

    def keep(module: nn.Module, args: Any, output: Any) -> None:  # a copy: what follows may write to it
        seen.append(output.clone() if isinstance(output, Tensor) else output)

    hook = modules[layer].register_forward_hook(keep)
    try:
        with objective.measuring(), torch.no_grad():
            for batch, size in objective.batches_on_device():
                seen.clear()
                objective.function({}, batch)
                if len(seen) != 1:
                    raise ValueError(f"layer {layer!r} must run once in a pass to be moved, it ran {len(seen)} times")
                outputs.append(_rows_of(seen[0], layer, size))
    finally:
        hook.remove()
    return outputs


def _rows_of(output: Any, layer: str, size: int) -> Tensor:
    if not (isinstance(output, Tensor) and output.is_floating_point() and output.shape[:1] == (size,)):
        found = f"{output.dtype} of {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(
            f"the output of layer {layer!r} must be a floating-point tensor with a row for each of {size} examples, "
            f"got {found}; name a layer that gives one"
        )
    return output


def _mean(output: Tensor, _: Tensor) -> Tensor:
    return output.mean()
