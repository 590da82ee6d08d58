"""The boundary of trainability: where in a plane of two hyperparameters a small network can be trained at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from landscope.landscape import Axis, around_boundary, trainability_maps
from landscope.measurements import Chart, TrainabilityMap
from landscope.population import Settings, mean_field
from landscope.recipes.charts import lines
from landscope.recipes.claims import Claim, claim
from landscope.recipes.settings import Configuration, choice, knob
from landscope.recipes.studies import Study, exhibited
from landscope.runs import Run

__all__ = ["FULL", "Config", "axes", "judge", "train"]

_FACTOR = 8.0
_PLANES = {
    "both learning rates": (("learning_rate", "input"), ("learning_rate", "output")),
    "learning rate and scale": (("learning_rate", "*"), ("scale", "*")),
}


@dataclass(frozen=True)
class Config(Configuration):
    """Settings of the recipe; the window's edges are exponents of ten."""

    plane: str = choice("both learning rates", tuple(_PLANES), "Of the two layers, or one, and that of the weights.")
    x_low: float = knob(0.0, -12.0, 12.0, "Left edge of the window.")
    x_high: float = knob(6.0, -12.0, 12.0, "Right edge.")
    y_low: float = knob(-2.0, -12.0, 12.0, "Lower edge.")
    y_high: float = knob(4.0, -12.0, 12.0, "Upper edge.")
    halvings: int = knob(6, 3, 12, "Of each side of the grid: 6 are 65 x 65 networks.")
    zooms: int = knob(3, 0, 12, "Maps after the first, each eight times narrower, where the boundary is densest.")
    activation: str = choice("tanh", ("tanh", "relu", "identity"), "Of the hidden units.")
    width: int = knob(8, 2, 64, "Inputs and hidden units.", log=True)
    steps: int = knob(150, 20, 2000, "Steps of training of each network.", log=True)
    seed: int = knob(0, 0, 10_000, "Of the data and of the weights that all networks start from.")

    def __post_init__(self) -> None:
        super().__post_init__()
        for low, high in (("x_low", "x_high"), ("y_low", "y_high")):
            if not getattr(self, low) < getattr(self, high):
                raise ValueError(f"{low} must be below {high}, got {getattr(self, low)} and {getattr(self, high)}")


FULL = Config(halvings=9, zooms=6, width=16, steps=500)


def axes(config: Config) -> tuple[Axis, Axis]:
    """The two hyperparameters over the window."""
    (first, its_layer), (second, other_layer) = _PLANES[config.plane]
    return (
        Axis(first, config.x_low, config.x_high, its_layer),
        Axis(second, config.y_low, config.y_high, other_layer),
    )


def train(config: Config, runs: Path) -> Path:
    """Trains a network at each point of each map, coarse ones first; returns the folder of the study."""
    training = mean_field(
        width=config.width, activation=config.activation, steps=config.steps, seed=config.seed  # type: ignore[arg-type]
    )  # fmt: skip
    points = 2**config.halvings + 1
    plane = axes(config)
    found: list[TrainabilityMap] = []
    with Study("fractal", config, runs, total=(config.zooms + 1) * points**2) as study:

        def went_on(done: int, of: int) -> None:
            study.advance(len(found) * points**2 + done - study.step)
            if study.stopped:
                raise InterruptedError

        try:
            for depth in range(config.zooms + 1):
                settings = Settings(seed=config.seed)
                for shown in trainability_maps(training, plane, settings=settings, points=points, progress=went_on):
                    _show_map(study, depth, shown)
                found.append(shown)
                _show_dimensions(study, found)
                if not shown.boundary.any() or shown.exhausted:
                    study.say("There is nothing to magnify any more: no boundary, or no numbers between the points.")
                    study.advance((config.zooms - depth) * points**2)
                    break
                plane = around_boundary(shown, plane, _FACTOR)
        except InterruptedError:
            study.say("Stopped.")
    return study.path


def _show_map(study: Study, depth: int, shown: TrainabilityMap) -> None:
    name = f"zoom-{depth}" if depth else "map"
    title = f"{_FACTOR**depth:,.0f} times as large" if depth else "Where training converges"
    words = "Every point is a network of its own: blue ones converge, orange ones diverge."
    study.exhibit(name, shown, title, words, window=("x_low", "x_high", "y_low", "y_high"))


def _show_dimensions(study: Study, found: list[TrainabilityMap]) -> None:
    names = [f"{_FACTOR**depth:,.0f} ×" for depth in range(len(found))]
    counts = {name: (one.box_sizes, one.box_counts) for name, one in zip(names, found, strict=True)}
    fits = {
        f"{name}, slope {one.dimension:.2f}": (one.box_sizes, _fit(one)) for name, one in zip(names, found, strict=True)
    }
    study.exhibit(
        "boxes",
        lines(
            "Boxes that cover the boundary",
            "A smooth line takes half as many boxes of twice the size, a region a fourth; between is rough.",
            ("side of a box (points)", "boxes"),
            counts,
            expected=fits,
            x_log=True,
            y_log=True,
            marks="points",
        ),
    )
    larger = _FACTOR ** np.arange(len(found))
    dimension, error = (np.array([getattr(one, name) for one in found]) for name in ("dimension", "dimension_error"))
    study.exhibit(
        "dimension",
        lines(
            "Dimension of the boundary, magnified",
            "Between a line's, 1, and a region's, 2; with two standard errors of the fit.",
            ("magnification", "box-counting dimension"),
            {"boundary": (larger, dimension)},
            expected={"line": (larger, np.ones(len(found))), "region": (larger, np.full(len(found), 2.0))},
            bands={"boundary": (dimension - 2 * error, dimension + 2 * error)},
            x_log=True,
            marks="both",
        ),
    )


def _fit(shown: TrainabilityMap) -> np.ndarray:
    """The line through the logarithms of the counts, at each size."""
    sizes, counts = np.log(shown.box_sizes), np.log(np.maximum(shown.box_counts, 1))
    fitted: np.ndarray = np.exp(counts.mean() - shown.dimension * (sizes - sizes.mean()))
    return fitted


def judge(run: Run) -> list[Claim]:
    """Whether the boundary is rougher than a line, no region, and no smoother from near."""
    chart = exhibited(run, "dimension", Chart)
    dimension, low, high = chart.y["boundary"], chart.low["boundary"], chart.high["boundary"]
    known = np.isfinite(low)
    words = ", ".join(f"{d:.2f} ± {(h - d) / 2:.2f}" for d, h in zip(dimension, high, strict=True))
    magnified = len(dimension) > 1 and bool(known.all())
    return [
        claim(
            "At every magnification the boundary is rougher than a line: its dimension is above 1 by two standard "
            "errors.",
            words,
            holds=bool(known.all() and (low > 1).all()),
            partly=bool((low[known] > 1).any()),
        ),
        claim(
            "It is no region either: its dimension is below 2 by two standard errors.",
            words,
            holds=bool(known.all() and (high < 2).all()),
            partly=bool((high[known] < 2).any()),
        ),
        claim(
            "From near it is no smoother: at the greatest magnification its dimension is not below that at the first, "
            "within two standard errors.",
            f"{dimension[-1]:.2f} at {chart.x['boundary'][-1]:,.0f} ×, {dimension[0]:.2f} at first",
            holds=magnified and bool(high[-1] >= dimension[0]),
        ),
    ]
