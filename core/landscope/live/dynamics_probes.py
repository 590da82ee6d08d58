"""Probes of training dynamics: gradients, weights, plasticity, single examples, outputs, and the loss ahead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from landscope import dynamics
from landscope.dynamics.units import NoActivationsError
from landscope.live.watched import Watched
from landscope.measurements import (
    Calibration,
    ExampleHistory,
    ExampleScores,
    Forecast,
    GradientConflict,
    GradientStatistics,
    LossMixture,
    OutputChange,
    Plasticity,
    UnitActivity,
    WeightStatistics,
)
from landscope.objective import Objective

__all__ = [
    "ExampleFrames",
    "LossForecasts",
    "OutputFrames",
    "class_conflict",
    "example_mixture",
    "gradients",
    "loss_ahead",
    "plasticity",
    "reliability",
    "units",
    "weights",
]

_MOST_CLASSES = 40  # whose gradients are compared, and so many numbers of theirs at once
_MOST_NUMBERS = 2**26
_SHOWN = 512  # examples that are followed one by one: those behind the points of an embedding
_FRAMES = 64  # of them in one picture
_FEWEST_LOSSES, _AHEAD = 16, 200  # that a forecast is made from, and its points


def gradients(watched: Watched) -> GradientStatistics:
    """The noise of single examples' gradients, of all and by class."""
    return dynamics.gradient_statistics(watched.focus)


def class_conflict(watched: Watched) -> GradientConflict | None:
    """Whether a step for one class is against another; None without classes, or with more than can be read.

    Raises:
        ValueError: if the gradients of all classes are more numbers than should be held at once.
    """
    labels = watched.sketch.labels()
    count = 0 if labels is None else len(labels.unique())
    if not 1 < count <= _MOST_CLASSES:
        return None
    numbers = count * watched.sketch.layout.size
    if numbers > _MOST_NUMBERS:
        raise ValueError(
            f"the gradients of all classes are {numbers:,} numbers, at most {_MOST_NUMBERS:,} are held at once; "
            "ls.dynamics.gradient_conflict compares those of fewer groups"
        )
    found = dynamics.gradient_conflict(dynamics.by_group(watched.sketch))
    return found.replaced(provenance=replace(found.provenance, examples=watched.sketch.examples))


def weights(watched: Watched) -> WeightStatistics:
    """The weights beside those at the start, where the path has these."""
    _, start = next(watched.trajectory.snapshots(), (0, None))
    return dynamics.weight_statistics(
        watched.focus, start=None if start is None else start.to(watched.focus.layout.device)
    )


def units(watched: Watched) -> UnitActivity | None:
    """Units that no longer answer; None of a network that calls no activation function."""
    try:
        return dynamics.unit_activity(watched.focus)
    except NoActivationsError:
        return None


def plasticity(watched: Watched) -> Plasticity:
    """How far a copy learns random labels; its first frame is what later ones are held against."""
    return dynamics.plasticity(watched.sketch)


class ExampleFrames:
    """The history of some examples, a frame each time it is asked for."""

    def __init__(self) -> None:
        self._record = dynamics.ExampleRecord(_FRAMES)
        self._step = -1

    def __call__(self, watched: Watched) -> ExampleHistory | None:
        """All frames so far with the present one; None where the task is no classification."""
        shown = watched.focus.sample(_SHOWN)
        scores = _scores(shown)
        if scores is None:
            return None
        if watched.step > self._step:
            self._record.add(scores.at(watched.step))
            self._step = watched.step
        history = self._record.history()
        return history.replaced(
            provenance=replace(history.provenance, data=shown.digest),
            positions=watched.focus.sampled(_SHOWN).int().numpy(),
            available=watched.focus.examples,
        )

    def rewound(self, step: int) -> None:
        """Begins a new history, as the frames after that step are of a training that was left."""
        self._record = dynamics.ExampleRecord(_FRAMES)
        self._step = -1


def example_mixture(watched: Watched) -> LossMixture | None:
    """Two groups among the examples' losses; None without a classification, or where losses do not differ."""
    scores = _scores(watched.focus)
    if scores is None or len(scores.losses) < 4 or not np.ptp(scores.losses) > 0:
        return None
    return dynamics.label_noise(scores)


def reliability(watched: Watched) -> Calibration | None:
    """Whether probabilities on held-out data, or else on training data, are right as often as they say."""
    objective = watched.held_out or watched.focus
    return None if _scores(objective) is None else dynamics.calibration(objective)


class OutputFrames:
    """How outputs on the same training examples have changed since this was last asked for."""

    def __init__(self) -> None:
        self._before: tuple[int, np.ndarray] | None = None

    def __call__(self, watched: Watched) -> OutputChange | None:
        """The change; None the first time, and where the task is no classification."""
        if watched.focus.labels() is None:
            return None
        outputs = watched.focus.outputs().cpu().double().numpy()
        if not np.isfinite(outputs).all():
            return None
        before, self._before = self._before, (watched.step, outputs)
        if before is None or not before[0] < watched.step:
            return None
        found = dynamics.output_change(watched.focus, before[1])
        method = f"{found.provenance.method}, {watched.step - before[0]:,} steps before"
        return found.replaced(provenance=replace(found.provenance, method=method))

    def rewound(self, step: int) -> None:
        """Forgets the outputs before, which are of a training that was left."""
        self._before = None


def loss_ahead(watched: Watched) -> Forecast | None:
    """What a power law through the path's losses says of as many steps again; None until there are enough of them.

    The losses are those of the objective that slices use, at the steps that the path keeps.
    """
    at, losses = np.array(watched.trajectory.steps), np.array(watched.trajectory.losses)
    usable = (at > 0) & np.isfinite(losses) & (losses > 0)
    if usable.sum() < _FEWEST_LOSSES:
        return None
    law = dynamics.fit_power_law(at[usable], losses[usable])
    made = dynamics.forecast(law, 2 * law.last)
    kept = np.unique(np.linspace(0, len(made.steps) - 1, _AHEAD).astype(int))
    thinned = {name: getattr(made, name)[kept] for name in ("steps", "expected", "low", "high")}
    return made.replaced(provenance=replace(made.provenance, split=watched.sketch.split), **thinned)


class LossForecasts:
    """Forecasts of the loss made on the way, and how they have fared."""

    def __init__(self) -> None:
        self._made: list[Forecast] = []

    def __call__(self, watched: Watched) -> Forecast | None:
        """The loss ahead from here; None until there are enough losses."""
        made = loss_ahead(watched)
        if made is not None:
            self._made.append(made)
        return made

    def score(self, watched: Watched) -> Mapping[str, float] | None:
        """What came since about half of the steps so far, against the forecast made then.

        Returns:
            Mean relative error, share within the band, and the last loss's deviation in standard errors; None where
            no forecast reaches from there to here.
        """
        at, losses = np.array(watched.trajectory.steps), np.array(watched.trajectory.losses)
        reaching = [made for made in self._made if made.made_at < at[-1] <= made.steps[-1]] if len(at) else []
        if not reaching:
            return None
        made = min(reaching, key=lambda one: one.made_at)
        came = at[at > made.made_at]
        lines = {name: np.interp(came, made.steps, getattr(made, name)) for name in ("expected", "low", "high")}
        scored = dynamics.score_forecast(made.replaced(steps=came, **lines), at, losses)
        return {f"forecast/{name}": value for name, value in scored.scalars().items() if name != "final"}

    def rewound(self, step: int) -> None:
        """Forgets what was made later, of a training that was left."""
        self._made = [made for made in self._made if made.made_at <= step]


def _scores(objective: Objective) -> ExampleScores | None:
    if objective.labels() is None:
        return None
    scores = dynamics.example_scores(objective)
    return scores if np.isfinite(scores.losses).all() else None
