"""The HTTP interface to a folder of runs: what the page pulls, and the commands it sends.

Everything that has a number never changes, so frames are cached for ever; the head is small and asked for often.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from flask import Blueprint, Response, abort, current_app, jsonify, request
from werkzeug.exceptions import HTTPException

from landscope import lab
from landscope.measurements.precision import in_single_precision
from landscope.runs import Annotation, Head, RunSummary, discard, erase, list_runs, restore, trashed, write_annotation
from landscope.runs.commands import send_command
from landscope_app.addresses import (
    FOR_EVER,
    LATEST,
    WORKERS,
    number_of,
    root_of_runs,
    run_of,
    step_asked,
    writable,
)
from landscope_app.compare_api import comparing
from landscope_app.downloads import files
from landscope_app.laboratory import cost, picture
from landscope_app.recipes_api import recipes
from landscope_app.run_details import details
from landscope_app.snippets import shown_path
from landscope_app.steering import COMMANDS

__all__ = ["api"]

_MAX_RECORDS = 200_000

api = Blueprint("landscope_api", __name__, url_prefix="/api/v1")
for part in (comparing, files, recipes):
    api.register_blueprint(part)


@api.get("/runs")
def get_runs() -> Response:
    """All runs, newest first."""
    return jsonify({"runs": [_summary(summary) for summary in list_runs(root_of_runs())]})


@api.get("/runs/details")
def get_details() -> Response:
    """What the list tells of all runs besides; 304 while nothing changed."""
    response = jsonify(details(root_of_runs()))
    response.add_etag()
    response.cache_control.no_cache = True
    return response.make_conditional(request)


@api.get("/runs/trash")
def get_trash() -> Response:
    """What was thrown away, newest first; 304 while nothing changed."""
    response = jsonify({"runs": [_summary(summary) for summary in trashed(root_of_runs())]})
    response.add_etag()
    response.cache_control.no_cache = True
    return response.make_conditional(request)


@api.get("/runs/<run_id>/head")
def get_head(run_id: str) -> Response:
    """Where a run is now; 304 while nothing changed."""
    run = run_of(run_id)
    head, workers = run.head(), current_app.config.get(WORKERS)
    worker = None if workers is None or head.status.live else workers.state(run.id)
    response = jsonify(
        id=run.id,
        seq=head.seq,
        step=head.step,
        total=head.total,
        status=head.status,
        age=round(head.heartbeat_age_s, 1),
        dropped=head.dropped,
        worker=worker,
    )
    response.set_etag(_head_tag(run.id, head, worker), weak=True)
    response.cache_control.no_cache = True
    return response.make_conditional(request)


@api.get("/runs/<run_id>/since/<int:seq>")
def get_since(run_id: str, seq: int) -> Response:
    """What a run gained after a number, in columns; numbers that are not finite are null."""
    limit = request.args.get("limit", default=20_000, type=int)
    increment = run_of(run_id).since(number_of(seq), limit=min(max(limit, 1), _MAX_RECORDS))
    response = jsonify(
        seq=increment.seq,
        more=increment.more,
        scalars={
            name: {"step": steps.tolist(), "value": _finite(values)}
            for name, (steps, values) in increment.scalars.items()
        },
        frames={
            name: {"seq": seqs.tolist(), "step": steps.tolist(), "lo": _finite(lo), "hi": _finite(hi)}
            for name, (seqs, steps, lo, hi) in increment.frames.items()
        },
        events=[asdict(event) for event in increment.events],
    )
    response.cache_control.no_store = True
    return response


@api.get("/runs/<run_id>/frames/<int:seq>.bin")
def get_frame(run_id: str, seq: int) -> Response:
    """A measurement in single precision; 204 where it is kept no more, as long runs keep a part of theirs."""
    run = run_of(run_id)
    try:
        data = in_single_precision(run.frame_bytes(number_of(seq)))
    except KeyError as error:
        if 0 < seq <= run.head().seq:  # which browsers would report as an error, and it is none
            return Response(status=204, headers={"Cache-Control": "no-store"})
        abort(404, description=str(error.args[0]))
    response = Response(data, mimetype="application/octet-stream")
    if run_id == LATEST:  # another run's by and by
        response.cache_control.no_store = True
    else:
        response.headers["Cache-Control"] = FOR_EVER
    return response


@api.get("/runs/<run_id>/frames/<int:seq>/figure")
def get_figure(run_id: str, seq: int) -> Response:
    """A measurement as its plotly figure, for pictures that no script of the page draws."""
    run = run_of(run_id)
    try:
        drawn = picture(run, shown_path(run.path), number_of(seq), dark=request.args.get("theme") == "dark")
    except (KeyError, TypeError) as error:
        abort(404, description=str(error.args[0]))
    return Response(drawn, mimetype="application/json")


@api.get("/runs/<run_id>/what-if")
def get_what_if(run_id: str) -> Response:
    """The loss ahead for a learning rate that was drawn, or in words why there is none."""
    # By the scipy below it, whose import would double the time in which a server starts.
    from landscope_app.what_if import knots_of, what_if

    try:
        knots = knots_of(request.args.get("knots", ""))
    except ValueError as error:
        abort(400, description=str(error))
    return jsonify(what_if(run_of(run_id), knots, step_asked()))


@api.get("/lab")
def get_lab() -> Response:
    """What can be measured on demand, with its parameters."""
    return jsonify(measurements=lab.description())


@api.get("/lab/<what>/cost")
def get_cost(what: str) -> Response:
    """About how many gradients a measurement takes as long as, or what is wrong with its parameters."""
    try:
        return jsonify(gradients=cost(what, json.loads(request.args.get("parameters", "{}"))), wrong="")
    except (ValueError, TypeError) as error:
        return jsonify(gradients=None, wrong=str(error))


@api.get("/runs/<run_id>/manifest")
def get_manifest(run_id: str) -> Response:
    """What was trained, where, with what."""
    return jsonify(asdict(run_of(run_id).manifest))


@api.post("/runs/<run_id>/annotation")
def post_annotation(run_id: str) -> Response:
    """Keep tags and a note with a run."""
    writable()
    given = request.get_json()
    try:
        said = Annotation(tuple(given["tags"]), given["note"])
    except (ValueError, TypeError, KeyError) as error:
        abort(400, description=f"annotation must have tags and a note: {error}")
    write_annotation(run_of(run_id).path, said)
    return jsonify(asdict(said))


@api.post("/runs/<run_id>/discard")
def post_discard(run_id: str) -> Response:
    """Move a run that has ended to the trash."""
    writable()
    workers = current_app.config.get(WORKERS)
    if workers is not None and workers.state(run_id) in ("starting", "working"):
        abort(409, description=f"run {run_id} is being measured: wait until that has ended")
    return _moved(discard, run_id)


@api.post("/runs/<run_id>/restore")
def post_restore(run_id: str) -> Response:
    """Take a run back from the trash."""
    writable()
    return _moved(restore, run_id)


@api.post("/runs/<run_id>/erase")
def post_erase(run_id: str) -> Response:
    """Delete a run in the trash for good."""
    writable()
    return _moved(erase, run_id)


@api.post("/runs/<run_id>/commands")
def post_command(run_id: str) -> Response:
    """Leave a command for a run's trainer."""
    writable()
    kind, params = _command(request.get_json())
    run, workers = run_of(run_id), current_app.config.get(WORKERS)
    try:
        if kind in ("measure", "cancel") and workers is not None and not run.head().status.live:
            seq = send_command(run.path, kind, params)
            workers.wake(run.id)
        else:
            seq = run.send(kind, **params)
    except RuntimeError as error:
        abort(409, description=str(error))
    return jsonify(seq=seq)


@api.route("/", defaults={"rest": ""})
@api.route("/<path:rest>")
def get_nothing(rest: str) -> Response:
    """Any other address here is a mistake; without this it would be the page's."""
    abort(404, description=f"there is no {request.method} {request.path}")


@api.errorhandler(HTTPException)
def on_http_error(error: HTTPException) -> tuple[Response, int]:
    """Errors are JSON too."""
    return jsonify(error=error.description), error.code or 500


@api.errorhandler(FileNotFoundError)
def on_missing(error: FileNotFoundError) -> tuple[Response, int]:
    """A run or a file of it that is not there."""
    return jsonify(error=str(error)), 404


@api.errorhandler(ValueError)
@api.errorhandler(OSError)
@api.errorhandler(sqlite3.Error)
def on_unreadable(error: Exception) -> tuple[Response, int]:
    """A run that cannot be read: damaged, or of another version."""
    number = secrets.token_hex(4)
    current_app.logger.warning("error %s at %s: %s", number, request.path, error)
    return jsonify(error=f"{error} (error {number} in the server's log)"), 500


@api.errorhandler(Exception)
def on_mistake(error: Exception) -> tuple[Response, int]:
    """A mistake of the server's own: what went wrong is in its log, under the number that the answer has."""
    number = secrets.token_hex(4)
    current_app.logger.error("error %s at %s", number, request.path, exc_info=error)
    return jsonify(error=f"the server made a mistake (error {number} in its log)"), 500


def _moved(move: Callable[[str, Path], Path], run_id: str) -> Response:
    try:
        move(run_id, root_of_runs())
    except (RuntimeError, FileExistsError) as error:
        abort(409, description=str(error))
    return jsonify(id=run_id)


def _command(body: Any) -> tuple[str, dict[str, Any]]:
    """Kind and parameters of a command; whether their values make sense is for the trainer to say."""
    given = body if isinstance(body, dict) else {}
    kind, params = given.get("kind"), given.get("params", {})
    if not isinstance(kind, str) or kind not in COMMANDS:
        abort(400, description=f"kind must be one of {', '.join(COMMANDS)}, got {kind!r}")
    if not isinstance(params, dict) or not COMMANDS[kind].issuperset(params):
        known = ", ".join(sorted(COMMANDS[kind])) or "none"
        abort(400, description=f"params of {kind} must be an object with {known}, got {params!r}")
    if kind == "measure":
        try:
            cost(params.get("what", ""), params.get("parameters", {}))
        except (ValueError, TypeError) as error:
            abort(400, description=str(error))
    return kind, params


def _summary(summary: RunSummary) -> dict[str, Any]:
    keys = ("id", "name", "recipe", "status", "step", "total", "created", "finding", "error")
    parent = None if summary.parent is None else asdict(summary.parent)
    return {**{key: getattr(summary, key) for key in keys}, "parent": parent}


def _head_tag(run_id: str, head: Head, worker: str | None) -> str:
    """Changes with all that matters; the heartbeat's age only once it is late, in steps of five seconds."""
    late = int(head.heartbeat_age_s / 5) if head.status.live else 0
    return hashlib.sha256(
        f"{run_id}{head.seq, head.step, head.total, head.status, head.dropped, late, worker}".encode()
    ).hexdigest()[:16]


def _finite(values: np.ndarray) -> list[float | None]:
    """JSON has no NaN and no infinities."""
    finite = np.isfinite(values)
    return values.tolist() if finite.all() else np.where(finite, values.astype(object), None).tolist()
