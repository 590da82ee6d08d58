"""Runs side by side, at addresses of the api: what differs between them, and their common pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from flask import Blueprint, Response, abort, jsonify, request

from landscope_app.addresses import FOR_EVER, root_of_runs, step_asked
from landscope_app.comparisons import PLANES, common_picture, overview

__all__ = ["comparing"]

T = TypeVar("T")

comparing = Blueprint("comparing", __name__, url_prefix="/compare")


@comparing.get("")
def get_comparison() -> Response:
    """Runs side by side: what differs between them; 304 while nothing changed."""
    step, plane = step_asked(), request.args.get("plane", PLANES[0])
    response = jsonify(_wanted(lambda ids: overview(root_of_runs(), ids, step=step, plane=plane)))
    response.add_etag()
    response.cache_control.no_cache = True
    return response.make_conditional(request)


@comparing.get("/<what>")
def get_common_picture(what: str) -> Response:
    """A picture of several runs; what its address says it was made of never changes."""
    try:
        drawn = _wanted(lambda ids: common_picture(root_of_runs(), ids, what, request.args, step=step_asked()))
    except KeyError as error:
        abort(404, description=str(error.args[0]))
    response = Response(drawn, mimetype="application/json")
    response.headers["Cache-Control"] = FOR_EVER if request.args.get("stamp") else "no-store"
    return response


def _wanted(answer: Callable[[list[str]], T]) -> T:
    """What is said of the runs that the address names; wrong names and choices are the caller's mistake."""
    ids = [run_id for run_id in request.args.get("runs", "").split(",") if run_id]
    try:
        return answer(ids)
    except ValueError as error:
        abort(400, description=str(error))
