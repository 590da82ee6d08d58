"""Power laws of a kernel's eigenvalues and of the targets' coefficients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from landscope.measurements import NTK, PowerLaws

__all__ = ["exponent", "fit_power_laws", "target_columns"]

_BINS_PER_OCTAVE = 1


def fit_power_laws(
    kernel: NTK, targets: np.ndarray | None = None, *, first: int | None = None, last: int | None = None
) -> PowerLaws:
    """The exponents of lambda_k ~ k^-alpha (capacity) and v_k^2 ~ k^-beta (source), v_k the targets along mode k.

    Least squares of the logarithms over ranks first ... last: of every eigenvalue, and of the means of v_k^2 over ranks
    within an octave, weighed by their number, since single coefficients scatter over decades. The last eigenvalues
    of a Gram matrix are smaller than the kernel's own, so the range should end well before n.

    Args:
        kernel: With its Gram matrix.
        targets: (n,) or (n, C) what is to be learnt; by default the one-hot labels less 1/C.
        first: First rank, from 1; by default 2, past the mean.
        last: Last rank; by default a quarter of the ranks.

    Raises:
        ValueError: if the kernel has no matrix, there are no targets, they do not fit, or the range has fewer than four
            ranks or holds eigenvalues that are not positive.
    """
    if kernel.gram is None:
        raise ValueError("the kernel has no Gram matrix, which is not kept in a run's store; measure it anew")
    columns = target_columns(kernel, targets)
    values, vectors = (part[..., ::-1] for part in np.linalg.eigh(kernel.gram))
    examples = len(kernel.gram) // (kernel.outputs if kernel.gram_kind == "full" else 1)
    coefficients = ((vectors.T @ columns) ** 2).sum(1) / examples
    first = 2 if first is None else first
    last = max(len(values) // 4, first + 3) if last is None else last
    if not 1 <= first <= last - 3 or last > len(values):
        raise ValueError(f"ranks first..last must lie in 1..{len(values)} and be four at least, got {first}..{last}")
    chosen = slice(first - 1, last)
    if not (values[chosen] > 0).all():
        raise ValueError(f"eigenvalues at ranks {first}..{last} must be positive; end the range earlier")
    ranks = np.arange(first, last + 1, dtype=np.float64)
    capacity, capacity_error = exponent(ranks, values[chosen], np.ones(len(ranks)))
    source, source_error = exponent(*_binned(ranks, coefficients[chosen]))
    return PowerLaws(
        provenance=replace(kernel.provenance, method=f"power laws of ranks {first} to {last}"),
        eigenvalues=values.copy(),
        coefficients=coefficients,
        capacity=-capacity,
        capacity_error=capacity_error,
        source=-source,
        source_error=source_error,
        first=first,
        last=last,
        gram_kind=kernel.gram_kind,
    )


def target_columns(kernel: NTK, targets: np.ndarray | None) -> np.ndarray:
    """The targets as columns over the kernel's rows, (m, c): of the full kernel a single one.

    Raises:
        ValueError: if there are none, or they do not have the kernel's shape.
    """
    if targets is None:
        if kernel.labels is None:
            raise ValueError("the kernel's examples have no class labels; pass targets (n,) or (n, C)")
        classes = max(kernel.outputs, int(kernel.labels.max()) + 1)
        targets = np.eye(classes)[kernel.labels] - 1 / classes
    columns = np.asarray(targets, dtype=np.float64).reshape(len(targets), -1)
    rows = len(columns) if kernel.gram is None else len(kernel.gram)
    if kernel.gram_kind == "full":
        columns = columns.reshape(-1, 1)
    if len(columns) != rows:
        raise ValueError(f"targets must fit a {kernel.gram_kind} kernel with {rows} rows, got shape {targets.shape}")
    return columns


def exponent(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Slope of log y over log x by weighed least squares, with its error.

    The error is the larger of the standard error and half of the difference between the slopes of the lower and the
    upper half, which shows a line that bends.
    """
    low, high = np.log(x), np.log(y)
    slope, error = _line(low, high, weights)
    half = len(x) // 2
    if half >= 2:
        lower, upper = (_line(low[part], high[part], weights[part])[0] for part in (slice(half), slice(half, None)))
        error = max(error, abs(upper - lower) / 2)
    return slope, error


def _line(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    share = weights / weights.sum()
    across, up = x - (share * x).sum(), y - (share * y).sum()
    spread = float((share * across**2).sum())
    slope = float((share * across * up).sum()) / spread
    freedom = len(x) - 2
    rest = float((share * (up - slope * across) ** 2).sum())
    return slope, float(np.sqrt(rest / (spread * freedom))) if freedom > 0 else 0.0


def _binned(ranks: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Geometric mean rank, mean value and number of ranks in each octave; bins of zeros are left out."""
    numbers = np.floor(np.log2(ranks / ranks[0]) * _BINS_PER_OCTAVE + 1e-9).astype(int)
    bins = [numbers == number for number in np.unique(numbers)]
    bins = [chosen for chosen in bins if values[chosen].mean() > 0]
    if len(bins) < 2:
        raise ValueError("the targets have no part along the eigenvectors in that range: nothing can be fitted")
    middles = np.array([np.exp(np.log(ranks[chosen]).mean()) for chosen in bins])
    means = np.array([values[chosen].mean() for chosen in bins])
    return middles, means, np.array([float(chosen.sum()) for chosen in bins])
