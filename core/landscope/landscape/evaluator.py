"""The loss at many points of a flat piece of weight space, in the fastest way that this model and machine have."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from math import ceil
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from landscope.batches import take
from landscope.derivatives import accumulator
from landscope.evaluation import Loss, vmapped
from landscope.landscape.assumptions import divisible, lasting
from landscope.landscape.example_losses import NotAMeanError
from landscope.landscape.first_layers import FirstLayers
from landscope.landscape.linear_calls import LinearCall, replaying
from landscope.landscape.memory import channels_last, has_images, keep_freed_memory
from landscope.landscape.plans import CACHE, Plan, Room
from landscope.landscape.readings import Part, Reader, joined, stacked
from landscope.landscape.surveys import Survey, survey
from landscope.landscape.value_kernels import fast_kernels
from landscope.objective import Objective
from landscope.points import REFUSALS

__all__ = ["MEMORY", "PlaneEvaluator"]

logger = logging.getLogger(__name__)

MEMORY = 2**29

# First layers that add up fewer terms than this cost no more than combining their outputs does.
_FEWEST_COLUMNS = 3
# With more terms than this, sharing them gains for certain.
_MANY_COLUMNS = 64
_BYTES_A_WEIGHT = 12  # in float64, and as they are
# Calling torch costs some milliseconds a point; a CPU's point that takes longer than this gains nothing by company.
_SLOW = 0.03
# A way of evaluating must be this much faster than the best so far to be taken.
_GAIN = 0.95
_TILE, _TRIAL = 32, 8
_TOGETHER = ((8, 32), (8, 64, 512))  # worth trying on a CPU, and on a GPU
_REFUSALS = (*REFUSALS, AssertionError)

# What was found best for a model and so many examples, so that the next picture begins with that.
_plans: WeakKeyDictionary[nn.Module, dict[tuple[Any, ...], Plan]] = WeakKeyDictionary()


class PlaneEvaluator:
    """L(theta_0 + sum_k c_k d_k) and metrics at any coordinates c. To be used within `objective.measuring()`.

    Weights are combined in float64 and rounded once. The first points are evaluated in several ways, each point once,
    and the fastest way is taken from then on.

    Args:
        objective: What to evaluate.
        centre: (P,) theta_0.
        directions: (K, P) d_k.
        metrics: Further functions of (output, target) by name, each the mean over a batch.
        per_class: Whether to evaluate the loss of each class too.
        errors: Whether to evaluate sampling errors.
        memory: Bytes that may be held at once beside the data.
    """

    def __init__(
        self,
        objective: Objective,
        centre: Tensor,
        directions: Tensor,
        *,
        metrics: Mapping[str, Loss] | None = None,
        per_class: bool = False,
        errors: bool = True,
        memory: int = MEMORY,
    ) -> None:
        if objective.layout.device.type == "cpu":
            keep_freed_memory()
        self.objective = objective
        self.memory = memory
        layout = objective.layout
        vectors = [centre, *directions]
        self._corners = [layout.unflatten(vector) for vector in vectors]
        self._reader = Reader(objective, metrics=metrics or {}, per_class=per_class, errors=errors)
        self._pools = True
        with torch.no_grad(), self._fast_kernels():
            outputs = self._at_centre()
            here, along, last = self._corners[0], self._corners[1], outputs[-1]
            lasts = lasting(objective, here, along, last, metrics=self._reader.metrics)
            self._by_definition = objective.batch_norm == "recompute" or not lasts
            self._reader.at_centre(outputs)
            self._separable = not self._by_definition and divisible(objective, self._corners[0], outputs[0])
            self._survey, self._calls, self._row_bytes = self._surveyed()
            self._pools = self._survey.pools
        self._room = Room(
            memory=memory,
            batch=max(objective.batches.sizes),
            row_bytes=self._row_bytes,
            weight_bytes=_BYTES_A_WEIGHT * layout.size,
            separable=self._separable,
            cached=layout.device.type == "cpu",
        )
        # In float64 where that is affordable, and otherwise as they came, to be widened parameter by parameter.
        self._exact = accumulator(centre)
        affordable = 8 * len(vectors) * layout.size <= memory // 4
        kept = [vector.to(self._exact) if affordable else vector for vector in vectors]
        self._floats = {name: torch.stack([v[layout.slices[name]] for v in kept]) for name in layout.names}
        self._first: dict[tuple[int, int], FirstLayers] = {}
        self._laid_out: tuple[int | None, bool] | None = None
        known = _plans.setdefault(objective.model, {}).get(self._kind())
        self._plan = known or self._first_and_last[0]
        self._candidates = iter(()) if known else self._race()
        self._waiting: Plan | None = None
        self._seconds = float("inf")  # that the last trial took for a point
        self._least = 1  # points that the next one takes

    @property
    def plan(self) -> Plan:
        """The way of evaluating that is taken at present."""
        return self._plan

    def __call__(self, coordinates: Tensor) -> dict[str, Tensor]:
        """Loss and metrics at G points.

        Args:
            coordinates: (G, K).

        Returns:
            "loss", "accuracy" for classifications, "error" and "contrast_error" (standard errors of the loss, and of
            its difference from the centre's) where the loss is a plain mean over examples, "class/0" and so on, and
            metrics by name; each (G,), float64, on the CPU.
        """
        # Filled in place: what is kept of each point would lie between freed blocks, and hold the heap apart.
        values: dict[str, Tensor] = {}
        at = 0
        with torch.no_grad(), self._fast_kernels():
            while at < len(coordinates):
                trial = self._next_trial(len(coordinates) - at)
                plan = trial or self._plan
                points = coordinates[at : at + (self._trial_size(plan) if trial else self._tile(plan))]
                try:
                    self._prepare(plan)
                    began = self._clock() if trial else 0.0
                    found = self._evaluate(points, plan)
                except NotAMeanError as reason:
                    self._reader.by_definition(reason)
                    continue
                except _REFUSALS as reason:
                    if plan == self._plan and not self._give_up(plan):
                        raise
                    logger.info("%s is no way to evaluate this model: %s", plan, reason)
                    self._seconds = float("inf")
                    continue
                if trial:
                    self._seconds = (self._clock() - began) / len(points)
                    logger.debug("%s: %.2g s a point", trial, self._seconds)
                for name, those in found.items():
                    values.setdefault(name, torch.empty(len(coordinates)).double())[at : at + len(points)] = those
                at += len(points)
                self.objective.work.forwards += len(points)
        return values

    def _clock(self) -> float:
        # A processor's own time, which other programs change least; a GPU's work has no share in that.
        return time.process_time() if self.objective.layout.device.type == "cpu" else time.perf_counter()

    def _next_trial(self, points: int) -> Plan | None:
        """The next plan to be timed, unless it takes more points than there are at present."""
        if self._waiting is None:
            self._waiting = next(self._candidates, None)
        if self._waiting is None or self._trial_size(self._waiting) > points:
            return None
        trial, self._waiting = self._waiting, None
        return trial

    def _trial_size(self, plan: Plan) -> int:
        """Points that a plan is timed on: several, since what serves one may still be in the cache for the next."""
        return max(plan.together, self._least)

    @property
    def _first_and_last(self) -> list[Plan]:
        """What is likely to be best, to begin with, and what to fall back on."""
        images = has_images(self.objective.batches.items[0]) and self.objective.layout.device.type == "cpu"
        likely = Plan(rows=self._room.cached_rows(1), reuse=bool(self._calls), channels_last=images)
        return [likely, Plan(rows=self._room.most_rows)]

    def _give_up(self, plan: Plan) -> bool:
        """Has the way taken so far replaced by a plainer one; whether there is one."""
        first, last = self._first_and_last
        if plan == last:
            return False
        self._plan = last if plan == first else first
        self._candidates, self._waiting = self._race(), None
        return True

    def _fast_kernels(self) -> AbstractContextManager[None]:
        return fast_kernels(sliced=self._pools and self.objective.layout.device.type == "cpu")

    # Finding the way

    def _race(self) -> Iterator[Plan]:
        """Plans to try, one after the other; each is evaluated before the next is asked for."""
        best = self._plan

        def timed(plan: Plan) -> Iterator[Plan]:
            for self._least in (1, _TRIAL):  # the first call prepares kernels and fills caches
                yield plan

        yield from timed(best)
        seconds = self._seconds
        if self._by_definition:
            return

        def better(candidate: Plan) -> Iterator[Plan]:
            nonlocal best, seconds
            yield from timed(candidate)
            if self._seconds < _GAIN * seconds:
                best, seconds = candidate, self._seconds
                self._plan = best

        if has_images(self.objective.batches.items[0]):
            yield from better(replace(best, channels_last=not best.channels_last))
        cached, most = self._room.cached_rows(1), self._room.most_rows
        if cached != most:
            yield from better(replace(best, rows=most if best.rows == cached else cached))
        if self._calls and min(call.columns for call in self._calls.values()) < _MANY_COLUMNS:
            yield from better(replace(best, reuse=not best.reuse))
        device = self.objective.layout.device
        if device.type != "cpu" or seconds < _SLOW:
            for together in _TOGETHER[device.type == "cuda"]:
                candidate = replace(best, together=together, rows=self._room.cached_rows(together))
                if together <= self._room.most_together(candidate.rows):
                    yield from better(candidate)
        self._plan = best
        _plans[self.objective.model][self._kind()] = best
        logger.info("points are evaluated %s: %.2g s a point", best, seconds)

    def _kind(self) -> tuple[Any, ...]:
        """What the best way depends on, and all that a way takes for granted."""
        objective = self.objective
        data = objective.batches.sizes, objective.batch_norm, objective.layout, self._row_bytes, self._output_bytes
        return *data, self.memory, len(self._corners), self._by_definition, self._separable, frozenset(self._calls)

    def _tile(self, plan: Plan) -> int:
        """Points whose outputs and weights are held at once."""
        if plan.together > 1:
            return plan.together
        if plan.rows is None and len(self.objective.batches.items) == 1 and not plan.reuse:
            return 1
        each = _BYTES_A_WEIGHT * self.objective.layout.size + self._output_bytes
        return max(1, min(_TILE, self.memory // (4 * max(each, 1))))

    # What the model is like

    def _at_centre(self) -> list[Any]:
        outputs = [output for _, output in self.objective.forward(self._corners[0])]
        self.objective.work.forwards += 1
        self._output_bytes = sum(leaf.nbytes for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor))
        return outputs

    def _surveyed(self) -> tuple[Survey, dict[int, LinearCall], int]:
        """What the model does, the first layers to be shared, and the bytes of its largest activation per example."""
        batch, size = next(self.objective.batches_on_device())
        few = min(size, 4) if self._separable else size
        some = take(batch, slice(0, few), size) if self._separable else batch
        found = survey(lambda named: self.objective.function(named, some), self._corners[0])
        calls = {n: call for n, call in found.calls.items() if self._worthwhile(call.columns, call.weight, size)}
        exact = self.objective.layout.dtype in (torch.float32, torch.float64)  # coarser types round the weights first
        if self._by_definition or not exact:
            calls = {}
        if found.hidden is not None:
            logger.info("first layers are not shared between points: the model reads numbers by %s", found.hidden)
        return found, calls, found.bytes // few

    def _worthwhile(self, columns: int, weight: str, size: int) -> bool:
        """Combining K + 1 outputs must be cheaper than computing one, or than making the weights for it."""
        if columns:
            return columns > _FEWEST_COLUMNS
        return self._corners[0][weight].numel() > 1000 * size  # embeddings: many rows of which few are looked up

    # Evaluating

    def _evaluate(self, coordinates: Tensor, plan: Plan) -> dict[str, Tensor]:
        objective = self.objective
        coordinates = coordinates.to(objective.layout.device, self._exact)
        if self._by_definition:
            return self._one_by_one(coordinates)
        needed = self._needed(plan)
        weights = self._weights(coordinates, needed)
        readings = self._reader.empty(len(coordinates), coordinates)
        # Large outputs are read while they are still in the cache, and small ones many at once.
        apart = self._reader.divisible and len(coordinates) * self._output_bytes > CACHE
        for number, (batch, size) in enumerate(objective.batches_on_device()):
            parts = self._parts(number, batch, size, coordinates, weights, plan, apart=apart)
            if not apart:
                everything = slice(0, len(coordinates)), slice(0, size)
                parts = iter([Part(*everything, joined([part.outputs for part in parts], 1), batch)])
            readings.add(number, parts)
        return readings.found()

    def _parts(
        self,
        number: int,
        batch: Any,
        size: int,
        coordinates: Tensor,
        weights: Mapping[str, Tensor],
        plan: Plan,
        *,
        apart: bool,
    ) -> Iterator[Part]:
        """Outputs on a batch: on each piece of it, and if they are to be `apart`, at each point evaluated alone."""
        step = 1 if apart and plan.together == 1 else len(coordinates)
        for rows, piece in self._pieces(batch, size, plan):
            for start in range(0, len(coordinates), step):
                points = slice(start, start + step)
                here = coordinates[points], {name: values[points] for name, values in weights.items()}
                yield Part(points, rows, self._outputs(piece, (number, rows.start), *here, plan), piece)

    def _one_by_one(self, coordinates: Tensor) -> dict[str, Tensor]:
        """Each batch's output is read before the next is computed; batch statistics are computed anew at each point."""
        weights = self._weights(coordinates, self.objective.layout.names)
        points = []
        for point in range(len(coordinates)):
            readings = self._reader.empty(1, coordinates)
            named = {name: values[point] for name, values in weights.items()}
            for number, (batch, output) in enumerate(self.objective.forward(named)):
                rows = slice(0, self.objective.batches.sizes[number])
                readings.add(number, [Part(slice(0, 1), rows, stacked([output]), batch)])
            points.append(readings.found())
        return {name: torch.cat([found[name] for found in points]) for name in points[0]}

    def _needed(self, plan: Plan) -> Sequence[str]:
        replaced = self._survey.replaced(self._calls) if plan.reuse else ()
        return [name for name in self.objective.layout.names if name not in replaced]

    def _weights(self, coordinates: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """The parameters (G, *shape) at coordinates (G, K)."""
        ones = torch.cat([torch.ones_like(coordinates[:, :1]), coordinates], dim=1)
        centre = self._corners[0]
        return {
            name: (ones @ self._floats[name].to(self._exact)).to(centre[name]).reshape(len(ones), *centre[name].shape)
            for name in names
        }

    def _pieces(self, batch: Any, size: int, plan: Plan) -> Iterator[tuple[slice, Any]]:
        count = ceil(size / (plan.rows or size))
        step = ceil(size / count)  # of one size, so that none is too small to be worth a call
        for start in range(0, size, step):
            rows = slice(start, min(start + step, size))
            piece = batch if step >= size else take(batch, rows, size)
            yield rows, tree_map(channels_last, piece) if plan.channels_last else piece

    def _outputs(
        self, piece: Any, key: tuple[int, int], coordinates: Tensor, weights: Mapping[str, Tensor], plan: Plan
    ) -> Any:
        """Outputs (G, n, ...) on a piece of a batch."""
        function, calls = self.objective.function, self._calls if plan.reuse else {}
        first = self._first_layers(piece, key, plan) if calls else FirstLayers({}, frozenset())
        centre = self._corners[0]

        def one(named: Mapping[str, Tensor], outputs: Mapping[int, Tensor]) -> Any:
            with replaying(calls, outputs):
                return function({**centre, **named}, piece)

        if plan.together > 1:
            return vmapped(one)(dict(weights), first.at(coordinates))
        points = enumerate(coordinates.tolist())
        return stacked([one({n: values[g] for n, values in weights.items()}, first.at_point(c)) for g, c in points])

    def _prepare(self, plan: Plan) -> None:
        """Has the first layers' outputs ready, as far as they fit the memory."""
        if (plan.rows, plan.channels_last) == self._laid_out or not plan.reuse:
            return
        self._laid_out = (plan.rows, plan.channels_last)
        self._first = {}
        held = 0
        for number, (batch, size) in enumerate(self.objective.batches_on_device()):
            for rows, piece in self._pieces(batch, size, plan):
                found = self._first_layers(piece, (number, rows.start), plan)
                held += found.nbytes
                if held > self.memory // 2:
                    return
                self._first[number, rows.start] = found

    def _first_layers(self, piece: Any, key: tuple[int, int], plan: Plan) -> FirstLayers:
        return self._first.get(key) or FirstLayers.of(
            lambda named: self.objective.function(named, piece),
            self._corners,
            self._survey,
            self._calls,
            channels_last=plan.channels_last,
        )
