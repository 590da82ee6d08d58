"""What an address of the server stands for: the folder of runs, one of its runs, a number or a step in it."""

from __future__ import annotations

from pathlib import Path

from flask import abort, current_app, request

from landscope.runs import Run, latest_id, open_run

__all__ = [
    "FOR_EVER",
    "LATEST",
    "READ_ONLY",
    "RECIPES",
    "ROOT",
    "WORKERS",
    "number_of",
    "root_of_runs",
    "run_of",
    "step_asked",
    "writable",
]

ROOT = "LANDSCOPE_ROOT"  # configuration of the Flask application: the folder of runs, a Path
WORKERS = "LANDSCOPE_WORKERS"  # who measures finished runs: None for nobody
RECIPES = "LANDSCOPE_RECIPES"  # who starts recipes
READ_ONLY = "LANDSCOPE_READ_ONLY"  # whether commands are refused
LATEST = "latest"
FOR_EVER = "public, max-age=31536000, immutable"  # what may be kept of an answer that never changes
_MAX_SEQ = 2**53 - 1  # what a script can count to


def root_of_runs() -> Path:
    """The folder of runs that is served."""
    root = current_app.config[ROOT]
    if not isinstance(root, Path):
        raise TypeError(f"{ROOT} must be a Path, got {type(root).__name__}")
    return root


def run_of(run_id: str) -> Run:
    """The run that an address names."""
    root = root_of_runs()
    return open_run(latest_id(root) if run_id == LATEST else run_id, root=root)


def number_of(seq: int) -> int:
    """A number of a run, as an address gives it."""
    if seq > _MAX_SEQ:
        abort(404, description=f"numbers in a run are at most {_MAX_SEQ}, got {seq}")
    return seq


def step_asked() -> int | None:
    """The step that an address asks for; None where it leaves that open."""
    text = request.args.get("step")
    if text is not None and not text.isdecimal():
        abort(400, description=f"step must be a number, got {text!r}")
    return None if text is None else number_of(int(text))


def writable() -> None:
    """Refuse the request where the server only shows."""
    if current_app.config[READ_ONLY]:
        abort(403, description="this server is read-only: it was started with --read-only")
