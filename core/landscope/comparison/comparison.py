"""Two to six runs side by side: what differs between them, and their measurements in common pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import plotly.graph_objects as go

from landscope.comparison.alignment import Placed, minus, placed, unlike_axes
from landscope.comparison.curves import Line, ascending, band, less, thinned
from landscope.comparison.pictures import Picture
from landscope.comparison.settings import Setting, differences, labels, seed_groups
from landscope.figures import figure
from landscope.figures.cells import one_scale
from landscope.figures.comparisons import (
    Curve,
    Pen,
    curves_figure,
    densities_figure,
    difference_figure,
    embeddings_figure,
    kernels_figure,
    planes_figure,
)
from landscope.figures.overlays import measured_lines, overlaid_figure, overlayable
from landscope.figures.reliefs import escaped
from landscope.figures.scales import number
from landscope.measurements import NTK, Chart, Measurement, Projection, Slice2D, SpectralDensity
from landscope.runs import FrameRef, Run, open_run

__all__ = ["CURVES", "MOST", "Comparison", "compare"]

MOST = 12
"""Runs that are compared: five seeds of two settings, and a reference."""

DECILES = 5
"""Seeds of which a band of deciles says something; of fewer it goes from the least to the greatest."""

CURVES: dict[str, tuple[str, ...]] = {
    "training loss": ("train/loss",),
    "test loss": ("test/loss",),
    "training accuracy (share)": ("train/accuracy",),
    "test accuracy (share)": ("test/accuracy",),
    "sharpness (limit dotted)": ("sharpness/lambda_max", "sharpness/threshold"),
    "weights ‖θ‖": ("norm/weights",),
}
"""What is drawn over the steps: the scalar by its name with unit, and what limits it."""

M = TypeVar("M", bound=Measurement)


class Comparison:
    """Runs side by side.

    Attributes:
        runs: The runs.
        labels: What each is called, all different.
        settings: The settings in which they differ.
        groups: The runs, as positions, that differ by their seed alone; most groups have one member. A recipe's
            recorded reference is always alone.
    """

    def __init__(self, runs: tuple[Run, ...]) -> None:
        configs = [{"recipe": run.manifest.recipe, **run.manifest.config} for run in runs]
        self.runs = runs
        self.settings: tuple[Setting, ...] = differences(configs)
        self.groups: tuple[tuple[int, ...], ...] = seed_groups(
            [{"reference": run.manifest.reference, **config} for run, config in zip(runs, configs, strict=True)]
        )
        self.labels: tuple[str, ...] = labels(
            [run.manifest.name for run in runs], [run.id for run in runs], self.settings
        )
        firsts = [members[0] for members in self.groups]
        self._group_names = labels(
            [runs[at].manifest.name for at in firsts],
            [runs[at].id for at in firsts],
            differences([{**configs[at], "seed": None} for at in firsts]),
        )

    def __repr__(self) -> str:
        return f"Comparison({', '.join(self.labels)})"

    @property
    def last_common_step(self) -> int:
        """The last step that every run has reached."""
        return min(run.head().step for run in self.runs)

    def pens(self, *, by_group: bool = False) -> dict[str, Pen]:
        """A colour and a dash pattern for each run; of runs that differ by their seed alone, one colour if asked."""
        hues = {member: hue for hue, members in enumerate(self.groups) for member in members}
        return {label: Pen(hues[at] if by_group else at, at) for at, label in enumerate(self.labels)}

    def curves(self, *, bands: bool | None = None, deciles: bool = False, logarithmic_steps: bool = False) -> Picture:
        """Losses, accuracies, sharpness with its limit and the norm of the weights, over the steps.

        Args:
            bands: Draw runs that differ by their seed alone as their mean, with a band from the least to the greatest;
                None for wherever there are such runs.
            deciles: Let the band of five seeds or more go from the first decile to the ninth.
            logarithmic_steps: Whether the axis of the steps is logarithmic.
        """
        grouped = any(len(members) > 1 for members in self.groups) if bands is None else bands
        cells, gaps = {}, []
        for title, names in CURVES.items():
            curves = [curve for name in names for curve in self._curves(name, name != names[0], grouped, deciles)]
            if curves:
                cells[title] = curves
                without = [label for label in self.labels if not any(label in self._within(c) for c in curves)]
                gaps += [f"{title}: not measured in {', '.join(without)}"] if without else []
        if not cells:
            return Picture(missing=dict.fromkeys(self.labels, "no such curve was recorded"))
        banded = any(curve.band is not None for curves in cells.values() for curve in curves)
        said = (
            "a line through a band is the mean of the seeds; where one was not measured it is linear between its steps"
        )
        return Picture(
            notes=(*([said] if banded else []), *gaps),
            draw=lambda colours: curves_figure(cells, colours, logarithmic_steps=logarithmic_steps),
        )

    def curve_difference(self, first: int = 0, second: int = 1, *, logarithmic_steps: bool = False) -> Picture:
        """One run's curves less another's, at the steps of both within what both cover, linear between measurements.

        Args:
            first: Position of the run that is taken from.
            second: Position of the run that is taken off.
            logarithmic_steps: Whether the axis of the steps is logarithmic.

        Raises:
            IndexError: if there is no such run.
        """
        label = f"{self.labels[first]} − {self.labels[second]}"
        pen = self.pens()[self.labels[first]]
        cells = {}
        for title, (name, *_) in CURVES.items():
            one, other = (_line(self.runs[at], name) for at in (first, second))
            difference = None if one is None or other is None else less(one, other)
            if difference is not None:
                cells[title.partition(" (limit")[0]] = [Curve(label, pen, *thinned(*difference))]
        if not cells:
            return Picture(notes=("the two have no curve at steps in common",))
        return Picture(
            draw=lambda colours: curves_figure(cells, colours, logarithmic_steps=logarithmic_steps, signed=True)
        )

    def planes(self, plane: str = "random", step: int | None = None) -> Picture:
        """The newest slice of each run at or before a step, in the same axes, with one scale of colours.

        The scale is that of all such slices of these runs, so that it holds still from step to step.

        Args:
            plane: Which, as in "slice/random".
            step: The step; None for the last that every run has reached.
        """
        found, missing = self._found(f"slice/{plane}", step, Slice2D)
        if not found:
            return Picture(missing)
        spans = [span for run in self.runs if (span := run.span(f"slice/{plane}")) is not None]
        span = (min(low for low, _ in spans), max(high for _, high in spans)) if spans else None
        first, *others = found.values()
        reasons = dict.fromkeys(filter(None, (unlike_axes(first, other) for other in others)))
        note = "each plane is about its own run's weights"
        return Picture(
            missing,
            (note, *(f"coordinates are not comparable: {reason}" for reason in reasons)),
            lambda colours: planes_figure(found, colours, span=span),
        )

    def difference(self, first: int = 0, second: int = 1, plane: str = "random", step: int | None = None) -> Picture:
        """The loss of one run's slice less that of another's, where coordinates mean the same in both.

        Args:
            first: Position of the run that is taken from.
            second: Position of the run that is taken off.
            plane: Which, as in "slice/random".
            step: The step; None for the last that every run has reached.

        Raises:
            IndexError: if there is no such run.
        """
        names = (self.labels[first], self.labels[second])
        found, missing = self._found(f"slice/{plane}", step, Slice2D)
        if not all(name in found for name in names):
            return Picture({name: missing[name] for name in names if name in missing})
        a, b = (found[name] for name in names)
        reason = unlike_axes(a, b)
        if reason:
            return Picture(notes=(f"the two cannot be subtracted: {reason}",))
        less = minus(a, b)
        said = "same directions, each about its own run's weights: below zero the first has the lower loss"
        told = [f"<b>{escaped(name)}</b> step {cut.provenance.step}" for name, cut in zip(names, (a, b), strict=True)]
        return Picture(
            notes=(said,),
            draw=lambda colours: difference_figure(
                (less.alpha, less.beta), less.loss, less.axes, "<br>− ".join(told), colours
            ),
        )

    def densities(self, step: int | None = None, *, by_group: bool = False) -> Picture:
        """The densities of the Hessian's eigenvalues, on one axis.

        Args:
            step: The newest at or before it; None for the last that every run has reached.
            by_group: See `pens`.
        """
        found, missing = self._found("density", step, SpectralDensity)
        pens = self.pens(by_group=by_group)
        return Picture(
            missing, _steps(found), (lambda colours: densities_figure(found, pens, colours)) if found else None
        )

    def kernels(self, step: int | None = None, *, by_group: bool = False) -> Picture:
        """The eigenvalues of the tangent kernels by their rank.

        Args:
            step: The newest at or before it; None for the last that every run has reached.
            by_group: See `pens`.
        """
        found, missing = self._found("ntk", step, NTK)
        pens = self.pens(by_group=by_group)
        kinds = dict.fromkeys(f"{kernel.gram_kind}, {len(kernel.eigenvalues)} rows" for kernel in found.values())
        unlike = () if len(kinds) < 2 else (f"the kernels are of different kinds: {'; '.join(kinds)}",)
        return Picture(
            missing,
            (*_steps(found), *unlike),
            (lambda colours: kernels_figure(found, pens, colours)) if found else None,
        )

    def embeddings(self, step: int | None = None, *, colour: str = "class") -> Picture:
        """The features of each run in the plane, those of the others laid over the first's where examples are the same.

        Args:
            step: The newest at or before it; None for the last that every run has reached.
            colour: What colours the points: "class", "prediction", "correct", "loss" or "margin".
        """
        found, missing = self._found("embedding", step, Projection)
        flat = {label: projection for label, projection in found.items() if projection.points.shape[1] == 2}
        if not flat:
            return Picture(missing)
        reference = next(iter(flat))
        laid = {label: placed(points, flat[reference]) for label, points in flat.items()}
        told = {label: "" if label == reference else _fit(one) for label, one in laid.items()}
        shown = {label: one.projection for label, one in laid.items()}
        return Picture(missing, draw=lambda colours: embeddings_figure(shown, told, colours, colour=colour))

    def exhibits(self) -> dict[str, str]:
        """What recipes exhibit in two runs at least: title by name, in the order in which the first run shows them."""
        shown = [{event.data["name"]: event.text for event in run.events("exhibit") if event.data} for run in self.runs]
        titles = {name: title for titles in reversed(shown) for name, title in titles.items()}
        order = dict.fromkeys(name for names in shown for name in names)
        return {name: titles[name] for name in order if sum(name in names for names in shown) > 1}

    def exhibit(self, name: str, step: int | None = None) -> Picture:
        """What recipes exhibit under a name: lines over one another where they are few, the rest side by side.

        Args:
            name: The exhibit, as in `exhibits`.
            step: The newest at or before it; None for the last that every run has reached.
        """
        found, missing = self._found(f"exhibit/{name}", step, Measurement)
        if not found:
            return Picture(missing)
        pens = self.pens()
        charts = {label: shown for label, shown in found.items() if isinstance(shown, Chart)}
        if len(charts) == len(found) and overlayable(charts):
            return Picture(missing, _steps(found), lambda colours: overlaid_figure(charts, pens, colours))
        titles, among = [f"<b>{escaped(label)}</b>" for label in found], measured_lines(charts)

        def drawn(shown: Measurement, dark: bool) -> go.Figure:
            return figure(shown, dark=dark, **({"among": among} if isinstance(shown, Chart) else {}))

        return Picture(
            missing,
            _steps(found),
            lambda colours: one_scale([drawn(one, colours.name == "dark") for one in found.values()], titles, colours),
        )

    def at(self, name: str, step: int | None = None) -> tuple[FrameRef | None, ...]:
        """The newest stored measurement of a name in each run, at or before a step; None where there is none.

        Args:
            name: The name, e.g. "slice/random".
            step: The step; None for the last that every run has reached.
        """
        until = self.last_common_step if step is None else step
        return tuple(
            max((frame for frame in run.frames(name) if frame.step <= until), key=_newest, default=None)
            for run in self.runs
        )

    def _found(self, name: str, step: int | None, kind: type[M]) -> tuple[dict[str, M], dict[str, str]]:
        found, missing = {}, {}
        for run, label, frame in zip(self.runs, self.labels, self.at(name, step), strict=True):
            measured = None if frame is None else Measurement.from_bytes(run.frame_bytes(frame.seq))
            if isinstance(measured, kind):
                found[label] = measured
            else:
                later, why = run.frames(name), "kept of the reference" if run.manifest.reference else "measured"
                missing[label] = f"first measured at step {later[0].step:,}" if later else f"{name} was not {why}"
        return found, missing

    def _curves(self, name: str, limit: bool, bands: bool, deciles: bool) -> list[Curve]:
        pens, groups = self.pens(by_group=bands), self.groups if bands else tuple((at,) for at in range(len(self.runs)))
        lines = {at: line for at, run in enumerate(self.runs) if (line := _line(run, name)) is not None}
        drawn = []
        for members in groups:
            known = [at for at in members if at in lines]
            inner = deciles and len(members) >= DECILES
            common = band([lines[at] for at in known], deciles=inner) if len(known) > 1 else None
            if common is None:
                drawn += [
                    Curve(self.labels[at], pens[self.labels[at]], *thinned(*lines[at]), limit=limit) for at in known
                ]
                continue
            steps, mean, low, high = common
            kept, _ = thinned(steps, mean)
            place = steps.searchsorted(kept)
            pen = replace(pens[self.labels[members[0]]], dash=self.groups.index(members))
            edges = None if limit else (low[place], high[place])
            drawn.append(Curve(self._group_label(members, inner), pen, kept, mean[place], edges, limit))
        return drawn

    def _group_label(self, members: tuple[int, ...], deciles: bool) -> str:
        """What a group of runs is called: by its names, or by the settings that tell it from others of its name."""
        edges = "10–90 %" if deciles else "least to greatest"
        names = dict.fromkeys(self.runs[at].manifest.name for at in members)
        name = self._group_names[self.groups.index(members)] if len(names) == 1 else ", ".join(names)
        return f"{name}, mean of {len(members)} seeds ({edges})"

    def _within(self, curve: Curve) -> tuple[str, ...]:
        """The labels of the runs that a curve is of."""
        for members in self.groups:
            if len(members) > 1 and curve.label in (self._group_label(members, inner) for inner in (True, False)):
                return tuple(self.labels[at] for at in members)
        return (curve.label,)


def compare(*runs: str | Path | Run, root: str | Path | None = None) -> Comparison:
    """Two to six runs side by side.

    Args:
        *runs: Their folders, their ids in `root`, or the runs themselves.
        root: The folder of runs; "runs" when None.

    Raises:
        ValueError: if there are fewer than two or more than six, or one is there twice.
        FileNotFoundError: if there is no such run.
    """
    if not 2 <= len(runs) <= MOST:
        raise ValueError(f"from 2 to {MOST} runs are compared, got {len(runs)}")
    opened = tuple(run if isinstance(run, Run) else open_run(run, root) for run in runs)
    twice = sorted({run.id for run in opened if [other.path for other in opened].count(run.path) > 1})
    if twice:
        raise ValueError(f"a run is compared with others, not with itself; more than once there is {', '.join(twice)}")
    return Comparison(opened)


def _line(run: Run, name: str) -> Line | None:
    try:
        steps, values = run.scalars(name)
    except KeyError:  # not measured in this run
        return None
    return ascending(steps, values)


def _newest(frame: FrameRef) -> tuple[int, int]:
    return frame.step, frame.seq


def _steps(found: Mapping[str, Measurement]) -> tuple[str, ...]:
    """Of which steps measurements are, where that is not one and the same."""
    steps = {label: measured.provenance.step for label, measured in found.items()}
    if len(set(steps.values())) < 2:
        return ()
    return ("; ".join(f"{label}: step {step:,}" for label, step in steps.items() if step is not None),)


def _fit(one: Placed) -> str:
    if one.reason:
        return f"not laid over the first:<br>{one.reason}"
    residual = "" if one.residual is None else f", residual {number(one.residual)}"
    return f"laid over the first<br>by {one.shared:,} examples{residual}"
