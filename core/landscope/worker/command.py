"""`landscope measure`: measures the weights of a finished run, or of bare checkpoints, in the foreground."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from landscope.lab import ENTRIES, Entry, Progress, chosen, description
from landscope.recipes import CATALOGUE
from landscope.runs import Run, RunAppender, RunWriter, list_runs, open_run
from landscope.runs.commands import send_command
from landscope.worker.jobs import JobQueue
from landscope.worker.requests import EXAMPLES, MeasureRequest, pasts
from landscope.worker.weights import checkpoint_files

__all__ = ["main"]

_SHORT = {"slice2d": "--slice", "density": "--spectrum"}
_INTERVAL = 0.25  # seconds between two states of the progress line
_DESCRIPTION = """\
Measures weights that were kept: snapshots of a finished run, or files of state dictionaries.

  landscope measure grokking --sharpness --steps all        the newest run of a recipe, at all its snapshots
  landscope measure 20261128-1012-digits --slice points=65  a run by its name or folder, at its last snapshot
  landscope measure train.py --run latest --spectrum        a run of your own program, which has a function experiment()
  landscope measure train.py --checkpoint ckpt/ --slice     bare checkpoints: files, or folders of them

What is measured is recorded in the run (in a new one for bare checkpoints) and shown by its page. What has been
measured before is not measured again; after Ctrl-C or a crash the same command goes on where it was.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 1 if something could not be measured."""
    chosen = _parser().parse_args(arguments)
    try:
        return _measure(chosen)
    except (OSError, ValueError, RuntimeError) as failure:
        print(f"landscope measure: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; the same command goes on from here.", file=sys.stderr)
        return 130


def _measure(chosen: argparse.Namespace) -> int:
    if not chosen.asked:
        wanted = ", ".join(_option(entry) for entry in ENTRIES.values())
        raise ValueError(f"nothing was asked for; add one or more of {wanted}")
    files = checkpoint_files(chosen.checkpoint) if chosen.checkpoint else {}
    run, build = _found(chosen, files)
    print(f"Measuring run {run.path}", file=sys.stderr)
    line = _Line()
    with RunAppender(run.path) as appender:
        queue = JobQueue(run, appender, build, files, show=line.show)
        steps = _steps(chosen.steps, sorted(files) or queue.bench.steps())
        complete = True
        for what, parameters in chosen.asked:
            request = _sent(run, queue, what, parameters, chosen, steps)
            complete &= queue.carry_out(request)
            line.end()
            _report(run, request, steps, as_json=chosen.json)
    return 0 if complete else 1


def _found(chosen: argparse.Namespace, files: Mapping[int, Path]) -> tuple[Run, Callable[[], Any]]:
    """The run to record into, and what builds its experiment."""
    # What builds models imports torch's optimisers and scikit-learn, and --help need not wait for them.
    from landscope.worker.origins import of_file, of_recipe, of_run

    source, root = chosen.source, chosen.runs
    if source.endswith(".py"):
        file = Path(source)
        if not file.is_file():
            raise ValueError(f"there is no file {file}")
        run = _named(chosen.run, root) if chosen.run else _of_checkpoints(root, file.stem, source, None, files)
        return run, partial(of_file, file)
    if source in CATALOGUE:
        if files and not chosen.run:
            return _of_checkpoints(root, source, source, source, files), partial(of_recipe, source, {})
        name = chosen.run or next((run.id for run in list_runs(root) if run.recipe == source), None)
        if name is None:
            raise ValueError(f"there is no run of {source} in {root}; train one: landscope demo {source}")
        run = _named(name, root)
        return run, partial(of_recipe, source, run.manifest.config)
    run = _named(source, root)
    return run, partial(of_run, run.manifest)


def _named(name: str, root: Path) -> Run:
    if name == "latest":
        runs = list_runs(root)
        if not runs:
            raise ValueError(f"there is no run in {root}")
        return open_run(runs[0].path)
    folder = Path(name)
    if folder.is_dir():
        return open_run(folder)
    try:
        return open_run(name, root=root)
    except (FileNotFoundError, ValueError):
        recipes = ", ".join(CATALOGUE)
        raise ValueError(f"{name} is no recipe ({recipes}), no FILE.py and no run in {root}") from None


def _of_checkpoints(root: Path, name: str, source: str, recipe: str | None, files: Mapping[int, Path]) -> Run:
    """The run of these checkpoints: the one that an earlier call made, or a new one."""
    if not files:
        raise ValueError(f"name weights to measure: --run RUN (or latest), or --checkpoint PATH, beside {source}")
    about = {"source": source, "checkpoints": {str(step): str(path.absolute()) for step, path in files.items()}}
    for summary in list_runs(root):
        if summary.error is None and open_run(summary.path).manifest.config.get("measured") == about:
            return open_run(summary.path)
    writer = RunWriter.create(root, name=f"{name}-checkpoints", recipe=recipe, config={"measured": about})
    writer.progress(max(files))
    writer.close()
    return open_run(writer.path)


def _sent(
    run: Run, queue: JobQueue, what: str, parameters: Mapping[str, Any], chosen: argparse.Namespace, steps: list[int]
) -> MeasureRequest:
    """The request as a job of the run: one that was interrupted if it is the same, else a new one."""
    params = {
        "what": what,
        "parameters": parameters,
        "objective": chosen.split,
        "examples": chosen.examples,
        "steps": steps,
        "class": chosen.label,
    }
    asked = MeasureRequest.read(0, params)
    for waiting in queue.waiting:
        if waiting.key == asked.key and waiting.steps == asked.steps:
            return waiting
    return MeasureRequest.read(send_command(run.path, "measure", asked.params), params)


def _steps(text: str, known: list[int]) -> list[int]:
    """Steps from "last", "all", or numbers between commas."""
    if not known:
        raise ValueError("the run has no weights: it was recorded without snapshots; name some with --checkpoint")
    if text == "all":
        return known
    if text == "last":
        return known[-1:]
    try:
        steps = [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"steps must be 'last', 'all' or numbers like 0,100,200, got {text!r}") from None
    unknown = [step for step in steps if step not in known]
    if unknown:
        some = ", ".join(map(str, known[:12])) + (" ..." if len(known) > 12 else "")
        raise ValueError(f"there are no weights of step {unknown[0]}; there are those of {some}")
    return steps


def _report(run: Run, request: MeasureRequest, steps: list[int], *, as_json: bool) -> None:
    """Prints the numbers of what was measured, also of what had been before."""
    frames: dict[int, str] = {}
    examples = ""
    for event in run.events("job"):
        data = event.data or {}
        if data.get("key") == request.key and data.get("measured") in steps:
            frames[data["measured"]] = data["frame"]
            examples = f" of {data['examples']}" if "examples" in data else ""
    for step in sorted(frames):
        scalars = run.measurement(frames[step], step=step).scalars()
        if as_json:
            line = {"run": run.id, "frame": frames[step], "step": step, **request.params, "scalars": scalars}
            line.pop("steps")
            print(json.dumps(line), flush=True)
        else:
            numbers = ", ".join(f"{name} {value:.5g}" for name, value in scalars.items())
            print(f"step {step:,}: {request.what}{examples}: {numbers or 'recorded'}", flush=True)
    past = pasts(run.events("job")).get(request.job)
    failed = [event.text for event in run.events("job") if (event.data or {}).get("job") == request.job]
    if past is not None and failed and len(frames) < len(steps):
        print(f"landscope measure: {failed[-1]}", file=sys.stderr)


class _Line:
    """A line in the terminal that says how far the measurement is."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._last = float("-inf")

    def show(self, request: MeasureRequest, step: int, progress: Progress) -> None:
        """Rewrites the line, if that is due."""
        now = time.monotonic()
        if not self._terminal or now - self._last < _INTERVAL:
            return
        self._last = now
        parts = [f"{request.what} at step {step:,}"]
        if progress.done is not None:
            parts.append(f"{progress.done:.0%}")
        if progress.seconds_left is not None:
            parts.append(f"{progress.seconds_left:.0f} s left")
        sys.stderr.write("\r\x1b[2K" + " | ".join(parts))
        sys.stderr.flush()

    def end(self) -> None:
        """Takes the line away."""
        if self._terminal:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()


class _Ask(argparse.Action):
    """Collects what is asked for, in order, with its parameters."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        what = self.dest
        given: dict[str, str] = {}
        for part in filter(None, (values or "").split(",")):
            name, equals, value = part.partition("=")
            if not equals:
                parser.error(f"{option} takes name=value pairs, like points=65, got {part!r}")
            given[name] = value
        try:
            chosen(what, given)
        except ValueError as wrong:
            parser.error(str(wrong))
        namespace.asked = [*namespace.asked, (what, given)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="landscope measure", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(asked=[])
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help=f"a recipe ({', '.join(CATALOGUE)}), a FILE.py with a function experiment(), or a run",
    )
    parser.add_argument("--run", help='the run whose weights are measured, or "latest"; into which it is recorded')
    runs = Path(os.environ.get("LANDSCOPE_RUNS", "runs"))
    parser.add_argument("--runs", type=Path, default=runs, help="folder of runs (default: %(default)s)")
    parser.add_argument(
        "--checkpoint", type=Path, nargs="+", metavar="PATH", help="files of state dictionaries, or folders of them"
    )
    parser.add_argument(
        "--steps", default="last", help="which weights: last, all, or numbers like 0,100 (default: %(default)s)"
    )
    parser.add_argument("--split", choices=("train", "test"), default="train", help="of which data (default: train)")
    parser.add_argument("--class", type=int, dest="label", metavar="NUMBER", help="of the examples of one class alone")
    parser.add_argument(
        "--examples", type=int, default=EXAMPLES, help="of at most so many examples (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line for each measurement")
    group = parser.add_argument_group("what to measure, with parameters as name=value,name=value")
    for entry in description():
        known = ENTRIES[entry["name"]]
        names = [f"--{known.name.replace('_', '-')}", *([_SHORT[known.name]] if known.name in _SHORT else [])]
        group.add_argument(
            *names, action=_Ask, dest=known.name, nargs="?", const="", default=argparse.SUPPRESS,
            metavar="NAME=VALUE", help=_help(entry),
        )  # fmt: skip
    return parser


def _option(entry: Entry) -> str:
    return _SHORT.get(entry.name, f"--{entry.name.replace('_', '-')}")


def _help(entry: Mapping[str, Any]) -> str:
    parameters = "; ".join(f"{about['name']}={about['default']}" for about in entry["parameters"])
    return (f"{entry['title']} ({parameters})" if parameters else entry["title"]).replace("%", "%%")


if __name__ == "__main__":
    sys.exit(main())
