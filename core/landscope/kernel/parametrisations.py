"""How a network's scales go with its width: standard, NTK, mean-field and maximal-update parametrisations."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["PARAMETRISATIONS", "Parametrisation", "Scaled", "parametrised"]


@dataclass(frozen=True)
class Parametrisation:
    """An abc-parametrisation (Yang and Hu 2021): W = n^-a w with w ~ N(0, n^-2b), learning rate eta n^-c, n the width.

    Attributes:
        name: Its name.
        first: a and b of the first layer's weights, whose fan-in does not grow.
        hidden: a and b of hidden layers.
        last: a and b of the last layer.
        c: Exponent of the learning rate.
    """

    name: str
    first: tuple[float, float]
    hidden: tuple[float, float]
    last: tuple[float, float]
    c: float

    def learning_rate(self, base: float, width: int) -> float:
        """The learning rate of SGD at some width, for one of `base` at width 1."""
        rate: float = base * float(width) ** -self.c
        return rate

    def feature_exponent(self, layers: int) -> float:
        """R of the movement of features in one step of SGD, n^-r, for some hidden layers (Yang and Hu 2021, eq. 5).

        0 is feature learning, 1/2 the kernel regime, below 0 the features blow up.
        """
        (a_last, b_last), slopes = self.last, [2 * self.first[0] + 1]
        if layers > 1:
            slopes.append(2 * self.hidden[0])
        return min(a_last + b_last, 2 * a_last + self.c) + self.c - 1 + min(slopes)


PARAMETRISATIONS = {
    one.name: one
    for one in (
        # PyTorch's, with the largest learning rate at which it does not blow up
        Parametrisation("standard", first=(0, 0), hidden=(0, 0.5), last=(0, 0.5), c=1),
        Parametrisation("ntk", first=(0, 0), hidden=(0.5, 0), last=(0.5, 0), c=0),
        Parametrisation("mean-field", first=(0, 0), hidden=(1, 0), last=(1, 0), c=-1),
        Parametrisation("mup", first=(-0.5, 0.5), hidden=(0, 0.5), last=(0.5, 0.5), c=0),
    )
}


class Scaled(nn.Module):
    """A layer z = m W x + m_b c with fixed multipliers.

    Args:
        layer: A linear layer or a convolution.
        multiplier: m.
        bias_multiplier: m_b.
    """

    def __init__(self, layer: nn.Module, multiplier: float, bias_multiplier: float) -> None:
        super().__init__()
        self.layer, self.multiplier, self.bias_multiplier = layer, multiplier, bias_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """The layer's outputs."""
        z: Tensor = self.bias_multiplier * self.layer(x * (self.multiplier / self.bias_multiplier))
        return z


def parametrised(model: nn.Module, name: str, *, gain: float = 1.0, seed: int = 0) -> nn.Module:
    """A copy of a network in one of the `PARAMETRISATIONS`, newly initialised.

    Its linear layers and convolutions are taken in the order in which they were registered: the width of the first is
    its number of outputs, that of all others their fan-in. Biases are 0 at the beginning. The learning rate that
    belongs to it is `PARAMETRISATIONS[name].learning_rate(base, width)`.

    Args:
        model: A network of two such layers at least.
        name: "standard", "ntk", "mean-field" or "mup".
        gain: Multiplies every weight, e.g. sqrt(2) for ReLU.
        seed: Of the initial weights.

    Raises:
        ValueError: if the name is unknown, there are too few layers, or, for the mean-field parametrisation, more than
            one hidden layer: the features of deeper ones vanish at initialisation.
    """
    if name not in PARAMETRISATIONS:
        raise ValueError(f"parametrisation must be one of {', '.join(PARAMETRISATIONS)}, got {name!r}")
    kind, copy = PARAMETRISATIONS[name], deepcopy(model)
    layers = [path for path, module in copy.named_modules() if isinstance(module, _Layer)]
    if len(layers) < 2:
        raise ValueError(f"a parametrisation needs two linear layers or convolutions at least, got {len(layers)}")
    if name == "mean-field" and len(layers) > 2:
        raise ValueError(
            f"the mean-field parametrisation is for one hidden layer, got {len(layers) - 1}; use 'mup', its extension"
        )
    generator = torch.Generator().manual_seed(seed)
    for path in layers:
        layer = copy.get_submodule(path)
        assert isinstance(layer, _Layer)
        fan_in = layer.weight[0].numel()
        is_first, is_last = path == layers[0], path == layers[-1]
        width = len(layer.weight) if is_first else fan_in
        a, b = kind.first if is_first else kind.last if is_last else kind.hidden
        multiplier, deviation = gain * float(width) ** -a, float(width) ** -b
        if is_first and name == "standard":
            deviation *= fan_in**-0.5
        elif is_first:
            multiplier *= fan_in**-0.5
        with torch.no_grad():
            drawn = torch.randn(layer.weight.shape, generator=generator, dtype=torch.float64)
            layer.weight.copy_(deviation * drawn)
            if layer.bias is not None:
                layer.bias.zero_()
        bias_multiplier = 1.0 if is_last else float(len(layer.weight)) ** -kind.first[0]
        _replace(copy, path, Scaled(layer, multiplier, bias_multiplier))
    return copy


_Layer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d


def _replace(model: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)
