"""The `landscope` command."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import landscope
from landscope.recipes.catalogue import CATALOGUE, FLAGSHIP
from landscope_app import exporting
from landscope_app.defaults import DEFAULT_HOST, DEFAULT_PORT
from landscope_app.doctor import examine

__all__ = ["main"]

_DESCRIPTION = """\
Watch the loss landscape, curvature, kernel and features of a PyTorch network while it trains.

  landscope demo grokking      a built-in experiment, with the page that shows it
  landscope run train.py       your own program, which calls landscope.watch, with the page
  landscope ui runs            the page alone, over runs that were recorded before or are being recorded
  landscope measure digits --sharpness --steps all
                               measures what was kept of a finished run, or bare checkpoints
  landscope export latest --report run.html
                               a run as one page that stands alone, or its figures and numbers as files
  landscope doctor             what works here, what would not, and what to do about it
"""


# What shows the page is imported by those commands that do, so that `doctor` can say where that fails.


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    logging.basicConfig(level=logging.WARNING, format="landscope: %(message)s")
    parser, subcommands = _parser()
    chosen, rest = parser.parse_known_args(arguments)
    if rest and chosen.command not in ("demo", "measure"):
        subcommands[chosen.command].error(f"unrecognised arguments: {' '.join(rest)}")
    try:
        return int(chosen.action(chosen, rest))
    except (OSError, ValueError) as failure:
        print(f"landscope: {failure}", file=sys.stderr)
        return 1


def _demo(chosen: argparse.Namespace, settings: Sequence[str]) -> int:
    from landscope_app.attendance import attend

    if chosen.list or chosen.name is None:
        print(_recipes())
    if chosen.list:
        return 0
    name = chosen.name or FLAGSHIP
    if name not in CATALOGUE:
        raise ValueError(f"there is no recipe {name!r}; recipes are {', '.join(sorted(CATALOGUE))}")
    if chosen.name is None:
        print(f"Starting {name}.\n")
    runs = str(chosen.runs.absolute())
    return attend([sys.executable, "-m", "landscope.recipes", name, "--runs", runs, *settings], **_serving(chosen))


def _run(chosen: argparse.Namespace, _: Sequence[str]) -> int:
    from landscope_app.attendance import attend

    if not chosen.file.is_file():
        raise ValueError(f"there is no file {chosen.file}")
    serving = {**_serving(chosen), "trust": [*chosen.trust, chosen.file]}
    return attend([sys.executable, str(chosen.file), *chosen.arguments], **serving)


def _measure(_: argparse.Namespace, arguments: Sequence[str]) -> int:
    # Ctrl-C reaches both; it is the command's to end.
    process = subprocess.Popen([sys.executable, "-m", "landscope.worker.command", *arguments])
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def _export(chosen: argparse.Namespace, _: Sequence[str]) -> int:
    return exporting.export_run(chosen)


def _doctor(chosen: argparse.Namespace, _: Sequence[str]) -> int:
    return examine(chosen.runs)


def _ui(chosen: argparse.Namespace, _: Sequence[str]) -> int:
    from landscope_app.server import serve

    serving = _serving(chosen)
    serving.pop("open_browser")
    try:
        serve(serving.pop("runs"), embedded=chosen.embedded, **serving)
    except KeyboardInterrupt:
        print()
    return 0


def _serving(chosen: argparse.Namespace) -> dict[str, object]:
    return {
        "runs": chosen.runs,
        "host": chosen.host,
        "port": chosen.port,
        "token": chosen.token,
        "read_only": chosen.read_only,
        "trust": chosen.trust,
        "open_browser": getattr(chosen, "open", False),
    }


def _recipes() -> str:
    lines = ["Recipes, each started by `landscope demo NAME`:", ""]
    for entry in CATALOGUE.values():
        lines += [f"  {entry.name:<10} {entry.summary}", f"  {'':<10} {entry.paper}; {entry.duration}.", ""]
    return "\n".join(lines)


def _parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    shared = argparse.ArgumentParser(add_help=False)
    page = shared.add_argument_group("the page")
    page.add_argument("--host", default=DEFAULT_HOST, help="address to listen on; others than loopback need a token")
    page.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="port, or the next free one (default 8050; 0: any)"
    )
    page.add_argument("--token", help="what a browser must present; made up where one is needed and none is given")
    page.add_argument("--read-only", action="store_true", help="show runs, but take no commands for them")

    page.add_argument(
        "--trust",
        type=Path,
        action="append",
        default=[],
        metavar="FILE.py",
        help="a program of yours that may be run again, for its function experiment(), when the page is asked to "
        "measure a finished run that it made",
    )

    training = argparse.ArgumentParser(add_help=False)
    training.add_argument("--runs", type=Path, default=_default_runs(), help="folder of runs (default: %(default)s)")
    training.add_argument("--no-open", dest="open", action="store_false", help="do not open a browser")

    parser = argparse.ArgumentParser(
        prog="landscope", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"landscope {landscope.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser(
        "demo",
        parents=[shared, training],
        help="run a built-in experiment and show it",
        description=f"Trains a built-in experiment and shows it live. Without a NAME: lists them, starts {FLAGSHIP}.",
        epilog="Further options are the recipe's own settings, e.g. `landscope demo digits --lr 0.1 --steps 1000`; "
        "`python -m landscope.recipes NAME --help` lists them.",
    )
    demo.add_argument("name", nargs="?", metavar="NAME", help=f"one of: {', '.join(CATALOGUE)}")
    demo.add_argument("--list", action="store_true", help="list the recipes and end")
    demo.set_defaults(action=_demo)

    run = commands.add_parser(
        "run",
        parents=[shared, training],
        help="run your own training program and show it",
        description="Runs a Python file that calls landscope.watch, and shows it live.",
    )
    run.add_argument("file", type=Path, metavar="FILE.py", help="the program")
    run.add_argument("arguments", nargs=argparse.REMAINDER, help="the program's own arguments")
    run.set_defaults(action=_run)

    ui = commands.add_parser(
        "ui",
        parents=[shared],
        help="show runs",
        description="Shows the runs in a folder: finished ones, and those being recorded now.",
    )
    ui.add_argument(
        "runs", nargs="?", type=Path, default=_default_runs(), metavar="RUNS", help="folder (default: %(default)s)"
    )
    ui.add_argument(
        "--embedded",
        action="store_true",
        help="let notebooks on this machine show the page in a frame, and end with the standard input",
    )
    ui.set_defaults(action=_ui)

    export = commands.add_parser(
        "export",
        help="write a run as a page, figures, arrays or tables",
        description=exporting.DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    export.add_argument("--runs", type=Path, default=_default_runs(), help="folder of runs (default: %(default)s)")
    exporting.add_options(export)
    export.set_defaults(action=_export)

    doctor = commands.add_parser(
        "doctor",
        help="say what works here",
        description="Says what works here, what would not, and what to do about it; ends with 1 if anything is broken.",
    )
    doctor.add_argument("--runs", type=Path, default=_default_runs(), help="folder of runs (default: %(default)s)")
    doctor.set_defaults(action=_doctor)

    measure = commands.add_parser("measure", add_help=False, help="measure a finished run, or bare checkpoints")
    measure.set_defaults(action=_measure)
    return parser, {"demo": demo, "run": run, "ui": ui, "export": export, "doctor": doctor, "measure": measure}


def _default_runs() -> Path:
    return Path(os.environ.get("LANDSCOPE_RUNS", "runs"))


if __name__ == "__main__":
    sys.exit(main())
