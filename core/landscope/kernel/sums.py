"""Gram matrices summed in float64, of a whole network or of each of its layers."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

__all__ = ["Sums", "add_products", "blocks_of"]

_ROWS = 256  # of a Gram matrix at a time: they stay in the processor's cache while they are converted to float64


class Sums:
    """What is found of a Gram matrix so far; only its lower triangle counts until it is asked for.

    Args:
        zero: Makes an empty Gram matrix.
        by_layer: Whether layers are kept apart.
    """

    def __init__(self, zero: Callable[[], Tensor], by_layer: bool) -> None:
        self._zero, self._by_layer = zero, by_layer
        self._layers: dict[str, Tensor] = {}

    def of(self, layer: str) -> Tensor:
        """What a layer's Gram matrices are to be added to, in place."""
        key = layer if self._by_layer else ""
        if key not in self._layers:
            self._layers[key] = self._zero()
        return self._layers[key]

    def result(self, scale: float) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum over all layers and, where they were kept apart, each layer's; `scale` times each."""
        for gram in self._layers.values():
            _mirror(gram)
            if scale != 1:
                gram *= scale
        if not self._by_layer:
            return self.of(""), {}
        whole = self._zero()
        for gram in self._layers.values():
            whole += gram
        return whole, self._layers


def add_products(total: Tensor, rows: Tensor, factors: Tensor | None = None) -> None:
    """Adds the lower triangle, or more, of the inner products (m, m) of rows (m, d), each times a factor.

    Args:
        total: (m, m), added to in place.
        rows: (m, d).
        factors: (n, n), one for each pair of examples that have m / n rows each; None for 1.
    """
    for block, until in blocks_of(len(rows), 1 if factors is None else len(rows) // len(factors)):
        products = rows[block] @ rows[:until].T
        if factors is not None:
            each = len(rows) // len(factors)
            some = factors[block.start // each : block.stop // each, : until // each]
            products.view(len(some), each, until // each, each).mul_(some[:, None, :, None])
        total[block, :until] += products


def blocks_of(rows: int, each: int = 1) -> list[tuple[slice, int]]:
    """Rows of a lower triangle, some at a time, whole examples of `each` rows, with the number of columns they need."""
    step = max(1, _ROWS // each) * each
    return [(slice(start, min(start + step, rows)), min(start + step, rows)) for start in range(0, rows, step)]


def _mirror(gram: Tensor) -> None:
    """Makes the lower triangle the upper one too, in place."""
    for block, _ in blocks_of(len(gram)):
        square = gram[block, block]
        gram[block, block] = square.tril() + square.tril(-1).T
        gram[: block.start, block] = gram[block, : block.start].T
