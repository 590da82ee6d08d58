"""What the list of runs tells beside their summaries: settings, the course of the loss, verdict, tags and notes."""

from __future__ import annotations

import logging
import sqlite3
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from landscope.comparison import ascending, flattened, text
from landscope.runs import Run, RunSummary, list_runs, open_run, read_annotation
from landscope.runs.annotations import ANNOTATION
from landscope.runs.catalogue import Stamp, stamp_of
from landscope.runs.schema import DATABASE

__all__ = ["details", "sparkline", "verdict_of"]

logger = logging.getLogger(__name__)

POINTS = 32
LOSSES = ("train/loss", "step/loss", "loss")


def details(root: Path) -> dict[str, dict[str, Any]]:
    """Of every run that can be read, by its id: settings as text, the losses to draw, the verdict, tags and note."""
    return {summary.id: _details(summary) for summary in list_runs(root) if summary.error is None}


def sparkline(run: Run) -> list[float | None]:
    """The loss on the training data, or of the batches: its mean over as many stretches of the steps as are drawn.

    A stretch without a loss has None, and so has one whose losses are not finite.
    """
    known = run.scalar_names()
    name = next((name for name in LOSSES if name in known), None)
    if name is None:
        return []
    steps, values = ascending(*run.scalars(name))
    if not len(steps):
        return []
    last = max(int(steps[-1]), 1)
    bins = np.minimum(steps * POINTS // last, POINTS - 1)
    sums, counts = (np.bincount(bins, weights, POINTS) for weights in (values, np.ones(len(values))))
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / counts
    drawn = [float(f"{mean:.4g}") if np.isfinite(mean) else None for mean in means]
    return drawn if len(steps) > 1 else drawn[:1]


def _details(summary: RunSummary) -> dict[str, Any]:
    folder = summary.path
    database = folder / DATABASE
    stamps = stamp_of(database), stamp_of(folder / f"{DATABASE}-wal"), stamp_of(folder / ANNOTATION)
    return _read(folder, *stamps)


@lru_cache(maxsize=4096)
def _read(folder: Path, database: Stamp, log: Stamp, annotation: Stamp) -> dict[str, Any]:
    try:
        run = open_run(folder)
        said = read_annotation(folder)
        losses, verdict = sparkline(run), verdict_of(run)
    except (OSError, ValueError, sqlite3.Error) as error:  # shown without them; what is wrong is in the server's log
        logger.warning("details of %s cannot be read: %s", folder.name, error)
        return {"settings": {}, "losses": [], "verdict": None, "tags": [], "note": ""}
    settings = {name: text(value) for name, value in flattened(run.manifest.config).items()}
    return {"settings": settings, "losses": losses, "verdict": verdict, "tags": said.tags, "note": said.note}


def verdict_of(run: Run) -> dict[str, Any] | None:
    """What became of the claims of a recipe's run, as far as it was judged: the outcome, and of how many claims."""
    events = run.events("verdict")
    if not events or not events[-1].data.get("claims"):
        return None
    outcomes = [claim["outcome"] for claim in events[-1].data["claims"]]
    borne_out = outcomes.count("reproduced")
    return {"outcome": events[-1].data["outcome"], "reproduced": borne_out, "claims": len(outcomes)}
