"""Evaluating a slice: coarse to fine, in small steps, with everything that belongs to it."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.interpolate import RegularGridInterpolator
from torch import Tensor

from landscope.evaluation import Loss
from landscope.landscape.checks import Check, agreement, batch_norm_check, direction_checks, path_check
from landscope.landscape.evaluator import MEMORY, PlaneEvaluator
from landscope.landscape.grids import Grid, Scale
from landscope.landscape.normalisation import Normalisation
from landscope.landscape.points_file import PointsFile
from landscope.landscape.trajectories import project_path
from landscope.measurements import Provenance, Slice, Slice1D, Slice2D, Slice3D
from landscope.measurements.interpolation import interpolated
from landscope.objective import Objective, Work

__all__ = ["Cut", "Path", "Step"]

_KINDS: dict[int, type[Slice]] = {1: Slice1D, 2: Slice2D, 3: Slice3D}
_COORDINATES = ("alpha", "beta", "gamma")
_KEPT = 0.5  # seconds of work that a kill may cost
_TELLING = 9  # points a side from which they tell how far a picture between them may be off
_OWN = ("loss", "accuracy", "error", "contrast_error")  # what has a field of its own


@dataclass(frozen=True)
class Step:
    """How far a slice is.

    Attributes:
        done: Points finished.
        total: Points in all.
        seconds_left: Estimated time until all are.
        picture: The slice on the nested grid that has just been finished; None between grids.
    """

    done: int
    total: int
    seconds_left: float
    picture: Slice | None = None


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A slice to be evaluated.

    Attributes:
        objective: What to evaluate.
        centre: (P,) theta_0.
        directions: (K, P).
        grid: Where, in K dimensions.
        plane: How the directions were chosen, in a word.
        axes: What one unit along each axis is.
        normalisation: How the directions were scaled.
        biases: Whether biases were to be scaled with the rest.
        orthogonal: Whether orthogonal directions were asked for.
        scale: How the grid is spaced.
        seed: Of random directions.
        metrics: Further functions of (output, target) by name.
        also: Further objectives to evaluate at the same points, by name.
        per_class: Whether to evaluate the loss of each class.
        errors: Whether to evaluate sampling errors.
        gradient: Whether to evaluate the derivatives along the directions.
        path: (T, P) weights to be shown on a plane.
        path_steps: The step of each.
        path_losses: The loss of each; evaluated if not given.
        store: Folder in which finished points are kept, and found again.
        memory: Bytes that may be held at once beside data and directions.

    Raises:
        ValueError: if a metric has the name of what a slice has anyway.
    """

    objective: Objective
    centre: Tensor
    directions: Tensor
    grid: Grid
    plane: str
    axes: tuple[str, ...]
    normalisation: Normalisation = "none"
    biases: bool = False
    orthogonal: bool = False
    scale: Scale = "linear"
    seed: int | None = None
    metrics: Mapping[str, Loss] = field(default_factory=dict)
    also: Mapping[str, Objective] = field(default_factory=dict)
    per_class: bool = False
    errors: bool = True
    gradient: bool = False
    path: Tensor | None = None
    path_steps: Sequence[int] | None = None
    path_losses: Sequence[float] | None = None
    store: Path | None = None
    memory: int = MEMORY

    def __post_init__(self) -> None:
        taken = ("class/", "slope/", *(f"{name}/" for name in self.also))
        for name in self.metrics:
            if name in _OWN or name.startswith(taken):
                raise ValueError(
                    f"metrics must not have the names of what a slice has anyway ({', '.join(_OWN)}, or beginning with "
                    f"{', '.join(taken)}), got {name!r}; give it another"
                )

    def steps(
        self, *, slot: float | None = None, nested: bool = True, tolerance: float | None = None
    ) -> Iterator[Step]:
        """Evaluates the points, yielding whenever a nested grid is done.

        The model is the user's again whenever this yields. Stopping to iterate cancels; with `store`, what is finished
        stays so.

        Args:
            slot: Yield at least about this often, in seconds.
            nested: Whether to go from coarse to fine, or through all points at once.
            tolerance: End with the first grid of at least 9 points a side between which the loss is drawn with a stated
                error of at most this share (see `measurements.interpolation`), its 95th percentile.
        """
        return _Evaluation(self).steps(slot, nested, tolerance)


def _drawn_within(picture: Slice, tolerance: float) -> bool:
    """Whether what is drawn between the points is so close that finer ones would look the same."""
    counts = picture.loss.shape
    if min(counts) < _TELLING:
        return False
    return interpolated(picture, tuple(2 * count - 1 for count in counts)).typical_error <= tolerance


class _Evaluation:
    """A cut in progress."""

    def __init__(self, cut: Cut) -> None:
        self.cut = cut
        self._seconds, self._work = 0.0, Work()
        self._values: dict[str, np.ndarray] = {}
        self._probe: dict[str, float] = {}
        self._slopes = [f"slope/{axis}" for axis in _COORDINATES[: len(cut.directions)]] if cut.gradient else []
        self._done = np.zeros(cut.grid.shape, dtype=bool)
        with self._measuring():
            self._evaluators = {
                "": self._evaluator(cut.objective, metrics=cut.metrics, per_class=cut.per_class, errors=cut.errors),
                **{f"{name}/": self._evaluator(other, errors=False) for name, other in cut.also.items()},
            }
            self._centre_loss = cut.objective.value(cut.centre)
            self._checks = self._once()
            self._path = self._projected()

    def _evaluator(self, objective: Objective, **options: Any) -> PlaneEvaluator:
        with objective.measuring():
            return PlaneEvaluator(objective, self.cut.centre, self.cut.directions, memory=self.cut.memory, **options)

    @contextmanager
    def _measuring(self) -> Iterator[None]:
        """Within, the model is measured, and what that takes is counted."""
        objective = self.cut.objective
        before, began = copy(objective.work), time.perf_counter()
        with objective.measuring():
            yield
        self._seconds += time.perf_counter() - began
        for name in ("forwards", "gradients", "products"):
            spent = getattr(objective.work, name) - getattr(before, name)
            setattr(self._work, name, getattr(self._work, name) + spent)

    def steps(self, slot: float | None, nested: bool, tolerance: float | None) -> Iterator[Step]:
        kept = self._resumed()
        with nullcontext() if kept is None else closing(kept):
            for step in self._stages(slot, nested, kept):
                if tolerance is not None and step.picture is not None and _drawn_within(step.picture, tolerance):
                    yield Step(step.done, step.done, 0.0, step.picture.replaced(stages=step.picture.stage))
                    return
                yield step

    def _stages(self, slot: float | None, nested: bool, kept: PointsFile | None) -> Iterator[Step]:
        grid, total = self.cut.grid, self._done.size
        strides = grid.strides() if nested else [1]
        pause = slot or (math.inf if kept is None else _KEPT)
        chunk, pace = 8, 0.0
        for stage, stride in enumerate(strides, start=1):
            waiting = grid.indices(stride)
            waiting = waiting[~self._done[tuple(waiting.T)]]
            while len(waiting):
                began, size = time.perf_counter(), len(waiting) if math.isinf(pause) else min(chunk, len(waiting))
                with self._measuring():
                    self._evaluate(waiting[:size], kept)
                waiting = waiting[size:]
                pace = (time.perf_counter() - began) / size
                chunk = max(1, int(min(2 * chunk, pause / pace)))
                if slot and len(waiting):
                    yield Step(int(self._done.sum()), total, pace * (total - int(self._done.sum())))
            picture = self._picture(stride, stage, len(strides))
            yield Step(int(self._done.sum()), total, pace * (total - int(self._done.sum())), picture)

    def _evaluate(self, indices: np.ndarray, kept: PointsFile | None) -> None:
        coordinates = self.cut.grid.coordinates(indices)
        where = tuple(indices.T)
        found = self._at(coordinates)
        if self.cut.gradient:
            found |= dict(zip(self._slopes, self._derivatives(coordinates).T, strict=True))
        self._put(where, found)
        if kept is not None:
            kept.add(np.ravel_multi_index(where, self._done.shape).tolist(), found)

    def _at(self, coordinates: Tensor) -> dict[str, np.ndarray]:
        """Losses and metrics by name, (G,), at coordinates (G, K)."""
        found: dict[str, np.ndarray] = {}
        for prefix, evaluator in self._evaluators.items():
            with evaluator.objective.measuring():
                found |= {prefix + name: values.numpy() for name, values in evaluator(coordinates).items()}
        return found

    def _put(self, where: tuple[np.ndarray, ...], found: Mapping[str, np.ndarray]) -> None:
        for name, values in found.items():
            self._values.setdefault(name, np.full(self._done.shape, np.nan))[where] = values
        self._done[where] = True

    # Resuming

    def _resumed(self) -> PointsFile | None:
        """The file of finished points, what is in it taken over."""
        if self.cut.store is None:
            return None
        # Errors at the centre are differences of nothing, and no sign of what was evaluated.
        about = {name: value for name, value in self._probe.items() if not name.endswith("error")}
        names = [name.removeprefix("centre/") for name in self._probe if name.startswith("centre/")]
        kept = PointsFile(Path(self.cut.store), self._key(names), [*names, *self._slopes], about)
        if kept.finished:
            where = np.unravel_index(np.array(list(kept.finished)), self._done.shape)
            rows = np.array(list(kept.finished.values()))
            self._put(where, {name: rows[:, column] for column, name in enumerate(kept.names)})
        return kept

    def _key(self, names: Sequence[str]) -> str:
        """A digest of all that the values depend on, as far as it can be seen."""
        cut = self.cut
        digest = hashlib.sha256(" ".join([*names, *self._slopes]).encode())
        for array in (cut.centre.double().cpu().numpy(), cut.directions.double().cpu().numpy(), *cut.grid.axes):
            digest.update(np.ascontiguousarray(array).tobytes())
        for objective in (cut.objective, *cut.also.values()):
            digest.update(f"{objective.batches.digest} {objective.batch_norm} {objective.layout}".encode())
        return digest.hexdigest()[:32]

    # What belongs to a picture

    def _once(self) -> list[Check]:
        """The checks that hold for every stage."""
        cut, objective = self.cut, self.cut.objective
        far = torch.tensor([[float(axis[-1]) for axis in cut.grid.axes]], dtype=torch.float64)
        corner = (cut.centre.double() + far.to(cut.centre.device)[0] @ cut.directions.double()).to(cut.centre.dtype)
        for place, point in (("centre/", torch.zeros_like(far)), ("corner/", far)):
            self._probe |= {place + name: float(values[0]) for name, values in self._at(point).items()}
        at_centre, at_corner = self._probe["centre/loss"], self._probe["corner/loss"]
        precision = objective.layout.dtype
        digest = f"{objective.examples} {objective.split} examples".replace("  ", " ")
        centre_text = "the centre is {found}, the model's own loss {expected}"
        corner_text = "a corner is {found}, the model set to its weights gives {expected}"
        return [
            agreement("centre", at_centre, self._centre_loss, centre_text, precision),
            agreement("corner", at_corner, objective.value(corner), corner_text, precision),
            *direction_checks(
                objective,
                cut.centre,
                cut.directions,
                normalisation=cut.normalisation,
                biases=cut.biases,
                orthogonal=cut.orthogonal,
            ),
            *batch_norm_check(objective, cut.plane),
            ("data", "note", f"{digest}, SHA-256 {objective.batches.digest}"),
            *([] if cut.seed is None else [("seed", "note", str(cut.seed))]),
        ]

    def _projected(self) -> dict[str, Any]:
        """The path as seen from the plane."""
        cut = self.cut
        if cut.path is None or len(cut.directions) != 2:
            return {}
        foot = project_path(cut.path, cut.centre, cut.directions)
        losses = cut.path_losses
        if losses is None:
            losses = torch.cat([cut.objective.values(piece) for piece in cut.path.split(8)]).tolist()
        return {
            "path": foot.coordinates.cpu().numpy(),
            "path_steps": None if cut.path_steps is None else np.asarray(cut.path_steps),
            "path_distances": foot.distances.cpu().numpy(),
            "path_losses": np.asarray(losses, dtype=np.float64),
            "explained": foot.explained,
        }

    def _derivatives(self, coordinates: Tensor) -> np.ndarray:
        """Derivatives along the directions, (G, K)."""
        cut, directions = self.cut, self.cut.directions.double()
        found = []
        for point in coordinates.to(cut.centre.device):
            theta = (cut.centre.double() + point @ directions).to(cut.centre.dtype)
            found.append((directions @ cut.objective.gradient(theta).double()).cpu().numpy())
        return np.array(found)

    def _picture(self, stride: int, stage: int, stages: int) -> Slice:
        cut, grid = self.cut, self.cut.grid.every(stride)
        every = tuple(slice(None, None, stride) for _ in grid.axes)
        values = {name: array[every].copy() for name, array in self._values.items()}
        slopes = [values.pop(name) for name in self._slopes]
        fields: dict[str, Any] = dict(zip(_COORDINATES, grid.axes, strict=False))
        fields |= {name: values.pop(name, None) for name in _OWN} | self._path
        checks = [*self._checks]
        if self._path:
            checks.append(path_check(self._path["path_losses"], self._beneath(fields), self._path["path_distances"]))
        if holes := int((~np.isfinite(fields["loss"])).sum()):
            checks.append(("finite", "note", f"{holes} of {fields['loss'].size} points have no finite loss"))
        points = " x ".join(str(count) for count in grid.shape)
        method = f"{points} points, {cut.plane} {('line', 'plane', 'box')[len(grid.shape) - 1]}"
        return _KINDS[len(grid.shape)](
            **fields,
            metrics=values,
            gradient=np.stack(slopes, axis=-1) if slopes else None,
            centre_loss=self._centre_loss,
            plane=cut.plane,
            normalisation=cut.normalisation,
            axes=cut.axes,
            scale=cut.scale,
            gram=(cut.directions.double() @ cut.directions.double().T).cpu().numpy(),
            checks=tuple(checks),
            stage=stage,
            stages=stages,
            directions=cut.directions.cpu().numpy(),
            centre=cut.centre.to(torch.promote_types(cut.centre.dtype, torch.float32)).cpu().numpy(),
            provenance=self._provenance(method),
        )

    def _beneath(self, fields: Mapping[str, Any]) -> np.ndarray:
        axes = tuple(fields[name] for name in _COORDINATES[:2])
        surface = RegularGridInterpolator(axes, fields["loss"], bounds_error=False)
        found: np.ndarray = surface(fields["path"])
        return found

    def _provenance(self, method: str) -> Provenance:
        with self.cut.objective.measuring() as meter:
            provenance = meter.provenance(method, seed=self.cut.seed)
        return replace(
            provenance,
            seconds=self._seconds,
            data=self.cut.objective.batches.digest,
            forwards=self._work.forwards,
            gradients=self._work.gradients,
            products=self._work.products,
        )
