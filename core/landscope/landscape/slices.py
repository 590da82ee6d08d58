"""Slices of the loss landscape: the loss on a line, on a plane or in a box through weight space."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor

from landscope.evaluation import Loss
from landscope.landscape.cuts import Cut
from landscope.landscape.directions import hessian_directions, random_directions
from landscope.landscape.evaluator import MEMORY, PlaneEvaluator
from landscope.landscape.grids import Grid, Scale, spaced
from landscope.landscape.normalisation import Normalisation
from landscope.landscape.trajectories import project_path, trajectory_plane
from landscope.measurements import Slice, Slice1D, Slice2D, Slice3D
from landscope.objective import Objective

__all__ = ["cut", "fitting_radius", "refine", "slice1d", "slice2d", "slice3d", "trajectory_cut", "trajectory_slice"]

Directions = Tensor | Literal["random", "hessian"] | None
Extent = Sequence[tuple[float, float]]

logger = logging.getLogger(__name__)

_ORDINALS = ("first", "second", "third")
_RISE = 10.0
_FEWEST = 32


def cut(
    objective: Objective,
    directions: Directions = None,
    *,
    dimensions: int = 2,
    theta: Tensor | None = None,
    radius: float | Literal["auto"] = 1.0,
    extent: Extent | None = None,
    points: int | Sequence[int] = 25,
    scale: Scale = "linear",
    normalisation: Normalisation = "filter",
    biases: bool = False,
    orthogonal: bool = False,
    seed: int = 0,
    plane: str | None = None,
    axes: Sequence[str] | None = None,
    metrics: Mapping[str, Loss] | None = None,
    also: Mapping[str, Objective] | None = None,
    per_class: bool = False,
    errors: bool = True,
    gradient: bool = False,
    path: Tensor | None = None,
    path_steps: Sequence[int] | None = None,
    path_losses: Sequence[float] | None = None,
    store: str | Path | None = None,
    memory: int = MEMORY,
) -> Cut:
    """A slice to be evaluated: L(theta + sum_k c_k d_k) on a grid of coordinates c; `steps()` yields it coarse to fine.

    `slice1d`, `slice2d` and `slice3d` evaluate it whole, `refine` stage by stage; they take the same arguments.

    Args:
        objective: What to evaluate.
        directions: (K, P) any directions, "random" ones (the default, see `random_directions`), or "hessian", the
            eigenvectors of the Hessian's largest eigenvalues.
        dimensions: K: 1, 2 or 3.
        theta: (P,) the centre; the model's weights by default.
        radius: Half the side of the box around the centre, in multiples of the directions; "auto" chooses for each
            direction the distance at which the loss has changed tenfold, see `fitting_radius`.
        extent: (low, high) for each direction instead of a box around the centre.
        points: Grid points along each direction, one number or K; odd ones put one on the centre of a box. Grids of
            2^k + 1 points (9, 17, 33 ...) have the most coarser ones nested in them.
        scale: "linear", or "log" for coordinates spaced by signed logarithm, see `spaced`.
        normalisation: Of random directions: "filter" (Li et al. 2018), "layer", "tensor", "model" or "none".
        biases: Whether biases and normalisation parameters move too, in random directions.
        orthogonal: Whether random directions are made orthogonal.
        seed: Of random directions.
        plane: How given directions were chosen, in a word.
        axes: What one unit along each axis is, in words, for given directions.
        metrics: Further functions of (output, target) by name, each the mean over a batch: a term of the loss, an
            error rate. Their values are in `metrics` of the slice.
        also: Further objectives of the same parameters by name, e.g. {"test": held_out}: "test/loss", "test/accuracy".
        per_class: Whether to evaluate the loss of each class: "class/0" and so on.
        errors: Whether to evaluate sampling errors.
        gradient: Whether to evaluate the derivatives along the directions, about three times the work of the losses.
        path: (T, P) earlier weights, projected on the plane as its trajectory.
        path_steps: The step of each of them.
        path_losses: The loss of each of them; evaluated if not given.
        store: Folder in which finished points are kept, so that the same slice, interrupted by anything, goes on from
            there.
        memory: Bytes that may be held at once, beside the data, the weights and the directions.

    Raises:
        ValueError: if the radius is not positive, an extent is reversed, a grid has fewer than two points a side, or
            directions have the wrong shape or are parallel.
    """
    counts = (points,) * dimensions if isinstance(points, int) else tuple(points)
    if len(counts) != dimensions:
        raise ValueError(f"points must be one number or {dimensions}, got {points}")
    if isinstance(radius, str) and radius != "auto":
        raise ValueError(f'radius must be a positive number or "auto", got {radius!r}')
    if radius != "auto" and not radius > 0:
        raise ValueError(f"radius must be positive, got {radius}")
    if extent is not None and len(extent) != dimensions:
        raise ValueError(f"extent must hold {dimensions} pairs (low, high), got {extent}")
    for name, other in (also or {}).items():
        if other.layout.names != objective.layout.names or other.layout.shapes != objective.layout.shapes:
            raise ValueError(f"objective {name!r} in also= must be of the same parameters as the first one")
    with objective.measuring():
        centre = objective.theta() if theta is None else theta
        objective.layout.check("theta", centre, 1)
        centre = centre.to(objective.layout.device, objective.layout.dtype)
        given = isinstance(directions, Tensor)
        if isinstance(directions, Tensor):
            rows = directions.unsqueeze(0) if directions.ndim == 1 and dimensions == 1 else directions
            if rows.shape != (dimensions, objective.layout.size):
                raise ValueError(
                    f"directions must have shape ({dimensions}, {objective.layout.size}), got {tuple(directions.shape)}"
                )
            rows = rows.to(centre.device, torch.promote_types(rows.dtype, torch.float32))
            words = [f"{ordinal} direction" for ordinal in _ORDINALS]
        elif directions == "hessian":
            rows = hessian_directions(objective, dimensions, theta=centre)
            words = [f"length along the {ordinal} eigenvector of the Hessian" for ordinal in _ORDINALS]
        elif directions in (None, "random"):
            rows = random_directions(
                objective, dimensions, normalisation=normalisation, biases=biases, orthogonal=orthogonal, seed=seed,
                theta=centre,
            )  # fmt: skip
            unit = {"none": "standard deviations", "model": "weight norms"}.get(normalisation, f"{normalisation} norms")
            words = [f"{ordinal} random direction, {unit}" for ordinal in _ORDINALS]
            words[0] += f" (seed {seed})"
        else:
            raise ValueError(f'directions must be a tensor, "random" or "hessian", got {directions!r}')
        if not bool(rows.isfinite().all() & rows.any(dim=1).all()):
            raise ValueError(
                "directions must be finite and not zero; random ones leave weights of zero norm where they are, and "
                "vectors (biases, norm layers) unless biases=True"
            )
        if int(torch.linalg.matrix_rank(_unit(rows) @ _unit(rows).T, tol=1e-12)) < dimensions:
            raise ValueError("directions must span a plane or box, got some that are parallel")
        if extent is None:
            radii = fitting_radius(objective, centre, rows) if radius == "auto" else [float(radius)] * dimensions
            extent = [(-r, r) for r in radii]
    random = not given and directions != "hessian"
    return Cut(
        objective=objective,
        centre=centre,
        directions=rows,
        grid=Grid(tuple(spaced(*ends, count, scale) for ends, count in zip(extent, counts, strict=True))),
        plane=plane or ("given" if given else directions or "random"),  # type: ignore[arg-type]
        axes=tuple(axes or words[:dimensions]),
        normalisation=normalisation if random else "none",
        biases=biases,
        orthogonal=(orthogonal and random) or directions == "hessian",
        scale=scale,
        seed=seed if random else None,
        metrics=metrics or {},
        also=also or {},
        per_class=per_class,
        errors=errors,
        gradient=gradient,
        path=path,
        path_steps=path_steps,
        path_losses=path_losses,
        store=None if store is None else Path(store),
        memory=memory,
    )


def slice1d(objective: Objective, directions: Directions = None, **options: Any) -> Slice1D:
    """The loss on a line, L(theta + alpha d). Options are those of `cut`.

    Between two points of weight space: `slice1d(objective, second - first, theta=first, extent=[(0, 1)])`.
    """
    return cast(Slice1D, _whole(cut(objective, directions, dimensions=1, **options)))


def slice2d(objective: Objective, directions: Directions = None, **options: Any) -> Slice2D:
    """The loss on a plane, L(theta + alpha d_1 + beta d_2). Options are those of `cut`."""
    return cast(Slice2D, _whole(cut(objective, directions, dimensions=2, **options)))


def slice3d(objective: Objective, directions: Directions = None, *, points: int = 13, **options: Any) -> Slice3D:
    """The loss in a box, L(theta + alpha d_1 + beta d_2 + gamma d_3). Options are those of `cut`."""
    return cast(Slice3D, _whole(cut(objective, directions, dimensions=3, points=points, **options)))


def _whole(cut: Cut) -> Slice:
    *_, last = cut.steps(nested=False)
    assert last.picture is not None
    return last.picture


def refine(
    objective: Objective,
    directions: Directions = None,
    *,
    points: int | Sequence[int] = 33,
    first_picture: float = 0.7,
    **options: Any,
) -> Iterator[Slice]:
    """The same slice on finer and finer grids (5, 9, 17, 33 points a side), each yielded as soon as it is there.

    Every point is evaluated once. Where even the coarsest grid takes longer than `first_picture` seconds, it comes
    first for as many random examples as do not; its provenance says how many, and its sampling errors what that means.
    Stop iterating to cancel; use `cut(...).steps(slot=...)` to learn how far it is between grids.

    Args:
        objective: What to evaluate.
        directions: See `cut`.
        points: Grid points along each direction at the end.
        first_picture: Seconds within which there should be something to see.
        **options: Those of `cut`.
    """
    whole = cut(objective, directions, points=points, **options)
    few = _quick_sample(objective, whole, first_picture)
    if few is not None:
        grid = whole.grid.every(whole.grid.strides()[0])
        also = {name: other.sample(few.examples) for name, other in whole.also.items()}
        sketch = replace(whole, objective=few, also=also, grid=grid, gradient=False, store=None)
        stages = len(whole.grid.strides())
        yield _whole(sketch).replaced(stage=1, stages=stages)
    for step in whole.steps():
        if step.picture is not None:
            yield step.picture


def _quick_sample(objective: Objective, cut: Cut, seconds: float) -> Objective | None:
    """As many examples as the coarsest grid may have to be done in time; None if it may have them all."""
    coarsest = prod(cut.grid.every(cut.grid.strides()[0]).shape)
    try:
        few = objective.sample(min(_FEWEST, objective.examples))
    except ValueError as reason:
        logger.info("the first picture is of all examples: batches cannot be divided (%s)", reason)
        return None
    few.value(cut.centre)
    began = time.perf_counter()
    few.value(cut.centre)
    each = (time.perf_counter() - began) / few.examples
    affordable = int(seconds / (each * coarsest))
    return objective.sample(max(_FEWEST, affordable)) if affordable < objective.examples else None


def fitting_radius(objective: Objective, centre: Tensor, directions: Tensor, *, rise: float = _RISE) -> list[float]:
    """For each direction the distance, in multiples of it, at which the picture shows something.

    That is where the loss, in the median of both ways along the direction, has become `rise` times what it is at the
    centre, or has lost its finiteness; interpolated between distances that grow fourfold, from 4^-6 to 4 weight norms.
    A loss that never rises so far is shown to the end.

    Args:
        objective: What to evaluate.
        centre: (P,).
        directions: (K, P).
        rise: The change to show; a loss L(0) < 0 counts as changed when it is |L - L(0)| >= (rise - 1) |L(0)|.
    """
    unit = float(centre.double().norm())
    radii = torch.tensor([4.0**power for power in range(-6, 2)], dtype=torch.float64)
    found = []
    with objective.measuring():
        start = objective.value(centre)
        for direction in directions:
            distances = radii * (unit or 1.0) / float(direction.double().norm())
            evaluator = PlaneEvaluator(objective, centre, direction.unsqueeze(0), errors=False)
            losses = evaluator(torch.cat([distances, -distances]).unsqueeze(1))["loss"].view(2, -1)
            change = (losses - start).abs() / max(abs(start), 1e-30) / (rise - 1)
            change = change.nan_to_num(torch.inf, posinf=torch.inf).mean(0)
            found.append(_crossing(distances.tolist(), change.tolist()))
    return found


def _crossing(distances: list[float], change: list[float]) -> float:
    """Where a curve first reaches one, interpolated in logarithms of both; its end if it never does."""
    at = next((i for i, value in enumerate(change) if not value < 1), None)
    if at is None:
        return distances[-1]
    if at == 0:
        return distances[0]
    low, high = change[at - 1], change[at]
    if not (low > 0 and math.isfinite(high)):
        return math.sqrt(distances[at - 1] * distances[at])
    share = -math.log(low) / (math.log(high) - math.log(low))
    return distances[at - 1] * math.exp(share * math.log(distances[at] / distances[at - 1]))


def trajectory_cut(
    objective: Objective,
    path: Tensor,
    *,
    theta: Tensor | None = None,
    margin: float = 0.3,
    reach: float = 1.0,
    previous: Tensor | None = None,
    seed: int = 0,
    **options: Any,
) -> Cut:
    """A slice on the plane through theta that lies closest to the path that led there; see `trajectory_slice`."""
    if not reach > 0:
        raise ValueError(f"reach must be positive, got {reach}")
    with objective.measuring():
        centre = objective.theta() if theta is None else theta
        fallback = random_directions(objective, 1, seed=seed, theta=centre)[0]
        directions = trajectory_plane(path, centre, previous=previous, fallback=fallback)
        corners = torch.cat([project_path(path, centre, directions).coordinates, torch.zeros(1, 2).to(centre.device)])
    low, high = corners.amin(dim=0), corners.amax(dim=0)
    side = float((high - low).max())
    middle, half = (low + high) / 2, ((high - low) / 2).clamp_min(side / 4) + margin * side
    extent = [(reach * float(m - h), reach * float(m + h)) for m, h in zip(middle, half, strict=True)]
    axes = ("distance along the path's first principal direction", "along its second principal direction")
    return cut(objective, directions, theta=centre, extent=extent, path=path, plane="trajectory", axes=axes, **options)


def trajectory_slice(objective: Objective, path: Tensor, **options: Any) -> Slice2D:
    """The loss on the plane through theta that lies closest to the path that led there.

    Coordinates are Euclidean distances in weight space. While the path is straight, a random filter-normalised
    direction completes the plane.

    Args:
        objective: What to evaluate.
        path: (T, P) earlier weights.
        **options: `theta` (P,), the centre; `margin`, the space left around the path as a share of its longer side;
            `reach`, how many times as far from theta to go as that, either way; `previous` (2, P), the plane of the
            frame before, to keep its orientation; `seed`, of the direction that completes a straight path; and those
            of `cut`.

    Raises:
        ValueError: if the path never leaves theta, or the reach is not positive.
    """
    return cast(Slice2D, _whole(trajectory_cut(objective, path, **options)))


def _unit(rows: Tensor) -> Tensor:
    return torch.nn.functional.normalize(rows.double(), dim=1)
