"""Where in a plane of two hyperparameters training converges, and how rough the boundary of that region is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from landscope.landscape.grids import Grid, spaced
from landscope.measurements import Provenance, TrainabilityMap
from landscope.measurements.fractals import boundary_of, box_counts
from landscope.population import Population, Settings, Training, mean_field

__all__ = [
    "INPUT_RATE",
    "OUTPUT_RATE",
    "Axis",
    "around_boundary",
    "convergence_scores",
    "trainability_map",
    "trainability_maps",
    "trainability_zoom",
]

_LARGEST_RATIO = 1e6
_LAST = 20

Progress = Callable[[int, int], None]
"""Called with the number of points computed and of all; whatever it raises ends the measurement."""


@dataclass(frozen=True)
class Axis:
    """A hyperparameter and the range that an axis shows.

    Attributes:
        setting: Name of a field of `landscope.population.Settings`.
        low: Where the axis begins: log10 of the value on a logarithmic axis, the value on a linear one.
        high: Where it ends.
        parameters: Name or pattern of the parameters it is the setting of.
        scale: "log" or "linear".

    Raises:
        ValueError: if the setting or the scale is unknown, or the range is empty.
    """

    setting: str
    low: float
    high: float
    parameters: str = "*"
    scale: Literal["log", "linear"] = "log"

    def __post_init__(self) -> None:
        if self.setting not in _VARIED:
            raise ValueError(f"setting must be one of {', '.join(_VARIED)}, got {self.setting!r}")
        if self.scale not in ("log", "linear"):
            raise ValueError(f'scale must be "log" or "linear", got {self.scale!r}')
        if not self.low < self.high or not np.isfinite([self.low, self.high]).all():
            raise ValueError(f"axis must have finite low < high, got {self.low} and {self.high}")

    @property
    def name(self) -> str:
        """What varies, in words."""
        of = "" if self.parameters == "*" else f" of {self.parameters}"
        return ("log₁₀ " if self.scale == "log" else "") + self.setting.replace("_", " ") + of

    def values(self, coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
        """The hyperparameter at each coordinate; that of a coordinate does not depend on the others."""
        if self.scale == "linear":
            return coordinates
        # One by one: numpy computes powers of whole blocks and of what is left over by different codes.
        return np.array([10.0 ** float(coordinate) for coordinate in coordinates])

    def around(self, centre: float, width: float) -> Axis:
        """The same axis over another range."""
        return replace(self, low=centre - width / 2, high=centre + width / 2)


_VARIED = ("learning_rate", "momentum", "weight_decay", "scale", "offset")

INPUT_RATE = Axis("learning_rate", 0.0, 6.0, "input")
"""Learning rates of the weights into the hidden units of a mean-field network."""

OUTPUT_RATE = Axis("learning_rate", -2.0, 4.0, "output")
"""Learning rates of the weights from the hidden units of a mean-field network to the output."""


def trainability_map(
    training: Training | None = None,
    axes: tuple[Axis, Axis] = (INPUT_RATE, OUTPUT_RATE),
    *,
    settings: Settings | None = None,
    points: int | tuple[int, int] = 65,
    progress: Progress | None = None,
) -> TrainabilityMap:
    """Where training converges, on a grid of two hyperparameters; arguments as of `trainability_maps`."""
    *_, finest = trainability_maps(training, axes, settings=settings, points=points, progress=progress)
    return finest


def trainability_maps(
    training: Training | None = None,
    axes: tuple[Axis, Axis] = (INPUT_RATE, OUTPUT_RATE),
    *,
    settings: Settings | None = None,
    points: int | tuple[int, int] = 65,
    progress: Progress | None = None,
) -> Iterator[TrainabilityMap]:
    """Where training converges, on nested grids from coarse to fine, each of which re-uses all points before it.

    All points start from the same weights and see the same data. What is computed at a point depends on its two
    hyperparameters alone, so it is the same in every zoom; of last bits see `landscope.population.Population`.

    Args:
        training: What is trained; by default the paper's `landscope.population.mean_field()`.
        axes: The two hyperparameters. Zooming in is asking for other ranges.
        settings: The other hyperparameters.
        points: Points a side. Grids nest where the number less one can be halved: 65 is shown as 5, 9, 17, 33 and 65.
        progress: Called as points are done, with their number and that of all; to cancel, let it raise.

    Raises:
        ValueError: if both axes are the same hyperparameter, or a setting cannot be used.
    """
    population = Population(training or mean_field())
    return _maps(population, axes, settings or Settings(), points, progress or _silent)


def trainability_zoom(
    training: Training | None = None,
    axes: tuple[Axis, Axis] = (INPUT_RATE, OUTPUT_RATE),
    *,
    zooms: int = 5,
    factor: float = 8.0,
    settings: Settings | None = None,
    points: int = 65,
    progress: Progress | None = None,
) -> Iterator[TrainabilityMap]:
    """Maps that go deeper and deeper into the boundary, each `factor` times narrower than the one before.

    Each is centred on a square of the boundary of the one before, where that is densest. Ends early where a map has no
    boundary, or float64 no longer tells its points apart. The claim of Sohl-Dickstein 2024 is that the `dimension` of
    these maps stays between 1 and 2 over more than ten decades.

    Args:
        training: What is trained.
        axes: The widest plane.
        zooms: Number of maps.
        factor: By how much a map is narrower than the one before.
        settings: The other hyperparameters.
        points: Points a side.
        progress: As of `trainability_maps`, of each map.

    Raises:
        ValueError: if `factor` is not above 1 or so large that the boundary may be missed, or `zooms` not positive.
    """
    if not 1 < factor <= points - 1:
        raise ValueError(f"factor must be above 1 and at most {points - 1}, the squares along a side, got {factor}")
    if zooms < 1:
        raise ValueError(f"zooms must be at least 1, got {zooms}")
    population = Population(training or mean_field())
    return _zooming(population, axes, zooms, factor, settings or Settings(), points, progress or _silent)


def around_boundary(shown: TrainabilityMap, axes: tuple[Axis, Axis], factor: float) -> tuple[Axis, Axis]:
    """The axes of a map, `factor` times narrower, around a square of its boundary where that is densest.

    Args:
        shown: The map, whose coordinates are along `axes`.
        axes: Its axes.
        factor: By how much the new ones are narrower.

    Raises:
        ValueError: if the map has no boundary.
    """
    if not shown.boundary.any():
        raise ValueError("the map has no boundary: everything converged, or nothing did; show another range")
    i, j = _densest(shown.boundary)
    centres = float(shown.x[i : i + 2].mean()), float(shown.y[j : j + 2].mean())
    first, second = (
        axis.around(centre, (axis.high - axis.low) / factor) for axis, centre in zip(axes, centres, strict=True)
    )
    return first, second


def convergence_scores(
    losses: NDArray[np.floating],
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """How training went, from its losses (K, T), as Sohl-Dickstein 2024 measures it.

    With r_t = min(L_t / L_0, 10^6), and 10^6 where that is not finite: converged is mean of the last 20 r_t < 1; the
    score is -sum_t r_t if so, and sum_t 1 / r_t if not.

    Returns:
        The scores (K,), whether each converged, and the mean of the last 20 r_t.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        ratios = losses.astype(np.float64) / losses[:, :1].astype(np.float64)
        ratios = np.where(np.isfinite(ratios), np.minimum(ratios, _LARGEST_RATIO), _LARGEST_RATIO)
        last = ratios[:, -_LAST:].mean(axis=1)
        converged = last < 1
        return np.where(converged, -ratios.sum(axis=1), (1 / ratios).sum(axis=1)), converged, last


def _maps(
    population: Population,
    axes: tuple[Axis, Axis],
    settings: Settings,
    points: int | tuple[int, int],
    progress: Progress,
) -> Iterator[TrainabilityMap]:
    if axes[0].setting == axes[1].setting and axes[0].parameters == axes[1].parameters:
        raise ValueError(f"axes must be two hyperparameters, got twice the {axes[0].name}")
    counts = (points, points) if isinstance(points, int) else points
    grid = Grid(tuple(spaced(axis.low, axis.high, count, "linear") for axis, count in zip(axes, counts, strict=True)))
    values = [axis.values(coordinates) for axis, coordinates in zip(axes, grid.axes, strict=True)]
    return _stages(population, axes, settings, grid, values, progress)


def _stages(
    population: Population,
    axes: tuple[Axis, Axis],
    settings: Settings,
    grid: Grid,
    values: list[NDArray[np.float64]],
    progress: Progress,
) -> Iterator[TrainabilityMap]:
    training = population.training
    began = time.perf_counter()
    score, last = np.full(grid.shape, np.nan), np.full(grid.shape, np.nan)
    converged = np.zeros(grid.shape, dtype=bool)
    strides = grid.strides()
    done, total = 0, int(np.prod(grid.shape))
    for stage, stride in enumerate(strides, start=1):
        where = grid.indices(stride, but=strides[stage - 2] if stage > 1 else None)
        columns = [axis_values[where[:, k]] for k, axis_values in enumerate(values)]
        for trained in population.train_progressively(_settings_of(settings, axes, columns)):
            rows, cols = where[trained.models].T
            score[rows, cols], converged[rows, cols], last[rows, cols] = convergence_scores(trained.losses)
            done += len(rows)
            progress(done, total)
        every = (slice(None, None, stride),) * 2
        boxes = box_counts(boundary_of(converged[every]))
        x, y = (axis[::stride] for axis in grid.axes)
        yield TrainabilityMap(
            x=x,
            y=y,
            axes=tuple(axis.name for axis in axes),
            scales=tuple(axis.scale for axis in axes),
            score=score[every].copy(),
            converged=converged[every].copy(),
            loss_ratio=last[every].copy(),
            box_sizes=boxes.sizes,
            box_counts=boxes.counts,
            dimension=boxes.dimension,
            dimension_error=boxes.error,
            separation=min(_separation(axis, u) for axis, u in zip(axes, (x, y), strict=True)),
            training=training.name,
            steps=training.steps,
            stage=stage,
            stages=len(strides),
            provenance=_provenance(training, settings, done, time.perf_counter() - began),
        )


def _zooming(
    population: Population,
    axes: tuple[Axis, Axis],
    zooms: int,
    factor: float,
    settings: Settings,
    points: int,
    progress: Progress,
) -> Iterator[TrainabilityMap]:
    for _ in range(zooms):
        *_, shown = _maps(population, axes, settings, points, progress)
        yield shown
        if shown.exhausted or not shown.boundary.any():
            return
        axes = around_boundary(shown, axes, factor)


def _densest(boundary: NDArray[np.bool_]) -> tuple[int, int]:
    """The cell of a boundary with the most cells of it around, within an eighth of the side; the first of several."""
    reach = max(min(boundary.shape) // 8, 1)
    padded = np.pad(boundary.astype(int), reach)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1, 2 * reach + 1))
    crowd = np.where(boundary, windows.sum(axis=(2, 3)), -1)
    i, j = np.unravel_index(int(crowd.argmax()), crowd.shape)
    return int(i), int(j)


def _settings_of(base: Settings, axes: tuple[Axis, Axis], columns: list[NDArray[np.float64]]) -> Settings:
    """The settings of the points whose two hyperparameters are `columns`, (N,) each; others as in `base`."""
    varied: dict[str, dict[str, object]] = {}
    for axis, column in zip(axes, columns, strict=True):
        given = getattr(base, axis.setting)
        start = dict(given) if isinstance(given, Mapping) else {"*": given}
        varied.setdefault(axis.setting, start)[axis.parameters] = column
    return replace(base, **varied)  # type: ignore[arg-type]


def _separation(axis: Axis, coordinates: NDArray[np.float64]) -> float:
    """Float64 numbers from one point to the next, of coordinates or of the values they stand for, where fewest."""

    def fewest(numbers: NDArray[np.float64]) -> float:
        return float((np.diff(numbers) / np.spacing(np.maximum(np.abs(numbers[1:]), np.abs(numbers[:-1])))).min())

    return min(fewest(coordinates), fewest(axis.values(coordinates)))


def _provenance(training: Training, settings: Settings, models: int, seconds: float) -> Provenance:
    passes = float(models * training.steps)
    return Provenance(
        method=f"{models} trainings of {training.steps} steps, {training.optimizer}",
        examples=training.examples,
        parameters=sum(parameter.numel() for parameter in training.make().parameters()),
        batch_norm="batch",
        precision=str(training.data[0].dtype).removeprefix("torch."),
        device=str(training.data[0].device),
        seed=int(settings.of_models("seed")[0]),
        seconds=seconds,
        forwards=passes,
        gradients=passes,
    )


def _silent(done: int, total: int) -> None:
    """No progress is reported."""
