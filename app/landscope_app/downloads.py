"""Files of a run, at addresses of the api: a measurement as arrays, table or page, and a report of the whole."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from flask import Blueprint, Response, abort, request

from landscope.formats import TABLES, to_csv, to_html, to_npz
from landscope.measurements import Measurement
from landscope.reports import pieces
from landscope.runs.manifest import slug
from landscope_app.addresses import number_of, run_of
from landscope_app.line_pages import line_page

__all__ = ["TABLE_KINDS", "files"]

files = Blueprint("files", __name__, url_prefix="/runs")

TABLE_KINDS = [one.kind for one in TABLES]
"""Kinds of measurements that are tables."""

_FORMS: dict[str, tuple[Callable[[Measurement], bytes], str]] = {
    "npz": (to_npz, "application/zip"),
    "csv": (to_csv, "text/csv"),
    "html": (to_html, "text/html"),
}
_writing = threading.Lock()  # a report takes a processor for seconds, which the page needs too


@files.get("/<run_id>/frames/<int:seq>.<any(npz, csv, html):form>")
def get_frame_file(run_id: str, seq: int, form: str) -> Response:
    """A measurement as a file."""
    run = run_of(run_id)
    write, mimetype = _FORMS[form]
    try:
        measurement = Measurement.from_bytes(run.frame_bytes(number_of(seq)))
        data = write(measurement)
    except (KeyError, TypeError) as error:
        abort(404, description=str(error.args[0]))
    name = next(frame.name for frame in run.frames() if frame.seq == seq)
    step = "" if measurement.provenance.step is None else f"-step-{measurement.provenance.step}"
    return _file(data, mimetype, f"{run.id}-{slug(name)}{step}.{form}")


@files.get("/<run_id>/lines/<panel>/<view>.html")
def get_line_page(run_id: str, panel: str, view: str) -> Response:
    """The lines of a view as a page; `line` in the address, as often as needed, says which alone."""
    run, name = run_of(run_id), f"{panel}/{view}"
    only, log_steps = set(request.args.getlist("line")), request.args.get("x") == "log"
    try:
        parts = line_page(run, name, only=only, log_steps=log_steps)
    except ValueError as error:
        abort(404, description=str(error))
    return _file(_encoded(parts), "text/html", f"{run.id}-{slug(name)}.html")


@files.get("/<run_id>/report.html")
def get_report(run_id: str) -> Response:
    """A whole run as one page, handed on while it is written."""
    run = run_of(run_id)
    if not _writing.acquire(blocking=False):
        abort(409, description="a report is being written already: ask again when it is done")
    try:
        response = _file(_encoded(pieces(run)), "text/html", f"{run.id}.html")
    except BaseException:
        _writing.release()
        raise
    response.call_on_close(_writing.release)  # also when whoever asked is gone
    return response


def _encoded(parts: Iterator[str]) -> Iterator[bytes]:
    for part in parts:
        yield part.encode()


def _file(data: bytes | Iterator[bytes], mimetype: str, name: str) -> Response:
    response = Response(data, mimetype=mimetype)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.cache_control.no_store = True
    return response
