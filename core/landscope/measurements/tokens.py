"""The Fourier structure of an embedding of residues, and how far a network adds by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from landscope.measurements.base import Measurement

__all__ = ["TokenSpectrum"]


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenSpectrum(Measurement):
    """An embedding of the residues modulo p by its Fourier components, with m = floor(p/2) frequencies.

    With progress measures (Nanda et al. 2023), the losses of the network's sums on several sets of pairs of residues:
    of the network itself, of the part of its logits that the key frequencies make, and of the rest.

    Attributes:
        weight: Name of the embedding.
        frequencies: (m,) 1 ... m, in turns around the residues.
        norms: (m,) norm of each frequency's cosine and sine components in the embedding.
        gini: Gini coefficient of the norms: 0 where all are equal, 1 - 1/m where one frequency is alone.
        key: (k,) the key frequencies, the strongest first.
        share: The share of the embedding's squared norms that is in the key frequencies.
        circles: (k, p, 2) the tokens in the plane of each key frequency, turned so that token a of a pure circle is at
            the angle 2 pi k a / p; in the embedding's units.
        splits: Names of the sets of pairs: "all", then those that were given; empty without progress measures.
        full: (s,) mean cross-entropy on each, in nats; None likewise, and so the next two.
        restricted: (s,) the same of the mean logits and the key frequencies' part.
        excluded: (s,) the same of the logits without that part.
    """

    kind: ClassVar[str] = "tokens"
    weight: str
    frequencies: np.ndarray
    norms: np.ndarray
    gini: float
    key: np.ndarray
    share: float
    circles: np.ndarray
    splits: tuple[str, ...] = ()
    full: np.ndarray | None = None
    restricted: np.ndarray | None = None
    excluded: np.ndarray | None = None

    def scalars(self) -> dict[str, float]:
        """Gini, number and share of the key frequencies; restricted and excluded loss, by split unless on all pairs."""
        lines = {"gini": self.gini, "keys": float(len(self.key)), "share": self.share}
        for name, losses in (("restricted", self.restricted), ("excluded", self.excluded)):
            if losses is not None:
                for split, loss in zip(self.splits, losses, strict=True):
                    lines[name if split == "all" else f"{name}.{split}"] = float(loss)
        return lines

    def span(self) -> tuple[float, float] | None:
        """Zero and the largest norm."""
        return 0.0, float(self.norms.max())
