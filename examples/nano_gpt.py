"""A small GPT in the manner of nanoGPT: batches drawn from a text, and a model that is called on words alone."""

import math

import torch
from torch import nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

import landscope as ls

CONTEXT, WIDTH, HEADS, STEPS, WARM_UP = 16, 32, 4, 60, 10

text = " ".join(f"{a} plus {b} is {a + b}." for a in range(10) for b in range(10))
letters = sorted(set(text))
data = torch.tensor([letters.index(letter) for letter in text])


class Block(nn.Module):
    """Causal attention, then a perceptron, each on what the residual stream holds."""

    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)])
        self.attention, self.projection = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.perceptron = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x):
        """(batch, time, width) to the same."""
        heads = self.attention(self.norms[0](x)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.projection(scaled_dot_product_attention(*heads, is_causal=True).transpose(1, 2).flatten(-2))
        return x + self.perceptron(self.norms[1](x))


class GPT(nn.Module):
    """Tokens (batch, time) to scores of the next one (batch, time, letters)."""

    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(len(letters), WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(Block(), Block())
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, len(letters), bias=False)
        self.tokens.weight = self.head.weight

    def forward(self, tokens):
        """The scores."""
        return self.head(self.norm(self.blocks(self.tokens(tokens) + self.places.weight[: tokens.shape[1]])))


def batch(size):
    """Random pieces of the text, and the same one letter later."""
    starts = torch.randint(len(data) - CONTEXT, (size, 1)) + torch.arange(CONTEXT)
    return data[starts], data[starts + 1]


def loss_fn(scores, targets):
    """Mean over all letters."""
    return cross_entropy(scores.flatten(0, 1), targets.flatten())


def rate(step):
    """Warm-up, then half a cosine."""
    return min(step / WARM_UP, (1 + math.cos(math.pi * step / STEPS)) / 2)


model = GPT()
decayed = [parameter for parameter in model.parameters() if parameter.ndim > 1]
others = [parameter for parameter in model.parameters() if parameter.ndim < 2]
optimizer = torch.optim.AdamW(
    [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}], lr=3e-3
)

scope = ls.watch(model, loss_fn, train=batch(128), test=batch(128), optimizer=optimizer, total_steps=STEPS)
for step in range(1, STEPS + 1):
    for group in optimizer.param_groups:
        group["lr"] = 3e-3 * rate(step)
    for _ in range(2):
        inputs, targets = batch(16)
        loss = loss_fn(model(inputs), targets)
        (loss / 2).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    scope.step(loss)
