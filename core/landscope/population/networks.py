"""The network whose trainability was mapped: one hidden layer in mean-field parametrisation."""

from __future__ import annotations

from math import sqrt
from typing import Literal

import torch
from torch import Tensor, nn

from landscope.population.settings import Training

__all__ = ["Activation", "MeanFieldNetwork", "mean_field"]

Activation = Literal["tanh", "relu", "identity"]


class MeanFieldNetwork(nn.Module):
    """f(x) = V phi(g W x / sqrt(n)) / n with weights drawn from N(0, 1): no biases, n inputs and n hidden units.

    The parametrisation of Mei, Montanari and Nguyen 2018, as Sohl-Dickstein 2024 ("The boundary of neural network
    trainability is fractal") uses it: g phi is sqrt(2) relu, tanh(sqrt(2) .), or the identity.

    Args:
        width: Number n of inputs and of hidden units.
        activation: phi: "tanh", "relu" or "identity".
        dtype: Type of the weights.

    Attributes:
        input: (n, n) weights W of the hidden layer.
        output: (1, n) weights V of the output.

    Raises:
        ValueError: if the activation is none of these.
    """

    def __init__(self, width: int = 16, activation: Activation = "tanh", *, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        if activation not in ("tanh", "relu", "identity"):
            raise ValueError(f'activation must be "tanh", "relu" or "identity", got {activation!r}')
        self.activation = activation
        self.input = nn.Parameter(torch.randn(width, width, dtype=dtype))
        self.output = nn.Parameter(torch.randn(1, width, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (examples, 1) for inputs (examples, n).

        Written for many such networks at once: factors go to the weights, of which there are fewer than hidden values,
        examples run along the last dimension, and tanh z = 2 sigmoid(2 z) - 1, because torch's float64 sigmoid takes
        two fifths of the time of its tanh.
        """
        width = self.input.shape[0]
        gain = 1.0 if self.activation == "identity" else sqrt(2.0)
        hidden_weights, output_weights = self.input * (gain / sqrt(width)), self.output / width
        if self.activation == "tanh":
            halves = torch.sigmoid((2 * hidden_weights) @ x.T)
            return ((2 * output_weights) @ halves - output_weights.sum()).T
        hidden = hidden_weights @ x.T
        return (output_weights @ (hidden.relu() if self.activation == "relu" else hidden)).T


def mean_field(
    *,
    width: int = 16,
    activation: Activation = "tanh",
    examples: int | None = None,
    steps: int = 500,
    batch_size: int | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Training:
    """The training whose boundary was found to be fractal (Sohl-Dickstein 2024): random inputs and random targets.

    Args:
        width: Inputs and hidden units of the `MeanFieldNetwork`.
        activation: Its non-linearity.
        examples: Number of examples (x, y), drawn from N(0, 1); by default as many as the network has degrees of
            freedom: n^2 + n parameters, or n where it is linear. 1 is the paper's single datapoint.
        steps: Steps of gradient descent on the mean squared error.
        batch_size: Examples of a step; None for full batches.
        seed: Of the data; the networks' own seeds are among their settings.
        dtype: Type of weights and data; in less than float64 a zoom ends early.
    """
    if examples is None:
        examples = width if activation == "identity" else width * width + width
    examples_each = "" if batch_size is None else f", {batch_size} a step"
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(examples, width, generator=generator, dtype=dtype)
    y = torch.randn(examples, 1, generator=generator, dtype=dtype)
    return Training(
        model=lambda: MeanFieldNetwork(width, activation, dtype=dtype),
        loss=mean_squared_error,
        data=(x, y),
        steps=steps,
        batch_size=batch_size,
        name=f"one hidden layer of {width} {activation} units, examples: {examples}{examples_each}",
    )


def mean_squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Mean of (output - target)^2."""
    return (output - target).square().mean()
