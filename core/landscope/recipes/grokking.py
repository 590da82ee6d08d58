"""Grokking: addition modulo a prime, memorised within seconds and understood a minute later."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from landscope.embedding import progress_measures
from landscope.experiments import Experiment
from landscope.live import watch
from landscope.live.probes import Probe, default_probes
from landscope.recipes.descent import descend, device

__all__ = ["Config", "ModularAddition", "build", "split_pairs", "train"]


_KERNEL = 4.0  # weight of the probe of the tangent kernel


@dataclass(frozen=True)
class Config:
    """Settings of the recipe.

    Attributes:
        prime: The modulus p.
        fraction: Share of the pairs {a, b} to train on.
        width: Hidden units.
        embedding: Length of a token's vector.
        lr: Learning rate of AdamW.
        weight_decay: Its decoupled weight decay; at 0 the network never groks.
        steps: Full-batch steps.
        seed: Of the split and the initialisation.
        overhead: Seconds of measuring for each second of training.
    """

    prime: int = 97
    fraction: float = 0.4
    width: int = 128
    embedding: int = 64
    lr: float = 3e-3
    weight_decay: float = 1.0
    steps: int = 5000
    seed: int = 0
    overhead: float = 2.0


class ModularAddition(nn.Module):
    """Logits over the p sums of two tokens: W_2 relu(W_1 (E[a] + E[b])), one embedding for both."""

    def __init__(self, prime: int, embedding: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(prime, embedding)
        self.hidden = nn.Linear(embedding, width, bias=False)
        self.readout = nn.Linear(width, prime, bias=False)
        nn.init.normal_(self.embedding.weight, std=embedding**-0.5)

    def forward(self, pairs: Tensor) -> Tensor:
        """Logits (n, p) for pairs of tokens (n, 2)."""
        tokens: Tensor = self.embedding(pairs).sum(dim=1)
        logits: Tensor = self.readout(torch.relu(self.hidden(tokens)))
        return logits


def split_pairs(prime: int, fraction: float, seed: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """All unordered pairs {a, b} with their sums modulo p, split at random into training and held-out data.

    Unordered, because a network that adds its embeddings cannot tell (a, b) from (b, a): a split of ordered pairs
    would hand it the mirror images of the held-out data.

    Returns:
        ((pairs (n, 2), sums (n,)) to train on, the same for the rest).
    """
    pairs = torch.combinations(torch.arange(prime), with_replacement=True)
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(seed))
    cut = round(fraction * len(pairs))
    sums = pairs.sum(dim=1) % prime
    (train, test) = ((pairs[chosen], sums[chosen]) for chosen in (order[:cut], order[cut:]))
    return train, test


def _tokens(pairs: dict[str, Tensor]) -> Probe:
    """The Fourier spectrum of the embedding, with the progress measures on all pairs and on each split's."""
    return Probe("tokens", lambda watched: progress_measures(watched.focus, splits=pairs), weight=1.5, gradients=8)


def _usual() -> list[Probe]:
    """The usual ones, with the tangent kernel often enough to be followed, though 97 outputs make it dear."""
    return [replace(probe, weight=_KERNEL) if probe.name == "ntk" else probe for probe in default_probes()]


def build(config: Config) -> Experiment:
    """The network at its initialisation, with its data, optimiser and warm-up."""
    torch.set_num_threads(1)  # the matrices are small: a second thread costs more than it brings
    torch.manual_seed(config.seed)
    training, held_out = split_pairs(config.prime, config.fraction, config.seed)
    model = ModularAddition(config.prime, config.embedding, config.width).to(device())
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, betas=(0.9, 0.98), weight_decay=config.weight_decay)
    warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 10))
    return Experiment(model, nn.CrossEntropyLoss(), training, held_out, optimizer, warmup)


def train(config: Config, runs: Path) -> None:
    """Trains the network, watched."""
    experiment = build(config)
    scope = watch(
        experiment.model,
        experiment.loss_fn,
        train=experiment.train,
        test=experiment.test,
        optimizer=experiment.optimizer,
        overhead=config.overhead,
        examples=1024,
        probes=[*_usual(), _tokens({"train": experiment.train[0], "test": experiment.test[0]})],
        total_steps=config.steps,
        recipe="grokking",
        config=vars(config),
        runs=runs,
    )
    descend(scope, experiment, steps=config.steps)
