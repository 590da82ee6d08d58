"""Many small classifiers trained at once: by plain descent, sharpness-aware, and sharpness-aware for free.

Parameters of K networks are stacked along their first dimension. The sum of the networks' losses has the gradient of
each in its rows, so that one call of autograd, and one optimiser, serve all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "Losses",
    "Networks",
    "ascended",
    "corrupted",
    "cross_entropy",
    "gradients",
    "sharpness_aware_gradients",
    "trajectory_loss",
]


@dataclass(frozen=True, eq=False)
class Networks:
    """K networks W2 relu(W1 x + b1) + b2.

    Attributes:
        parameters: W1 (K, D, H), b1 (K, 1, H), W2 (K, H, C), b2 (K, 1, C).
    """

    parameters: tuple[Tensor, ...]

    @classmethod
    def drawn(cls, seeds: Sequence[int], inputs: int, width: int, classes: int) -> Networks:
        """Initialised as torch does, one for each seed."""
        found = []
        for seed in seeds:
            with torch.random.fork_rng([]):
                torch.manual_seed(seed)
                layers = nn.Linear(inputs, width), nn.Linear(width, classes)
            found.append([part for layer in layers for part in (layer.weight.T, layer.bias.unsqueeze(0))])
        return cls(tuple(torch.stack(parts).detach().requires_grad_() for parts in zip(*found, strict=True)))

    def outputs(self, x: Tensor) -> Tensor:
        """Logits (K, n, C) of inputs (K, n, D), or of the same (n, D) for all."""
        w1, b1, w2, b2 = self.parameters
        x = x.expand(len(w1), *x.shape[-2:])
        return torch.baddbmm(b2, torch.baddbmm(b1, x, w1).relu(), w2)

    def network(self, k: int) -> nn.Sequential:
        """One of them, as a module of its own."""
        w1, b1, w2, b2 = (parameter[k].detach() for parameter in self.parameters)
        model = nn.Sequential(nn.Linear(*w1.shape), nn.ReLU(), nn.Linear(*w2.shape)).to(w1)
        values = {"0.weight": w1.T, "0.bias": b1[0], "2.weight": w2.T, "2.bias": b2[0]}
        model.load_state_dict(values)
        return model


Losses: TypeAlias = Callable[[Networks], Tensor]
"""The loss of each of K networks, (K,)."""


def cross_entropy(outputs: Tensor, labels: Tensor) -> Tensor:
    """The mean over the examples of each network, (K,), for logits (K, n, C) and labels (K, n)."""
    return functional.cross_entropy(outputs.mT, labels, reduction="none").mean(dim=1)


def gradients(networks: Networks, losses: Losses) -> tuple[Tensor, ...]:
    """The gradient of each network's loss, in the shapes of the parameters."""
    return torch.autograd.grad(losses(networks).sum(), networks.parameters)


def ascended(networks: Networks, slopes: Sequence[Tensor], rho: float) -> Networks:
    """Each at w + rho g / |g|, the norm over all parameters of the network."""
    squares = torch.stack([slope.flatten(1).square().sum(dim=1) for slope in slopes]).sum(dim=0)
    scale = (rho * squares.clamp_min(torch.finfo(squares.dtype).tiny).rsqrt()).view(-1, 1, 1)
    moved = (w.detach() + scale * slope for w, slope in zip(networks.parameters, slopes, strict=True))
    return Networks(tuple(w.requires_grad_() for w in moved))


def sharpness_aware_gradients(networks: Networks, losses: Losses, rho: float) -> tuple[Tensor, ...]:
    """g(w + rho g(w) / |g(w)|), the gradients that SAM descends by (Foret et al. 2021, algorithm 1)."""
    return gradients(ascended(networks, gradients(networks, losses), rho), losses)


def trajectory_loss(outputs: Tensor, earlier: Tensor, temperature: float) -> Tensor:
    """SAF's stand-in for sharpness: how far outputs have moved along the trajectory (Du et al. 2022, equation 8).

    KL(softmax(y / T) | softmax(f / T)), f being the logits now and y those some epochs before; the mean over the
    examples of each network, (K,).

    Args:
        outputs: (K, n, C) logits f.
        earlier: (K, n, C) logits y, constants.
        temperature: T.
    """
    before, now = ((logits / temperature).log_softmax(dim=2) for logits in (earlier.detach(), outputs))
    return functional.kl_div(now, before, reduction="none", log_target=True).sum(dim=2).mean(dim=1)


def corrupted(labels: Tensor, share: float, classes: int, seed: int) -> Tensor:
    """Labels of which a share, rounded to whole examples, is wrong: another class, all equally likely."""
    generator = torch.Generator().manual_seed(seed)
    wrong = torch.randperm(len(labels), generator=generator)[: round(share * len(labels))]
    shifts = torch.randint(1, classes, (len(wrong),), generator=generator)
    noisy = labels.clone()
    noisy[wrong] = (labels[wrong] + shifts) % classes
    return noisy
