"""`landscope export`: a recorded run as files that need no Landscope to be read."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from landscope.measurements import Measurement
    from landscope.runs import Run


__all__ = ["DESCRIPTION", "add_options", "export_run"]

DESCRIPTION = """\
Writes a run, finished or not, as files that are read without Landscope, a server or the internet.

  landscope export latest --report grokking.html               the whole run as one page, with a slider over the steps
  landscope export RUN --figure slice/random plane.html        one measurement, in the format of the file's suffix
  landscope export RUN --figure density spectrum.npz --step 500
  landscope export RUN --figure curves/history curves.html     lines over the steps, by their panel and view on the page
  landscope export RUN --data arrays.npz --csv scalars.csv     the newest of every measurement, and all scalars

RUN is a run's folder, its id in the folder of runs, or "latest". A figure goes into .html, .json (plotly's), .png or
.svg, the numbers of a measurement into .npz, and where it is a table or a grid also into .csv, .nc, .vtk, .stl or .glb.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Gives a parser the options of the command."""
    parser.add_argument("run", metavar="RUN", help="a run's folder, its id, or latest")
    parser.add_argument("--report", type=Path, metavar="FILE.html", help="the whole run as one page")
    parser.add_argument("--figure", nargs=2, metavar=("NAME", "FILE"), help="one measurement, as the suffix says")
    parser.add_argument("--step", type=int, help="the measurements at or before this step (default: the newest)")
    parser.add_argument("--data", type=Path, metavar="FILE.npz", help="all arrays of the newest of every measurement")
    parser.add_argument("--csv", type=Path, metavar="FILE.csv", help="all scalars: name, step, value")


def export_run(chosen: argparse.Namespace) -> int:
    """Writes what was asked for, and prints each file.

    Raises:
        ValueError: if nothing was asked for, or the run does not have it.
        FileNotFoundError: if there is no such run.
    """
    if not (chosen.report or chosen.figure or chosen.data or chosen.csv):
        raise ValueError("nothing was asked for; add one or more of --report, --figure, --data, --csv")
    # Here, as the command has other things to do than this.
    from landscope.formats import series_to_csv, to_archive
    from landscope.reports import report

    run = _named(chosen.run, chosen.runs)
    if chosen.report:
        _told(report(run, chosen.report, progress=_progress))
    if chosen.figure:
        _told(_figure(run, *chosen.figure, chosen.step))
    if chosen.data:
        names = dict.fromkeys(frame.name for frame in run.frames() if chosen.step is None or frame.step <= chosen.step)
        chosen.data.write_bytes(to_archive({name: _measured(run, name, chosen.step) for name in names}))
        _told(chosen.data)
    if chosen.csv:
        chosen.csv.write_bytes(series_to_csv({name: run.scalars(name) for name in run.scalar_names()}))
        _told(chosen.csv)
    return 0


def _named(name: str, root: Path) -> Run:
    from landscope.runs import latest_id, open_run

    if name == "latest":
        return open_run(latest_id(root), root=root)
    return open_run(Path(name)) if Path(name).is_dir() else open_run(name, root=root)


def _figure(run: Run, name: str, file: str, step: int | None) -> Path:
    """Writes a measurement, or the lines of one of the page's views, in the format of the file's suffix."""
    from landscope.formats import export
    from landscope_app.line_pages import line_page, line_views

    if name in line_views():
        if Path(file).suffix != ".html":
            raise ValueError(f"lines {name} can be written to .html, got {file}; --csv writes all scalars")
        Path(file).write_text("".join(line_page(run, name)), encoding="utf-8")
        return Path(file)
    try:
        return export(_measured(run, name, step), file)
    except (TypeError, ModuleNotFoundError) as failure:
        raise ValueError(f"{name} cannot be written to {file}: {failure}") from failure


def _measured(run: Run, name: str, step: int | None) -> Measurement:
    try:
        return run.measurement(name, step)
    except KeyError as missing:
        raise ValueError(str(missing.args[0])) from missing


def _progress(name: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[Kdrawing {name}", end="", file=sys.stderr, flush=True)


def _told(path: Path) -> None:
    erase = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(erase, end="", file=sys.stderr, flush=True)
    print(f"{path} ({path.stat().st_size / 1e6:.2g} MB)")
