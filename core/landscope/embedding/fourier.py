"""Functions on the residues modulo p, such as an embedding of their tokens, by their Fourier components."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn

from landscope.measurements import TokenSpectrum
from landscope.objective import Objective

__all__ = [
    "circles",
    "fourier_basis",
    "frequency_norms",
    "gini",
    "key_frequencies",
    "structure",
    "token_spectrum",
    "tokens",
]

_ABOVE = 2.0  # times the mean power that makes a frequency key


def token_spectrum(
    objective: Objective, weight: str | None = None, *, modulus: int | None = None, theta: Tensor | None = None
) -> TokenSpectrum:
    """The Fourier spectrum of an embedding of the residues modulo p: few frequencies once a network has learned to add.

    With the orthonormal basis of `fourier_basis` and the embedding E (p, d),

        norm_k = (|c_k E|^2 + |s_k E|^2)^(1/2)   for k = 1 ... floor(p/2)

    which no shift of the residues changes. What all tokens have in common (k = 0) is left out. The Gini coefficient of
    the norms (Nanda et al. 2023, section 5) is 0 where all frequencies are alike and 1 - 1/m where there is one alone.
    A frequency is key if norm_k^2 is more than twice the mean over frequencies. Of random tokens, norm_k^2 varies by
    d^(-1/2) of itself, so that with d = 64 none gets there by chance.

    Args:
        objective: Whose network.
        weight: Name of a parameter (p, d), or of a module that has it as its `weight`; by default the model's only
            embedding.
        modulus: The p, if only the first p rows are residues; by default all are.
        theta: Where; the model's weights by default.

    Raises:
        ValueError: if there is no such weight, or it is no matrix of at least `modulus` rows, or not finite.
    """
    with objective.measuring() as meter:
        name, values = tokens(objective, weight, modulus, theta)
        return TokenSpectrum(
            provenance=meter.provenance("Fourier spectrum of tokens"),
            weight=name,
            **structure(values, key_frequencies(frequency_norms(values))),
        )


def fourier_basis(p: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows cos(2 pi k a / p) and sin(2 pi k a / p), both (m, p) with m = floor(p/2), for k = 1 ... m.

    Each is of unit length, and with the constant row 1/sqrt(p) they are an orthonormal basis of the functions on the
    residues. Of an even p the last frequency has no sine: that row is zero.

    Raises:
        ValueError: if p is less than 3.
    """
    if p < 3:
        raise ValueError(f"modulus must be at least 3, got {p}")
    k, a = np.arange(1, p // 2 + 1), np.arange(p)
    angles = 2 * np.pi * (np.outer(k, a) % p) / p
    cosines, sines = np.sqrt(2 / p) * np.cos(angles), np.sqrt(2 / p) * np.sin(angles)
    if p % 2 == 0:
        cosines[-1] /= np.sqrt(2)
        sines[-1] = 0
    return cosines, sines


def frequency_norms(values: np.ndarray) -> np.ndarray:
    """The norm (m,) of each frequency's components of `values` (p, d), a function on the residues."""
    cosines, sines = fourier_basis(len(values))
    norms: np.ndarray = np.sqrt(((cosines @ values) ** 2).sum(axis=1) + ((sines @ values) ** 2).sum(axis=1))
    # What is left of numbers that are all equal is rounding.
    return np.where(norms > len(values) * np.finfo(values.dtype).eps * np.linalg.norm(values), norms, 0.0)


def gini(values: np.ndarray) -> float:
    """The Gini coefficient of n numbers that are not negative: 0 if all are equal, 1 - 1/n if all but one are zero.

    sum_ij |x_i - x_j| / (2 n sum_i x_i); 0 where all are zero.
    """
    n, total = len(values), float(values.sum())
    ranks = 2 * np.arange(1, n + 1) - n - 1
    return float((ranks * np.sort(values)).sum()) / (n * total) if total > 0 else 0.0


def key_frequencies(norms: np.ndarray) -> np.ndarray:
    """The frequencies whose squared norm is more than twice the mean, the strongest first: at most half of them."""
    power = norms**2
    strongest = np.argsort(-power, kind="stable")
    chosen: np.ndarray = strongest[power[strongest] > _ABOVE * power.mean()] + 1
    return chosen


def circles(values: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """The tokens (p, d) in the plane of each frequency's cosine and sine components, (k, p, 2).

    If u = c_k E and v = s_k E are the components, the axes are the orthonormal pair closest to them (the polar factor
    of the matrix of u and v), so that token a of a pure circle lies at the angle 2 pi k a / p, however the embedding
    is turned. Components that are linearly dependent give a line.
    """
    cosines, sines = fourier_basis(len(values))
    centred = values - values.mean(axis=0)
    planes = np.empty((len(frequencies), len(values), 2))
    for plane, k in zip(planes, frequencies, strict=True):
        components = np.stack([cosines[k - 1] @ values, sines[k - 1] @ values], axis=1)
        left, lengths, right = np.linalg.svd(components, full_matrices=False)
        there = lengths > 1e-9 * lengths[0]
        plane[:] = centred @ (left[:, there] @ right[there])
    return planes


def structure(values: np.ndarray, key: np.ndarray) -> dict[str, Any]:
    """The fields of a spectrum of tokens (p, d) with its key frequencies."""
    norms = frequency_norms(values)
    power = norms**2
    return {
        "frequencies": np.arange(1, len(norms) + 1),
        "norms": norms,
        "gini": gini(norms),
        "key": key,
        "share": float(power[key - 1].sum() / power.sum()) if power.any() else 0.0,
        "circles": circles(values, key),
    }


def tokens(
    objective: Objective, weight: str | None, modulus: int | None, theta: Tensor | None
) -> tuple[str, np.ndarray]:
    """The name of the embedding and its rows, one for each residue, in float64."""
    name, parameter = _parameter(objective.model, weight)
    if theta is not None:
        named = objective.layout.unflatten(theta.detach())
        own = dict(objective.model.named_parameters(remove_duplicate=False))
        parameter = next((named[other] for other in named if own[other] is parameter), parameter)
    rows = parameter.shape[0] if modulus is None else modulus
    if parameter.ndim != 2 or parameter.shape[0] < rows:
        raise ValueError(
            f"weight {name} must be a matrix with a row for each of the {rows} residues, got shape "
            f"{tuple(parameter.shape)}"
        )
    values = parameter[:rows].detach().cpu().double().numpy()
    if not np.isfinite(values).all():
        raise ValueError(f"weight {name} is not finite")
    return name, values


def _parameter(model: nn.Module, weight: str | None) -> tuple[str, Tensor]:
    parameters = dict(model.named_parameters(remove_duplicate=False))
    if weight is None:
        found = [name for name, module in model.named_modules() if isinstance(module, nn.Embedding)]
        if len(found) != 1:
            raise ValueError(
                f"the model has {len(found)} embeddings: name the weight to look at, of {list(parameters)}"
            )
        weight = found[0]
    for name in (weight, f"{weight}.weight".lstrip(".")):
        if name in parameters:
            return name, parameters[name]
    raise ValueError(f"the model has no weight {weight!r}; its parameters are {', '.join(parameters)}")
