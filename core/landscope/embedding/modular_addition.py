"""Progress measures of modular addition: how far a network adds by waves, before its accuracy shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from landscope.embedding.fourier import fourier_basis, frequency_norms, key_frequencies, structure, tokens
from landscope.measurements import TokenSpectrum
from landscope.objective import Objective

__all__ = ["progress_measures"]

_PAIRS = 4096  # evaluated at a time


def progress_measures(
    objective: Objective,
    weight: str | None = None,
    *,
    inputs: Callable[[Tensor], Any] = lambda pairs: pairs,
    splits: Mapping[str, Tensor] | None = None,
    frequencies: Sequence[int] | None = None,
    modulus: int | None = None,
    theta: Tensor | None = None,
) -> TokenSpectrum:
    """The progress measures of Nanda et al. (2023, section 5), of a network that gives logits of a + b modulo p.

    Its logits L on all p^2 pairs are split by the directions over pairs that depend on the sum alone and are waves in
    it, cos(w_k (a + b)) and sin(w_k (a + b)) with w_k = 2 pi k / p. With P the projection on those of the key
    frequencies,

        restricted loss = cross-entropy of  P L + mean of L over all pairs
        excluded loss   = cross-entropy of  L - P L

    The restricted loss falls while the network learns to add by waves, under cover of what it has memorised; the
    excluded loss of the training pairs rises once it does without having memorised them. A network that does nothing
    but add by waves has excluded loss log p.

    The part of L that depends on the sum is its mean over the pairs with that sum, so P L is the wave part of a p x p
    matrix. Key frequencies are by default the embedding's at these weights (`token_spectrum`). While there are none,
    the restricted loss is that of the mean logits, and the excluded loss that of L; where one more becomes key, both
    jump.

    Args:
        objective: Whose network; its data are not looked at.
        weight: The embedding, as in `token_spectrum`.
        inputs: What the network is called with for pairs of residues, integers (n, 2) on the model's device.
        splits: Further sets of pairs to average over, (n, 2) each by its name, e.g. those of the training.
        frequencies: The key frequencies, e.g. `.key` of the trained network's, to follow the same through training.
        modulus: The p, if the embedding has more rows than residues.
        theta: Where; the model's weights by default.

    Returns:
        The spectrum of `token_spectrum`, with the losses.

    Raises:
        ValueError: if the network's outputs are not p finite logits for each pair, a split is not of pairs of residues,
            a frequency is not among 1 ... p/2, or (see `token_spectrum`) the embedding cannot be taken.
    """
    with objective.measuring() as meter:
        name, values = tokens(objective, weight, modulus, theta)
        p = len(values)
        sets = {split: _positions(pairs, p, split) for split, pairs in (splits or {}).items()}
        logits = _logits(objective, inputs, p, theta)
        of_sums = _of_sums(logits)
        key = key_frequencies(frequency_norms(values)) if frequencies is None else _checked(frequencies, p)
        waves = _wave_part(of_sums, key)
        sums = _sums(p)
        # Restricted logits depend on the sum alone.
        losses = {
            "full": _cross_entropy(logits, sums),
            "excluded": _cross_entropy(logits - waves[sums], sums),
            "restricted": _cross_entropy(waves + of_sums.mean(axis=0), np.arange(p))[sums],
        }
        means = {
            measure: np.array([each.mean(), *(each[positions].mean() for positions in sets.values())])
            for measure, each in losses.items()
        }
        return TokenSpectrum(
            provenance=meter.provenance("progress measures of modular addition"),
            weight=name,
            splits=("all", *sets),
            full=means["full"],
            restricted=means["restricted"],
            excluded=means["excluded"],
            **structure(values, key),
        )


def _logits(objective: Objective, inputs: Callable[[Tensor], Any], p: int, theta: Tensor | None) -> np.ndarray:
    """The logits (p^2, p) of all pairs in lexicographic order, in float64."""
    named = objective.layout.unflatten(objective.theta() if theta is None else theta.detach())
    residues = torch.arange(p, device=objective.layout.device)
    pieces = []
    objective.work.forwards += p * p / objective.examples
    with torch.no_grad():
        for pairs in torch.cartesian_prod(residues, residues).split(_PAIRS):
            output = objective.function(named, (inputs(pairs), pairs.sum(dim=1) % p))
            if not isinstance(output, Tensor) or output.shape != (len(pairs), p):
                got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
                raise ValueError(
                    f"the network's output must be {p} logits for each of {len(pairs)} pairs, got {got}; "
                    "pass forward= to the objective that returns the logits of the sum"
                )
            pieces.append(output.cpu().double())
    logits: np.ndarray = torch.cat(pieces).numpy()
    if not np.isfinite(logits).all():
        raise ValueError("the network's logits are not all finite")
    return logits


def _sums(p: int) -> np.ndarray:
    """(p^2,) the sum modulo p of each pair."""
    residues = np.arange(p)
    return (np.add.outer(residues, residues) % p).ravel()


def _of_sums(logits: np.ndarray) -> np.ndarray:
    """The mean logits (p, p) of the pairs with each sum."""
    p = logits.shape[1]
    first, total = np.ix_(np.arange(p), np.arange(p))
    means: np.ndarray = logits.reshape(p, p, p)[first, (total - first) % p].mean(axis=0)
    return means


def _wave_part(of_sums: np.ndarray, key: np.ndarray) -> np.ndarray:
    """The components of a function on the residues, (p, d), that are waves of the key frequencies."""
    waves = np.concatenate([rows[key - 1] for rows in fourier_basis(len(of_sums))])
    part: np.ndarray = waves.T @ (waves @ of_sums)
    return part


def _cross_entropy(logits: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """(n,) in nats."""
    losses = cross_entropy(torch.from_numpy(logits), torch.from_numpy(classes), reduction="none")
    return np.asarray(losses)


def _positions(pairs: Tensor, p: int, split: str) -> np.ndarray:
    """Where pairs (n, 2) stand in lexicographic order."""
    found = pairs.detach().cpu().numpy()
    if found.ndim != 2 or found.shape[1] != 2 or not len(found) or found.min() < 0 or found.max() >= p:
        raise ValueError(
            f"split {split!r} must be pairs (n, 2) of residues from 0 to {p - 1}, got shape {found.shape}"
            + (f" with values from {found.min()} to {found.max()}" if found.size else "")
        )
    positions: np.ndarray = found[:, 0] * p + found[:, 1]
    return positions


def _checked(frequencies: Sequence[int], p: int) -> np.ndarray:
    key = np.array(frequencies, dtype=int)
    if len(set(key.tolist())) != len(key) or not ((key >= 1) & (key <= p // 2)).all():
        raise ValueError(f"frequencies must be different ones from 1 to {p // 2}, got {key.tolist()}")
    return key
