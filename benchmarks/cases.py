"""Small networks with synthetic data, trained in the same way at every run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, gelu, interpolate, one_hot, scaled_dot_product_attention

import landscope as ls

__all__ = ["CASES", "Case", "descent"]


@dataclass(frozen=True)
class Case:
    """A trained network, its data, and a plane through its weights.

    Attributes:
        model: The network.
        loss: Mean loss of a batch.
        x: Inputs.
        y: Targets.
        objective: Ours, over all of the data.
        directions: (2, P), filter-normalised, biases and norm parameters zero.
    """

    model: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    x: Tensor
    y: Tensor
    objective: ls.Objective
    directions: Tensor


def mlp(device: str) -> Case:
    """784-64-64-10 with ReLU: 55,050 parameters, 1,000 examples."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    return _trained(model, cross_entropy, *_images(), device)


def cnn(device: str) -> Case:
    """Conv 8 - conv 16 - fc 24 - fc 10 with ReLU and 2 x 2 pools: 20,338 parameters, 1,000 images of 28 x 28."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(784, 24), nn.ReLU(), nn.Linear(24, 10),
    )  # fmt: skip
    return _trained(model, cross_entropy, *_images(), device)


def transformer(device: str) -> Case:
    """A causal transformer, 2 layers of width 64 with 4 heads: 110,400 parameters, 256 sequences of 32 tokens."""
    torch.manual_seed(0)
    return _trained(Transformer(), _next_token_loss, *_sequences(), device)


def small_mlp(device: str) -> Case:
    """784-25-10 with tanh: 19,885 parameters, 1,000 examples, trained for 100 steps."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 25), nn.Tanh(), nn.Linear(25, 10))
    return _trained(model, cross_entropy, *_images(), device, steps=100)


CASES: dict[str, Callable[[str], Case]] = {"mlp": mlp, "cnn": cnn, "transformer": transformer, "mlp25": small_mlp}


def descent(device: str, first: int, steps: int) -> tuple[ls.Objective, list[Tensor]]:
    """Full-batch gradient descent on 100-100-80-10 with tanh and squared error, learning rate 0.2; 18,990 parameters.

    Its sharpness begins at about 4, rises, and stays at the edge of stability, 10, from about step 1,000 on.

    Returns:
        The objective, in evaluation at its last weights, and the weights (P,) at `steps` steps from `first` on.
    """
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(100, 100), nn.Tanh(), nn.Linear(100, 80), nn.Tanh(), nn.Linear(80, 10)
    )  # fmt: skip
    generator = torch.Generator().manual_seed(1)
    centres, labels = torch.randn(10, 100, generator=generator), torch.randint(10, (500,), generator=generator)
    scales = 2 * torch.arange(1, 101) ** -0.5  # inputs of unequal variance, as those of images are
    x = (centres[labels] + 1.5 * torch.randn(500, 100, generator=generator)) * scales
    data = x.to(device), one_hot(labels, 10).float().to(device)
    objective = ls.Objective(model.to(device), half_squared_error, data)
    theta, weights = objective.theta(), []
    for step in range(first + steps):
        if step >= first:
            weights.append(theta)
        theta = theta - 0.2 * objective.gradient(theta)
    return objective, weights


def half_squared_error(output: Tensor, target: Tensor) -> Tensor:
    """1/2 |output - target|^2, summed over outputs, a mean over examples."""
    return 0.5 * (output - target).square().sum(1).mean()


class Transformer(nn.Module):
    """Pre-norm causal transformer: token and position embeddings, blocks, a norm and a linear read-out."""

    def __init__(self, vocabulary: int = 64, width: int = 64, heads: int = 4, layers: int = 2, context: int = 32):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm, self.readout = nn.LayerNorm(width), nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (N, T, vocabulary) of the next token, for tokens (N, T)."""
        embedded = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        logits: Tensor = self.readout(self.norm(self.blocks(embedded)))
        return logits


class Block(nn.Module):
    """Causal attention and a GELU network of four times the width, each on a normalised residual stream."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, stream: Tensor) -> Tensor:
        """The stream (N, T, width) with both updates added."""
        n, t, width = stream.shape
        heads = self.qkv(self.norm1(stream)).view(n, t, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        attended = scaled_dot_product_attention(*heads.unbind(), is_causal=True)
        stream = stream + self.mix(attended.transpose(1, 2).reshape(n, t, width))
        updated: Tensor = stream + self.down(gelu(self.up(self.norm2(stream))))
        return updated


def _next_token_loss(logits: Tensor, following: Tensor) -> Tensor:
    return cross_entropy(logits.flatten(0, 1), following.flatten())


def _images(count: int = 1000, classes: int = 10) -> tuple[Tensor, Tensor]:
    """Noisy copies of one smooth random image for each class, a tenth of them with a random label."""
    generator = torch.Generator().manual_seed(1)
    shapes = interpolate(torch.randn(classes, 1, 7, 7, generator=generator), size=28, mode="bilinear")
    labels = torch.randint(classes, (count,), generator=generator)
    images = 0.2 * shapes[labels] + torch.randn(count, 1, 28, 28, generator=generator)
    labels[::10] = torch.randint(classes, labels[::10].shape, generator=generator)
    return images, labels


def _sequences(count: int = 256, context: int = 32, vocabulary: int = 64) -> tuple[Tensor, Tensor]:
    """Walks of a Markov chain with sparse transitions: tokens, and the tokens that follow them."""
    generator = torch.Generator().manual_seed(1)
    chances = (3 * torch.randn(vocabulary, vocabulary, generator=generator)).softmax(dim=1)
    walk = [torch.randint(vocabulary, (count,), generator=generator)]
    for _ in range(context):
        walk.append(torch.multinomial(chances[walk[-1]], 1, generator=generator).squeeze(1))
    tokens = torch.stack(walk, dim=1)
    return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()


def _trained(
    model: nn.Module, loss: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor, device: str, steps: int = 40
) -> Case:
    """The case after some steps of Adam, which give the landscape a shape."""
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(steps):
        chosen = torch.arange(100 * step, 100 * step + 100) % len(x)
        optimiser.zero_grad()
        loss(model(x[chosen]), y[chosen]).backward()
        optimiser.step()
    model, x, y = model.to(device).eval(), x.to(device), y.to(device)
    objective = ls.Objective(model, loss, (x, y))
    return Case(model, loss, x, y, objective, torch.stack([_direction(objective, seed) for seed in (2, 3)]))


def _direction(objective: ls.Objective, seed: int) -> Tensor:
    """Gaussian, each row of a weight as long as that row of the network's, zero elsewhere (Li et al. 2018)."""
    generator = torch.Generator().manual_seed(seed)
    weights = objective.layout.unflatten(objective.theta().cpu())
    pieces = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for name, weight in weights.items():
        if weight.ndim > 1:
            drawn = torch.randn(weight.shape, generator=generator)
            lengths = weight.flatten(1).norm(dim=1) / drawn.flatten(1).norm(dim=1)
            pieces[name] = drawn * lengths.view(-1, *(1 for _ in weight.shape[1:]))
    return objective.layout.flatten(pieces).to(objective.layout.device)
