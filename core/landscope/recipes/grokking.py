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
from landscope.measurements import Chart
from landscope.recipes.charts import lines
from landscope.recipes.claims import Claim, claim
from landscope.recipes.descent import descend, device
from landscope.recipes.settings import Configuration, knob
from landscope.runs import Run

__all__ = ["FULL", "Config", "ModularAddition", "build", "judge", "picture", "split_pairs", "train"]


_KERNEL = 4.0  # weight of the probe of the tangent kernel


@dataclass(frozen=True)
class Config(Configuration):
    """Settings of the recipe."""

    prime: int = knob(97, 5, 199, "The modulus p.")
    fraction: float = knob(0.4, 0.1, 0.9, "Share of the pairs {a, b} to train on.")
    width: int = knob(128, 8, 1024, "Hidden units.", log=True)
    embedding: int = knob(64, 4, 512, "Length of a token's vector.", log=True)
    lr: float = knob(3e-3, 1e-4, 0.1, "Learning rate of AdamW.", log=True)
    weight_decay: float = knob(1.0, 0.0, 3.0, "Its decoupled weight decay; at 0 the network never groks.")
    steps: int = knob(5000, 1, 100_000, "Full-batch steps.", log=True)
    seed: int = knob(0, 0, 10_000, "Of the split and the initialisation.")
    overhead: float = knob(2.0, 0.01, 10.0, "Seconds of measuring for each second of training.", log=True)


FULL = Config(prime=113, width=512, embedding=128, lr=1e-3, steps=30_000)


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


def train(config: Config, runs: Path) -> Path:
    """Trains the network, watched; returns the folder of its run."""
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
    return descend(scope, experiment, steps=config.steps)


def judge(run: Run) -> list[Claim]:
    """Whether understanding came long after memorising, by waves, with the kernel aligned and the weights shrunk."""
    memorised, grokked = _first(run, "train/accuracy", 0.99), _first(run, "test/accuracy", 0.95)
    late = memorised is not None and grokked is not None and grokked >= 4 * memorised
    gini, alignment = run.scalars("tokens/gini")[1], run.scalars("ntk/alignment")[1]
    at, norms = run.scalars("norm/weights")
    final = float(run.scalars("test/accuracy")[1][-1])
    peak = int(norms.argmax())
    return [
        claim(
            "Held-out data are understood long after the training data are memorised, at least four times as late.",
            f"memorised at step {memorised}, understood at step {grokked}, in the end {final:.1%} held-out",
            holds=late and final >= 0.95,
            partly=grokked is not None,
        ),
        claim(
            "The embedding becomes a few waves: the Gini coefficient of its Fourier spectrum rises above 0.3.",
            f"Gini coefficient from {gini[0]:.2f} to {gini[-1]:.2f}",
            holds=bool(gini[-1] > 0.3 and gini[-1] > 3 * gini[0]),
            partly=bool(gini[-1] > 1.5 * gini[0]),
        ),
        claim(
            "The tangent kernel aligns with the sums, at least twice over.",
            f"alignment from {alignment[0]:.3f} to {alignment[-1]:.3f}",
            holds=bool(alignment[-1] > 2 * alignment[0]),
            partly=bool(alignment[-1] > 1.2 * alignment[0]),
        ),
        claim(
            "The norm of the weights falls while the network comes to understand.",
            f"‖θ‖ {norms[peak]:.1f} at step {at[peak]}, {norms[-1]:.1f} in the end",
            holds=bool(norms[-1] < 0.9 * norms[peak]) and (grokked or 0) > at[peak],
        ),
    ]


def _first(run: Run, name: str, level: float) -> int | None:
    steps, values = run.scalars(name)
    reached = steps[values >= level]
    return int(reached[0]) if len(reached) else None


def picture(run: Run) -> Chart:
    """Both accuracies, on a logarithmic axis of steps."""
    return lines(
        "Accuracy",
        "Memorised first, understood much later.",
        ("training (steps)", "accuracy (share)"),
        {"train": run.scalars("train/accuracy"), "held out": run.scalars("test/accuracy")},
        x_log=True,
    )
