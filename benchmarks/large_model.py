"""The largest eigenvalues of a network of 124 million parameters, within a stated number of vectors."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import landscope as ls
from benchmarks.cases import Block
from benchmarks.timing import timed

__all__ = ["GPT2", "gpt2"]

_BASIS = 14


class GPT2(nn.Module):
    """GPT-2's smallest size, 124 million parameters: 12 blocks of width 768 with 12 heads, the read-out tied."""

    def __init__(self, width: int = 768, heads: int = 12, layers: int = 12):
        super().__init__()
        vocabulary, context = 50_257, 1024
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm, self.readout = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.02)
        self.readout.weight = self.tokens.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (N, T, vocabulary) of the next token, for tokens (N, T)."""
        embedded = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        logits: Tensor = self.readout(self.norm(self.blocks(embedded)))
        return logits


def gpt2(device: str, points: int) -> Iterator[dict[str, Any]]:
    """Five eigenvalues at random weights, one sequence of 32 random tokens, 14 Lanczos vectors: memory and time."""
    torch.manual_seed(0)
    model = GPT2().to(device)
    sequence = torch.randint(50_257, (1, 33)).to(device)

    def loss(logits: Tensor, following: Tensor) -> Tensor:
        return cross_entropy(logits.flatten(0, 1), following.flatten())

    objective = ls.Objective(model, loss, (sequence[:, :-1].contiguous(), sequence[:, 1:].contiguous()))
    before = _peak()
    _, gradient = timed(objective.gradient)
    found, seconds = timed(
        lambda: ls.curvature.eigenvalues(objective, 5, tolerance=1e-2, basis=_BASIS, max_products=40)
    )
    yield {
        "ours_s": seconds.on(device),
        "peer_s": None,
        "ratio": None,
        "error": None,
        "peer": "none holds to a bound",
        "values": found.values.tolist(),
        "residuals": found.residuals.tolist(),
        "converged": found.converged.tolist(),
        "hvps": found.hvps,
        "method": found.provenance.method,
        "gradient_s": gradient.on(device),
        "wall_s": seconds.wall,
        "basis": _BASIS,
        "peak_gib": _peak(),
        "peak_before_gib": before,
        "vector_gib": objective.layout.size * 4 / 2**30,
        "parameters": objective.layout.size,
        "repeats": 1,
    }


def _peak() -> float:
    """Largest resident memory of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
