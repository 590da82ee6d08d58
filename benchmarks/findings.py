"""How often findings are right: `python -m benchmarks.findings [NAME ...] [--json PATH]`.

Every labelled run is trained anew, measured at fixed steps, and looked at as a live page would. A finding that begins
is right where the run's label says that it is there, wrong where the label says it is not, and not counted where the
label leaves it open.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.labelled_runs import LABELLED, LabelledRun
from benchmarks.timing import machine
from landscope import watch
from landscope.dynamics import RULES, Series, Timeline
from landscope.runs import Run

__all__ = ["found_in", "main", "tabulated"]

_LOOKS = 80
_TOLD = [rule.kind for rule in RULES if rule.kind not in ("learning", "plateau")]


def found_in(labelled: LabelledRun) -> dict[str, int]:
    """The findings that begin in a run, each with the step it is dated to."""
    with tempfile.TemporaryDirectory() as folder:
        _train(labelled, Path(folder))
        (path,) = Path(folder).iterdir()
        run = Run(path)
        history = {name: Series(*run.scalars(name)) for name in run.scalar_names()}
    timeline, first = Timeline(), {}
    for step in torch.linspace(0, labelled.steps, _LOOKS).round().int().tolist():
        known = {name: _until(series, step) for name, series in history.items() if series.steps[0] <= step}
        for phase in timeline.look(known, step):
            if phase.begins:
                first.setdefault(phase.finding.kind, phase.step)
    return first


def _until(series: Series, step: int) -> Series:
    known = series.steps <= step
    return Series(series.steps[known], series.values[known])


def _train(labelled: LabelledRun, runs: Path) -> None:
    experiment = labelled.build(labelled.seed)
    inputs, targets = experiment.train
    order = torch.Generator().manual_seed(labelled.seed)
    with watch(
        experiment.model,
        experiment.loss_fn,
        train=experiment.train,
        test=experiment.test,
        optimizer=experiment.optimizer,
        overhead=math.inf,
        examples=256,
        probes=labelled.schedule(),
        name=labelled.name,
        runs=runs,
        progress=False,
    ) as scope:
        for step in range(labelled.steps):
            if labelled.task is not None and step and step % labelled.task == 0:
                targets = torch.randint(10, targets.shape, generator=order)
            rows = (
                slice(None)
                if labelled.batch is None
                else torch.randperm(len(inputs), generator=order)[: labelled.batch]
            )
            experiment.optimizer.zero_grad()
            loss = experiment.loss_fn(experiment.model(inputs[rows]), targets[rows])
            loss.backward()
            experiment.optimizer.step()
            if experiment.schedule is not None:
                experiment.schedule.step()
            scope.step(loss)
            if not math.isfinite(loss.item()):
                scope.measure()
                break


def tabulated(results: Sequence[tuple[LabelledRun, dict[str, int]]]) -> list[dict[str, Any]]:
    """Of every kind of finding: in how many runs it was rightly found, wrongly found, and missed."""
    right, wrong, missed, quiet = Counter(), Counter(), Counter(), Counter()
    for labelled, found in results:
        for kind in _TOLD:
            if kind in labelled.present:
                (right if kind in found else missed)[kind] += 1
            elif kind not in labelled.allowed:
                (wrong if kind in found else quiet)[kind] += 1
    return [
        {
            "finding": kind,
            "right": right[kind],
            "wrong": wrong[kind],
            "missed": missed[kind],
            "quiet": quiet[kind],
            "precision": right[kind] / (right[kind] + wrong[kind]) if right[kind] + wrong[kind] else None,
            "recall": right[kind] / (right[kind] + missed[kind]) if right[kind] + missed[kind] else None,
        }
        for kind in _TOLD
    ]


def _mistakes(labelled: LabelledRun, found: dict[str, int]) -> tuple[list[str], list[str]]:
    return sorted(labelled.present - set(found)), sorted(set(found) - labelled.present - labelled.allowed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains the labelled runs and prints what was found in each, and the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.findings", description="How often findings are right.")
    names = sorted({labelled.name for labelled in LABELLED})
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {'; '.join(names)}; all by default")
    parser.add_argument("--seeds", type=int, help="at most so many of each")
    parser.add_argument("--json", type=Path, help="file to write the table and the runs to")
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.names) - set(names))
    if unknown:
        parser.error(f"there is no labelled run {', '.join(unknown)}")
    torch.set_num_threads(1)
    runs = [run for run in LABELLED if not chosen.names or run.name in chosen.names]
    results = []
    for labelled in runs if chosen.seeds is None else [run for run in runs if run.seed < chosen.seeds]:
        began = time.process_time()
        found = found_in(labelled)
        results.append((labelled, found))
        missed, wrong = _mistakes(labelled, found)
        verdict = f"missed {missed}, wrong {wrong}" if missed or wrong else "right"
        print(
            f"{labelled.name:<26} {labelled.seed}  {time.process_time() - began:5.1f} s  {verdict}  {found}", flush=True
        )
    table = tabulated(results)
    print()
    print("".join(text.ljust(width) for text, width in zip(table[0], (22, 7, 7, 8, 7, 11, 8), strict=True)))
    for row in table:
        cells = ("-" if v is None else f"{v:.2f}" if isinstance(v, float) else str(v) for v in row.values())
        print("".join(text.ljust(width) for text, width in zip(cells, (22, 7, 7, 8, 7, 11, 8), strict=True)))
    if chosen.json is not None:
        rows = [
            {"run": run.name, "seed": run.seed, "found": found}
            | dict(zip(("missed", "wrong"), _mistakes(run, found), strict=True))
            for run, found in results
        ]
        chosen.json.write_text(json.dumps({"machine": machine("cpu"), "table": table, "runs": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
